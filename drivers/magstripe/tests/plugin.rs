//! The whole driver on a transport in memory: what the till hears of a swipe, and what it must never hear.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;

use std::time::Duration;

use common::{Keys, SHIFT, T1, T2, armed, bench, card, events, keys, open, reasons, sale};
use till_driver_magstripe::plugin::Magstripe;
use till_plugin::host::TransportKind;
use till_plugin::manifest::Manifest;
use till_plugin::{Driver, ErrorCode, Settings};

const EVDEV: TransportKind = TransportKind::Evdev;
const DEFAULT: &str = "{}";

#[test]
fn a_swipe_becomes_a_card_with_its_last_key() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    let before = host.host().now().boot_ms;
    host.arrive(&keys(&format!("{T1}{T2}\r")));
    let seen = driver.poll(Duration::ZERO).unwrap();
    let card = card(&seen[0]);
    assert!(*card.pan.expose() == "6200000000000005");
    assert!(*card.track2.as_ref().unwrap().expose() == "6200000000000005=30122010000000000");
    assert!(card.track1.as_ref().unwrap().expose().starts_with("B6200000000000005^"));
    assert!(card.track3.is_none());
    assert_eq!(card.masked, "620000******0005");
    assert_eq!(card.service_code.as_deref(), Some("201"));
    assert!(*card.expiry.as_ref().unwrap().expose() == "3012" && card.luhn);
    assert_eq!(host.host().now().boot_ms, before, "no silence is waited for after Enter");
}

#[test]
fn a_swipe_without_enter_ends_with_silence() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    host.arrive(&keys(T2));
    assert_eq!(driver.poll(Duration::from_millis(99)).unwrap(), []);
    assert_eq!(reasons(&driver.poll(Duration::from_millis(50)).unwrap()), ["read"]);
}

#[test]
fn enter_behind_each_track_where_the_settings_say_so() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, r#"{"end": "silence"}"#);
    host.arrive(&keys(&format!("{T1}\r{T2}\r")));
    let seen = events(&mut driver);
    assert!(card(&seen[0]).track1.is_some() && seen.len() == 1);
}

#[test]
fn a_serial_reader_sends_the_same_text() {
    let host = bench(TransportKind::Serial);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    for byte in format!("{T1}{T2}\r\n").bytes() {
        host.arrive(&[byte]);
        host.pause(Duration::from_millis(5));
    }
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
}

#[test]
fn a_recording_on_a_socket_reads_like_the_device_however_its_reads_fall() {
    let host = bench(TransportKind::Unix);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    for part in keys(&format!("{T2}\r")).chunks(37) {
        host.arrive(part);
    }
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
    // The same recording again, with the same stamps, is another swipe of the same card.
    host.arrive(&keys(&format!("{T2}\r")));
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
}

#[test]
fn nothing_is_reported_before_enable_nor_after_disable() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = open(&host, DEFAULT);
    host.arrive(&keys(&format!("{T2}\r")));
    assert_eq!(events(&mut driver), []);
    driver.enable(sale()).unwrap();
    assert_eq!(events(&mut driver), []);
    driver.disable().unwrap();
    host.arrive(&keys(&format!("{T2}\r")));
    assert_eq!(events(&mut driver), []);
    assert_eq!(driver.statistics().iter().find(|(name, _)| name == "unwanted").unwrap().1, 2);
}

#[test]
fn a_swipe_that_lies_in_the_kernel_when_the_sale_opens_does_not_pay_for_it() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = open(&host, DEFAULT);
    host.arrive(&keys(&format!("{T2}\r")));
    driver.enable(sale()).unwrap();
    assert_eq!(events(&mut driver), []);
}

#[test]
fn a_swipe_that_began_before_the_sale_opened_does_not_pay_for_it() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = open(&host, DEFAULT);
    let whole = keys(&format!("{T1}{T2}\r"));
    let cut = keys(T1).len();
    host.arrive(&whole[..cut]);
    driver.enable(sale()).unwrap();
    host.arrive(&whole[cut..]);
    assert_eq!(events(&mut driver), [], "track 2 alone would have been a card");
    host.arrive(&keys(&format!("{T2}\r")));
    assert_eq!(reasons(&events(&mut driver)), ["read"], "the next one is");
}

#[test]
fn a_swipe_across_two_sales_pays_for_neither() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    let whole = keys(&format!("{T1}{T2}\r"));
    let cut = keys(T1).len();
    host.arrive(&whole[..cut]);
    assert_eq!(driver.poll(Duration::ZERO).unwrap(), []);
    driver.disable().unwrap();
    driver.enable(sale()).unwrap();
    host.arrive(&whole[cut..]);
    assert_eq!(events(&mut driver), []);
}

#[test]
fn a_double_swipe_within_300_ms_is_one() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    let swipe = keys(&format!("{T2}\r"));
    host.arrive(&swipe);
    host.pause(Duration::from_millis(299));
    host.arrive(&swipe);
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
    host.arrive(&swipe);
    assert_eq!(reasons(&events(&mut driver)), ["read"], "later it is another swipe");
}

#[test]
fn a_half_swipe_and_then_a_full_one() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    host.arrive(&keys(";62000000000"));
    host.pause(Duration::from_millis(600));
    host.arrive(&Keys::new().pause(600).text(&format!("{T2}\r")).take());
    assert_eq!(reasons(&events(&mut driver)), ["truncated", "read"]);
    // Read late and in one go, the kernel's stamps still tell them apart.
    let mut both = Keys::new();
    both.text(";62000000000").pause(600).text(&format!("{T2}\r"));
    host.arrive(&both.take());
    assert_eq!(reasons(&events(&mut driver)), ["truncated", "read"]);
}

#[test]
fn lost_events_cost_the_whole_swipe_and_only_it() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    let mut swipe = Keys::new();
    // What is left after the loss is a whole track 2: it must not count.
    swipe.text(T1).raw(0, 3, 0).raw(0, 0, 0).text(&format!("{T2}\r"));
    host.arrive(&swipe.take());
    assert_eq!(reasons(&events(&mut driver)), ["events-lost"]);
    host.arrive(&keys(&format!("{T2}\r")));
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
}

#[test]
fn key_autorepeat_and_missing_key_ups_change_nothing() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    let mut swipe = Keys::new();
    for byte in format!("{T2}\r").bytes() {
        let (code, shift) = till_wedge::keymap::key_for(byte).unwrap();
        if shift {
            swipe.key(SHIFT, 1).tap(code).key(SHIFT, 0);
        } else {
            swipe.key(code, 1).key(code, 2);
        }
    }
    host.arrive(&swipe.take());
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
}

#[test]
fn a_shift_that_hangs_spoils_one_swipe_and_not_the_next() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    let mut swipes = Keys::new();
    for byte in T2.bytes() {
        swipes.key(SHIFT, 1).tap(till_wedge::keymap::key_for(byte).unwrap().0);
    }
    swipes.tap(28).pause(2000).text(&format!("{T2}\r"));
    host.arrive(&swipes.take());
    // Shift + 5 is `%`: the reason is that of a track 1 which is none.
    assert_eq!(reasons(&events(&mut driver)), ["not-a-payment-card", "read"]);
}

#[test]
fn a_key_that_is_no_character_spoils_the_swipe() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    let mut swipe = Keys::new();
    swipe.text(";620000").key(56, 1).tap(30).key(56, 0).text("0000000005=30122010000000000?\r");
    host.arrive(&swipe.take());
    assert_eq!(reasons(&events(&mut driver)), ["bad-character"]);
}

#[test]
fn caps_lock_is_a_setting() {
    let mut swipe = Keys::new();
    swipe.raw(0x11, 1, 1).text(&format!("{}{T2}\r", T1.to_ascii_lowercase()));
    let played = swipe.take();
    for (settings, track1) in [(r#"{"caps-lock": "apply"}"#, true), (DEFAULT, false)] {
        let host = bench(EVDEV);
        let mut driver: Magstripe = armed(&host, settings);
        host.arrive(&played);
        assert_eq!(card(&events(&mut driver)[0]).track1.is_some(), track1);
    }
}

#[test]
fn an_endless_swipe_is_refused_in_bounded_memory() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    for _ in 0..50 {
        host.arrive(&keys(&"1".repeat(500)));
    }
    host.arrive(&keys("\r"));
    host.arrive(&keys(&format!("{T2}\r")));
    assert_eq!(reasons(&events(&mut driver)), ["too-long", "read"]);
}

#[test]
fn a_flood_of_equal_failures_is_told_once() {
    let host = bench(TransportKind::Serial);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    host.arrive(&b"x\ry\r".repeat(2500));
    assert_eq!(reasons(&events(&mut driver)), ["no-track"]);
    assert_eq!(driver.statistics().iter().find(|(name, _)| name == "failures").unwrap().1, 5000);
}

#[test]
fn unplugged_in_the_middle_of_a_swipe() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    host.arrive(&keys(";62000000000"));
    assert_eq!(driver.poll(Duration::ZERO).unwrap(), []);
    host.unplug();
    let gone = driver.poll(Duration::ZERO).unwrap_err();
    assert_eq!(gone.code, ErrorCode::TransportGone);
    assert!(gone.message.contains("test is gone"), "{gone}");
    assert_eq!(reasons(&host.driver_events()), ["device-gone"]);
    assert!(driver.enable(sale()).is_err(), "a reader that is gone cannot be armed");
}

#[test]
fn a_reader_that_comes_back_starts_clean() {
    // A new event number or a resume is a new transport and a new instance for the driver.
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    host.arrive(&keys(&format!("{T2}\r"))[7..]);
    let shifted = events(&mut driver);
    assert!(!reasons(&shifted).contains(&"read"), "half an event in front must not shift into a card");
    let again = bench(EVDEV);
    let mut driver: Magstripe = armed(&again, DEFAULT);
    again.arrive(&keys(&format!("{T2}\r")));
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
}

#[test]
fn no_event_log_line_or_error_shows_a_card() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    for swipe in [
        format!("{T1}{T2}\r"),
        T2.replace('=', "") + "\r",
        T2.replace("0005", "000X") + "\r",
        format!("{T1};4111111111111111=30122010?\r"),
        format!("{T2}{T2}\r"),
    ] {
        host.arrive(&keys(&swipe));
        host.pause(Duration::from_millis(400));
    }
    let swiped = format!("{:?} {:?}", events(&mut driver), host.log_lines());
    host.arrive(&keys(&T2[..20]));
    driver.poll(Duration::ZERO).unwrap();
    host.unplug();
    let shown = format!("{swiped} {:?} {:?}", driver.poll(Duration::ZERO), host.driver_events());
    for secret in ["620000000000", "411111111111", "30122010", "ZHANG"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn wrong_settings_name_the_setting_and_the_remedy() {
    let refused = |settings: &str| {
        let error = Magstripe::open(bench(EVDEV).host(), Settings::from_json(settings)).err().unwrap();
        assert_eq!(error.code, ErrorCode::Settings);
        error.message
    };
    assert!(refused(r#"{"silense-ms": 80}"#).contains("silense-ms"));
    assert!(refused(r#"{"silence-ms": 5}"#).contains("from 20 to 2000"));
    assert!(refused(r#"{"end": "tab"}"#).contains("enter"));
    let none =
        Magstripe::open(till_plugin::testing::TestHost::new().host(), Settings::default()).err().unwrap();
    assert!(none.message.contains("transport"));
}

#[test]
fn the_manifest_and_the_driver_agree() {
    let manifest = Manifest::parse(include_str!("../manifest.toml")).unwrap();
    assert_eq!(manifest.plugin.id, "org.tilld.magstripe");
    // Every default that people read is one that the driver takes, under that name, and is what it does without.
    let defaults: serde_json::Map<String, serde_json::Value> = manifest
        .settings
        .iter()
        .map(|(name, setting)| {
            (name.clone(), serde_json::to_value(setting.default.as_ref().unwrap()).unwrap())
        })
        .collect();
    let config = |json: String| {
        till_driver_magstripe::settings::Config::new(&Settings::from_json(json), EVDEV).unwrap()
    };
    assert_eq!(config(serde_json::Value::Object(defaults).to_string()), config(String::new()));
    let driver: Magstripe = open(&bench(EVDEV), DEFAULT);
    assert_eq!(driver.describe().classes, manifest.driver.unwrap().classes);
    assert!(!driver.describe().certified);
}

#[test]
fn a_device_that_only_makes_noise_does_not_hold_the_host() {
    let host = bench(EVDEV);
    let mut driver: Magstripe = armed(&host, DEFAULT);
    let mut noise = Keys::new();
    for _ in 0..200 {
        noise.raw(4, 4, 458_756).raw(0, 0, 0);
    }
    for _ in 0..200 {
        host.arrive(&noise.bytes);
    }
    assert_eq!(driver.poll(Duration::ZERO).unwrap(), []);
    assert_eq!(events(&mut driver), []);
}
