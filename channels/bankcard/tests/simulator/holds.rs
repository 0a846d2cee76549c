//! Pre-authorisations, completions, releases.

use super::follow::{spoilt, strange};
use super::{PAN, Till, cny};
use till_plugin::Channel;
use till_plugin::channel::{FollowKind, FollowUp, Outcome, QueryOutcome, UndoOutcome};
use till_plugin::{Extra, Sensitive};
use till_simulators::acquirer::HostConfig;
use till_simulators::acquirer::ledger::{Kind, State};
use till_simulators::faults::{Fault, Rule};

/// Completions and releases come without the card: the guest has left.
fn without_card(
    till: &mut Till,
    kind: FollowKind,
    hold: &(till_plugin::channel::Reference, Sensitive<Vec<u8>>),
    minor: i64,
) -> till_plugin::channel::Follow {
    let mut follow = till.following(kind, hold, minor);
    follow.instrument = None;
    follow
}

#[test]
fn a_hold_is_taken_in_part_and_the_rest_is_free_again() {
    let mut till = Till::start();
    let hold = till.sold(10_000, true);
    till.books_agree();
    let capture = without_card(&mut till, FollowKind::Capture, &hold, 8_500);
    assert_eq!(till.done(&capture), "approved");
    till.books_agree();
    let again = without_card(&mut till, FollowKind::Capture, &hold, 1_000);
    assert_eq!(till.done(&again), "12", "the first completion ends the hold");
    till.books_agree();
}

#[test]
fn a_completion_over_the_hold_is_refused_by_the_host_too() {
    let mut till = Till::start();
    let hold = till.sold(10_000, true);
    let over = without_card(&mut till, FollowKind::Capture, &hold, 11_501);
    assert_eq!(till.done(&over), "amount", "refused here by the dialect's percentage");
    assert_eq!(till.acquirer.ledger().len(), 1, "something was sent");
    // With a dialect that lets it through, the host refuses.
    let mut till = Till::with(
        |settings| settings["dialect"]["request"] = serde_json::json!({ "completion_percent": 200 }),
        HostConfig::default(),
    );
    let hold = till.sold(10_000, true);
    let over = without_card(&mut till, FollowKind::Capture, &hold, 11_501);
    assert_eq!(till.done(&over), "64");
    till.books_agree();
    let most = without_card(&mut till, FollowKind::Capture, &hold, 11_500);
    assert_eq!(till.done(&most), "approved");
    till.books_agree();
}

#[test]
fn a_release_gives_the_hold_back_whole() {
    let mut till = Till::start();
    let hold = till.sold(10_000, true);
    let part = without_card(&mut till, FollowKind::Release, &hold, 9_999);
    assert_eq!(till.done(&part), "amount");
    let release = without_card(&mut till, FollowKind::Release, &hold, 10_000);
    assert_eq!(till.done(&release), "approved");
    till.books_agree();
    let late = without_card(&mut till, FollowKind::Capture, &hold, 10_000);
    assert_eq!(till.done(&late), "12", "nothing is left to take");
    till.books_agree();
}

#[test]
fn whatever_happens_to_their_answers_the_hold_is_as_if_they_had_not_been() {
    let mut till = Till::start();
    for fault in spoilt() {
        // The hold itself.
        till.acquirer.faults().add(Rule::once("pre-auth", fault.clone())).unwrap();
        let (request, prepared, outcome) = till.authorise(PAN, 10_000, true);
        let Outcome::Unknown(unknown) = outcome else { panic!("{fault:?}: {outcome:?}") };
        till.undo(&request.ids, request.amount, &prepared, &unknown);
        till.acquirer.faults().release();
        till.books_agree();
        // What follows it.
        let hold = till.sold(10_000, true);
        for (operation, kind, minor) in
            [("completion", FollowKind::Capture, 8_500), ("pre-auth-void", FollowKind::Release, 10_000)]
        {
            till.acquirer.faults().add(Rule::once(operation, fault.clone())).unwrap();
            let leg = without_card(&mut till, kind, &hold, minor);
            let (prepared, outcome) = till.follow(&leg).unwrap();
            let Outcome::Unknown(unknown) = outcome else { panic!("{fault:?}: {outcome:?}") };
            let settled = till.undo(&leg.ids, leg.amount, &prepared, &unknown);
            till.acquirer.faults().release();
            assert_eq!(settled == UndoOutcome::NeverExisted, !fault.books(), "{fault:?}: {settled:?}");
            till.books_agree();
        }
        let capture = without_card(&mut till, FollowKind::Capture, &hold, 8_500);
        assert_eq!(till.done(&capture), "approved", "after {fault:?}");
        till.books_agree();
    }
    for fault in strange() {
        let hold = till.sold(10_000, true);
        till.acquirer.faults().add(Rule::once("completion", fault.clone())).unwrap();
        let capture = without_card(&mut till, FollowKind::Capture, &hold, 8_500);
        assert_eq!(till.done(&capture), "approved", "{fault:?}");
        till.books_agree();
    }
}

#[test]
fn a_completion_is_voided_in_its_batch_and_the_hold_stands_again() {
    let mut till = Till::start();
    let hold = till.sold(10_000, true);
    let capture = without_card(&mut till, FollowKind::Capture, &hold, 8_500);
    let (prepared, outcome) = till.follow(&capture).unwrap();
    let Outcome::Approved(approval) = outcome else { panic!("{outcome:?}") };
    let taken = till_plugin::channel::Reference { ids: capture.ids, amount: capture.amount, approval };
    let captured = (taken, prepared.recovery);
    till.acquirer.faults().add(Rule::once("completion-void", Fault::DropAfterBooking {})).unwrap();
    let void = till.following(FollowKind::Void, &captured, 8_500);
    let (prepared, outcome) = till.follow(&void).unwrap();
    let Outcome::Unknown(unknown) = outcome else { panic!("{outcome:?}") };
    till.undo(&void.ids, void.amount, &prepared, &unknown);
    till.books_agree();
    let void = till.following(FollowKind::Void, &captured, 8_500);
    assert_eq!(till.done(&void), "approved");
    till.books_agree();
    assert_eq!(
        (till.acquirer.ledger()[0].kind, till.acquirer.ledger()[0].state),
        (Kind::PreAuth, State::Approved)
    );
    let release = without_card(&mut till, FollowKind::Release, &hold, 10_000);
    assert_eq!(till.done(&release), "approved");
}

#[test]
fn a_completion_is_refunded_after_its_batch() {
    let mut till = Till::start();
    let hold = till.sold(10_000, true);
    let capture = without_card(&mut till, FollowKind::Capture, &hold, 8_500);
    let (_, outcome) = till.follow(&capture).unwrap();
    let Outcome::Approved(approval) = outcome else { panic!("{outcome:?}") };
    till.settled();
    let taken = till_plugin::channel::Reference { ids: capture.ids, amount: capture.amount, approval };
    let refund = till.following(FollowKind::Refund, &(taken, Sensitive::new(Vec::new())), 8_500);
    assert_eq!(till.done(&refund), "approved");
    till.books_agree();
}

#[test]
fn a_completion_by_notice_is_repeated_and_never_reversed() {
    let change = |settings: &mut serde_json::Value| {
        settings["completion"] = "notice".into();
        settings["repeat_notices"] = true.into();
    };
    let mut till = Till::with(change, HostConfig::default());
    let rule =
        till.plugin.leg_rules().into_iter().find(|rule| rule.operation == FollowKind::Capture.operation());
    let rule = rule.unwrap().resolve;
    assert!(rule.undo.is_none() && rule.query.is_some());
    for fault in [Fault::DropBeforeBooking {}, Fault::DropAfterBooking {}] {
        let hold = till.sold(10_000, true);
        till.acquirer.faults().add(Rule::once("completion-notice", fault.clone())).unwrap();
        let capture = without_card(&mut till, FollowKind::Capture, &hold, 2_500);
        let (prepared, outcome) = till.follow(&capture).unwrap();
        assert!(matches!(outcome, Outcome::Unknown(_)), "{fault:?}: {outcome:?}");
        let original = FollowUp {
            ids: capture.ids.clone(),
            amount: capture.amount,
            recovery: prepared.recovery.clone(),
            attempt: 1,
            extra: Extra::new(),
        };
        for _ in 0..2 {
            let answer = till.plugin.query_follow(&capture, &original);
            assert!(
                matches!(&answer, QueryOutcome::Paid(approval) if approval.amount == cny(2_500)),
                "{answer:?}"
            );
        }
    }
    let notices: Vec<_> =
        till.acquirer.ledger().into_iter().filter(|e| e.kind == Kind::CompletionNotice).collect();
    assert_eq!(notices.iter().map(|e| e.times_received).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(till.acquirer.card_balance(PAN).unwrap().minor(), super::START - 5_000);
}

#[test]
fn a_hold_whose_kept_data_is_shredded_is_completed_with_its_card() {
    let mut till = Till::start();
    let mut hold = till.sold(10_000, true);
    till.settled();
    hold.1 = Sensitive::new(Vec::new());
    let bare = without_card(&mut till, FollowKind::Capture, &hold, 10_000);
    assert_eq!(till.done(&bare), "card-needed");
    let capture = till.following(FollowKind::Capture, &hold, 10_000);
    assert_eq!(till.done(&capture), "approved");
    till.books_agree();
}
