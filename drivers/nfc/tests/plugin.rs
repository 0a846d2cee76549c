//! The whole driver against the simulated reader: what the till hears of a tap, and what it must never hear.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;
#[path = "common/twin.rs"]
mod twin;

use std::fmt::Write;
use std::time::Duration;

use till_driver_nfc::emv::terminal::{Sale, Values};
use till_driver_nfc::emv::tlv;
use till_driver_nfc::plugin::Nfc;
use till_driver_nfc::settings::Config;
use till_plugin::driver::{DeviceState, DriverEvent, HealthLevel};
use till_plugin::host::TransportKind;
use till_plugin::instrument::Cvm;
use till_plugin::manifest::Manifest;
use till_plugin::testing::TestHost;
use till_plugin::{Driver, ErrorCode, Instrument, Settings};
use till_simulators::nfc::{Card, Fault, Hand, scheme_key};
use twin::{Twin, card, families, reasons, sale};

const DEFAULT: &str = "{}";

#[test]
fn a_tap_becomes_a_card_with_all_that_an_online_request_needs() {
    let mut twin = Twin::armed(DEFAULT);
    let events = twin.tap(Hand::with(Card::unionpay()));
    assert_eq!(reasons(&events), ["read"]);
    let card = card(&events[0]);
    assert!(*card.pan.expose() == "6200000000000005");
    assert!(*card.track2.as_ref().unwrap().expose() == "6200000000000005=30122010000000000");
    assert_eq!((card.masked.as_str(), card.label.as_str()), ("620000******0005", "UnionPay Debit"));
    assert_eq!((card.contactless, card.pan_sequence, card.cvm), (true, Some(1), Cvm::None));
    let tlv = card.tlv.expose();
    let tags: Vec<String> = tlv::objects(tlv).map(|o| o.unwrap().tag.to_string()).collect();
    let order = "9F26 9F27 9F10 9F37 9F36 95 9A 9C 9F02 5F2A 82 9F1A 9F03 9F33 9F34 9F35 9F1E 84 9F09 9F41";
    assert_eq!(tags.join(" "), order, "field 55 in the order of the networks, no track, no number");
    assert_eq!(
        tlv::first(tlv, 0x9F02),
        Some([0, 0, 0, 0, 0x01, 0x28].as_slice()),
        "the amount that was asked for"
    );
    assert_eq!(tlv::first(tlv, 0x5F2A), Some([0x01, 0x56].as_slice()));
    assert_eq!(tlv::first(tlv, 0x9A), Some([0x26, 0x01, 0x02].as_slice()), "the shop's day");
    assert!(!twin.driver.describe().certified);
}

#[test]
fn each_scheme_is_read_whatever_way_it_gives_its_cryptogram() {
    for (hand, pan, scheme) in [
        (Card::visa(), "4111111111111111", "VISA DEBIT"),
        (Card::mastercard(), "5555555555554444", "Mastercard"),
        (Card::phone(), "6200000000000005", "UnionPay Credit"),
    ] {
        let mut twin = Twin::armed(DEFAULT);
        let events = twin.tap(Hand::with(hand));
        assert_eq!(reasons(&events), ["read"], "{scheme}");
        let card = card(&events[0]);
        assert!(*card.pan.expose() == pan && card.label == scheme);
        // Visa leaves 9F27 out; the channel needs to know all the same that an online answer is asked for.
        assert_eq!(tlv::first(card.tlv.expose(), 0x9F27), Some([0x80].as_slice()), "{scheme}");
    }
}

#[test]
fn c14_two_taps_never_give_the_same_random_number_nor_counter() {
    let mut twin = Twin::armed(DEFAULT);
    let value =
        |events: &[DriverEvent], tag| tlv::first(card(&events[0]).tlv.expose(), tag).unwrap().to_vec();
    let one = twin.tap(Hand::with(Card::unionpay()));
    let two = twin.tap(Hand::with(Card::unionpay()));
    assert_ne!(value(&one, 0x9F37), value(&two, 0x9F37));
    assert_eq!((value(&one, 0x9F41), value(&two, 0x9F41)), (vec![0, 0, 0, 1], vec![0, 0, 0, 2]));
    // And not after a restart either: numbers are reserved before they are used.
    let again = Nfc::open(twin.host.host(), Settings::from_json(DEFAULT));
    assert!(again.is_ok());
    assert!(twin.host.stored()["sequence"] > 256u32.to_le_bytes().to_vec());
}

#[test]
fn card_removed_at_every_step_is_told_and_the_next_try_is_clean() {
    // Directory, select, options, two records; Mastercard: four records and the cryptogram.
    for (make, steps) in [(Card::unionpay as fn() -> Card, 6), (Card::mastercard, 8)] {
        for apdu in 0..steps {
            let mut twin = Twin::armed(DEFAULT);
            let events = twin.tap(Hand::with(make()).fault(Fault::RemovedAt { apdu }));
            assert_eq!(reasons(&events), ["card-removed"], "command {apdu}");
            let DriverEvent::ReadFailed(failure) = &events[0] else { panic!() };
            assert!(failure.text.contains("hold the card until the beep"), "{}", failure.text);
            assert_eq!(reasons(&twin.tap(Hand::with(make()))), ["read"], "after command {apdu}");
        }
    }
}

#[test]
fn two_cards_are_refused_and_none_is_charged() {
    let mut twin = Twin::armed(DEFAULT);
    let events = twin.tap(Hand::with(Card::unionpay()).and(Card::visa()));
    assert_eq!(reasons(&events), ["collision"]);
    assert_eq!(twin.seen().apdus, 0, "neither card was spoken to");
    assert_eq!(reasons(&twin.tap(Hand::with(Card::unionpay()))), ["read"]);
}

#[test]
fn mifare_only_card() {
    let mut twin = Twin::armed(DEFAULT);
    assert_eq!(reasons(&twin.tap(Hand::with(Card::mifare()))), ["unsupported-card"]);
}

#[test]
fn a_card_of_the_shop_is_its_serial_number_only_where_the_settings_say_so() {
    let settings = r#"{"uid-cards": "stored-value"}"#;
    for hand in [Card::mifare(), Card::plain()] {
        let mut twin = Twin::armed(settings);
        let events = twin.tap(Hand::with(hand.clone()));
        let DriverEvent::Read(Instrument::StoredValue(card)) = &events[0] else { panic!("{events:?}") };
        assert!(card.identifier.expose() == hand.serial() && !card.authenticated);
        assert_eq!(card.extra["evidence"], "uid-only");
        assert!(!card.masked.contains(&::hex::encode_upper(hand.serial())));
        let mut twin = Twin::new(settings);
        twin.driver
            .enable(till_plugin::driver::EnableRequest {
                families: families(&["card-contactless"]),
                ..sale(128)
            })
            .unwrap();
        assert_eq!(reasons(&twin.tap(Hand::with(hand))), ["unsupported-card"], "prepaid is not taken now");
    }
    // A phone makes its number up: it is nobody's account.
    let mut twin = Twin::armed(settings);
    let random = Card::mifare().uid(&[0x08, 1, 2, 3]);
    assert_eq!(reasons(&twin.tap(Hand::with(random))), ["unsupported-card"]);
}

#[test]
fn phone_with_random_uid_pays_and_its_owner_counts_as_verified() {
    let mut twin = Twin::new(DEFAULT);
    twin.driver.enable(sale(500_000)).unwrap();
    let events = twin.tap(Hand::with(Card::phone()));
    assert_eq!(card(&events[0]).cvm, Cvm::OnDevice, "above the limit, and no PIN is owed");
}

#[test]
fn small_amounts_need_nothing_and_large_ones_what_the_card_asks() {
    for (hand, minor, cvm, qualified) in [
        (Card::unionpay(), 100_000, Cvm::None, 0x00),
        (Card::unionpay(), 100_001, Cvm::Signature, 0x40),
        (Card::unionpay().asks_pin(), 1000, Cvm::OnlinePin, 0x00),
        (Card::visa().asks_pin(), 1000, Cvm::None, 0x00),
        (Card::visa().asks_pin(), 100_001, Cvm::OnlinePin, 0x40),
    ] {
        let mut twin = Twin::new(DEFAULT);
        twin.driver.enable(sale(minor)).unwrap();
        let events = twin.tap(Hand::with(hand));
        let card = card(&events[0]);
        assert_eq!(card.cvm, cvm, "{minor}");
        let results = tlv::first(card.tlv.expose(), 0x9F34).unwrap();
        assert_eq!(
            results[0],
            match cvm {
                Cvm::OnlinePin => 0x02,
                Cvm::Signature => 0x1E,
                _ => 0x1F,
            }
        );
        let config = Config::new(&Settings::from_json(DEFAULT)).unwrap();
        let (date, time) = ([26, 1, 1], [0; 3]);
        let told = Sale { amount: sale(minor).amount, date, time, unpredictable: [0; 4], sequence: 1 };
        let values = Values::new(&config.terminal, &told, None);
        assert_eq!(values.get(0x9F66).unwrap()[1] & 0x40, qualified, "{minor}: what the card is told");
    }
}

#[test]
fn above_the_tap_limit_nothing_is_sent_to_the_card() {
    let mut twin = Twin::new(r#"{"most-amount": 100}"#);
    twin.driver.enable(sale(101)).unwrap();
    assert_eq!(reasons(&twin.tap(Hand::with(Card::unionpay()))), ["over-limit"]);
    assert_eq!(twin.seen().apdus, 0);
}

#[test]
fn a_card_left_on_the_reader_does_not_pay_the_next_sale() {
    let mut twin = Twin::armed(DEFAULT);
    twin.present(Hand::with(Card::unionpay()));
    assert_eq!(reasons(&twin.within(1000)), ["read"]);
    let made = twin.seen().cryptograms;
    twin.driver.disable().unwrap();
    twin.within(500);
    twin.driver.enable(sale(99_000)).unwrap();
    let events = twin.within(8000);
    assert_eq!(reasons(&events), ["card-left"], "and the cashier is told");
    assert_eq!(twin.seen().cryptograms, made);
    twin.remove();
    twin.within(500);
    assert_eq!(reasons(&twin.tap(Hand::with(Card::unionpay()))), ["read"]);
}

#[test]
fn a_quick_next_customer_is_not_made_to_wait_for_the_one_before() {
    let mut twin = Twin::armed(DEFAULT);
    twin.present(Hand::with(Card::unionpay()));
    assert_eq!(reasons(&twin.within(500)), ["read"]);
    // Nothing was seen to leave: another card lies there at the next look.
    twin.present(Hand::with(Card::visa()));
    assert!(*card(&twin.within(500)[0]).pan.expose() == "4111111111111111");
    // A phone could be the same one with another made-up number.
    twin.present(Hand::with(Card::phone()));
    assert_eq!(reasons(&twin.within(500)), [""; 0]);
}

#[test]
fn nothing_is_read_before_enable_nor_after_disable_and_the_field_is_off() {
    let mut twin = Twin::new(DEFAULT);
    twin.present(Hand::with(Card::unionpay()));
    assert_eq!(twin.within(1000), []);
    assert!(!twin.seen().field && twin.seen().apdus == 0);
    twin.remove();
    twin.driver.enable(sale(128)).unwrap();
    twin.within(200);
    assert!(twin.seen().field);
    twin.driver.disable().unwrap();
    twin.within(500);
    assert!(!twin.seen().field, "the field is off when nobody pays");
    twin.present(Hand::with(Card::unionpay()));
    assert_eq!(twin.within(1000), []);
    assert_eq!(twin.seen().apdus, 0);
}

#[test]
fn disable_in_the_middle_of_a_tap_gives_nothing_and_enable_then_wants_the_card_anew() {
    let mut twin = Twin::armed(DEFAULT);
    twin.present(Hand::with(Card::unionpay()).fault(Fault::Mute { apdu: 2 }));
    twin.within(100);
    twin.driver.disable().unwrap();
    assert_eq!(twin.within(3000), []);
    twin.driver.enable(sale(1)).unwrap();
    assert_eq!(twin.seen().aborts, 1, "the chip was told to give up");
    twin.remove();
    twin.within(500);
    assert_eq!(reasons(&twin.tap(Hand::with(Card::unionpay()))), ["read"]);
}

#[test]
fn wtx_for_ever_ends_at_its_deadline() {
    let mut twin = Twin::armed(DEFAULT);
    let before = twin.host.host().now().boot_ms;
    twin.present(Hand::with(Card::unionpay()).fault(Fault::Mute { apdu: 1 }));
    let events = loop {
        let events = twin.driver.poll(Duration::from_millis(20)).unwrap();
        if !events.is_empty() {
            break events;
        }
    };
    assert_eq!(reasons(&events), ["timeout"]);
    assert!(twin.host.host().now().boot_ms - before < 2000, "one command has 1.5 s");
    twin.remove();
    twin.within(2000);
    assert_eq!(reasons(&twin.tap(Hand::with(Card::unionpay()))), ["read"]);
}

#[test]
fn reader_reset_mid_session() {
    let mut twin = Twin::armed(DEFAULT);
    let events = twin.tap(Hand::with(Card::unionpay()).fault(Fault::Reset { apdu: 2 }));
    assert_eq!(reasons(&events)[0], "reader-fault");
    let again = if events.len() > 1 { events[1..].to_vec() } else { twin.tap(Hand::with(Card::unionpay())) };
    assert_eq!(reasons(&again), ["read"]);
    // Its power fails while it looks for cards: it is woken and set up anew.
    twin.chip.lock().unwrap().power_cycle();
    twin.within(6000);
    assert_eq!(reasons(&twin.tap(Hand::with(Card::unionpay()))), ["read"]);
    assert!(twin.driver.statistics().iter().any(|(name, n)| name == "restarts" && *n > 0));
}

#[test]
fn the_line_may_stutter_without_the_customer_noticing() {
    for fault in [
        Fault::Nak { times: 1 },
        Fault::RepeatAck {},
        Fault::WrongChecksum { times: 1 },
        Fault::Garbage { hex: "55AA00FF13".into() },
        Fault::Garbage { hex: "00".repeat(300) },
        Fault::Older {},
        Fault::Parts { bytes: 40 },
        Fault::Parts { bytes: 1 },
    ] {
        let mut twin = Twin::armed(DEFAULT);
        twin.present(Hand::with(Card::unionpay()).fault(fault.clone()));
        let events = twin.within(4000);
        assert_eq!(reasons(&events), ["read"], "{fault:?}");
    }
}

#[test]
fn no_ack_at_open_is_a_plain_error_within_its_time() {
    let host = TestHost::new().with_transport(TransportKind::Serial);
    let before = host.host().now().boot_ms;
    let error = Nfc::open(host.host(), Settings::from_json(DEFAULT)).err().unwrap();
    assert!(error.message.contains("cable"), "{}", error.message);
    assert!(host.host().now().boot_ms - before <= 16_000);
    let none = TestHost::new();
    assert_eq!(Nfc::open(none.host(), Settings::from_json(DEFAULT)).err().unwrap().code, ErrorCode::Settings);
}

#[test]
fn something_else_at_the_other_end_is_told_by_name() {
    let host = TestHost::new().with_transport(TransportKind::Serial);
    host.respond(|_| ::hex::decode("0000FF00FF000000FF06FAD50307010607130000").unwrap());
    let error = Nfc::open(host.host(), Settings::from_json(DEFAULT)).err().unwrap();
    assert!(error.message.contains("07h") || error.message.contains("cable"), "{}", error.message);
    // A scanner or printer that talks by itself.
    let host = TestHost::new().with_transport(TransportKind::Serial);
    host.respond(|_| b"6901234567892\r\n".to_vec());
    assert!(Nfc::open(host.host(), Settings::from_json(DEFAULT)).is_err());
}

#[test]
fn reader_unplugged_between_ack_and_reply() {
    let mut twin = Twin::armed(DEFAULT);
    twin.present(Hand::with(Card::unionpay()).fault(Fault::Unplug { apdu: 2 }));
    let mut error = None;
    for _ in 0..400 {
        if twin.seen().faults > 0 {
            twin.host.unplug();
        }
        if let Err(e) = twin.driver.poll(Duration::from_millis(5)) {
            error = Some(e);
            break;
        }
    }
    assert_eq!(error.unwrap().code, ErrorCode::TransportGone);
    assert_eq!(reasons(&twin.host.driver_events()), ["device-gone"]);
}

#[test]
fn card_decisions_that_cannot_go_online_are_refused() {
    for (hand, reason) in [
        (Card::unionpay().decides(false), "declined-by-card"),
        (Card::visa().decides(true), "offline-approval"),
        (Card::foreign(), "not-accepted"),
        (Card::plain(), "unsupported-card"),
    ] {
        let mut twin = Twin::armed(DEFAULT);
        assert_eq!(reasons(&twin.tap(Hand::with(hand))), [reason]);
    }
}

#[test]
fn without_a_directory_only_where_the_settings_say_so() {
    let mut twin = Twin::armed(DEFAULT);
    assert_eq!(reasons(&twin.tap(Hand::with(Card::unionpay().without_directory()))), ["unsupported-card"]);
    let mut twin = Twin::armed(r#"{"without-directory": "try-list"}"#);
    assert_eq!(reasons(&twin.tap(Hand::with(Card::visa().without_directory()))), ["read"]);
}

#[test]
fn status_words_lead_to_the_next_application_or_to_a_reason() {
    for (apdu, sw, reason) in [
        (0, 0x6A81, "card-blocked"),
        (1, 0x6283, "application-blocked"),
        (2, 0x6985, "use-other-interface"),
        (2, 0x6986, "see-phone"),
        (2, 0x6A81, "bad-card-data"),
        (3, 0x6A83, "bad-card-data"),
    ] {
        let mut twin = Twin::armed(DEFAULT);
        let events = twin.tap(Hand::with(Card::unionpay()).fault(Fault::Status { apdu, sw }));
        assert_eq!(reasons(&events), [reason], "{apdu} {sw:04X}");
    }
    // The second application of the card pays where the first will not.
    for fault in [Fault::Status { apdu: 1, sw: 0x6283 }, Fault::Status { apdu: 2, sw: 0x6985 }] {
        let mut twin = Twin::armed(DEFAULT);
        let events = twin.tap(Hand::with(Card::unionpay().and(Card::visa())).fault(fault));
        assert!(*card(&events[0]).pan.expose() == "4111111111111111");
    }
}

#[test]
fn a_genuine_card_is_told_from_a_forged_one() {
    let key = scheme_key("A000000333");
    let settings = format!(r#"{{"oda": "require", "scheme-keys": ["{key}"]}}"#);
    let mut twin = Twin::armed(&settings);
    assert_eq!(reasons(&twin.tap(Hand::with(Card::unionpay()))), ["read"]);
    let count =
        |twin: &mut Twin, what: &str| twin.driver.statistics().iter().find(|s| s.0 == what).unwrap().1;
    assert_eq!(count(&mut twin, "proved"), 1);
    // Another scheme's key under the same number: the certificate does not fit it.
    let mut forged = key.clone().into_bytes();
    let last = forged.len() - 3;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let settings =
        format!(r#"{{"oda": "require", "scheme-keys": ["{}"]}}"#, String::from_utf8(forged).unwrap());
    let mut twin = Twin::armed(&settings);
    assert_eq!(reasons(&twin.tap(Hand::with(Card::unionpay()))), ["not-genuine"]);
    let mut twin = Twin::armed(&settings.replace("require", "count"));
    assert_eq!(reasons(&twin.tap(Hand::with(Card::unionpay()))), ["read"], "counted only: the bank decides");
    assert_eq!(count(&mut twin, "not-proved"), 1);
}

#[test]
fn health_at_three_levels() {
    let mut twin = Twin::new(DEFAULT);
    let before = twin.seen().commands;
    assert_eq!(twin.driver.health(HealthLevel::Internal).unwrap().state, DeviceState::Ready);
    assert_eq!(twin.seen().commands, before, "without moving anything");
    assert_eq!(twin.driver.health(HealthLevel::External).unwrap().state, DeviceState::Ready);
    assert!(twin.seen().commands > before);
    assert!(twin.driver.health(HealthLevel::Interactive).unwrap().text.contains("tap a card"));
    twin.host.respond(|_| Vec::new());
    let health = twin.driver.health(HealthLevel::External).unwrap();
    assert_eq!(health.state, DeviceState::Failed);
    assert!(health.text.contains("cable"), "{}", health.text);
}

#[test]
fn the_manifest_names_every_setting_and_the_defaults_are_the_codes() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/manifest.toml")).unwrap();
    let manifest = Manifest::parse(&text).unwrap();
    let defaults: serde_json::Map<String, serde_json::Value> = manifest
        .settings
        .iter()
        .filter_map(|(name, s)| Some((name.clone(), serde_json::to_value(s.default.as_ref()?).unwrap())))
        .collect();
    assert!(defaults.len() >= 15);
    let settings = |json: String| Config::new(&Settings::from_json(json));
    let plain = settings("{}".into()).unwrap();
    assert!(settings(serde_json::Value::Object(defaults).to_string()).unwrap() == plain);
    for wrong in [
        r#"{"aids": ["A0"]}"#,
        r#"{"qualifiers": "26"}"#,
        r#"{"serial": "x"}"#,
        r#"{"oda": "require"}"#,
        r#"{"scheme-keys": ["A000000333:01:03"]}"#,
        r#"{"tap-ms": 1}"#,
        r#"{"goldfish": 1}"#,
    ] {
        assert_eq!(settings(wrong.into()).err().unwrap().code, ErrorCode::Settings, "{wrong}");
    }
}

#[test]
fn no_text_for_people_ever_holds_a_number() {
    let mut twin = Twin::armed(r#"{"uid-cards": "stored-value"}"#);
    let mut shown = String::new();
    for hand in
        [Card::unionpay(), Card::visa(), Card::mastercard(), Card::mifare(), Card::unionpay().decides(false)]
    {
        for fault in [None, Some(Fault::RemovedAt { apdu: 3 })] {
            let mut held = Hand::with(hand.clone());
            held.faults.extend(fault);
            write!(shown, "{:?}", twin.tap(held)).unwrap();
        }
    }
    write!(shown, "{:?} {:?}", twin.host.log_lines(), twin.driver.statistics()).unwrap();
    for secret in ["6200000000000005", "4111111111111111", "5555555555554444", "=3012"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
