//! Sign-in, sign-off, key life, and what forces a new sign-in.

use super::{Till, cup, open, sale, sign_in_request};
use crate::acquirer::{Acquirer, Connection, Step, sign_in, working_keys};
use std::time::Duration;
use till_plugin::channel::{ChannelEvent, NextStep, Outcome, SignedIn};
use till_plugin::{Channel, ErrorCode};

#[test]
fn a_sign_in_gives_the_hosts_batch_and_a_day() {
    let acquirer = Acquirer::serve(&cup(), vec![sign_in()]);
    let (mut plugin, host) = open(&acquirer.address, |_| ());
    let signed_in = plugin.sign_in(&sign_in_request()).unwrap();
    assert_eq!(signed_in, SignedIn { batch: Some(12), valid_s: 86_400 });
    assert_eq!(host.channel_events(), [ChannelEvent::SignedIn(true)]);
    let requests = acquirer.done();
    let request = &requests[0].0;
    assert_eq!(
        (request.mti(), request.text(60), request.text(63)),
        ("0800", Some("00000012003"), Some("01 "))
    );
    assert!(request.get(64).is_none());
}

#[test]
fn c11_keys_with_a_wrong_check_value_are_not_installed() {
    let bent: Step = Box::new(|host| {
        let mut keys = working_keys();
        keys[16] ^= 1;
        let mut reply = host.answer("00");
        reply.set(62, keys);
        host.reply(reply);
    });
    let acquirer = Acquirer::serve(&cup(), vec![bent]);
    let (mut plugin, _) = open(&acquirer.address, |_| ());
    let error = plugin.sign_in(&sign_in_request()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Protocol);
    assert!(error.message.contains("check value"), "{error}");
    assert_eq!(plugin.prepare(&sale(2)).unwrap_err().next, NextStep::SignIn);
}

#[test]
fn a_refused_or_unanswered_sign_in_says_why() {
    let refuse: Step = Box::new(|host| host.reply(host.answer("97")));
    let silent: Step = Box::new(Connection::silence);
    let acquirer = Acquirer::serve(&cup(), vec![refuse, silent]);
    let (mut plugin, _) =
        open(&acquirer.address, |settings| settings["dialect"]["timing"]["answer"] = 200.into());
    let error = plugin.sign_in(&sign_in_request()).unwrap_err();
    assert_eq!(error.code, ErrorCode::NotReady);
    assert!(error.message.contains("97"), "{error}");
    assert_eq!(plugin.sign_in(&sign_in_request()).unwrap_err().code, ErrorCode::Timeout);
    drop(acquirer.done());
    assert_eq!(plugin.sign_in(&sign_in_request()).unwrap_err().code, ErrorCode::TransportGone);
}

#[test]
fn after_a_day_the_keys_are_gone_and_the_daemon_is_told() {
    let mut till = Till::signed_in(vec![]);
    till.host.advance(Duration::from_hours(24) - Duration::from_secs(1));
    assert!(till.plugin.prepare(&sale(2)).is_ok());
    assert_eq!(till.plugin.poll(Duration::ZERO).unwrap(), []);
    till.host.advance(Duration::from_secs(1));
    assert_eq!(till.plugin.poll(Duration::ZERO).unwrap(), [ChannelEvent::SignedIn(false)]);
    assert_eq!(till.plugin.prepare(&sale(2)).unwrap_err().code, "not-signed-in");
}

#[test]
fn keys_that_ran_out_between_prepare_and_send_send_nothing() {
    let mut till = Till::signed_in(vec![]);
    let prepared = till.plugin.prepare(&sale(2)).unwrap();
    till.host.advance(Duration::from_hours(24));
    let outcome = till.plugin.authorise(&sale(2), &prepared);
    assert!(matches!(outcome, Outcome::NotSent(decline) if decline.next == NextStep::SignIn));
    assert_eq!(till.acquirer.done().len(), 1);
}

#[test]
fn the_codes_99_a0_and_77_decline_and_force_a_sign_in() {
    for code in ["99", "A0", "77"] {
        let mut till = Till::signed_in(vec![
            Box::new(move |host: &mut Connection| host.reply(host.answer(code))),
            sign_in(),
        ]);
        let Outcome::Declined(decline) = till.sell(2).2 else { panic!("{code}") };
        assert_eq!(decline.next, NextStep::SignIn);
        assert_eq!(till.plugin.prepare(&sale(3)).unwrap_err().code, "not-signed-in", "{code}");
        till.plugin.sign_in(&sign_in_request()).unwrap();
        assert!(till.plugin.prepare(&sale(3)).is_ok());
    }
}

#[test]
fn c11_a_sign_off_wipes_the_keys_even_if_the_host_does_not_answer() {
    for step in [
        Box::new(|host: &mut Connection| host.reply(host.answer("00"))) as Step,
        Box::new(|host: &mut Connection| host.reply(host.answer("96"))) as Step,
        Box::new(Connection::silence) as Step,
    ] {
        let mut till = Till::impatient(vec![step]);
        let _ = till.plugin.sign_off();
        assert_eq!(till.plugin.prepare(&sale(2)).unwrap_err().code, "not-signed-in");
        assert_eq!(till.acquirer.done()[1].0.text(60), Some("00000012002"));
    }
}

#[test]
fn a_cancelled_call_connects_to_nobody() {
    let mut till = Till::signed_in(vec![]);
    let prepared = till.plugin.prepare(&sale(2)).unwrap();
    till.host.cancel();
    let outcome = till.plugin.authorise(&sale(2), &prepared);
    assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
    assert_eq!(till.acquirer.done().len(), 1);
}

#[test]
fn a_call_that_is_cancelled_while_waiting_ends_as_unknown_long_before_its_deadline() {
    let (asked, wait) = std::sync::mpsc::channel();
    let mut till = Till::with(
        vec![Box::new(move |host: &mut Connection| {
            asked.send(()).unwrap();
            host.silence();
        })],
        |settings| settings["dialect"]["timing"]["answer"] = 300_000.into(),
    );
    let bench = till.host.clone();
    let canceller = std::thread::spawn(move || {
        wait.recv().unwrap();
        bench.cancel();
    });
    let outcome = till.sell(2).2;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    canceller.join().unwrap();
}
