//! Sales: what goes out, and which of the four outcomes each kind of answer is.

use super::{PAN, TRACK, Till, cup, open, sale, swipe};
use crate::acquirer::{Acquirer, Connection, Step};
use std::net::{Shutdown, TcpListener};
use till_channel_bankcard::message::Message;
use till_plugin::Channel;
use till_plugin::channel::{DeclineClass, NextStep, Outcome, Prepared, UndoReason, UnknownReason};
use till_plugin::{Currency, Money, Sensitive};

pub(super) fn approve() -> Step {
    Box::new(|host| {
        let mut reply = host.answer("00");
        reply.set(38, "A1B2C3").set(44, "48221234   01020000   ");
        host.reply(reply);
    })
}

pub(super) fn answer(code: &'static str) -> Step {
    Box::new(move |host| host.reply(host.answer(code)))
}

/// Outcome of a sale that the host answers with a changed approval.
fn changed(change: impl FnOnce(&mut Message) + Send + 'static) -> Outcome {
    let mut till = Till::signed_in(vec![Box::new(move |host| {
        let mut reply = host.answer("00");
        change(&mut reply);
        host.reply(reply);
    })]);
    till.sell(2).2
}

fn unknown(outcome: &Outcome) -> UnknownReason {
    match outcome {
        Outcome::Unknown(unknown) => unknown.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_approved_swipe_goes_out_as_the_protocol_says_and_comes_back_whole() {
    let mut till = Till::signed_in(vec![approve()]);
    let (_, _, outcome) = till.sell(2);
    let Outcome::Approved(approval) = outcome else { panic!("{outcome:?}") };
    assert_eq!(approval.amount, Money::new(1234, Currency::CNY));
    assert_eq!(approval.reference, "090920010002");
    assert_eq!(approval.authorisation_code.as_deref(), Some("A1B2C3"));
    assert_eq!(approval.account.as_deref(), Some("620000******0005"));
    assert_eq!(approval.host_time.as_deref(), Some("2026-09-01 09:20:01"));
    assert_eq!(approval.echo.terminal.as_deref(), Some("12345678"));
    assert_eq!(approval.echo.order.as_deref(), Some("000002"));
    assert!(approval.receipt.contains(&("收单行 ACQUIRER".into(), "01020000".into())));

    let requests = till.acquirer.done();
    let (request, sealed) = &requests[1];
    assert!(sealed, "the MAC of the sale is wrong");
    let fields: Vec<(u8, &str)> = request
        .iter()
        .filter(|(number, _)| *number != 64)
        .map(|(n, v)| (n, std::str::from_utf8(v).unwrap()))
        .collect();
    let expected = [
        (2, PAN),
        (3, "000000"),
        (4, "000000001234"),
        (11, "000002"),
        (14, "2912"),
        (22, "022"),
        (25, "00"),
        (35, TRACK),
        (41, "12345678"),
        (42, "123456789012345"),
        (49, "156"),
        (53, "0000000000000000"),
        (60, "2200001200060"),
    ];
    assert_eq!(fields, expected);
}

#[test]
fn a_definite_no_is_declined_with_its_raw_code_and_whose_fault_it_is() {
    for (code, class, next) in [
        ("51", DeclineClass::Customer, NextStep::OtherMethod),
        ("91", DeclineClass::Channel, NextStep::Later),
        ("41", DeclineClass::Customer, NextStep::KeepCard),
        ("97", DeclineClass::Merchant, NextStep::CallSupport),
        ("ZZ", DeclineClass::Customer, NextStep::OtherMethod),
    ] {
        let mut till = Till::signed_in(vec![answer(code)]);
        let Outcome::Declined(decline) = till.sell(2).2 else { panic!("{code}") };
        assert_eq!((decline.code.as_str(), decline.class, decline.next), (code, class, next));
        assert!(decline.text.contains(code) && decline.text_zh.contains(code));
    }
}

#[test]
fn a_partial_approval_carries_its_own_amount() {
    let mut till = Till::signed_in(vec![Box::new(|host: &mut Connection| {
        let mut reply = host.answer("10");
        reply.set(4, "000000001000");
        host.reply(reply);
    })]);
    let Outcome::Approved(approval) = till.sell(2).2 else { panic!("not approved") };
    assert_eq!(approval.amount, Money::new(1000, Currency::CNY));
    assert_eq!(approval.extra["partial"], "true");
}

#[test]
fn a_port_that_nobody_serves_is_not_sent() {
    let mut till = Till::signed_in(vec![]);
    let request = sale(2);
    let prepared = till.plugin.prepare(&request).unwrap();
    // The listener goes with its thread.
    till.acquirer.done();
    let Outcome::NotSent(decline) = till.plugin.authorise(&request, &prepared) else { panic!("sent") };
    assert_eq!(decline.class, DeclineClass::Channel);
}

#[test]
fn everything_after_the_first_byte_that_is_no_answer_is_unknown() {
    let close = || -> Step { Box::new(|host| host.stream.shutdown(Shutdown::Both).unwrap()) };
    assert_eq!(unknown(&Till::signed_in(vec![close()]).sell(2).2), UnknownReason::Broken);

    let half = || -> Step {
        Box::new(|host| {
            let bytes = host.frame(host.answer("00"));
            host.send(&bytes[..bytes.len() / 2]);
        })
    };
    assert_eq!(unknown(&Till::signed_in(vec![half()]).sell(2).2), UnknownReason::Broken);

    let half_then_silence = || -> Step {
        Box::new(|host| {
            let bytes = host.frame(host.answer("00"));
            host.send(&bytes[..bytes.len() - 1]);
            host.silence();
        })
    };
    assert_eq!(unknown(&Till::impatient(vec![half_then_silence()]).sell(2).2), UnknownReason::NoAnswer);

    let silence = || -> Step { Box::new(Connection::silence) };
    assert_eq!(unknown(&Till::impatient(vec![silence()]).sell(2).2), UnknownReason::NoAnswer);

    let noise = || -> Step { Box::new(|host| host.send(&[0, 4, 1, 2, 3, 4])) };
    assert_eq!(unknown(&Till::signed_in(vec![noise()]).sell(2).2), UnknownReason::Garbage);

    let huge = || -> Step { Box::new(|host| host.send(&[0xFF, 0xFF, 0x60])) };
    assert_eq!(unknown(&Till::signed_in(vec![huge()]).sell(2).2), UnknownReason::Garbage);
}

#[test]
fn a_wrong_amount_card_or_missing_mac_never_approves() {
    assert_eq!(unknown(&changed(|reply| _ = reply.set(4, "000000001235"))), UnknownReason::Mismatch);
    assert_eq!(unknown(&changed(|reply| _ = reply.set(2, "6200000000000013"))), UnknownReason::Mismatch);
    assert_eq!(unknown(&changed(|reply| _ = reply.set(64, "00000000"))), UnknownReason::BadSeal);
}

#[test]
fn a_reply_to_another_trace_is_put_aside_and_the_right_one_behind_it_counts() {
    let mut till = Till::signed_in(vec![Box::new(|host: &mut Connection| {
        let mut late = host.answer("51");
        late.set(11, "000001");
        let mut bytes = host.frame(late);
        bytes.extend([0, 0]); // and a keep-alive between them
        bytes.extend(host.frame(host.answer("00")));
        host.send(&bytes);
    })]);
    assert!(matches!(till.sell(2).2, Outcome::Approved(_)));

    let mut till = Till::impatient(vec![Box::new(|host: &mut Connection| {
        let mut late = host.answer("00");
        late.set(11, "000001");
        host.reply(late);
        host.silence();
    })]);
    assert_eq!(unknown(&till.sell(2).2), UnknownReason::NoAnswer);
}

#[test]
fn a_reply_one_byte_at_a_time_is_a_reply() {
    let mut till = Till::signed_in(vec![Box::new(|host: &mut Connection| {
        host.stream.set_nodelay(true).unwrap();
        for byte in host.frame(host.answer("00")) {
            host.send(&[byte]);
        }
    })]);
    assert!(matches!(till.sell(2).2, Outcome::Approved(_)));
}

#[test]
fn preparing_connects_to_nobody() {
    let mut till = Till::signed_in(vec![]);
    let quiet = TcpListener::bind("127.0.0.1:0").unwrap();
    quiet.set_nonblocking(true).unwrap();
    let (mut other, _) = open(&quiet.local_addr().unwrap().to_string(), |_| ());
    // Not signed in: refused, with the way out.
    let refused = other.prepare(&sale(2)).unwrap_err();
    assert_eq!((refused.code.as_str(), refused.next), ("not-signed-in", NextStep::SignIn));
    assert!(quiet.accept().is_err(), "somebody connected");
    // Signed in: a connection beyond the script would be noticed below.
    let prepared = till.plugin.prepare(&sale(2)).unwrap();
    assert_eq!(prepared.masked, "620000******0005");
    assert_eq!(till.acquirer.done().len(), 1);
}

#[test]
fn what_was_prepared_for_another_request_sends_nothing() {
    let mut till = Till::signed_in(vec![]);
    let other = till.plugin.prepare(&sale(3)).unwrap();
    assert!(matches!(till.plugin.authorise(&sale(2), &other), Outcome::NotSent(_)));
    let mut dearer = sale(3);
    dearer.amount = Money::new(1235, Currency::CNY);
    assert!(matches!(till.plugin.authorise(&dearer, &other), Outcome::NotSent(_)));
    let garbage = Prepared { recovery: Sensitive::new(vec![1, 2, 3]), masked: String::new() };
    assert!(matches!(till.plugin.authorise(&sale(2), &garbage), Outcome::NotSent(_)));
    assert_eq!(till.acquirer.done().len(), 1);
}

#[test]
fn a_trace_is_never_sent_twice() {
    let mut till = Till::signed_in(vec![Box::new(|host: &mut Connection| {
        host.stream.shutdown(Shutdown::Both).unwrap();
    })]);
    let (request, prepared, first) = till.sell(2);
    assert_eq!(unknown(&first), UnknownReason::Broken);
    assert!(matches!(till.plugin.authorise(&request, &prepared), Outcome::Unknown(_)));
    assert_eq!(till.acquirer.done().len(), 2, "sign-in and one sale");
}

#[test]
fn cards_and_amounts_that_cannot_be_sold_are_refused_before_anything_is_sent() {
    let mut till = Till::signed_in(vec![]);
    let mut refuse = |change: &dyn Fn(&mut till_plugin::channel::Authorise)| {
        let mut request = sale(2);
        change(&mut request);
        till.plugin.prepare(&request).unwrap_err()
    };
    assert_eq!(refuse(&|request| request.instrument = swipe("201")).next, NextStep::UseChip);
    assert_eq!(refuse(&|request| request.instrument = swipe("120")).code, "needs-pin");
    for minor in [0, -1, i64::MIN, i64::MAX, 1_000_000_000_000] {
        assert_eq!(refuse(&|request| request.amount = Money::new(minor, Currency::CNY)).code, "amount");
    }
    let yen = Money::new(100, "JPY".parse().unwrap());
    assert_eq!(refuse(&|request| request.amount = yen).code, "currency");
    assert_eq!(till.acquirer.done().len(), 1);
}

#[test]
fn no_log_line_outcome_or_preparation_shows_card_data() {
    let mut till = Till::signed_in(vec![
        approve(),
        Box::new(|host| host.send(&[0, 1, 9])),
        answer("00"),
        Box::new(|host| {
            let mut reply = host.answer("00");
            reply.set(2, "6200000000000013");
            host.reply(reply);
        }),
        answer("96"),
    ]);
    let mut seen = Vec::new();
    for trace in 2..5 {
        let (request, prepared, outcome) = till.sell(trace);
        seen.push(format!("{request:?} {prepared:?} {outcome:?}"));
        if matches!(outcome, Outcome::Unknown(_)) {
            let undone = till.plugin.undo(&super::follow_up(&request, &prepared), UndoReason::NoAnswer);
            seen.push(format!("{undone:?}"));
        }
    }
    seen.push(format!("{:?} {:?}", till.host.log_lines(), till.plugin.statistics()));
    let seen = seen.join("\n");
    for secret in [PAN, "29121010000000000", "6200000000000013", crate::acquirer::MAK, crate::acquirer::TMK] {
        assert!(!seen.contains(secret), "found {secret} in {seen}");
    }
    assert_eq!(till.plugin.statistics().iter().find(|(name, _)| name == "unknown").unwrap().1, 2);
}

#[test]
fn the_echo_asks_without_money_or_keys() {
    let acquirer = Acquirer::serve(&cup(), vec![answer("00"), answer("96")]);
    let (mut plugin, _) = open(&acquirer.address, |_| ());
    assert_eq!(plugin.probe().unwrap().state.as_str(), "ready");
    assert_eq!(plugin.probe().unwrap().state.as_str(), "attention");
    let requests = acquirer.done();
    assert_eq!(requests[0].0.text(60), Some("00000001301"));
    assert_eq!(plugin.probe().unwrap().state.as_str(), "offline");
}
