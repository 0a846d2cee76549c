//! Money of one payment, after every record.

use till_core::{Attempt, LegKind, Payment};

/// What an attempt did that was given up is no part of the payment (I2); people give it back.
fn given_up(p: &Payment, a: &Attempt) -> bool {
    a.abandoned || p.attempt(a.of).is_some_and(|of| of.abandoned)
}

/// I1: what the shop has of a payment is never negative and never more than is owed.
pub(super) fn i01_kept_is_between_nothing_and_what_is_owed(p: &Payment) {
    let sum = |which: fn(LegKind) -> bool| -> i64 {
        p.attempts
            .iter()
            .filter(|a| a.stands() && which(a.kind) && !given_up(p, a))
            .map(|a| a.amount.minor())
            .sum()
    };
    let (taken, back) = (sum(LegKind::takes), sum(LegKind::gives_back));
    assert!(back <= taken, "I1: {back} went back of {taken} that were taken: {p:?}");
    assert!(taken - back <= p.amount.minor(), "I1: {taken} - {back} are kept of {} owed: {p:?}", p.amount);
    assert_eq!(p.kept().minor(), taken - back, "I1: the till's own sum");
}

/// I10: what goes back of an attempt, with what is on its way back, is never more than it took; a hold is completed or
/// released once and within its amount.
pub(super) fn i10_never_more_back_than_was_taken(p: &Payment) {
    let counts = |a: &&Attempt| !a.abandoned && (a.stands() || a.state.is_open());
    for a in p.attempts.iter().filter(|a| a.stands()) {
        let legs = || p.attempts.iter().filter(|l| l.of == a.ids.attempt).filter(counts);
        let back: i64 = legs().filter(|l| l.kind.gives_back()).map(|l| l.amount.minor()).sum();
        if a.kind.takes() {
            assert!(back <= a.amount.minor(), "I10: {back} go back of {}: {p:?}", a.amount);
        }
        if a.kind == LegKind::Hold {
            let ends: Vec<_> =
                legs().filter(|l| matches!(l.kind, LegKind::Capture | LegKind::Release)).collect();
            assert!(ends.len() <= 1, "I10: a hold ends twice: {p:?}");
            let beyond = ends.iter().any(|l| l.amount.minor() > a.amount.minor());
            assert!(!beyond, "I10: more was completed than was held: {p:?}");
        }
    }
    let loads = p.attempts.iter().filter(counts).filter(|a| a.kind == LegKind::Load).count();
    assert!(loads <= 1, "I10: a top-up is loaded {loads} times: {p:?}");
}
