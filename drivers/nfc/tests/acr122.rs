//! The ACR122U: the driver's messages against the simulated reader, and every way in which a USB reader fails.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;
#[path = "common/counter.rs"]
mod counter;

use std::time::Duration;

use common::{asked, hex};
use counter::{Counter, READ, SECOND};
use till_driver_nfc::engine::Happened;
use till_driver_nfc::link::acr122::{self, NO_POLLING, NO_SOUND, QUIET};
use till_driver_nfc::link::{Event, Link, LinkFault};
use till_driver_nfc::plugin::Nfc;
use till_plugin::driver::DriverEvent;
use till_plugin::host::TransportKind;
use till_plugin::testing::TestHost;
use till_plugin::{Currency, Driver, ErrorCode, Money, Settings};
use till_simulators::nfc::{Acr122 as Reader, Card, Chip, Fault, Hand};

#[test]
fn a_whole_tap_through_an_acr122u_without_a_sound() {
    let mut counter = Counter::new(Reader::default(), "{}");
    assert!(!counter.reader.beeps());
    assert_eq!(counter.tap(Hand::with(Card::unionpay())), [READ]);
    let apdus: Vec<&[u8]> = counter.sent.iter().map(|block| &block[10..]).collect();
    assert!(apdus.contains(&QUIET.as_slice()) && apdus.contains(&NO_SOUND.as_slice()));
    // With `reader-beeps` sound and light are left alone; its own search for cards never.
    let loud = Counter::new(Reader::default(), r#"{"reader-beeps": true}"#);
    let apdus: Vec<&[u8]> = loud.sent.iter().map(|block| &block[10..]).collect();
    assert!(!apdus.contains(&QUIET.as_slice()) && !apdus.contains(&NO_SOUND.as_slice()));
    assert!(apdus.contains(&NO_POLLING.as_slice()));
}

#[test]
fn a_reader_that_asks_for_time_or_answers_older_commands_loses_no_tap() {
    for fault in [Fault::MoreTime { times: 40 }, Fault::OlderBlock { times: 40 }] {
        let mut counter = Counter::new(Reader::default(), "{}");
        assert_eq!(counter.tap(Hand::with(Card::unionpay()).fault(fault.clone())), [READ], "{fault:?}");
    }
}

#[test]
fn a_message_that_is_cut_or_too_long_tears_one_tap_and_not_the_device() {
    for fault in [Fault::CutBlock { times: 1 }, Fault::LongBlock { times: 1 }] {
        // Wherever it strikes: the look, the directory, the options, a record.
        let mut counter = Counter::new(Reader::default(), "{}");
        let said = counter.tap(Hand::with(Card::unionpay()).fault(fault.clone()));
        assert!(said.iter().all(|s| s == READ || s == "reader-fault"), "{fault:?}: {said:?}");
        counter.run(SECOND);
        assert_eq!(counter.tap(Hand::with(Card::unionpay())), [READ], "{fault:?}");
    }
}

#[test]
fn a_reader_with_old_firmware_is_given_up_and_named() {
    let mut counter = Counter::new(Reader::with_firmware("ACR122U103"), "{}");
    counter.run(5 * SECOND);
    let broken = counter.happened.iter().find_map(|h| match h {
        Happened::Broken(e) => Some(e.to_string()),
        _ => None,
    });
    assert!(broken.unwrap().contains("firmware 2"), "the reader's firmware is too old");
}

#[test]
fn an_acr122u_that_is_silent_failing_or_asks_for_time_without_end() {
    let mut link = asked();
    let later = Duration::from_millis(900);
    link.push(&hex("80000000000004800100"), later);
    assert_eq!(link.deadline(), Some(later + SECOND), "it asked for more time");
    for n in 0..100 {
        link.push(&hex("80000000000004800100"), later * (n + 1));
    }
    assert!(link.deadline().unwrap() < Duration::from_secs(25), "and gets no more in the end");
    link.tick(Duration::from_secs(25));
    assert_eq!(link.event(), Some(Event::Fault(LinkFault::NoReply)));
    for (bad, fault) in [
        ("8000", LinkFault::Damaged),
        ("80FF0000000004008100 4143", LinkFault::Damaged),
        ("80020000000004008100 900000", LinkFault::Damaged),
        ("80000000000004400100", LinkFault::Refused),
        ("80020000000004008100 6300", LinkFault::Refused),
        ("80040000000004008100 D5036300", LinkFault::Refused),
        // The answer to another command.
        ("80040000000004008100 D54B9000", LinkFault::Refused),
    ] {
        let mut link = asked();
        link.push(&hex(bad), Duration::ZERO);
        assert_eq!(link.event(), Some(Event::Fault(fault)), "{bad}");
    }
    // An old sequence number answers a command that was given up.
    let mut link = asked();
    link.push(&hex("80080000000003008100 D503320104079000"), Duration::ZERO);
    assert_eq!((link.event(), link.noise().1), (None, 1));
    link.push(&hex("80080000000004008100 D503320104079000"), Duration::ZERO);
    assert_eq!(link.event(), Some(Event::Reply(hex("0332010407").into())));
    assert!(acr122::usable(b"ACR122U201") && !acr122::usable(b"ACR122U103") && !acr122::usable(b""));
    assert!(acr122::direct(&[0x40; 254]).is_none());
}

/// Unplugged before each message of setting up and of a tap.
#[test]
fn an_acr122u_that_is_unplugged_at_any_step_is_gone_and_half_a_tap_is_told() {
    let (mut opened, mut told, mut read) = (0, 0, 0);
    for at in 0..60 {
        let host = TestHost::new().with_transport(TransportKind::Ccid);
        let (mut reader, mut chip) = (Reader::default(), Chip::new());
        reader.power_cycle(&mut chip);
        chip.present(Hand::with(Card::unionpay()));
        let mut messages = 0;
        host.respond(move |block| {
            messages += 1;
            let mut all = if messages > at { Vec::new() } else { reader.message(&mut chip, block).unwrap() };
            all.pop().map_or_else(Vec::new, |(_, back)| back)
        });
        let Ok(mut driver) = Nfc::open(host.host(), Settings::from_json("{}")) else { continue };
        opened += 1;
        driver
            .enable(till_plugin::driver::EnableRequest {
                amount: Money::new(128, Currency::CNY),
                families: Vec::new(),
                extra: till_plugin::Extra::new(),
            })
            .unwrap();
        let mut events = Vec::new();
        for _ in 0..5 {
            events.extend(driver.poll(Duration::from_millis(20)).unwrap());
        }
        host.unplug();
        let error = (0..10).find_map(|_| driver.poll(Duration::from_millis(20)).err()).unwrap();
        assert_eq!(error.code, ErrorCode::TransportGone);
        events.extend(host.driver_events());
        for event in events {
            match event {
                DriverEvent::Read(_) => read += 1,
                DriverEvent::ReadFailed(f) => {
                    assert_eq!(f.reason, "device-gone");
                    told += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(opened > 20 && told > 5 && read > 5, "{opened} opened, {told} told, {read} read");
}
