//! Undoing, and what is found later.

use till_plugin::channel::{Outcome, QueryOutcome, UndoOutcome, UndoReason};

use super::{SHORT, send_struck};
use crate::adapter::{Adapter, Step};
use crate::till::{OWED, Settled, Till};

pub(super) fn found_later<A: Adapter>() {
    let mut till = Till::<A>::new();
    let held = till.net.held().expect("a fault that holds a request");
    let sale = till.sale(OWED);
    till.net.strike(&till.bench, Step::Sale, &held);
    till.bench.set_remaining(Some(SHORT));
    let outcome = till.send(&sale);
    super::unknown::<A>(outcome, &held);
    till.bench.set_remaining(None);
    till.books(0, &held);
    // Not there yet: nobody may say that it never will be.
    let early = till.query(&sale);
    let open = matches!(early, QueryOutcome::NotFound | QueryOutcome::InProgress | QueryOutcome::Unknown(_));
    assert!(open, "{}: {early:?}", A::NAME);
    till.net.calm(&till.bench);
    till.until_booked(OWED);
    let found = till.query(&sale);
    assert!(matches!(&found, QueryOutcome::Paid(a) if a.amount.minor() == OWED), "{}: {found:?}", A::NAME);
}

pub(super) fn undone<A: Adapter>() {
    // A payment that is known to be taken, and one whose answer was lost: what is undone is back, once.
    for lost in [false, true] {
        let mut till = Till::<A>::new();
        till.paid(700);
        let (_, answer_lost) = till.net.lost().expect("a fault that loses an answer");
        let sale = till.sale(OWED);
        if lost {
            let outcome = send_struck(&mut till, &sale, &answer_lost);
            super::unknown::<A>(outcome, &answer_lost);
        } else {
            let outcome = till.send(&sale);
            assert!(matches!(outcome, Outcome::Approved(_)), "{outcome:?}");
        }
        till.books(700 + OWED, &"a payment");
        till.until_undo();
        for attempt in 0..3 {
            match till.undo(&sale, UndoReason::NoAnswer) {
                UndoOutcome::Undone { .. } => {}
                // Some networks know an undone payment no more.
                UndoOutcome::NeverExisted if attempt > 0 => {}
                other => panic!("{}: {other:?}", A::NAME),
            }
            till.books(700, &"its undo");
        }
        // An undone payment is not paid, whatever is asked or sent again.
        if till.said.resolve.query.is_some() {
            let told = till.query(&sale);
            assert!(!matches!(told, QueryOutcome::Paid(_)), "{}: {told:?}", A::NAME);
        }
        let again = till.send(&sale);
        assert!(!matches!(again, Outcome::Approved(_)), "{}: {again:?}", A::NAME);
        till.books(700, &"its undo");
    }
}

pub(super) fn undone_nothing<A: Adapter>() {
    let mut till = Till::<A>::new();
    let (request_lost, _) = till.net.lost().expect("a fault that loses a request");
    let sale = till.sale(OWED);
    let outcome = send_struck(&mut till, &sale, &request_lost);
    super::unknown::<A>(outcome, &request_lost);
    till.until_undo();
    for _ in 0..2 {
        match till.undo(&sale, UndoReason::NoAnswer) {
            UndoOutcome::NeverExisted | UndoOutcome::Undone { .. } => {}
            other => panic!("{}: {other:?}", A::NAME),
        }
        till.books(0, &"an undo of nothing");
    }
    till.paid(700);
    till.books(700, &"an undo of nothing");
}

pub(super) fn refused<A: Adapter>() {
    let mut till = Till::<A>::new();
    let refusal = till.net.undo_refused().expect("a refusal of an undo");
    let (_, answer_lost) = till.net.lost().expect("a fault that loses an answer");
    let sale = till.sale(OWED);
    let outcome = send_struck(&mut till, &sale, &answer_lost);
    super::unknown::<A>(outcome.clone(), &answer_lost);
    till.until_undo();
    till.net.strike(&till.bench, Step::Undo, &refusal);
    let told = till.undo(&sale, UndoReason::NoAnswer);
    assert!(matches!(told, UndoOutcome::Refused(_) | UndoOutcome::Unknown(_)), "{}: {told:?}", A::NAME);
    till.books(OWED, &refusal);
    if matches!(told, UndoOutcome::Unknown(_)) {
        let settled = till.settle(&sale, outcome, |_, _| {});
        assert_ne!(settled, Settled::Person);
        till.agree(&settled, &refusal);
    }
}
