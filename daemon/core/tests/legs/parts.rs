//! Payments in parts, what is cancelled and given up, and the same card twice.

use till_core::input::Presented;
use till_core::{AttemptState, Effect, Input, LegKind, PaymentId, PaymentState, Record, Refusal, decide};
use till_plugin::Family;
use till_plugin::channel::{Outcome, UndoOutcome};

use crate::samples::{ID, approval, decline, fen, open, presented};
use crate::scene::{
    answered, approve, asks, cash, go_on, going_on, lost, money, part, prepared, refused, till,
};

#[test]
fn s44_parts_add_up_to_the_amount_and_the_rest_is_exact() {
    let mut b = till();
    b.open_and_confirm();
    b.take(&Input::Present { payment: ID, presented: part(cash(), 30) });
    let step = approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::PartPaid, (30, 0, 70)));
    assert!(
        step.effects.contains(&Effect::Arm { payment: ID, amount: fen(70) }),
        "the readers wait for the rest"
    );
    assert!(
        !step.effects.iter().any(|e| matches!(e, Effect::QueueJob { .. })),
        "no receipt before all is paid"
    );
    let more = refused(&b, &Input::Present { payment: ID, presented: part(cash(), 71) });
    assert!(matches!(more, Refusal::TooMuch { .. }), "{more}");
    let busy = refused(&b, &open(PaymentId([8; 16]), "", fen(1), ""));
    assert!(matches!(busy, Refusal::Busy { .. }), "{busy}");
    // A decline of the second part loses nothing of the first.
    b.present();
    prepared(&mut b);
    answered(&mut b, Outcome::Declined(decline("51")));
    assert_eq!((b.state(), money(&b)), (PaymentState::PartPaid, (30, 0, 70)));
    b.present();
    assert_eq!(b.attempt().amount, fen(70));
    let step = approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 0, 0)));
    assert!(step.effects.iter().any(|e| matches!(e, Effect::QueueJob { job: 1 })), "one receipt");
}

#[test]
fn a_cancelled_part_paid_payment_gives_back_every_part_by_its_own_channel() {
    let mut b = till();
    b.open_and_confirm();
    b.take(&Input::Present { payment: ID, presented: part(cash(), 30) });
    approve(&mut b);
    b.take(&Input::Present { payment: ID, presented: part(presented(), 50) });
    approve(&mut b);
    let step = b.cancel();
    assert!(going_on(&step));
    assert_eq!(b.state(), PaymentState::Returning);
    // The newest first: a void, because its channel can and its batch is open.
    go_on(&mut b);
    assert_eq!(
        (b.attempt().kind, b.attempt().of, b.attempt().channel.as_str()),
        (LegKind::Void, 2, "channel")
    );
    assert!(going_on(&approve(&mut b)));
    go_on(&mut b);
    assert_eq!(
        (b.attempt().kind, b.attempt().of, b.attempt().channel.as_str()),
        (LegKind::Refund, 1, "other")
    );
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (80, 80, 100)));
    assert!(b.till.foreground().is_none());
}

#[test]
fn a_cancelled_payment_gives_back_beside_the_next_customer() {
    let mut b = till();
    b.ctx.routes[0].resolve = asks();
    b.open_and_confirm();
    b.present();
    prepared(&mut b);
    b.cancel();
    let amount = b.attempt().amount;
    let step = answered(&mut b, Outcome::Approved(approval(amount)));
    assert!(going_on(&step), "cancelled, but the network said yes");
    let second = PaymentId([8; 16]);
    b.take(&open(second, "k", fen(3), "tea"));
    while going_on(&go_on(&mut b)) {
        assert_eq!(b.till.foreground().map(|p| p.id), Some(second), "one payment holds the till");
    }
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (100, 100, 100)));
    assert_eq!(b.till.foreground().map(|p| p.id), Some(second));
}

#[test]
fn a_part_paid_payment_survives_a_restart_and_is_resumed_or_given_back() {
    let mut b = till();
    b.open_and_confirm();
    b.take(&Input::Present { payment: ID, presented: part(cash(), 30) });
    approve(&mut b);
    b.restart();
    assert_eq!((b.state(), money(&b)), (PaymentState::PartPaid, (30, 0, 70)));
    assert!(b.till.foreground().is_none(), "the next customer can pay");
    let other = PaymentId([8; 16]);
    b.take(&open(other, "", fen(5), "tea"));
    let busy = refused(&b, &Input::Resume { payment: ID, operator: None });
    assert!(matches!(busy, Refusal::Busy { .. }), "{busy}");
    b.take(&Input::Cancel { payment: other, operator: None });
    b.take(&Input::Resume { payment: ID, operator: None });
    b.present();
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 0, 0)));
}

#[test]
fn an_abandoned_attempt_never_ends_as_kept_money_and_another_may_begin() {
    let mut b = till();
    b.send();
    lost(&mut b);
    let give_up =
        Input::Abandon { payment: ID, reason: "customer in a hurry".into(), operator: Some("li".into()) };
    let step = b.take(&give_up);
    assert!(step.effects.iter().any(|e| matches!(e, Effect::Arm { .. })));
    assert_eq!(b.state(), PaymentState::Ready);
    b.take(&Input::Present { payment: ID, presented: cash() });
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 0, 0)));
    // The first one is still being undone, in the background, and the yes that comes now is not believed.
    assert_eq!(b.payment().map(|p| p.attempts[0].state), Some(AttemptState::Reversing));
    b.take(&Input::Answered { payment: ID, attempt: 1, outcome: Outcome::Approved(approval(fen(100))) });
    assert_eq!(money(&b), (100, 0, 0));
    b.take(&Input::Resolve { payment: ID, attempt: 1 });
    b.take(&Input::Undone {
        payment: ID,
        attempt: 1,
        outcome: UndoOutcome::Undone { money_moved: true, reference: None },
    });
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 0, 0)));
    assert_eq!(b.payment().map(|p| p.attempts[0].state), Some(AttemptState::Reversed));
}

#[test]
fn the_same_card_and_amount_twice_is_asked_about() {
    let mut b = till();
    b.ctx.duplicate_window_ms = 600_000;
    b.ctx.routes[0].families.push(Family::new("card-stripe"));
    let card = Presented { family: Family::new("card-stripe"), token: "card-1".into(), ..presented() };
    b.open_and_confirm();
    b.take(&Input::Present { payment: ID, presented: card.clone() });
    prepared(&mut b);
    answered(&mut b, Outcome::Declined(decline("55")));
    // A declined try is none.
    b.take(&Input::Present { payment: ID, presented: card.clone() });
    approve(&mut b);
    let second = PaymentId([8; 16]);
    b.take(&open(second, "k2", fen(100), "tea"));
    b.take(&Input::Confirm { payment: second, amount: fen(100) });
    let again = Input::Present { payment: second, presented: card.clone() };
    assert!(matches!(refused(&b, &again), Refusal::PossibleDuplicate { payment: ID, .. }));
    let other = Presented { amount: Some(fen(99)), ..card.clone() };
    assert!(decide(&b.till, &Input::Present { payment: second, presented: other }, &b.ctx).is_ok());
    let said = Presented { duplicate_reason: "two teas".into(), ..card };
    let step = b.take(&Input::Present { payment: second, presented: said });
    assert!(
        matches!(step.record, Some(Record::Tendered { ref duplicate_reason, .. }) if duplicate_reason == "two teas")
    );
}
