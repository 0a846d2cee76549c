//! What follows a payment, field by field, and what the end of a batch makes of each answer.

use super::{PAN, TRACK, Till, follow_up, sale, swipe};
use crate::acquirer::{Connection, Step};
use till_channel_bankcard::message::Message;
use till_plugin::Channel;
use till_plugin::channel::{
    Authorise, Follow, FollowKind, FollowUp, Outcome, Prepared, QueryOutcome, Reference, Settle,
    SettleOutcome, UndoOutcome, UndoReason, UnknownReason,
};
use till_plugin::{Currency, Extra, Money};

fn approve() -> Step {
    Box::new(|host| {
        let mut reply = host.answer("00");
        reply.set(38, "A1B2C3");
        host.reply(reply);
    })
}

fn answer(code: &'static str) -> Step {
    Box::new(move |host| host.reply(host.answer(code)))
}

fn silence() -> Step {
    Box::new(Connection::silence)
}

fn follow(kind: FollowKind, (request, prepared, outcome): (Authorise, Prepared, Outcome)) -> Follow {
    let Outcome::Approved(approval) = outcome else { panic!("{outcome:?}") };
    let mut ids = request.ids.clone();
    ids.trace += 1;
    Follow {
        ids,
        kind,
        amount: request.amount,
        original: Reference { ids: request.ids, amount: request.amount, approval },
        original_recovery: prepared.recovery,
        instrument: Some(swipe("120")),
        operator: None,
        reason: "customer".into(),
        extra: Extra::new(),
    }
}

fn hold(till: &mut Till, trace: u32) -> (Authorise, Prepared, Outcome) {
    let request = Authorise { hold: true, ..sale(trace) };
    let prepared = till.plugin.prepare(&request).unwrap();
    let outcome = till.plugin.authorise(&request, &prepared);
    (request, prepared, outcome)
}

fn row(message: &Message) -> Vec<(u8, String)> {
    let text = |value: &[u8]| std::str::from_utf8(value).unwrap().to_owned();
    message.iter().filter(|(number, _)| *number != 64).map(|(number, value)| (number, text(value))).collect()
}

fn rows(rows: &[(u8, &str)]) -> Vec<(u8, String)> {
    rows.iter().map(|(number, value)| (*number, (*value).to_owned())).collect()
}

const SAME: [(u8, &str); 3] = [(41, "12345678"), (42, "123456789012345"), (49, "156")];

#[test]
fn a_void_names_its_sale_and_asks_for_no_pin() {
    let mut till = Till::signed_in(vec![approve(), approve()]);
    let sold = till.sell(2);
    // Service code 120 asks for a PIN: the sale would be refused, giving it back is not.
    let void = follow(FollowKind::Void, sold);
    let prepared = till.plugin.prepare_follow(&void).unwrap();
    assert!(matches!(till.plugin.follow(&void, &prepared), Outcome::Approved(_)));
    let requests = till.acquirer.done();
    let (sent, sealed) = &requests[2];
    assert!(*sealed && sent.mti() == "0200");
    let mut expected = rows(&[
        (2, PAN),
        (3, "200000"),
        (4, "000000001234"),
        (11, "000003"),
        (14, "2912"),
        (22, "022"),
        (25, "00"),
        (35, &TRACK.replace("101", "120")),
        (37, "090920010002"),
        (38, "A1B2C3"),
    ]);
    expected.extend(rows(&SAME));
    expected.extend(rows(&[(53, "0000000000000000"), (60, "2300001200060"), (61, "000012000002")]));
    assert_eq!(row(sent), expected);
    let kept = prepared.recovery.expose();
    assert!(!kept.windows(5).any(|window| window == b"=2912"), "a track in the recovery data");
}

/// Policy case rev-void-timeout.
#[test]
fn a_void_s_lost_answer_is_reversed_with_the_void_s_own_numbers_and_its_field_61() {
    let mut till = Till::impatient(vec![approve(), silence(), answer("00")]);
    let sold = till.sell(2);
    let void = follow(FollowKind::Void, sold);
    let prepared = till.plugin.prepare_follow(&void).unwrap();
    assert!(matches!(till.plugin.follow(&void, &prepared), Outcome::Unknown(_)));
    let own = FollowUp {
        ids: void.ids.clone(),
        amount: void.amount,
        recovery: prepared.recovery,
        attempt: 1,
        extra: Extra::new(),
    };
    assert!(matches!(till.plugin.undo(&own, UndoReason::NoAnswer), UndoOutcome::Undone { .. }));
    let requests = till.acquirer.done();
    let reversal = &requests[3].0;
    assert_eq!(reversal.mti(), "0400");
    let expected = rows(&[
        (2, PAN),
        (3, "200000"),
        (4, "000000001234"),
        (11, "000003"),
        (14, "2912"),
        (22, "022"),
        (25, "00"),
        (38, "A1B2C3"),
        (39, "98"),
    ]);
    let mut expected = expected;
    expected.extend(rows(&SAME));
    expected.extend(rows(&[(60, "2300001200060"), (61, "000012000002")]));
    assert_eq!(row(reversal), expected);
}

#[test]
fn a_hold_and_its_completion_without_the_card() {
    let mut till = Till::signed_in(vec![approve(), approve()]);
    let held = hold(&mut till, 2);
    let mut capture = follow(FollowKind::Capture, held);
    capture.instrument = None;
    capture.amount = Money::new(1000, Currency::CNY);
    let prepared = till.plugin.prepare_follow(&capture).unwrap();
    assert_eq!(prepared.masked, "620000******0005");
    assert!(matches!(till.plugin.follow(&capture, &prepared), Outcome::Approved(_)));
    let requests = till.acquirer.done();
    let held = &requests[1].0;
    assert_eq!((held.mti(), held.text(3), held.text(25)), ("0100", Some("030000"), Some("06")));
    assert_eq!(held.text(60), Some("1000001200060"));
    let sent = &requests[2].0;
    assert_eq!(sent.mti(), "0200");
    let mut expected = rows(&[
        (2, PAN),
        (3, "000000"),
        (4, "000000001000"),
        (11, "000003"),
        (14, "2912"),
        (22, "012"),
        (25, "06"),
        (38, "A1B2C3"),
    ]);
    expected.extend(rows(&SAME));
    expected.extend(rows(&[(60, "2000001200060"), (61, "0000000000000901")]));
    assert_eq!(row(sent), expected);
}

#[test]
fn a_part_done_of_what_is_done_whole_is_reversed() {
    let part: Step = Box::new(|host| {
        let mut reply = host.answer("10");
        reply.set(4, "000000001000");
        host.reply(reply);
    });
    let mut till = Till::signed_in(vec![approve(), part]);
    let sold = till.sell(2);
    let void = follow(FollowKind::Void, sold);
    let prepared = till.plugin.prepare_follow(&void).unwrap();
    let outcome = till.plugin.follow(&void, &prepared);
    assert!(matches!(outcome, Outcome::Unknown(unknown) if unknown.reason == UnknownReason::Mismatch));
}

#[test]
fn nothing_of_a_follow_on_is_sent_twice_or_without_its_own_preparation() {
    let mut till = Till::impatient(vec![approve(), silence()]);
    let sold = till.sell(2);
    let void = follow(FollowKind::Void, sold);
    let prepared = till.plugin.prepare_follow(&void).unwrap();
    let mut other = void.clone();
    other.ids.trace += 1;
    assert!(matches!(till.plugin.follow(&other, &prepared), Outcome::NotSent(_)));
    assert!(matches!(till.plugin.follow(&void, &prepared), Outcome::Unknown(_)));
    assert!(matches!(till.plugin.follow(&void, &prepared), Outcome::Unknown(_)), "sent once, still unknown");
    let refused = till.plugin.prepare(&sale(9)).unwrap_err();
    assert_eq!(refused.code, "reversal-pending");
    assert_eq!(till.acquirer.done().len(), 3);
}

/// A repeated notice that is called a duplicate, or is put off, may have been booked the first time: that is no "not paid".
#[test]
fn only_a_no_about_the_refund_itself_ends_it_as_not_paid() {
    let repeat = |settings: &mut serde_json::Value| {
        settings["repeat_notices"] = true.into();
        settings["dialect"]["timing"]["answer"] = 300.into();
    };
    for (code, paid) in
        [("00", Some(true)), ("94", None), ("96", None), ("A0", None), ("97", None), ("64", Some(false))]
    {
        let mut till = Till::with(vec![approve(), silence(), answer(code)], repeat);
        let sold = till.sell(2);
        let mut refund = follow(FollowKind::Refund, sold);
        let prepared = till.plugin.prepare_follow(&refund).unwrap();
        assert!(matches!(till.plugin.follow(&refund, &prepared), Outcome::Unknown(_)));
        refund.instrument = None;
        let own = FollowUp {
            ids: refund.ids.clone(),
            amount: refund.amount,
            recovery: prepared.recovery,
            attempt: 1,
            extra: Extra::new(),
        };
        let got = match till.plugin.query_follow(&refund, &own) {
            QueryOutcome::Paid(_) => Some(true),
            QueryOutcome::NotPaid(_) => Some(false),
            _ => None,
        };
        assert_eq!(got, paid, "{code}");
        let requests = till.acquirer.done();
        let (first, again) = (&requests[2].0, &requests[3].0);
        assert_eq!((first.mti(), again.mti()), ("0220", "0220"));
        for number in [2, 3, 4, 11, 25, 37, 41, 42, 49, 60, 61, 63] {
            assert_eq!(first.get(number), again.get(number), "field {number}");
        }
        assert_eq!((again.text(22), again.get(35)), (Some("012"), None));
    }
}

#[test]
fn a_reversal_before_anything_else_and_sales_after_it() {
    let mut till = Till::impatient(vec![silence(), answer("00"), approve()]);
    let (request, prepared, _) = till.sell(2);
    assert_eq!(till.plugin.prepare(&sale(3)).unwrap_err().code, "reversal-pending");
    let undone = till.plugin.undo(&follow_up(&request, &prepared), UndoReason::NoAnswer);
    assert!(matches!(undone, UndoOutcome::Undone { .. }));
    assert!(matches!(till.sell(3).2, Outcome::Approved(_)));
}

#[test]
fn neither_a_log_line_nor_an_outcome_shows_the_card_that_came_back() {
    let mut till = Till::signed_in(vec![approve(), approve()]);
    let sold = till.sell(2);
    let mut void = follow(FollowKind::Void, sold);
    let prepared = till.plugin.prepare_follow(&void).unwrap();
    let outcome = till.plugin.follow(&void, &prepared);
    void.instrument = None;
    let refused = till.plugin.prepare_follow(&void).unwrap_err();
    let seen = format!("{void:?} {prepared:?} {outcome:?} {refused:?} {:?}", till.host.log_lines());
    for secret in [PAN, "29121200000000000", crate::acquirer::MAK] {
        assert!(!seen.contains(secret), "found {secret} in {seen}");
    }
}

/// The host's two result digits (31 and 62 of field 48) and codes; policy family cup-settle.
#[test]
fn what_a_host_says_to_totals() {
    let told = |code: &'static str, digits: &'static str| -> Step {
        Box::new(move |host| {
            let mut totals = host.request.text(48).unwrap().to_owned().into_bytes();
            for (at, digit) in [30, 61].into_iter().zip(digits.bytes()) {
                totals[at] = digit;
            }
            let mut reply = host.answer(code);
            if !digits.is_empty() {
                reply.set(48, totals);
            }
            host.reply(reply);
        })
    };
    let settled = |code, digits| {
        let mut till = Till::signed_in(vec![told(code, digits)]);
        let money = |minor| Money::new(minor, Currency::CNY);
        let request = Settle {
            ids: sale(30).ids,
            batch: 12,
            debits: (money(86_234), 2),
            credits: (money(1_734), 2),
            operator: Some("01".into()),
            extra: Extra::new(),
        };
        let outcome = till.plugin.settle(&request);
        let sent = till.acquirer.done().remove(1).0;
        assert_eq!(sent.text(48).unwrap()[..30], *"000000086234002000000001734002");
        match outcome {
            SettleOutcome::Balanced => "balanced".to_owned(),
            SettleOutcome::Unbalanced => "unbalanced".into(),
            SettleOutcome::Refused(decline) => decline.code,
            SettleOutcome::Unknown(unknown) => format!("unknown: {}", unknown.reason.as_str()),
        }
    };
    for (code, digits, expected) in [
        ("00", "11", "balanced"),
        // The foreign half was not used, and some hosts leave its result out.
        ("00", "10", "balanced"),
        ("00", "21", "unbalanced"),
        ("00", "12", "unbalanced"),
        ("95", "", "unbalanced"),
        ("00", "31", "settlement-error"),
        ("00", "13", "settlement-error"),
        ("00", "01", "unknown: mismatch"),
        ("00", "91", "unknown: mismatch"),
        ("00", "", "unknown: mismatch"),
        ("96", "", "unknown: host-fault"),
        ("97", "", "97"),
    ] {
        assert_eq!(settled(code, digits), expected, "{code} {digits}");
    }
}
