//! HID POS readers (usage page 8Eh) and clear MagTek and ID TECH swipes, through the whole driver.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;
mod readers;

use std::time::Duration;

use common::{T1, T2, armed, bench, card, events, open, reasons};
use readers::{MSR, idtech_clear, magtek_clear, msr, settings};
use till_driver_magstripe::card::{Card, Tracks};
use till_driver_magstripe::plugin::Magstripe;
use till_plugin::driver::{DriverEvent, HealthLevel};
use till_plugin::host::TransportKind;
use till_plugin::testing::TestHost;
use till_plugin::{Driver, Settings};

fn hid_pos(host: &TestHost) -> Magstripe {
    armed(host, &settings("auto", ""))
}

#[test]
fn a_swipe_over_hid_gives_the_card_with_sentinels_and_without() {
    let (bare1, bare2) = (T1.trim_matches(['%', '?']), T2.trim_matches([';', '?']));
    for (one, two) in [(T1, T2), (bare1, bare2), ("", T2)] {
        let host = bench(TransportKind::Hidraw);
        let mut driver = hid_pos(&host);
        assert!(driver.describe().model.contains("HID POS"));
        host.arrive(&msr(one, two, ""));
        let events = events(&mut driver);
        assert_eq!(reasons(&events), ["read"], "{one} {two}");
        let card = card(&events[0]);
        assert_eq!(card.pan.expose(), "6200000000000005");
        assert_eq!(card.track2.as_ref().map(|t| t.expose().as_str()), Some(bare2));
        assert_eq!(card.service_code.as_deref(), Some("201"));
    }
}

#[test]
fn a_report_with_a_length_byte_beyond_its_field_is_refused() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = hid_pos(&host);
    let mut lie = msr(T1, T2, "");
    lie[1] = 255;
    host.arrive(&lie);
    assert_eq!(reasons(&events(&mut driver)), ["too-long"]);
    // Track 2 whole beside a lying track 1: the card is known by its track 2, and track 1 is not passed on.
    let mut lie = msr(T1, T2, "");
    lie[0] = 113;
    host.pause(Duration::from_millis(400));
    host.arrive(&lie);
    let events = events(&mut driver);
    assert!(card(&events[0]).track1.is_none());
}

#[test]
fn a_short_and_a_long_hid_report_are_refused_and_the_next_swipe_counts() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = hid_pos(&host);
    let whole = msr(T1, T2, "");
    for report in [&whole[..1], &whole[..64], &whole[..whole.len() - 1], &[&whole[..], &[0]].concat()[..]] {
        host.arrive(report);
        host.pause(Duration::from_millis(400));
    }
    assert_eq!(reasons(&events(&mut driver)), ["bad-report"; 4]);
    host.arrive(&whole);
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
}

#[test]
fn a_hid_swipe_that_comes_twice_within_300_ms_is_one() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = hid_pos(&host);
    host.arrive(&msr(T1, T2, ""));
    host.pause(Duration::from_millis(250));
    host.arrive(&msr(T1, T2, ""));
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
    assert_eq!(driver.statistics().iter().find(|(name, _)| name == "repeats").unwrap().1, 1);
    host.pause(Duration::from_millis(400));
    host.arrive(&msr(T1, T2, ""));
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
}

#[test]
fn what_a_hid_reader_read_before_the_payment_opened_never_counts() {
    let host = bench(TransportKind::Hidraw);
    let mut driver: Magstripe = open(&host, &settings("auto", ""));
    host.arrive(&msr(T1, T2, ""));
    driver.enable(common::sale()).unwrap();
    assert!(events(&mut driver).is_empty());
    host.pause(Duration::from_millis(400));
    host.arrive(&msr(T1, T2, ""));
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
    driver.disable().unwrap();
    host.arrive(&msr("", ";6200000000000013=30121010000000000?", ""));
    assert!(events(&mut driver).is_empty());
}

#[test]
fn garbage_marks_and_two_cards_over_hid_have_their_reasons() {
    for (one, two, three, reason) in [
        ("%E?", ";E?", "", "reader-error"),
        ("", "", "", "no-track"),
        (T1, "", "", "no-track"),
        ("", ";62000000000000A5=30121010000000000?", "", "bad-character"),
        ("", ";\u{7f}\u{1}?", "", "bad-character"),
        ("%B4111111111111111^TEST/CARD^3012101000000000?", T2, "", "two-cards"),
        ("%A6200000000000005^X^3012101?", "", "", "not-a-payment-card"),
        ("", ";62000000000000000005=3012101?", "", "bad-account-number"),
    ] {
        let host = bench(TransportKind::Hidraw);
        let mut driver = hid_pos(&host);
        host.arrive(&msr(one, two, three));
        assert_eq!(reasons(&events(&mut driver)), [reason], "{one} {two}");
    }
}

#[test]
fn the_reader_unplugged_is_told_and_the_driver_ends() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = hid_pos(&host);
    host.unplug();
    assert!(driver.poll(Duration::ZERO).is_err());
    // A report comes whole or not: there is no half swipe to complain about.
    assert!(host.driver_events().is_empty());
}

#[test]
fn a_frame_cut_by_unplugging_is_told_as_such() {
    let host = bench(TransportKind::Serial);
    let mut driver: Magstripe = armed(&host, r#"{"input": "idtech"}"#);
    host.arrive(&idtech_clear(T1, T2)[..30]);
    host.unplug();
    let mut ended = false;
    for _ in 0..5 {
        ended |= driver.poll(Duration::from_millis(50)).is_err();
    }
    assert!(ended);
    assert_eq!(reasons(&host.driver_events()), ["device-gone"]);
}

#[test]
fn clear_swipes_of_readers_that_could_encrypt_are_cards_unless_the_settings_forbid_it() {
    let frame = |bytes: Vec<u8>| (TransportKind::Serial, "idtech", bytes);
    let report = |bytes: Vec<u8>| (TransportKind::Hidraw, "magtek", bytes);
    for (kind, input, bytes) in [frame(idtech_clear(T1, T2)), report(magtek_clear(T1, T2))] {
        let host = bench(kind);
        let mut driver: Magstripe = armed(&host, &settings(input, ""));
        host.arrive(&bytes);
        let all = events(&mut driver);
        assert_eq!(reasons(&all), ["read"], "{input}");
        assert_eq!(card(&all[0]).pan.expose(), "6200000000000005");

        let host = bench(kind);
        let mut driver: Magstripe = armed(&host, &settings(input, r#", "require-encryption": true"#));
        host.arrive(&bytes);
        assert_eq!(reasons(&events(&mut driver)), ["not-encrypted"], "{input}");
    }
}

#[test]
fn the_device_decides_what_auto_means_and_a_device_that_is_none_is_refused_in_words() {
    let refused = |kind, settings: &str| {
        let host = bench(kind);
        Magstripe::open(host.host(), Settings::from_json(settings)).err().unwrap().to_string()
    };
    // A mouse.
    let mouse = r#"{"report-descriptor": "05010902a1010901a1000509190129031500250195037501 8102c0c0"}"#;
    assert!(refused(TransportKind::Hidraw, mouse).contains("set `input`"));
    assert!(refused(TransportKind::Hidraw, r#"{"report-descriptor": "0g"}"#).contains("report-descriptor"));
    assert!(refused(TransportKind::Hidraw, r#"{"report-descriptor": "05"}"#).contains("cut short"));
    assert!(refused(TransportKind::Hidraw, r#"{"input": "text"}"#).contains("hid-pos"));
    assert!(refused(TransportKind::Serial, r#"{"input": "magtek"}"#).contains("hidraw"));
    // MagTek's one long vendor report.
    let host = bench(TransportKind::Hidraw);
    let vendor = r#"{"report-descriptor": "0600ff0901a101150026ff007508965803092081 02c0"}"#;
    let mut driver: Magstripe = armed(&host, vendor);
    assert!(driver.describe().model.contains("MagTek"));
    assert!(driver.describe().capabilities.contains(&"encryption".to_owned()));
    host.arrive(&magtek_clear(T1, T2));
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
    assert_eq!(driver.health(HealthLevel::Internal).unwrap().text, "waiting for a card");
}

#[test]
fn no_event_of_a_hid_reader_shows_a_card() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = hid_pos(&host);
    host.arrive(&msr(T1, T2, ""));
    host.pause(Duration::from_millis(400));
    host.arrive(&msr("", ";6200000000000005=30122010000000000", ""));
    let all: Vec<DriverEvent> = events(&mut driver);
    let text = format!("{all:?} {:?}", host.log_lines());
    assert!(!text.contains("6200000000000005") && text.contains("620000******0005"), "{text}");
}

#[test]
fn the_vectors_reports_give_what_they_say() {
    let Some(case) = readers::vector("devices-hid_reports.json", "msr-8e-t1t2") else { return };
    let layout = readers::layout(MSR);
    let read = |report: &[u8]| layout.read(report).unwrap().unwrap();
    let report = hex::decode(case["report"].as_str().unwrap()).unwrap();
    let card = Card::from_tracks(read(&report), true).unwrap();
    assert_eq!(format!("%{}?", card.one.as_ref().unwrap().text()), case["expect"]["t1"].as_str().unwrap());
    assert_eq!(format!(";{}?", card.two.as_ref().unwrap().text()), case["expect"]["t2"].as_str().unwrap());
    let lie = readers::vector("devices-hid_reports.json", "msr-8e-len-lie").unwrap();
    let report = hex::decode(lie["report"].as_str().unwrap()).unwrap();
    let tracks: Tracks = read(&report);
    assert!(tracks.one.is_some_and(|one| one.is_err()));
}
