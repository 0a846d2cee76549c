//! Voids and refunds.

use super::{PAN, Till, cny, swipe};
use till_plugin::Channel;
use till_plugin::channel::{
    FollowKind, FollowUp, NextStep, Outcome, QueryOutcome, UndoOutcome, UndoReason, UnknownReason,
};
use till_plugin::{Extra, Sensitive};
use till_simulators::acquirer::HostConfig;
use till_simulators::acquirer::ledger::{Kind, State};
use till_simulators::faults::{Fault, Rule};

/// Every way an answer can be lost or spoilt.
pub(crate) fn spoilt() -> Vec<Fault> {
    vec![
        Fault::DropBeforeBooking {},
        Fault::DropAfterBooking {},
        Fault::Reset { booked: true },
        Fault::Reset { booked: false },
        Fault::HoldReply {},
        Fault::WrongSignature {},
        Fault::Unsigned {},
        Fault::WrongAmount { by: 1 },
        Fault::WrongReference {},
        Fault::HalfReply {},
        Fault::Garbage {},
    ]
}

/// Ways in which an answer is only strange.
pub(crate) fn strange() -> Vec<Fault> {
    vec![
        Fault::Slow { ms_per_byte: 1 },
        Fault::DuplicateReply {},
        Fault::MergedReplies {},
        Fault::DelayReply { ms: 50 },
    ]
}

#[test]
fn a_void_gives_the_whole_sale_back_once() {
    let mut till = Till::start();
    let sale = till.sold(12_850, false);
    let void = till.following(FollowKind::Void, &sale, 12_850);
    assert_eq!(till.done(&void), "approved");
    till.books_agree();
    let again = till.following(FollowKind::Void, &sale, 12_850);
    assert_eq!(till.done(&again), "12", "voided once is voided");
    till.books_agree();
}

#[test]
fn whatever_happens_to_a_void_s_answer_the_sale_is_voided_or_stands() {
    let mut till = Till::start();
    for fault in spoilt() {
        let sale = till.sold(12_850, false);
        till.acquirer.faults().add(Rule::once("void", fault.clone())).unwrap();
        let void = till.following(FollowKind::Void, &sale, 12_850);
        let (prepared, outcome) = till.follow(&void).unwrap();
        let Outcome::Unknown(unknown) = outcome else { panic!("{fault:?}: {outcome:?}") };
        // Nothing goes out before the reversal of the void.
        let next = till.following(FollowKind::Refund, &sale, 1);
        let refused = till.plugin.prepare_follow(&next).unwrap_err();
        assert!(matches!(refused.code.as_str(), "reversal-pending" | "not-signed-in"), "{refused:?}");
        let settled = till.undo(&void.ids, void.amount, &prepared, &unknown);
        till.acquirer.faults().release();
        assert_eq!(settled == UndoOutcome::NeverExisted, !fault.books(), "{fault:?}: {settled:?}");
        till.books_agree();
        // The sale stands as it was, so it can be voided after all.
        let void = till.following(FollowKind::Void, &sale, 12_850);
        assert_eq!(till.done(&void), "approved", "after {fault:?}");
        till.books_agree();
    }
    for fault in strange() {
        let sale = till.sold(500, false);
        till.acquirer.faults().add(Rule::once("void", fault.clone())).unwrap();
        let void = till.following(FollowKind::Void, &sale, 500);
        assert_eq!(till.done(&void), "approved", "{fault:?}");
        till.books_agree();
    }
}

#[test]
fn a_void_s_reversal_that_is_lost_too_goes_out_again() {
    let mut till = Till::start();
    let sale = till.sold(12_850, false);
    till.acquirer.faults().add(Rule::once("void", Fault::DropAfterBooking {})).unwrap();
    for fault in [Fault::DropAfterBooking {}, Fault::WrongSignature {}] {
        till.acquirer.faults().add(Rule::once("reversal", fault)).unwrap();
    }
    let void = till.following(FollowKind::Void, &sale, 12_850);
    let (prepared, outcome) = till.follow(&void).unwrap();
    let Outcome::Unknown(unknown) = outcome else { panic!("{outcome:?}") };
    till.undo(&void.ids, void.amount, &prepared, &unknown);
    let ledger = till.acquirer.ledger();
    assert_eq!(ledger[0].state, State::Approved, "the sale stands");
    assert_eq!((ledger[1].kind, ledger[1].state), (Kind::Void, State::Reversed));
    till.books_agree();
}

#[test]
fn refunds_in_parts_never_exceed_the_sale() {
    let mut till = Till::start();
    let sale = till.sold(1_000, false);
    for (minor, expected) in [(600, "approved"), (500, "64"), (400, "approved"), (1, "64"), (1_001, "amount")]
    {
        let refund = till.following(FollowKind::Refund, &sale, minor);
        assert_eq!(till.done(&refund), expected, "{minor}");
        till.books_agree();
    }
    let void = till.following(FollowKind::Void, &sale, 1_000);
    assert_eq!(till.done(&void), "12", "what was refunded is not voided as well");
}

#[test]
fn a_refund_after_its_batch_needs_nothing_but_the_card_and_the_reference() {
    let mut till = Till::start();
    let mut sale = till.sold(1_000, false);
    till.settled();
    // The daemon has shredded what was kept of the sale.
    sale.1 = Sensitive::new(Vec::new());
    let void = till.following(FollowKind::Void, &sale, 1_000);
    assert_eq!(till.done(&void), "not-voidable");
    let refund = till.following(FollowKind::Refund, &sale, 300);
    assert_eq!(till.done(&refund), "approved");
    till.books_agree();
}

#[test]
fn an_unknown_refund_is_never_reversed_and_does_not_hold_up_the_next_sale() {
    let mut till = Till::start();
    for fault in spoilt() {
        let sale = till.sold(1_000, false);
        till.acquirer.faults().add(Rule::once("refund", fault.clone())).unwrap();
        let refund = till.following(FollowKind::Refund, &sale, 400);
        let (prepared, outcome) = till.follow(&refund).unwrap();
        assert!(matches!(outcome, Outcome::Unknown(_)), "{fault:?}: {outcome:?}");
        let own = FollowUp {
            ids: refund.ids.clone(),
            amount: refund.amount,
            recovery: prepared.recovery.clone(),
            attempt: 1,
            extra: Extra::new(),
        };
        let refused = till.plugin.undo(&own, UndoReason::NoAnswer);
        assert!(matches!(refused, UndoOutcome::Refused(decline) if decline.code == "never-reversed"));
        till.acquirer.faults().release();
        assert!(matches!(till.sell(PAN, 1).2, Outcome::Approved(_)), "after {fault:?}");
    }
    let reversed = till.acquirer.faults().fired().iter().filter(|fired| fired.on == "reversal").count();
    assert_eq!(reversed, 0);
    assert!(till.acquirer.ledger().iter().all(|entry| entry.state == State::Approved));
}

#[test]
fn a_network_that_books_a_trace_once_is_asked_by_repeating_the_notice() {
    let mut till = Till::with(|settings| settings["repeat_notices"] = true.into(), HostConfig::default());
    for fault in spoilt() {
        let sale = till.sold(1_000, false);
        till.acquirer.faults().add(Rule::once("refund", fault.clone())).unwrap();
        let mut refund = till.following(FollowKind::Refund, &sale, 400);
        let (prepared, outcome) = till.follow(&refund).unwrap();
        assert!(matches!(outcome, Outcome::Unknown(_)), "{fault:?}: {outcome:?}");
        till.acquirer.faults().release();
        refund.instrument = None;
        let original = FollowUp {
            ids: refund.ids.clone(),
            amount: refund.amount,
            recovery: prepared.recovery.clone(),
            attempt: 1,
            extra: Extra::new(),
        };
        let mut answer = till.plugin.query_follow(&refund, &original);
        if matches!(answer, QueryOutcome::Unknown(_)) {
            // The MAC was wrong: sign in first.
            till.sign_in();
            answer = till.plugin.query_follow(&refund, &original);
        }
        let QueryOutcome::Paid(approval) = answer else { panic!("{fault:?}: {answer:?}") };
        assert_eq!(approval.amount, cny(400));
        let leg = super::Leg::Follow(FollowKind::Refund);
        till.book.enter(leg, &refund.ids, &approval, &prepared, Some(&refund.original));
        till.books_agree();
    }
}

#[test]
fn the_card_presented_again_must_be_the_one_that_paid() {
    let mut till = Till::start();
    let sale = till.sold(1_000, false);
    let mut void = till.following(FollowKind::Void, &sale, 1_000);
    void.instrument = Some(swipe("4111111111111111"));
    assert_eq!(till.plugin.prepare_follow(&void).unwrap_err().code, "another-card");
    let mut refund = till.following(FollowKind::Refund, &sale, 1_000);
    refund.original_recovery = Sensitive::new(Vec::new());
    refund.instrument = Some(swipe("4111111111111111"));
    assert_eq!(till.plugin.prepare_follow(&refund).unwrap_err().code, "another-card");
    refund.instrument = None;
    let needed = till.plugin.prepare_follow(&refund).unwrap_err();
    assert_eq!((needed.code.as_str(), needed.next), ("card-needed", NextStep::PresentAgain));
    assert_eq!(till.acquirer.ledger().len(), 1, "something was sent");
}

#[test]
fn without_the_card_where_the_network_allows_it() {
    let mut till =
        Till::with(|settings| settings["card_again"] = serde_json::json!([]), HostConfig::default());
    let sale = till.sold(1_000, false);
    let mut refund = till.following(FollowKind::Refund, &sale, 300);
    refund.instrument = None;
    assert_eq!(till.done(&refund), "approved");
    let other = till.sold(500, false);
    let mut void = till.following(FollowKind::Void, &other, 500);
    void.instrument = None;
    assert_eq!(till.done(&void), "approved");
    till.books_agree();
    assert!(till.plugin.leg_rules().iter().all(|rule| !rule.instrument));
}

#[test]
fn a_void_of_another_batch_amount_or_kind_sends_nothing() {
    let mut till = Till::start();
    let sale = till.sold(1_000, false);
    let part = till.following(FollowKind::Void, &sale, 999);
    assert_eq!(till.done(&part), "amount");
    let mut later = till.following(FollowKind::Void, &sale, 1_000);
    later.ids.batch += 1;
    assert_eq!(till.done(&later), "not-voidable");
    let captured = till.following(FollowKind::Capture, &sale, 1_000);
    assert_eq!(till.done(&captured), "wrong-original");
    let released = till.following(FollowKind::Release, &sale, 1_000);
    assert_eq!(till.done(&released), "wrong-original");
    assert_eq!(till.acquirer.ledger().len(), 1, "something was sent");
}

#[test]
fn a_host_that_says_no_is_believed() {
    let mut till = Till::start();
    let sale = till.sold(1_000, false);
    let no = Fault::Answer {
        code: "58".into(),
        sub_code: None,
        fields: std::collections::BTreeMap::new(),
        booked: false,
    };
    for (operation, kind) in [("void", FollowKind::Void), ("refund", FollowKind::Refund)] {
        till.acquirer.faults().add(Rule::once(operation, no.clone())).unwrap();
        let leg = till.following(kind, &sale, 1_000);
        assert_eq!(till.done(&leg), "58");
        till.books_agree();
    }
    assert!(matches!(till.sell(PAN, 100).2, Outcome::Approved(_)), "a no is final: nothing waits");
}

#[test]
fn a_reversal_that_stays_open_is_parked_after_its_tries_and_other_payments_go_on() {
    let mut till = Till::start();
    let sale = till.sold(1_000, false);
    till.acquirer.faults().add(Rule::once("void", Fault::DropAfterBooking {})).unwrap();
    till.acquirer.faults().add(Rule::once("reversal", Fault::DropBeforeBooking {}).times(3)).unwrap();
    let void = till.following(FollowKind::Void, &sale, 1_000);
    let (prepared, outcome) = till.follow(&void).unwrap();
    assert!(matches!(outcome, Outcome::Unknown(unknown) if unknown.reason == UnknownReason::Broken));
    for attempt in 1..=3 {
        let waiting = till.following(FollowKind::Refund, &sale, 1);
        assert_eq!(till.plugin.prepare_follow(&waiting).unwrap_err().code, "reversal-pending");
        let own = FollowUp {
            ids: void.ids.clone(),
            amount: void.amount,
            recovery: prepared.recovery.clone(),
            attempt,
            extra: Extra::new(),
        };
        assert!(matches!(till.plugin.undo(&own, UndoReason::NoAnswer), UndoOutcome::Unknown(_)));
    }
    assert!(matches!(till.sell(PAN, 100).2, Outcome::Approved(_)));
}
