//! Voids and refunds.

use till_core::batch::SettleRule;
use till_core::input::Presented;
use till_core::{
    AttemptState, Effect, Input, LegKind, PaymentId, PaymentState, Purpose, Record, Refusal, Step, Till,
    decide,
};
use till_plugin::Money;
use till_plugin::channel::{Outcome, QueryOutcome, UndoOutcome, UnknownReason};

use crate::samples::{ID, approval, decline, fen, open, presented};
use crate::scene::{
    answered, approve, ask, go_on, held, lost, money, number, paid, part, prepared, refused, till,
};

/// Its network counts two items in a batch: a void that was undone is under way again by its late yes, and there is no room
/// any more for the refund that was let in instead.
#[test]
fn i12_what_a_late_answer_left_no_room_for_is_not_sent() {
    for late in [false, true] {
        let mut b = paid();
        let rule = SettleRule { batch_limit: Some(2), ..SettleRule::default() };
        b.ctx.rules.channels.insert("channel".into(), rule);
        b.take(&ask(LegKind::Void, 0, None));
        prepared(&mut b);
        lost(&mut b);
        b.take(&Input::Resolve { payment: ID, attempt: 2 });
        let outcome = UndoOutcome::Undone { money_moved: true, reference: None };
        b.take(&Input::Undone { payment: ID, attempt: 2, outcome });
        b.take(&ask(LegKind::Refund, 0, None));
        if late {
            let outcome = Outcome::Approved(approval(fen(100)));
            b.take(&Input::Answered { payment: ID, attempt: 2, outcome });
        }
        match prepared(&mut b).record {
            Some(Record::Sent { .. }) => assert!(!late, "one more than the network counts was sent"),
            Some(Record::NotSent { decline, .. }) => {
                assert!(late && decline.code == "batch-full", "{decline:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_void_that_is_refused_becomes_a_refund_and_what_cannot_go_back_goes_to_people() {
    let mut b = till();
    b.open_and_confirm();
    b.take(&Input::Present { payment: ID, presented: part(presented(), 50) });
    approve(&mut b);
    b.cancel();
    go_on(&mut b);
    prepared(&mut b);
    answered(&mut b, Outcome::Declined(decline("12")));
    assert_eq!(b.state(), PaymentState::Returning);
    go_on(&mut b);
    assert_eq!(b.attempt().kind, LegKind::Refund);
    prepared(&mut b);
    answered(&mut b, Outcome::Declined(decline("12")));
    let step = go_on(&mut b);
    assert!(matches!(step.record, Some(Record::PaymentToReview { .. })));
    assert_eq!(
        (b.state(), money(&b)),
        (PaymentState::Review, (50, 0, 50)),
        "the money is still shown as taken"
    );
    // Two people accept it as it stands, or somebody refunds by hand with the card there.
    b.take(&ask(LegKind::Refund, 1, None));
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (50, 50, 100)));
}

#[test]
fn s51_refunds_never_exceed_what_was_taken_whatever_the_order() {
    let mut b = paid();
    b.take(&ask(LegKind::Refund, 0, Some(60)));
    let second = refused(&b, &ask(LegKind::Refund, 0, Some(10)));
    assert!(matches!(second, Refusal::NoLeg { .. }), "one at a time: {second}");
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 60, 60)));
    let over = refused(&b, &ask(LegKind::Refund, 0, Some(41)));
    assert!(matches!(over, Refusal::TooMuch { left, .. } if left == fen(40)), "{over}");
    let void = refused(&b, &ask(LegKind::Void, 0, None));
    assert!(matches!(void, Refusal::NoLeg { .. }), "a part went back already: {void}");
    // A refund that nobody knows about is asked for, never sent again, and blocks the next.
    b.take(&ask(LegKind::Refund, 0, Some(40)));
    prepared(&mut b);
    lost(&mut b);
    assert_eq!(b.attempt().state, AttemptState::Querying);
    assert!(matches!(refused(&b, &ask(LegKind::Refund, 0, Some(1))), Refusal::NoLeg { .. }));
    let n = number(&b);
    b.take(&Input::Resolve { payment: ID, attempt: n });
    b.take(&Input::Queried { payment: ID, attempt: n, outcome: QueryOutcome::Paid(approval(fen(40))) });
    assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (100, 100, 100)));
    assert!(matches!(refused(&b, &ask(LegKind::Refund, 0, Some(1))), Refusal::NoLeg { .. }));
}

#[test]
fn i10_any_sequence_of_refund_requests_and_outcomes_stays_within_what_was_taken() {
    use proptest::prelude::*;
    proptest!(|(steps in proptest::collection::vec((1_i64..120, 0_u8..5), 1..12))| {
        let mut b = paid();
        for (minor, end) in steps {
            if let Ok(step) = decide(&b.till, &ask(LegKind::Refund, 0, Some(minor)), &b.ctx) {
                b.apply(&step);
                prepared(&mut b);
                match end {
                    0 => drop(answered(&mut b, Outcome::Declined(decline("51")))),
                    1 => {
                        lost(&mut b);
                        let n = number(&b);
                        b.take(&Input::Resolve { payment: ID, attempt: n });
                        let outcome = QueryOutcome::NotPaid(decline("no"));
                        b.take(&Input::Queried { payment: ID, attempt: n, outcome });
                    }
                    2 => drop(b.restart()),
                    _ => {
                        let amount = b.attempt().amount;
                        answered(&mut b, Outcome::Approved(approval(amount)));
                    }
                }
            }
            let (paid, returned, _) = money(&b);
            prop_assert!(returned <= paid && paid == 100, "{returned} of {paid} went back");
            let open = b.payment().map_or(0, |p| p.attempts.iter().filter(|a| a.state.is_open()).count());
            prop_assert!(open <= 1);
        }
    });
}

#[test]
fn the_same_key_is_the_same_refund_also_after_a_restart() {
    let mut b = paid();
    let keyed = |amount| Input::Leg {
        payment: ID,
        kind: LegKind::Refund,
        of: 0,
        amount: Some(fen(amount)),
        key: "refund-1".into(),
        reason: String::new(),
        operator: None,
    };
    b.take(&keyed(40));
    approve(&mut b);
    b.restart();
    assert_eq!(decide(&b.till, &keyed(40), &b.ctx), Ok(Step::default()), "no second leg");
    assert!(matches!(refused(&b, &keyed(41)), Refusal::KeyReuse { .. }));
    // The key of a payment is no key of a refund.
    let stolen = Input::Open {
        payment: PaymentId([8; 16]),
        purpose: Purpose::Sale,
        key: "refund-1".into(),
        amount: fen(40),
        subject: "tea".into(),
        operator: None,
        training: false,
    };
    assert!(matches!(refused(&b, &stolen), Refusal::KeyReuse { .. }));
}

#[test]
fn a_refund_under_way_at_a_restart_is_asked_about_and_never_sent_again() {
    let mut b = paid();
    b.take(&ask(LegKind::Refund, 0, Some(40)));
    prepared(&mut b);
    let steps = b.restart();
    assert!(matches!(steps[0].record, Some(Record::BecameUnknown { reason: UnknownReason::Restarted, .. })));
    assert_eq!(b.attempt().state, AttemptState::Querying);
    assert!(b.till.foreground().is_none(), "the till is free");
    // One that had not left yet is over.
    let mut b = paid();
    b.take(&ask(LegKind::Refund, 0, Some(40)));
    b.restart();
    assert_eq!((b.attempt().state, b.state()), (AttemptState::NotSent, PaymentState::Paid));
}

#[test]
fn an_unknown_void_is_undone_and_the_payment_stands() {
    let mut b = paid();
    b.take(&ask(LegKind::Void, 0, None));
    prepared(&mut b);
    lost(&mut b);
    assert_eq!(b.attempt().state, AttemptState::Reversing, "a void's reversal");
    let n = number(&b);
    b.take(&Input::Resolve { payment: ID, attempt: n });
    let outcome = UndoOutcome::Undone { money_moved: true, reference: None };
    b.take(&Input::Undone { payment: ID, attempt: n, outcome });
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 0, 0)));
    b.take(&ask(LegKind::Void, 0, None));
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (100, 100, 100)));
    let p = b.payment().expect("it");
    assert_eq!(p.standing_of(&p.attempts[0]), "voided");
}

#[test]
fn a_leg_that_wants_the_card_again_takes_only_that_card() {
    let mut b = till();
    b.ctx.routes[0].legs[1].instrument = true;
    b.open_and_confirm();
    let card = Presented { token: "card-1".into(), ..presented() };
    b.take(&Input::Present { payment: ID, presented: card.clone() });
    approve(&mut b);
    let step = b.take(&ask(LegKind::Refund, 0, Some(40)));
    assert!(step.effects.contains(&Effect::Arm { payment: ID, amount: fen(40) }));
    assert!(b.till.foreground().is_some(), "the readers are for this customer");
    let wrong = Presented { token: "card-2".into(), ..presented() };
    assert_eq!(refused(&b, &Input::Present { payment: ID, presented: wrong }), Refusal::OtherCard(ID));
    b.take(&Input::Present { payment: ID, presented: card });
    approve(&mut b);
    assert_eq!(money(&b), (100, 40, 40));
    // The card does not come: the leg ends unsent.
    b.take(&ask(LegKind::Refund, 0, Some(10)));
    b.cancel();
    assert_eq!((b.attempt().state, b.state()), (AttemptState::NotSent, PaymentState::Paid));
}

#[test]
fn i22_a_leg_goes_by_the_channel_of_its_original_and_not_while_that_is_down() {
    let mut b = paid();
    b.take(&Input::Select { channel: Some("other".into()), operator: None });
    b.take(&ask(LegKind::Refund, 0, Some(40)));
    assert_eq!(b.attempt().channel, "channel");
    approve(&mut b);
    b.ctx.routes[0].health = till_core::routing::RouteHealth::Failed { reason: "no line".into() };
    assert!(matches!(refused(&b, &ask(LegKind::Refund, 0, Some(10))), Refusal::NoLeg { .. }));
}

#[test]
fn a_payment_that_left_memory_is_adopted_for_its_refund_and_replay_gives_the_same() {
    let mut b = paid();
    let old = b.payment().expect("it").clone();
    let mut records: Vec<Record> = Vec::new();
    for n in 0..200_u8 {
        let id = PaymentId([n; 16]);
        if id == ID {
            continue;
        }
        let key = format!("k{n}");
        b.take(&open(id, &key, fen(5), ""));
        b.take(&Input::Cancel { payment: id, operator: None });
    }
    assert!(b.payment().is_none(), "it left memory");
    assert!(matches!(refused(&b, &ask(LegKind::Refund, 0, Some(40))), Refusal::NoPayment(_)));
    let mut replay: Till = b.till.clone();
    b.till.adopt(old.clone());
    let step = b.take(&ask(LegKind::Refund, 0, Some(40)));
    records.extend(step.record);
    assert_eq!(replay.lacks(&records[0]), Some(ID));
    replay.adopt(old);
    replay.apply(b.till.seq(), b.ctx.wall_ms, &records[0]);
    assert_eq!(replay, b.till);
}

#[test]
fn a_snapshot_is_the_state() {
    let mut b = held();
    b.take(&open(PaymentId([8; 16]), "k", fen(3), "tea"));
    let bytes = b.till.to_snapshot().expect("it encodes");
    assert_eq!(Till::from_snapshot(&bytes).as_ref(), Ok(&b.till));
    assert!(Till::from_snapshot(&bytes[..bytes.len() - 1]).is_err());
    assert!(Till::from_snapshot(&[&[9], &bytes[1..]].concat()).is_err());
    assert_eq!(Money::zero(fen(1).currency()), fen(0));
}
