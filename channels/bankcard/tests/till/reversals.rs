//! Reversals (channels.md §1.6; policy family cup-reversal).

use super::{Till, follow_up, open, sale, sign_in_request};
use crate::acquirer::{Acquirer, Connection, Step, sign_in};
use till_plugin::Channel;
use till_plugin::channel::{ChannelEvent, NextStep, Outcome, UndoOutcome, UndoReason, UnknownReason};

fn silence() -> Step {
    Box::new(Connection::silence)
}

fn answer(code: &'static str) -> Step {
    Box::new(move |host| host.reply(host.answer(code)))
}

fn forged() -> Step {
    Box::new(|host| {
        let mut reply = host.answer("00");
        reply.set(64, "00000000");
        host.reply(reply);
    })
}

#[test]
fn a_lost_answer_is_reversed_with_the_originals_numbers_and_reason_98() {
    let mut till = Till::impatient(vec![silence(), answer("00")]);
    let (request, prepared, outcome) = till.sell(2);
    assert!(matches!(outcome, Outcome::Unknown(_)));
    let undone = till.plugin.undo(&follow_up(&request, &prepared), UndoReason::NoAnswer);
    assert_eq!(undone, UndoOutcome::Undone { money_moved: true, reference: Some("090920010002".into()) });
    let requests = till.acquirer.done();
    let (reversal, sealed) = &requests[2];
    assert!(sealed);
    assert_eq!(reversal.mti(), "0400");
    let numbers: Vec<u8> = reversal.iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [2, 3, 4, 11, 14, 22, 25, 39, 41, 42, 49, 60, 64]);
    for number in [2, 3, 4, 11, 14, 22, 25, 41, 42, 49, 60] {
        assert_eq!(reversal.get(number), requests[1].0.get(number), "field {number}");
    }
    assert_eq!(reversal.text(39), Some("98"));
}

#[test]
fn what_the_host_says_to_a_reversal_finishes_it_or_keeps_it() {
    for (code, expected) in
        [("25", "never"), ("12", "never"), ("96", "kept"), ("51", "kept"), ("00", "undone")]
    {
        let mut till = Till::impatient(vec![silence(), answer(code)]);
        let (request, prepared, _) = till.sell(2);
        let got = match till.plugin.undo(&follow_up(&request, &prepared), UndoReason::NoAnswer) {
            UndoOutcome::NeverExisted => "never",
            UndoOutcome::Unknown(unknown) if unknown.reason == UnknownReason::HostFault => "kept",
            UndoOutcome::Undone { .. } => "undone",
            other => panic!("{other:?}"),
        };
        assert_eq!(got, expected, "{code}");
    }
}

#[test]
fn a_reversal_whose_answer_is_lost_or_forged_is_kept_and_one_that_cannot_connect_was_not_sent() {
    let mut till = Till::impatient(vec![silence(), silence(), forged()]);
    let (request, prepared, _) = till.sell(2);
    let follow_up = follow_up(&request, &prepared);
    let reason = |outcome| match outcome {
        UndoOutcome::Unknown(unknown) => unknown.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(till.plugin.undo(&follow_up, UndoReason::NoAnswer)), UnknownReason::NoAnswer);
    assert_eq!(reason(till.plugin.undo(&follow_up, UndoReason::NoAnswer)), UnknownReason::BadSeal);
    till.acquirer.done();

    let mut till = Till::impatient(vec![silence()]);
    let (request, prepared, _) = till.sell(2);
    till.acquirer.done();
    let outcome = till.plugin.undo(&super::follow_up(&request, &prepared), UndoReason::NoAnswer);
    assert!(matches!(outcome, UndoOutcome::NotSent(decline) if decline.code == "not-sent"));
}

#[test]
fn a_bad_mac_means_reversal_a0_then_sign_in_then_sales_again() {
    let mut till = Till::signed_in(vec![forged(), answer("00"), sign_in(), answer("00")]);
    let (request, prepared, outcome) = till.sell(2);
    assert!(matches!(outcome, Outcome::Unknown(unknown) if unknown.reason == UnknownReason::BadSeal));
    assert_eq!(till.host.channel_events(), [ChannelEvent::SignedIn(true), ChannelEvent::SignedIn(false)]);
    assert_eq!(till.plugin.prepare(&sale(3)).unwrap_err().next, NextStep::SignIn);
    let undone = till.plugin.undo(&follow_up(&request, &prepared), UndoReason::BadSeal);
    assert!(matches!(undone, UndoOutcome::Undone { .. }));
    till.plugin.sign_in(&sign_in_request()).unwrap();
    assert!(matches!(till.sell(4).2, Outcome::Approved(_)));
    let requests = till.acquirer.done();
    let order: Vec<&str> = requests.iter().map(|(request, _)| request.mti()).collect();
    assert_eq!(order, ["0800", "0200", "0400", "0800", "0200"]);
    assert_eq!(requests[2].0.text(39), Some("A0"));
}

#[test]
fn a_host_that_refuses_our_keys_gets_the_reversal_again_after_a_sign_in() {
    let refuse: Step = Box::new(|host| {
        let mut reply = host.answer("A0");
        reply.set(39, "A0");
        // Unsigned, as a host without our keys answers.
        let bytes = unsigned(host, &reply);
        host.send(&bytes);
    });
    let mut till = Till::impatient(vec![silence(), refuse, sign_in(), answer("00")]);
    let (request, prepared, _) = till.sell(2);
    let original = follow_up(&request, &prepared);
    assert!(matches!(till.plugin.undo(&original, UndoReason::NoAnswer), UndoOutcome::Unknown(_)));
    let outcome = till.plugin.undo(&original, UndoReason::NoAnswer);
    assert!(matches!(outcome, UndoOutcome::NotSent(decline) if decline.code == "not-signed-in"));
    till.plugin.sign_in(&sign_in_request()).unwrap();
    assert!(matches!(till.plugin.undo(&original, UndoReason::NoAnswer), UndoOutcome::Undone { .. }));
}

fn unsigned(host: &Connection, reply: &till_channel_bankcard::message::Message) -> Vec<u8> {
    use till_channel_bankcard::{codec, framing};
    framing::frame(&host.dialect, &codec::encode(&host.dialect, reply).unwrap()).unwrap().to_vec()
}

#[test]
fn after_a_restart_the_journals_bytes_are_enough() {
    let mut till = Till::impatient(vec![silence()]);
    let (request, prepared, _) = till.sell(2);
    let original = follow_up(&request, &prepared);
    drop(till);
    let acquirer = Acquirer::serve(&super::cup(), vec![sign_in(), answer("00")]);
    let (mut plugin, _) = open(&acquirer.address, |_| ());
    // No keys in a new process: the daemon is told to sign in, and no try is used up.
    let outcome = plugin.undo(&original, UndoReason::NoAnswer);
    assert!(matches!(outcome, UndoOutcome::NotSent(decline) if decline.next == NextStep::SignIn));
    plugin.sign_in(&sign_in_request()).unwrap();
    assert!(matches!(plugin.undo(&original, UndoReason::NoAnswer), UndoOutcome::Undone { .. }));
    assert!(acquirer.done()[1].1, "the reversal is signed with the new key");
}

#[test]
fn recovery_data_of_another_payment_or_damaged_reverses_nothing() {
    let mut till = Till::signed_in(vec![]);
    let prepared = till.plugin.prepare(&sale(2)).unwrap();
    let mut wrong = follow_up(&sale(3), &prepared);
    assert!(matches!(till.plugin.undo(&wrong, UndoReason::NoAnswer), UndoOutcome::Unknown(_)));
    wrong = follow_up(&sale(2), &prepared);
    wrong.recovery.expose_mut().truncate(40);
    assert!(matches!(till.plugin.undo(&wrong, UndoReason::NoAnswer), UndoOutcome::Unknown(_)));
    assert_eq!(till.acquirer.done().len(), 1, "something was sent");
}

#[test]
fn an_abandoned_payment_is_reversed_with_06() {
    let mut till = Till::impatient(vec![silence(), answer("00")]);
    let (request, prepared, _) = till.sell(2);
    till.plugin.undo(&follow_up(&request, &prepared), UndoReason::Abandoned);
    assert_eq!(till.acquirer.done()[2].0.text(39), Some("06"));
}
