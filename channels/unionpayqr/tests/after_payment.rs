//! What follows a payment, against the gateway simulator: refund, void, hold, completion, release.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too: what fails there fails the test

mod shop;

use std::time::Duration;

use shop::*;
use till_plugin::channel::*;
use till_plugin::{Channel, Sensitive};
use till_simulators::faults::{Fault, Rule};

#[test]
fn a_refund_happens_once_however_often_it_is_asked_for_and_whatever_goes_wrong() {
    for refunding in faults() {
        for asking in faults() {
            let mut shop = shop();
            let approval = shop.paid();
            shop = shop.faults([
                Rule::once("refund", refunding.clone()),
                Rule::once("query", asking.clone()).times(2),
            ]);
            let request = shop.refund_of(&approval, REFUND, 850);
            let answered = shop.follow(&request);
            let found = (0..3).map(|_| shop.query_follow(&request)).last().unwrap();
            match (answered, found) {
                (_, QueryOutcome::Paid(a)) => {
                    assert_eq!((a.amount.minor(), a.echo.order.as_deref()), (850, Some(REFUND)));
                    assert_eq!(shop.kept(), OWED - 850);
                }
                // Said in the refund's own answer: refused, and not booked either.
                (Outcome::Unknown(_) | Outcome::Declined(_), QueryOutcome::NotFound) => {
                    assert_eq!(shop.kept(), OWED, "{refunding:?}");
                }
                other => panic!("{refunding:?}, then {asking:?}: {other:?}"),
            }
            for _ in 0..2 {
                // Sent again under its number: done, or said to be known already and found.
                let again = shop.follow(&request);
                assert!(!matches!(again, Outcome::Declined(_)), "{again:?}");
                assert!(matches!(shop.query_follow(&request), QueryOutcome::Paid(_)));
                assert_eq!(shop.kept(), OWED - 850, "{refunding:?}, then {asking:?}");
            }
            assert_eq!(shop.platform.ledger().requests_of("reverse").count(), 0);
        }
    }
}

#[test]
fn parts_go_back_until_nothing_is_left_and_never_more() {
    let mut shop = shop();
    let approval = shop.paid();
    let mut kept = OWED;
    for (number, amount) in
        [("T0120260901000002", 850), ("T0120260901000003", 4_000), ("T0120260901000004", 8_000)]
    {
        let request = shop.refund_of(&approval, number, amount);
        assert!(matches!(shop.follow(&request), Outcome::Approved(a) if a.reference != approval.reference));
        kept -= amount;
        assert_eq!(shop.kept(), kept);
        let wrong = shop.refund_of(&approval, number, amount - 1);
        assert!(
            matches!(shop.query_follow(&wrong), QueryOutcome::Unknown(u) if u.reason == UnknownReason::Mismatch)
        );
    }
    let more = shop.refund_of(&approval, "T0120260901000005", 1);
    assert!(matches!(shop.follow(&more), Outcome::Declined(_)));
    assert_eq!((shop.query_follow(&more), shop.kept()), (QueryOutcome::NotFound, 0));
    let before = shop.platform.ledger().requests.len();
    let larger = shop.refund_of(&approval, REFUND, OWED + 1);
    assert!(matches!(shop.follow(&larger), Outcome::NotSent(d) if d.code == "amount-too-large"));
    assert_eq!(shop.platform.ledger().requests.len(), before);
}

/// People decided that it was paid, without an answer: UnionPay is asked for its number first.
#[test]
fn a_payment_without_a_known_number_is_looked_up_before_it_is_refunded() {
    let mut shop = shop();
    let paid = shop.paid();
    let nameless = Approval { reference: String::new(), ..paid };
    let request = shop.refund_of(&nameless, REFUND, OWED);
    assert!(matches!(shop.follow(&request), Outcome::Approved(_)));
    assert_eq!(shop.kept(), 0);
    let mut shop = self::shop();
    let request = shop.refund_of(&nameless, REFUND, OWED);
    assert!(matches!(shop.follow(&request), Outcome::NotSent(_)));
    assert_eq!(shop.platform.ledger().requests_of("refund").count(), 0);
}

#[test]
fn a_void_takes_the_whole_back_on_the_same_clearing_day_only() {
    for fault in faults() {
        let mut shop = shop();
        let approval = shop.paid();
        shop = shop.faults([Rule::once("void", fault.clone())]);
        let request = shop.void_of(&approval, REFUND);
        let answered = shop.follow(&request);
        let found = shop.query_follow(&request);
        let gone = matches!(found, QueryOutcome::Paid(_));
        assert!(!matches!(answered, Outcome::Approved(_)), "{fault:?}");
        assert_eq!(shop.kept(), if gone { 0 } else { OWED }, "{fault:?}: {found:?}");
    }
    let mut shop = shop();
    let approval = shop.paid();
    let request = shop.void_of(&approval, REFUND);
    assert!(matches!(shop.follow(&request), Outcome::Approved(a) if a.amount == cny(OWED)));
    assert_eq!(shop.kept(), 0);
    let twice = shop.refund_of(&approval, "T0120260901000003", OWED);
    assert!(matches!(shop.follow(&twice), Outcome::Declined(d) if d.code == "45"));

    let mut shop = self::shop();
    let approval = shop.paid();
    // 2026-01-02 11:04:05 to one second past 23:00.
    shop.pass(Duration::from_secs(11 * 3_600 + 55 * 60 + 56));
    let request = shop.void_of(&approval, REFUND);
    assert!(matches!(shop.follow(&request), Outcome::NotSent(d) if d.code == "void-next-day"));
    let request = shop.refund_of(&approval, REFUND, OWED);
    assert!(matches!(shop.follow(&request), Outcome::Approved(_)));
    assert_eq!((shop.kept(), shop.platform.ledger().requests_of("void").count()), (0, 0));
    // A part is no void, and what is closed is not voided.
    let part = Follow { amount: cny(1), ..shop.void_of(&approval, REFUND) };
    assert!(matches!(shop.follow(&part), Outcome::NotSent(d) if d.code == "whole-amount-only"));
    let closed = Follow { original_recovery: Sensitive::new(Vec::new()), ..shop.void_of(&approval, REFUND) };
    assert!(matches!(shop.follow(&closed), Outcome::NotSent(d) if d.code == "void-not-possible"));
}

#[test]
fn a_hold_is_completed_in_part_or_released_and_a_completion_taken_back() {
    let hold = |shop: &mut Shop| {
        let request = Authorise { hold: true, ..shop.sale(scan(CODE)) };
        let prepared = shop.till.prepare(&request).unwrap();
        let Outcome::Approved(held) = shop.till.authorise(&request, &prepared) else { panic!("not held") };
        assert_eq!((shop.kept(), shop.platform.ledger().held), (0, OWED));
        (held, prepared.recovery.expose().clone())
    };
    let mut shop = shop();
    let (held, recovery) = hold(&mut shop);
    let of = (shop.ids(ORDER), OWED, held.clone(), recovery.as_slice());
    let capture = shop.follow_of(FollowKind::Capture, of.clone(), REFUND, 9_000);
    let prepared = shop.till.prepare_follow(&capture).unwrap();
    let Outcome::Approved(taken) = shop.till.follow(&capture, &prepared) else { panic!("not taken") };
    assert_eq!((shop.kept(), shop.platform.ledger().held), (9_000, 0));
    // The hold is used up.
    let again = shop.follow_of(FollowKind::Capture, of.clone(), "T0120260901000003", 1_000);
    assert!(matches!(shop.follow(&again), Outcome::Declined(_)));
    // A void of the completion is not the void of a sale.
    let taken_of = (capture.ids.clone(), 9_000, taken.clone(), prepared.recovery.expose().as_slice());
    let void = shop.follow_of(FollowKind::Void, taken_of.clone(), "T0120260901000004", 9_000);
    assert!(matches!(shop.follow(&void), Outcome::Approved(_)));
    assert_eq!(shop.kept(), 0);
    let void_of_hold = shop.follow_of(FollowKind::Void, of, "T0120260901000005", OWED);
    assert!(matches!(shop.follow(&void_of_hold), Outcome::NotSent(d) if d.code == "void-not-possible"));

    let mut shop = self::shop();
    let (held, recovery) = hold(&mut shop);
    shop.pass(Duration::from_hours(24));
    let of = (shop.ids(ORDER), OWED, held, recovery.as_slice());
    let release = shop.follow_of(FollowKind::Release, of, REFUND, OWED);
    assert!(matches!(shop.follow(&release), Outcome::Approved(_)));
    assert_eq!((shop.kept(), shop.platform.ledger().held), (0, 0));

    // A hold whose answer is lost is reversed like a payment.
    let mut shop = self::shop().faults([Rule::once("hold", Fault::DropAfterBooking {})]);
    let request = Authorise { hold: true, ..shop.sale(scan(CODE)) };
    unknown(shop.run(&request));
    let original = shop.original(b"unionpayqr 1 held");
    assert!(matches!(shop.till.query(&original), QueryOutcome::Paid(_)));
    assert!(matches!(shop.till.undo(&original, UndoReason::NoAnswer), UndoOutcome::Undone { .. }));
    assert_eq!(shop.platform.ledger().held, 0);
}
