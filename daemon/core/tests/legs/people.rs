//! What two people decide, and what somebody acknowledges.

use till_core::{Effect, Input, LegKind, Payment, PaymentState, Record, Refusal, Verdict};
use till_plugin::channel::QueryOutcome;

use crate::samples::{Bench, ID, approval, fen};
use crate::scene::{
    approve, ask, cash, give_up, go_on, going_on, lost, money, not_undone, number, paid, part, prepared,
    refused, till, two_people_say,
};

fn in_review() -> Bench {
    let mut b = paid();
    b.take(&ask(LegKind::Refund, 0, Some(40)));
    prepared(&mut b);
    lost(&mut b);
    let n = number(&b);
    loop {
        let step = b.take(&Input::Resolve { payment: ID, attempt: n });
        if matches!(step.record, Some(Record::WentToReview { .. })) {
            return b;
        }
        b.take(&Input::Queried { payment: ID, attempt: n, outcome: QueryOutcome::InProgress });
    }
}

#[test]
fn a_review_needs_two_people_who_say_the_same() {
    for (verdict, returned) in [(Verdict::Happened, 40), (Verdict::DidNot, 0)] {
        let mut b = in_review();
        assert_eq!((b.state(), money(&b)), (PaymentState::Review, (100, 0, 0)));
        assert!(matches!(refused(&b, &ask(LegKind::Refund, 0, Some(1))), Refusal::NoLeg { .. }));
        let propose = |operator: &str, reason: &str| Input::ProposeReview {
            payment: ID,
            attempt: 2,
            verdict,
            reason: reason.into(),
            operator: operator.into(),
        };
        let confirm = |operator: &str, verdict| Input::ConfirmReview {
            payment: ID,
            attempt: 2,
            verdict,
            operator: operator.into(),
        };
        assert!(matches!(refused(&b, &confirm("wang", verdict)), Refusal::Review { .. }), "nothing proposed");
        assert!(matches!(refused(&b, &propose("li", " ")), Refusal::Review { .. }), "no reason");
        b.take(&propose("li", "bank statement of 21 November"));
        for same in ["li", " LI ", ""] {
            assert!(
                matches!(refused(&b, &confirm(same, verdict)), Refusal::Review { .. }),
                "{same:?} is not a second"
            );
        }
        let other = if verdict == Verdict::Happened { Verdict::DidNot } else { Verdict::Happened };
        assert!(matches!(refused(&b, &confirm("wang", other)), Refusal::Review { .. }));
        b.take(&confirm("wang", verdict));
        assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, returned, returned)));
    }
}

#[test]
fn a_sale_found_after_a_restart_is_given_back_unless_somebody_acknowledges_it() {
    for acknowledged in [true, false] {
        let mut b = till();
        b.ctx.undo_after_ms = Some(60_000);
        b.send();
        b.restart();
        b.take(&Input::Resolve { payment: ID, attempt: 1 });
        let step = b.take(&Input::Queried {
            payment: ID,
            attempt: 1,
            outcome: QueryOutcome::Paid(approval(fen(100))),
        });
        assert!(going_on(&step) && b.state() == PaymentState::Paid);
        let step = go_on(&mut b);
        assert!(step.effects.contains(&Effect::AskAcknowledgement { payment: ID, after_ms: 60_000 }));
        if acknowledged {
            b.take(&Input::Acknowledge { payment: ID, operator: Some("li".into()) });
            assert_eq!(refused(&b, &Input::NotAcknowledged { payment: ID }), Refusal::Stale);
            assert_eq!(b.state(), PaymentState::Paid);
        } else {
            b.restart();
            let step = go_on(&mut b);
            assert!(
                step.effects.iter().any(|e| matches!(e, Effect::AskAcknowledgement { .. })),
                "asked again"
            );
            b.take(&Input::NotAcknowledged { payment: ID });
            go_on(&mut b);
            approve(&mut b);
            assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (100, 100, 100)));
        }
    }
}

/// What a given-up attempt took all the same goes back onto its card. The card came for that: the till waits for nobody, and is
/// free for the next customer.
#[test]
fn a_card_that_came_for_its_money_does_not_bring_the_payment_back_to_the_till() {
    for part_paid in [false, true] {
        let mut b = till();
        b.ctx.routes[0].legs[1].instrument = true;
        b.open_and_confirm();
        b.present();
        give_up(&mut b);
        if part_paid {
            b.take(&Input::Present { payment: ID, presented: part(cash(), 40) });
            approve(&mut b);
        }
        not_undone(&mut b);
        two_people_say(&mut b, 1);
        assert_eq!(b.state(), PaymentState::Review);
        let step = b.take(&ask(LegKind::Refund, 1, None));
        assert!(step.effects.iter().any(|e| matches!(e, Effect::Arm { .. })), "the card is wanted");
        b.present();
        let step = approve(&mut b);
        assert!(!step.effects.iter().any(|e| matches!(e, Effect::Arm { .. })));
        let (state, kept) =
            if part_paid { (PaymentState::PartPaid, 40) } else { (PaymentState::Cancelled, 0) };
        assert_eq!((b.state(), b.payment().map(Payment::kept)), (state, Some(fen(kept))));
        assert!(b.till.foreground().is_none(), "nobody else can pay, and no reader is on");
    }
}
