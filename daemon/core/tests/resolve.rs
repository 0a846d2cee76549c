//! How unknown outcomes end: rule by rule, what a shop would lose if it were broken.

#![allow(clippy::expect_used)]

mod samples;

use samples::{
    Bench, ID, after, approval, bank, blind, context, decline, fen, no_undo, open, presented, wallet,
};
use till_core::{AttemptState, Effect, Input, PaymentId, PaymentState, Record, Refusal, decide};
use till_plugin::channel::{Outcome, QueryOutcome, UndoOutcome, UndoReason, Unknown, UnknownReason};

fn unanswered() -> Unknown {
    Unknown::new(UnknownReason::NoAnswer, "no answer")
}

fn reversing(resolve: till_plugin::channel::ResolveProfile) -> Bench {
    let mut b = Bench::new(context(resolve));
    b.send();
    b.cancel();
    b.lost();
    b.resolve();
    assert_eq!(b.attempt().state, AttemptState::Reversing);
    assert!(b.attempt().waiting, "the undo is on its way");
    b
}

#[test]
fn a_wallets_first_never_existed_is_asked_again_after_the_settle_time() {
    let mut b = reversing(wallet());
    let step = b.undone(UndoOutcome::NeverExisted);
    assert_eq!(b.attempt().state, AttemptState::Reversing, "a pay on its way could still be booked");
    assert!(b.attempt().recovery.is_some(), "the reversal stays armed");
    assert_eq!(after(&step), Some(6_000));
    assert!(b.till.foreground().is_some(), "the customer still waits: no next customer yet");
    let step = b.resolve();
    assert!(step.effects.iter().any(|e| matches!(e, Effect::Undo { number: 2, .. })));
    b.undone(UndoOutcome::NeverExisted);
    assert_eq!((b.attempt().state, b.state()), (AttemptState::Reversed, PaymentState::Cancelled));
}

#[test]
fn a_wallets_late_booking_is_found_by_the_second_undo() {
    let mut b = reversing(wallet());
    b.undone(UndoOutcome::NeverExisted);
    b.resolve();
    b.undone(UndoOutcome::Undone { money_moved: true, reference: None });
    assert_eq!(b.attempt().state, AttemptState::Reversed);
    assert!(b.attempt().money_returned, "the books show that money moved and went back");
}

#[test]
fn an_unanswered_undo_between_does_not_make_a_doubt_final() {
    let mut b = reversing(wallet());
    b.undone(UndoOutcome::Unknown(unanswered()));
    b.resolve();
    b.undone(UndoOutcome::NeverExisted);
    assert_eq!(b.attempt().state, AttemptState::Reversing);
    b.resolve();
    b.undone(UndoOutcome::Unknown(unanswered()));
    assert_eq!(b.attempt().state, AttemptState::Reversing);
    b.resolve();
    b.undone(UndoOutcome::NeverExisted);
    assert_eq!(b.attempt().state, AttemptState::Reversed);
}

#[test]
fn an_answer_delivered_twice_is_said_once() {
    let mut b = reversing(wallet());
    b.undone(UndoOutcome::NeverExisted);
    let again = Input::Undone { payment: ID, attempt: 1, outcome: UndoOutcome::NeverExisted };
    assert_eq!(decide(&b.till, &again, &b.ctx), Err(Refusal::Stale), "its settle time has not passed");

    let mut b = Bench::new(context(wallet()));
    b.send();
    b.lost();
    b.resolve();
    b.queried(QueryOutcome::NotFound);
    let again = Input::Queried { payment: ID, attempt: 1, outcome: QueryOutcome::NotFound };
    assert_eq!(decide(&b.till, &again, &b.ctx), Err(Refusal::Stale));
}

#[test]
fn a_restart_does_not_shorten_the_settle_time() {
    let mut b = reversing(wallet());
    b.undone(UndoOutcome::NeverExisted);
    assert_eq!(after(&b.restart()[0]), Some(6_000));
    b.resolve();
    b.undone(UndoOutcome::NeverExisted);
    assert_eq!(b.attempt().state, AttemptState::Reversed);
}

#[test]
fn the_second_question_is_not_taken_from_the_tries() {
    let mut profile = wallet();
    profile.undo = Some(samples::undo_rule(1));
    let mut b = reversing(profile);
    b.undone(UndoOutcome::NeverExisted);
    let step = b.resolve();
    assert!(matches!(step.record, Some(Record::UndoStarted { .. })), "asked again, not given to people");
    b.undone(UndoOutcome::Unknown(unanswered()));
    b.resolve();
    assert_eq!(b.attempt().state, AttemptState::Review);
}

#[test]
fn a_banks_reversal_answered_25_is_done() {
    let mut b = reversing_bank();
    b.undone(UndoOutcome::NeverExisted);
    assert_eq!((b.attempt().state, b.state()), (AttemptState::Reversed, PaymentState::Ready));
}

fn reversing_bank() -> Bench {
    let mut b = Bench::new(context(bank()));
    b.send();
    b.lost();
    b.resolve();
    b
}

#[test]
fn a_bank_is_reversed_three_times_then_people_decide_and_its_slot_stays_taken() {
    let mut b = reversing_bank();
    let alarm = b.undone(UndoOutcome::Unknown(unanswered()));
    assert!(alarm.effects.iter().any(|e| matches!(e, Effect::Alarm { code: "undo-pending", .. })));
    assert!(b.till.foreground().is_none(), "the till is free while the reversal goes on");
    // A line that is down is not a try.
    for _ in 0..10 {
        b.resolve();
        b.undone(UndoOutcome::NotSent(decline("no-line")));
    }
    for _ in 0..2 {
        b.resolve();
        b.undone(UndoOutcome::Unknown(unanswered()));
    }
    let step = b.resolve();
    assert!(step.effects.iter().any(|e| matches!(e, Effect::Alarm { code: "review", .. })));
    assert_eq!((b.attempt().state, b.state()), (AttemptState::Review, PaymentState::Review));
    assert!(
        b.attempt().recovery.is_some(),
        "it is kept for reconciliation, never deleted (channels.md 1.6 rule 6)"
    );
    assert!(b.restart().iter().all(|s| s.record.is_none()), "and a restart does not try again by itself");

    // The next payment cannot go out on the same line.
    let next = PaymentId([8; 16]);
    b.take(&open(next, "next", fen(200), ""));
    b.take(&Input::Confirm { payment: next, amount: fen(200) });
    let refused = decide(&b.till, &Input::Present { payment: next, presented: presented() }, &b.ctx);
    let Err(Refusal::NoRoute { en, .. }) = refused else { panic!("{refused:?}") };
    assert!(en.contains("not resolved yet"), "{en}");
}

#[test]
fn the_pauses_between_undos_double_up_to_the_longest_and_are_never_none() {
    let mut b = reversing(wallet());
    let mut pauses = Vec::new();
    for _ in 0..8 {
        pauses.push(after(&b.undone(UndoOutcome::Unknown(unanswered()))));
        b.resolve();
    }
    let expected = [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000].map(Some);
    assert_eq!(pauses, expected);

    let mut profile = wallet();
    profile.undo =
        Some(till_plugin::channel::UndoRule { pause_ms: 0, pause_max_ms: 0, ..samples::undo_rule(0) });
    let mut b = reversing(profile);
    assert_eq!(
        after(&b.undone(UndoOutcome::Unknown(unanswered()))),
        Some(200),
        "no plugin makes the till hammer"
    );
}

#[test]
fn queries_are_counted_and_the_undo_follows_the_last_at_once() {
    let mut b = Bench::new(context(wallet()));
    b.send();
    assert_eq!(after(&b.lost()), Some(1_000));
    let mut pauses = Vec::new();
    for _ in 0..4 {
        assert!(matches!(b.resolve().record, Some(Record::QueryStarted { .. })));
        pauses.push(after(&b.queried(QueryOutcome::InProgress)));
    }
    assert_eq!(pauses, [Some(3_000), Some(3_000), Some(3_000), Some(0)]);
    let step = b.resolve();
    assert!(matches!(step.record, Some(Record::UndoDecided { reason: UndoReason::NoAnswer, .. })));
    assert_eq!(after(&step), Some(0), "a payer must not pay in a gap (channels.md 2.3)");
}

#[test]
fn not_found_twice_over_the_settle_time_is_undone_never_declined() {
    let mut b = Bench::new(context(wallet()));
    b.send();
    b.lost();
    // 1 s, 4 s: twice, but the settle time of 6 s is not over.
    for _ in 0..2 {
        b.resolve();
        assert_eq!(after(&b.queried(QueryOutcome::NotFound)), Some(3_000));
    }
    b.resolve();
    assert_eq!(after(&b.queried(QueryOutcome::NotFound)), Some(0));
    assert!(matches!(b.resolve().record, Some(Record::UndoDecided { .. })));
}

#[test]
fn queries_hurried_by_restarts_do_not_count_as_time() {
    let mut b = Bench::new(context(wallet()));
    b.send();
    assert_eq!(after(&b.restart()[0]), Some(0), "a customer waits: asked at once");
    b.resolve();
    b.queried(QueryOutcome::NotFound);
    assert_eq!(b.attempt().asked_ms, 0);
    b.restart();
    b.resolve();
    assert_eq!(after(&b.queried(QueryOutcome::NotFound)), Some(3_000), "twice not found, but in no time");
}

#[test]
fn closed_is_a_definite_no_and_the_customer_may_try_again() {
    // TRADE_CLOSED: the order exists, and can never be paid any more (channels.md 2.2).
    let mut b = Bench::new(context(wallet()));
    b.send();
    b.lost();
    b.resolve();
    let step = b.queried(QueryOutcome::NotPaid(decline("TRADE_CLOSED")));
    assert_eq!((b.attempt().state, b.state()), (AttemptState::Declined, PaymentState::Ready));
    assert!(!b.attempt().state.is_armed(), "disarmed");
    assert!(step.effects.iter().any(|e| matches!(e, Effect::Arm { .. })), "the readers wait again");
}

#[test]
fn cancel_between_queries_goes_over_to_the_undo_at_once() {
    let mut b = Bench::new(context(wallet()));
    b.send();
    b.lost();
    b.resolve();
    b.queried(QueryOutcome::InProgress);
    assert_eq!(after(&b.cancel()), Some(0), "replaces the timer of the next query");
    assert!(matches!(b.resolve().record, Some(Record::UndoDecided { reason: UndoReason::Abandoned, .. })));
    assert_eq!(b.cancel().record, None, "asked twice is asked once");
}

#[test]
fn cancel_during_a_query_waits_for_its_answer_and_then_does_not_wait() {
    let mut b = Bench::new(context(wallet()));
    b.send();
    b.lost();
    b.resolve();
    b.cancel();
    let early = decide(&b.till, &Input::Resolve { payment: ID, attempt: 1 }, &b.ctx);
    assert_eq!(early, Err(Refusal::Stale), "the timer of the cancel rings while the query is on its way");
    assert_eq!(after(&b.queried(QueryOutcome::InProgress)), Some(0));
    assert!(matches!(b.resolve().record, Some(Record::UndoDecided { reason: UndoReason::Abandoned, .. })));
}

#[test]
fn a_query_that_finds_a_cancelled_payment_paid_gives_the_money_back() {
    let mut b = Bench::new(context(wallet()));
    b.send();
    b.lost();
    b.resolve();
    b.cancel();
    let step = b.queried(QueryOutcome::Paid(approval(fen(100))));
    assert!(
        matches!(step.record, Some(Record::UndoDecided { approval: Some(_), .. })),
        "the yes is evidence"
    );
    b.resolve();
    b.undone(UndoOutcome::Undone { money_moved: true, reference: None });
    assert_eq!(b.state(), PaymentState::Cancelled);
    assert_eq!(b.till.payment(ID).map(|p| p.paid().minor()), Some(0));
}

#[test]
fn a_cancelled_payment_that_was_taken_where_nothing_can_be_undone_is_paid_and_told() {
    for profile in [no_undo(), blind()] {
        let mut b = Bench::new(context(profile));
        b.send();
        b.cancel();
        let step = b.answer(Outcome::Approved(approval(fen(100))));
        assert_eq!(b.state(), PaymentState::Paid, "the money is taken: anything else would be a lie");
        assert!(step.effects.iter().any(|e| matches!(e, Effect::Alarm { code: "cancelled-but-paid", .. })));
    }
}

#[test]
fn a_wrong_answer_to_a_query_does_not_stop_the_resolver() {
    let mut b = Bench::new(context(wallet()));
    b.send();
    b.lost();
    b.resolve();
    let step = b.queried(QueryOutcome::Paid(approval(fen(101))));
    assert!(matches!(step.record, Some(Record::BecameUnknown { reason: UnknownReason::Mismatch, .. })));
    assert_eq!(after(&step), Some(3_000));
    assert!(matches!(b.resolve().record, Some(Record::QueryStarted { .. })), "it goes on asking");
    b.queried(QueryOutcome::Paid(approval(fen(100))));
    assert_eq!(b.state(), PaymentState::Paid);
}

#[test]
fn the_answer_that_comes_after_all_while_asking_is_taken() {
    let mut b = Bench::new(context(wallet()));
    b.send();
    b.lost();
    b.resolve();
    b.answer(Outcome::Approved(approval(fen(100))));
    assert_eq!(b.state(), PaymentState::Paid);
    // The query then says the same, and that is nothing new.
    let outcome = QueryOutcome::Paid(approval(fen(100)));
    let again = decide(&b.till, &Input::Queried { payment: ID, attempt: 1, outcome }, &b.ctx);
    assert_eq!(again, Err(Refusal::Stale));
}

#[test]
fn money_that_shows_up_after_the_end_is_kept_as_evidence_and_told() {
    let mut b = reversing_bank();
    b.undone(UndoOutcome::NeverExisted);
    // The channel can undo it again, so it is undone again (L1); believed it is not.
    let step = b.answer(Outcome::Approved(approval(fen(100))));
    assert!(matches!(step.record, Some(Record::Reopened { attempt: 1, .. })));
    assert!(step.effects.iter().any(|e| matches!(e, Effect::Alarm { code: "late-approval", .. })));
    assert_eq!((b.attempt().state, b.attempt().abandoned), (AttemptState::Reversing, true));
    assert!(b.till.foreground().is_none_or(|p| p.open_attempt().is_none()), "nobody waits for it");
    b.resolve();
    b.undone(UndoOutcome::Undone { money_moved: true, reference: None });
    assert_eq!(b.attempt().state, AttemptState::Reversed);
    assert_eq!(b.till.payment(ID).map(till_core::Payment::kept), Some(fen(0)));

    let mut b = Bench::new(context(wallet()));
    b.send();
    b.answer(Outcome::Approved(approval(fen(100))));
    let twice = Input::Answered { payment: ID, attempt: 1, outcome: Outcome::Approved(approval(fen(100))) };
    assert_eq!(decide(&b.till, &twice, &b.ctx), Err(Refusal::Stale), "the same approval twice is one (L4)");
    let mut other = approval(fen(100));
    other.reference = "another".into();
    let step = b.answer(Outcome::Approved(other));
    assert!(
        matches!(step.record, Some(Record::LateAnswer { money: true, .. })),
        "charged twice? people look"
    );
}

#[test]
fn a_restart_leaves_the_time_before_the_first_undo_whole() {
    let mut profile = wallet();
    profile.undo = Some(till_plugin::channel::UndoRule { not_before_ms: 15_000, ..samples::undo_rule(0) });
    let mut b = Bench::new(context(profile.clone()));
    b.send();
    b.cancel();
    assert_eq!(after(&b.restart()[0]), Some(15_000), "WeChat Pay refuses a revoke that is too early");
    assert_eq!(after(&b.restart()[0]), Some(15_000));

    // Without a restart the time that was spent asking counts.
    let mut b = Bench::new(context(profile));
    b.send();
    b.lost();
    b.resolve();
    b.cancel();
    b.queried(QueryOutcome::InProgress);
    assert_eq!(after(&b.resolve()), Some(14_000));
}

#[test]
fn a_channel_that_can_neither_be_asked_nor_undone_goes_to_people_at_once() {
    let mut b = Bench::new(context(blind()));
    b.send();
    b.lost();
    b.resolve();
    assert_eq!(b.state(), PaymentState::Review);
    assert!(b.till.foreground().is_none());
}

#[test]
fn without_a_printer_no_receipt_is_owed_for_ever() {
    let mut ctx = context(wallet());
    ctx.printer = None;
    let mut b = Bench::new(ctx);
    b.send();
    b.answer(Outcome::Approved(approval(fen(100))));
    assert!(
        b.till.jobs().is_empty(),
        "a printer that is bought next year does not print this year's receipts"
    );
    assert_eq!(b.till.payment(ID).and_then(|p| p.receipt_number), Some(1), "it still has its number");
}

#[test]
fn a_known_key_is_compared_even_when_its_payment_has_left_memory() {
    let mut b = Bench::new(context(wallet()));
    for n in 0..200_u8 {
        let payment = PaymentId([n; 16]);
        b.take(&open(payment, &format!("key-{n}"), fen(100), "tea"));
        b.take(&Input::Cancel { payment, operator: None });
    }
    assert!(b.till.payment(PaymentId([0; 16])).is_none(), "it has left memory");
    let fresh = PaymentId([250; 16]);
    let same = decide(&b.till, &open(fresh, "key-0", fen(100), "tea"), &b.ctx).expect("the same request");
    assert_eq!(same.record, None);
    for other in [open(fresh, "key-0", fen(101), "tea"), open(fresh, "key-0", fen(100), "coffee")] {
        let refused = decide(&b.till, &other, &b.ctx);
        assert!(matches!(refused, Err(Refusal::KeyReuse { payment: PaymentId([0, ..]), .. })), "{refused:?}");
    }
}

#[test]
fn a_batch_number_that_is_none_is_not_believed() {
    let mut b = Bench::new(context(bank()));
    for (said, is) in [(Some(7), 7), (Some(0), 7), (Some(1_000_000), 7), (None, 7), (Some(999_999), 999_999)]
    {
        b.take(&Input::SignedIn { channel: "channel".into(), batch: said });
        assert_eq!(b.till.batch("channel"), is, "{said:?}");
    }
}
