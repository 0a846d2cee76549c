//! The driver against the simulated pad.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use till_driver_pinpad::plugin::Pinpad;
use till_driver_pinpad::wire::{LONGEST, Outcome, Wire};
use till_plugin::driver::{DeviceState, DriverEvent, HealthLevel, PinRequest};
use till_plugin::host::{Settings, TransportKind};
use till_plugin::manifest::Manifest;
use till_plugin::testing::TestHost;
use till_plugin::{Currency, Driver, ErrorCode, Money, Sensitive};
use till_simulators::counter::Machine;
use till_simulators::counter::dukpt;
use till_simulators::counter::pinpad::{Hand, Pad};

const PAN: &str = "6200000000000005";

fn bench() -> (TestHost, Arc<Mutex<Pad>>) {
    let host = TestHost::new().with_transport(TransportKind::Unix);
    let pad = Arc::new(Mutex::new(Pad::default()));
    let theirs = Arc::clone(&pad);
    host.respond(move |bytes| theirs.lock().unwrap().receive(bytes));
    (host, pad)
}

fn open(host: &TestHost) -> Pinpad {
    Pinpad::open(host.host(), Settings::from_json(r#"{"simulated":true}"#)).unwrap()
}

fn request(format: u8) -> PinRequest {
    PinRequest {
        pan: Sensitive::new(PAN.into()),
        amount: Money::new(12_850, Currency::CNY),
        format,
        key: "pin".into(),
        timeout_ms: 30_000,
    }
}

fn pins(driver: &mut Pinpad, ms: u64) -> Vec<(Option<Vec<u8>>, Vec<u8>)> {
    let events = (0..ms / 50).flat_map(|_| driver.poll(Duration::from_millis(50)).unwrap());
    events
        .filter_map(|e| match e {
            DriverEvent::Pin { block, ksn } => Some((block.map(|b| b.expose().clone()), ksn)),
            _ => None,
        })
        .collect()
}

#[test]
fn it_refuses_to_be_taken_for_a_certified_pad() {
    let (host, _) = bench();
    for settings in ["{}", r#"{"simulated":false}"#] {
        let error = Pinpad::open(host.host(), Settings::from_json(settings)).err().unwrap();
        assert!(
            error.code == ErrorCode::Settings && error.message.contains("not certified"),
            "{}",
            error.message
        );
    }
    let mut driver = open(&host);
    let description = driver.describe();
    assert!(!description.certified && description.model.contains("not certified"));
    for level in [HealthLevel::Internal, HealthLevel::External, HealthLevel::Interactive] {
        let health = driver.health(level).unwrap();
        assert!(health.state == DeviceState::Attention && health.text.contains("not certified"));
    }
    let none = Pinpad::open(TestHost::new().host(), Settings::from_json(r#"{"simulated":true}"#));
    assert_eq!(none.err().unwrap().code, ErrorCode::TransportGone);
    assert!(Manifest::parse(include_str!("../manifest.toml")).unwrap().settings["simulated"].required);
}

#[test]
fn the_block_is_the_pin_under_the_pads_key_and_each_key_is_used_once() {
    let (host, pad) = bench();
    let mut driver = open(&host);
    let tdes = *b"\x6A\xC2\x92\xFA\xA1\x31\x5B\x4D\x85\x8A\xB3\xA3\xD7\xD5\x93\x3A";
    let mut seen = Vec::new();
    for _ in 0..3 {
        driver.enter_pin(request(0)).unwrap();
        let (block, ksn) = pins(&mut driver, 200).remove(0);
        let clear = dukpt::format0("1234", PAN).unwrap();
        let expected = dukpt::tdes_pin(tdes, ksn.clone().try_into().unwrap(), clear);
        assert_eq!(block.unwrap(), expected);
        seen.push(ksn);
    }
    seen.dedup();
    assert_eq!(seen.len(), 3);
    assert_eq!(pad.lock().unwrap().asked()[0], ("128.50".to_owned(), "0005".to_owned()));
    driver.enter_pin(request(4)).unwrap();
    let (first, ksn) = pins(&mut driver, 200).remove(0);
    assert_eq!((first.unwrap().len(), ksn.len()), (16, 12));
}

#[test]
fn what_no_pad_can_do_is_refused_before_a_byte_leaves() {
    let (host, _) = bench();
    let mut driver = open(&host);
    let wrong = |change: fn(&mut PinRequest)| {
        let mut r = request(0);
        change(&mut r);
        r
    };
    for (bad, code) in [
        (wrong(|r| r.format = 3), ErrorCode::Unsupported),
        (wrong(|r| r.pan = Sensitive::new("62000000000x".into())), ErrorCode::BadRequest),
        (wrong(|r| r.pan = Sensitive::new("6200".into())), ErrorCode::BadRequest),
        (wrong(|r| r.key = "pin 1\ncancel".into()), ErrorCode::BadRequest),
        (wrong(|r| r.timeout_ms = 0), ErrorCode::BadRequest),
        (wrong(|r| r.timeout_ms = u32::MAX), ErrorCode::BadRequest),
    ] {
        assert_eq!(driver.enter_pin(bad).unwrap_err().code, code);
    }
    assert!(host.written().is_empty());
}

#[test]
fn a_customer_who_gives_up_or_waits_ends_the_request_once() {
    let (host, pad) = bench();
    let mut driver = open(&host);
    for hand in [Hand::GivesUp, Hand::Waits] {
        pad.lock().unwrap().hand(hand);
        driver.enter_pin(request(4)).unwrap();
        assert_eq!(pins(&mut driver, 40_000), [(None, Vec::new())]);
    }
    pad.lock().unwrap().hand(Hand::Nobody);
    driver.enter_pin(request(0)).unwrap();
    assert_eq!(driver.enter_pin(request(0)).unwrap_err().code, ErrorCode::Busy);
    driver.disable().unwrap();
    assert_eq!(pins(&mut driver, 40_000), [(None, Vec::new())]);
    assert!(!pad.lock().unwrap().waits(), "the pad was told");
}

#[test]
fn a_pad_that_says_nothing_is_given_up_and_its_late_answer_is_nobodys() {
    let (host, pad) = bench();
    let mut driver = open(&host);
    pad.lock().unwrap().hand(Hand::Nobody);
    driver.enter_pin(request(0)).unwrap();
    assert!(pins(&mut driver, 32_900).is_empty());
    assert_eq!(pins(&mut driver, 1_000), [(None, Vec::new())]);
    host.arrive(b"block 1 FFFF9876543210E00001 1B9C1845EB993A7A\n");
    assert!(pins(&mut driver, 1_000).is_empty());
    pad.lock().unwrap().hand(Hand::Types("123456".into()));
    driver.enter_pin(request(0)).unwrap();
    assert!(pins(&mut driver, 200)[0].0.is_some());
}

#[test]
fn an_unplugged_pad_ends_the_request_once() {
    let (host, pad) = bench();
    let mut driver = open(&host);
    pad.lock().unwrap().hand(Hand::Nobody);
    driver.enter_pin(request(0)).unwrap();
    host.unplug();
    assert_eq!(driver.poll(Duration::from_millis(50)).unwrap_err().code, ErrorCode::TransportGone);
    let events = host.driver_events();
    assert!(matches!(&events[0], DriverEvent::ReadFailed(why) if why.reason == "pin-pad"), "{events:?}");
    assert_eq!(events[1..], [DriverEvent::Pin { block: None, ksn: Vec::new() }]);
}

#[test]
fn garbage_before_an_answer_does_no_harm() {
    let (host, pad) = bench();
    let mut driver = open(&host);
    let mut noise = vec![0xFF; 4 * LONGEST];
    noise.extend(b"\nblock 99 00 00\nblock\n\n\x1b[2J\nblock x y z\n");
    pad.lock().unwrap().garbage(&noise);
    driver.enter_pin(request(0)).unwrap();
    assert!(pins(&mut driver, 500)[0].0.is_some());
    assert!(driver.statistics().iter().any(|(name, n)| name == "noise" && *n >= 5));
}

#[test]
fn a_block_of_another_kind_is_a_fault() {
    for answer in [
        "block 1 FFFF9876543210E00001 041274",
        "block 1 FF 1B9C1845EB993A7A",
        "block 1 zz zz",
        "refused 1 no-such-key",
    ] {
        let mut wire = Wire::default();
        wire.ask(0, &request(0)).unwrap();
        let mut out = Vec::new();
        wire.push(format!("{answer}\n").as_bytes(), |o| out.push(o));
        assert!(matches!(out.as_slice(), [Outcome::Fault(_)]), "{answer}");
        assert!(!wire.waits());
    }
}

#[test]
fn nothing_of_the_account_is_ever_said() {
    let (host, pad) = bench();
    let mut driver = open(&host);
    pad.lock().unwrap().garbage(format!("refused 1 {PAN}\n").as_bytes());
    driver.enter_pin(request(0)).unwrap();
    let events = driver.poll(Duration::from_millis(50)).unwrap();
    let mut bad = request(3);
    bad.key = PAN.into();
    let error = driver.enter_pin(bad).unwrap_err();
    let said = format!("{events:?} {error:?} {:?} {:?}", host.log_lines(), request(0));
    assert!(!said.contains(&PAN[6..12]) && !said.contains("0005"), "{said}");
}

#[test]
fn a_late_answer_to_a_process_before_this_one_is_nobodys() {
    let line =
        |wire: &mut Wire, now| String::from_utf8(wire.ask(now, &request(0)).unwrap().to_vec()).unwrap();
    let id = |line: &str| line.split(' ').nth(1).unwrap().to_owned();
    let before = id(&line(&mut Wire::default(), 70_000));
    let mut wire = Wire::default();
    assert_ne!(id(&line(&mut wire, 71_000)), before);
    let late = format!("block {before} FFFF9876543210E00001 1B9C1845EB993A7A\n");
    wire.push(late.as_bytes(), |outcome| panic!("{outcome:?}"));
    assert!(wire.waits() && wire.noise == 1);
}

proptest! {
    #[test]
    fn whatever_a_pad_says_a_request_ends_at_most_once(bytes in prop::collection::vec(any::<u8>(), 0..600),
                                                     lines in prop::collection::vec("(block|timeout|refused|given-up) [0-3] ?[0-9A-F]{0,24} ?[0-9A-F]{0,32}", 0..8)) {
        let mut wire = Wire::default();
        wire.ask(0, &request(0)).unwrap();
        let mut ends = 0;
        wire.push(&bytes, |_| ends += 1);
        wire.push(b"\n", |_| ends += 1);
        for line in lines {
            wire.push(format!("{line}\n").as_bytes(), |_| ends += 1);
        }
        if let Some((_, cancel)) = wire.tick(10_000_000) {
            prop_assert!(cancel.starts_with(b"cancel"));
            ends += 1;
        }
        prop_assert_eq!(ends, 1);
    }
}
