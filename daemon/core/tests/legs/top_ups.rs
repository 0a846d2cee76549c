//! Top-ups: paid and loaded, or neither.

use till_core::{Effect, Input, LegKind, PaymentState, Purpose};
use till_plugin::channel::{Outcome, QueryOutcome};

use crate::samples::{Bench, ID, approval, decline, fen};
use crate::scene::{answered, approve, go_on, going_on, money, number, prepared, till};

fn top_up() -> Bench {
    let mut b = till();
    let purpose =
        Purpose::TopUp { channel: "card".into(), recovery: vec![1; 40], masked: "**** 0005".into() };
    b.take(&Input::Open {
        payment: ID,
        purpose,
        key: String::new(),
        amount: fen(100),
        subject: "top-up".into(),
        operator: None,
        training: false,
    });
    b.take(&Input::Confirm { payment: ID, amount: fen(100) });
    b.present();
    b
}

#[test]
fn s57_a_top_up_is_paid_and_loaded_or_neither() {
    let mut b = top_up();
    let step = approve(&mut b);
    assert_eq!(b.state(), PaymentState::Delivering);
    assert!(
        !step.effects.iter().any(|e| matches!(e, Effect::QueueJob { .. })),
        "no receipt before the value is there"
    );
    assert!(going_on(&step));
    go_on(&mut b);
    assert_eq!((b.attempt().kind, b.attempt().channel.as_str()), (LegKind::Load, "card"));
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 0, 0)));
    assert_eq!(b.payment().and_then(|p| p.receipt_number), Some(1));

    // Refused for good: the customer gets the money back.
    let mut b = top_up();
    approve(&mut b);
    go_on(&mut b);
    prepared(&mut b);
    assert!(going_on(&answered(&mut b, Outcome::Declined(decline("blocked")))));
    go_on(&mut b);
    assert_eq!(b.state(), PaymentState::Returning);
    go_on(&mut b);
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (100, 100, 100)));
}

#[test]
fn s57_a_crash_between_tender_and_load_goes_on_with_the_load() {
    let mut b = top_up();
    approve(&mut b);
    let steps = b.restart();
    assert!(steps.iter().any(going_on), "{steps:?}");
    assert!(b.till.foreground().is_none());
    go_on(&mut b);
    prepared(&mut b);
    // Dies while the load is on its way: it is asked about under the same number, not loaded twice.
    b.restart();
    let n = number(&b);
    let step = b.take(&Input::Resolve { payment: ID, attempt: n });
    assert!(matches!(step.effects.as_slice(), [Effect::Query { kind: LegKind::Load, .. }]));
    b.take(&Input::Queried { payment: ID, attempt: n, outcome: QueryOutcome::Paid(approval(fen(100))) });
    assert_eq!((b.state(), b.payment().map(till_core::Payment::loaded)), (PaymentState::Paid, Some(true)));
}
