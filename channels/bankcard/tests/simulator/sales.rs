//! Sales: whatever goes wrong on the way, in the end both books agree.

use super::{PAN, TID, Till};
use std::time::Duration;
use till_plugin::Channel;
use till_plugin::channel::{NextStep, Outcome, UndoOutcome, UnknownReason};
use till_simulators::acquirer::ledger::State;
use till_simulators::faults::{Fault, Rule};

#[test]
fn a_sale_is_taken_once_and_a_decline_takes_nothing() {
    let mut till = Till::start();
    assert!(matches!(till.sell(PAN, 12_850).2, Outcome::Approved(_)));
    let Outcome::Declined(decline) = till.sell("4000000000009995", 100).2 else { panic!("not declined") };
    assert_eq!(decline.code, "51");
    till.books_agree();
    assert_eq!(till.plugin.probe().unwrap().state.as_str(), "ready");
}

#[test]
fn whatever_happens_to_the_answer_the_books_agree_in_the_end() {
    whatever_happens(Till::start());
}

pub(crate) fn whatever_happens(mut till: Till) {
    let faults: Vec<(Fault, Option<UnknownReason>)> = vec![
        (Fault::DropBeforeBooking {}, Some(UnknownReason::Broken)),
        (Fault::DropAfterBooking {}, Some(UnknownReason::Broken)),
        (Fault::Reset { booked: true }, Some(UnknownReason::Broken)),
        (Fault::HoldReply {}, Some(UnknownReason::NoAnswer)),
        (Fault::WrongSignature {}, Some(UnknownReason::BadSeal)),
        (Fault::Unsigned {}, Some(UnknownReason::BadSeal)),
        (Fault::WrongAmount { by: 1 }, Some(UnknownReason::Mismatch)),
        (Fault::WrongAmount { by: -1 }, Some(UnknownReason::Mismatch)),
        (Fault::WrongReference {}, None),
        (Fault::HalfReply {}, Some(UnknownReason::Broken)),
        (Fault::Garbage {}, None),
    ];
    for (fault, expected) in faults {
        till.acquirer.faults().add(Rule::once("sale", fault.clone())).unwrap();
        let (request, prepared, outcome) = till.sell(PAN, 12_850);
        let Outcome::Unknown(unknown) = outcome else { panic!("{fault:?}: {outcome:?}") };
        if let Some(expected) = expected {
            assert_eq!(unknown.reason, expected, "{fault:?}");
        }
        let settled = till.resolve(&request, &prepared, &unknown);
        till.acquirer.faults().release();
        assert_eq!(settled == UndoOutcome::NeverExisted, !fault.books(), "{fault:?}: {settled:?}");
        till.books_agree();
        // The next sale goes through as if nothing had been.
        assert!(matches!(till.sell(PAN, 700).2, Outcome::Approved(_)), "after {fault:?}");
        till.books_agree();
    }
}

#[test]
fn answers_that_are_only_slow_doubled_or_in_company_still_count() {
    let mut till = Till::start();
    for fault in [
        Fault::Slow { ms_per_byte: 2 },
        Fault::DuplicateReply {},
        Fault::MergedReplies {},
        Fault::DelayReply { ms: 100 },
    ] {
        till.acquirer.faults().add(Rule::once("sale", fault.clone())).unwrap();
        let outcome = till.sell(PAN, 500).2;
        assert!(matches!(outcome, Outcome::Approved(_)), "{fault:?}: {outcome:?}");
        till.books_agree();
    }
}

#[test]
fn a_reversal_that_is_lost_too_goes_out_again_and_undoes_once() {
    let mut till = Till::start();
    till.acquirer.faults().add(Rule::once("sale", Fault::DropAfterBooking {})).unwrap();
    for fault in [Fault::DropBeforeBooking {}, Fault::DropAfterBooking {}, Fault::WrongSignature {}] {
        till.acquirer.faults().add(Rule::once("reversal", fault)).unwrap();
    }
    let (request, prepared, outcome) = till.sell(PAN, 12_850);
    let Outcome::Unknown(unknown) = outcome else { panic!("{outcome:?}") };
    till.resolve(&request, &prepared, &unknown);
    till.books_agree();
    let entry = till.acquirer.ledger().into_iter().find(|entry| entry.key.trace == "000002").unwrap();
    assert_eq!(entry.state, State::Reversed);
    assert_eq!(entry.reversal_reason.as_deref(), Some("98"));
}

#[test]
fn a_host_that_lost_its_keys_gets_a_sign_in_and_then_the_sale() {
    let mut till = Till::start();
    till.acquirer.forget_keys(TID);
    let Outcome::Declined(decline) = till.sell(PAN, 100).2 else { panic!("not declined") };
    assert_eq!(decline.next, NextStep::SignIn);
    assert!(matches!(till.sell(PAN, 100).2, Outcome::Approved(_)));
    assert_eq!(till.acquirer.sign_ins(TID), 2);
    till.books_agree();
}

#[test]
fn a_closed_port_sends_nothing_and_books_nothing() {
    let mut till = Till::start();
    assert!(till.acquirer.set_up(false));
    assert!(matches!(till.sell(PAN, 100).2, Outcome::NotSent(_)));
    assert_eq!(till.plugin.probe().unwrap().state.as_str(), "offline");
    assert!(till.acquirer.set_up(true));
    assert!(matches!(till.sell(PAN, 100).2, Outcome::Approved(_)));
    till.books_agree();
}

#[test]
fn a_sign_off_is_taken_and_the_next_sale_signs_in_again() {
    let mut till = Till::start();
    till.plugin.sign_off().unwrap();
    assert!(matches!(till.sell(PAN, 100).2, Outcome::Approved(_)));
    assert!(till.acquirer.wait_stats(Duration::from_secs(5), |stats| stats.refused.is_empty()));
    till.books_agree();
}
