//! Refunds and voids.

use till_plugin::channel::{FollowKind, Outcome, QueryOutcome};

use super::SHORT;
use crate::adapter::{Adapter, Step};
use crate::till::{OWED, Till};

pub(super) fn refunds<A: Adapter>() {
    let mut till = Till::<A>::new();
    let (sale, approval) = till.paid(OWED);
    let partial = till.rule(FollowKind::Refund).partial;
    let parts: &[i64] = if partial { &[850, 2_000] } else { &[OWED] };
    let mut kept = OWED;
    for part in parts {
        let refund = till.follow_on(FollowKind::Refund, &sale, &approval, *part);
        match till.follow_through(&refund) {
            Outcome::Approved(back) => assert_eq!(back.amount.minor(), *part),
            other => panic!("{}: {other:?}", A::NAME),
        }
        kept -= part;
        till.books(kept, &"a refund");
        // The same number again, also after a restart, moves nothing and is never told to have failed.
        for reopen in [false, true] {
            if reopen {
                till.reopen();
            }
            if till.net.kept(&till.bench).is_some() {
                let again = till.follow(&refund);
                let told_not = matches!(again, Outcome::Declined(_));
                assert!(!told_not, "{}: {again:?}", A::NAME);
                till.books(kept, &"a refund sent again");
            }
        }
    }
    // More than is left, and more than was paid.
    for beyond in [kept + 1, OWED + 1, i64::MAX] {
        if till.net.kept(&till.bench).is_none() && beyond <= OWED {
            continue; // only the daemon knows what was given back before
        }
        let refund = till.follow_on(FollowKind::Refund, &sale, &approval, beyond);
        let outcome = till.follow_through(&refund);
        assert!(!matches!(outcome, Outcome::Approved(_)), "{}: {beyond}: {outcome:?}", A::NAME);
        till.books(kept, &beyond);
    }
}

pub(super) fn refund_faults<A: Adapter>() {
    let net = Till::<A>::new();
    let (first, second) = (net.net.faults(Step::Refund), net.net.faults(Step::RefundQuery));
    drop(net);
    const BACK: i64 = 850;
    for (number, fault) in first.iter().enumerate() {
        let asking = (!second.is_empty()).then(|| &second[number % second.len()]);
        let mut till = Till::<A>::new();
        let (sale, approval) = till.paid(OWED);
        let refund = till.follow_on(FollowKind::Refund, &sale, &approval, BACK);
        till.net.strike(&till.bench, Step::Refund, fault);
        till.bench.set_remaining(A::waits(fault).then_some(SHORT));
        let outcome = till.follow(&refund);
        till.bench.set_remaining(None);
        till.net.calm(&till.bench);
        let why = (fault, asking);
        match &outcome {
            Outcome::Approved(_) => till.books(OWED - BACK, &why),
            Outcome::Declined(_) | Outcome::NotSent(_) => till.books(OWED, &why),
            Outcome::Unknown(_) => {}
        }
        if let (Some(rule), Outcome::Unknown(_)) = (till.rule(FollowKind::Refund).resolve.query, &outcome) {
            till.pass(rule.first_ms);
            for attempt in 1..=3 {
                if let Some(fault) = asking.filter(|_| attempt == 1) {
                    till.net.strike(&till.bench, Step::RefundQuery, fault);
                    till.bench.set_remaining(A::waits(fault).then_some(SHORT));
                }
                match till.query_follow(&refund, attempt) {
                    QueryOutcome::Paid(back) => {
                        assert_eq!(back.amount.minor(), BACK, "{why:?}");
                        till.books(OWED - BACK, &why);
                    }
                    QueryOutcome::NotPaid(_) => till.books(OWED, &why),
                    QueryOutcome::NotFound | QueryOutcome::InProgress | QueryOutcome::Unknown(_) => {}
                }
                till.bench.set_remaining(None);
                till.net.calm(&till.bench);
                till.pass(rule.every_ms.min(10_000));
            }
        }
        // Sent again under its own number it is still one refund.
        for _ in 0..2 {
            let again = till.follow(&refund);
            let kept = till.net.kept(&till.bench).unwrap_or(OWED - BACK);
            assert!(kept == OWED || kept == OWED - BACK, "{}: {why:?}: {kept}", A::NAME);
            match again {
                Outcome::Approved(_) => assert_eq!(kept, OWED - BACK, "{why:?}"),
                Outcome::Declined(decline) => assert_eq!(kept, OWED, "{}: {why:?}: {decline:?}", A::NAME),
                Outcome::NotSent(_) | Outcome::Unknown(_) => {}
            }
        }
    }
}

pub(super) fn voids<A: Adapter>() {
    let mut till = Till::<A>::new();
    till.paid(700);
    let (sale, approval) = till.paid(OWED);
    let part = till.follow_on(FollowKind::Void, &sale, &approval, OWED - 1);
    let outcome = till.follow(&part);
    assert!(!matches!(outcome, Outcome::Approved(_)), "a void is for all of it: {outcome:?}");
    let void = till.follow_on(FollowKind::Void, &sale, &approval, OWED);
    let outcome = till.follow_through(&void);
    assert!(matches!(outcome, Outcome::Approved(_)), "{}: {outcome:?}", A::NAME);
    till.books(700, &"a void");
    if till.net.kept(&till.bench).is_none() {
        return; // the daemon's books alone know what was voided
    }
    let again = till.follow(&void);
    assert!(!matches!(again, Outcome::Declined(_)), "{}: {again:?}", A::NAME);
    let other = till.follow_on(FollowKind::Void, &sale, &approval, OWED);
    let outcome = till.follow_through(&other);
    assert!(!matches!(outcome, Outcome::Approved(_)), "{}: voided twice: {outcome:?}", A::NAME);
    let refund = till.follow_on(FollowKind::Refund, &sale, &approval, OWED);
    let outcome = till.follow_through(&refund);
    assert!(!matches!(outcome, Outcome::Approved(_)), "{}: voided, then refunded: {outcome:?}", A::NAME);
    till.books(700, &"a void");
}
