//! Readers that encrypt: what is passed on, what is refused, and that nothing is ever opened.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;
mod readers;

use std::time::Duration;

use common::{armed, bench, events, open, reasons, sale};
use proptest::prelude::*;
use readers::{Encrypted, framed, settings, vector};
use till_driver_magstripe::encrypted::{KsnGuard, SealFault};
use till_driver_magstripe::idtech::{self, FrameFault, Frames, MAX_FRAME};
use till_driver_magstripe::magtek::{self, Report};
use till_driver_magstripe::plugin::Magstripe;
use till_plugin::driver::{DeviceState, DriverEvent, HealthLevel};
use till_plugin::host::TransportKind;
use till_plugin::instrument::EncryptedSwipe;
use till_plugin::testing::TestHost;
use till_plugin::{Driver, Instrument};

const LATER: Duration = Duration::from_millis(400);

fn swipe(event: &DriverEvent) -> &EncryptedSwipe {
    match event {
        DriverEvent::Read(Instrument::Encrypted(swipe)) => swipe,
        other => panic!("not an encrypted swipe: {other:?}"),
    }
}

fn magtek_reader(host: &TestHost) -> Magstripe {
    armed(host, &settings("magtek", ""))
}

/// What comes of one report, after a pause.
fn one(host: &TestHost, driver: &mut Magstripe, report: &[u8]) -> Vec<DriverEvent> {
    host.pause(LATER);
    host.arrive(report);
    events(driver)
}

#[test]
fn a_magtek_swipe_is_passed_on_as_ciphertext_with_its_key_number() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = magtek_reader(&host);
    let card = Encrypted::new(8);
    let all = one(&host, &mut driver, &card.magtek());
    let swipe = swipe(&all[0]);
    assert_eq!(swipe.scheme, EncryptedSwipe::TDES_PIN);
    assert_eq!(swipe.ksn, card.ksn);
    assert_eq!(swipe.tracks, [(1, vec![0xC0; 48]), (2, vec![0xC1; 40])]);
    // MagTek masks with zeros: only what is known to be clear is shown.
    assert_eq!(swipe.masked, "6200********0005");
    assert_eq!(swipe.expiry.as_deref(), Some("3012"));
    assert_eq!(swipe.service_code, None, "000 is the mask");
}

#[test]
fn an_id_tech_frame_is_passed_on_from_a_line_and_from_reports_of_any_size() {
    let card = Encrypted {
        one: "%*6200********0005^TEST/CARD^************************?*",
        two: ";6200********0005=30122010000000000?*",
        ..Encrypted::new(9)
    };
    for (kind, size) in [
        (TransportKind::Serial, 1),
        (TransportKind::Serial, 7),
        (TransportKind::Hidraw, 8),
        (TransportKind::Hidraw, 64),
        (TransportKind::Hidraw, 1000),
    ] {
        let host = bench(kind);
        let mut driver: Magstripe = armed(&host, r#"{"input": "idtech"}"#);
        for part in card.idtech().chunks(size) {
            let mut report = part.to_vec();
            if kind == TransportKind::Hidraw {
                report.resize(size, 0);
            }
            host.arrive(&report);
        }
        let all = events(&mut driver);
        assert_eq!(reasons(&all), ["read"], "{kind:?} {size}");
        let swipe = swipe(&all[0]);
        assert_eq!((swipe.scheme.as_str(), swipe.tracks.len()), (EncryptedSwipe::TDES_DATA, 2));
        assert_eq!(swipe.masked, "6200********0005");
        // The reader shows the service code: the daemon asks for the chip by it.
        assert_eq!(swipe.service_code.as_deref(), Some("201"));
        assert_eq!(swipe.expiry.as_deref(), Some("3012"));
    }
}

#[test]
fn the_key_variant_is_as_the_reader_was_ordered() {
    for (variant, scheme) in [("pin", EncryptedSwipe::TDES_PIN), ("data", EncryptedSwipe::TDES_DATA)] {
        for (kind, input) in [(TransportKind::Hidraw, "magtek"), (TransportKind::Serial, "idtech")] {
            let host = bench(kind);
            let mut driver: Magstripe =
                armed(&host, &settings(input, &format!(r#", "key-variant": "{variant}""#)));
            let card = Encrypted::new(1);
            host.arrive(&if input == "magtek" { card.magtek() } else { card.idtech() });
            assert_eq!(swipe(&events(&mut driver)[0]).scheme, scheme);
        }
    }
}

#[test]
fn an_encrypted_report_with_exhausted_dukpt_status_is_a_fault_of_the_device_and_no_card() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = magtek_reader(&host);
    let report = Encrypted { status: 7, ..Encrypted::new(3) }.magtek();
    let all = one(&host, &mut driver, &report);
    assert!(
        matches!(&all[0], DriverEvent::State { state: DeviceState::Blocked, text } if text.contains("keys")),
        "{all:?}"
    );
    assert_eq!(reasons(&all[1..]), ["keys-exhausted"]);
    assert_eq!(driver.health(HealthLevel::Internal).unwrap().state, DeviceState::Blocked);
    // Again is the same fault, told to the operator and not as a new state; loaded keys end it.
    assert_eq!(reasons(&one(&host, &mut driver, &report)), ["keys-exhausted"]);
    let all = one(&host, &mut driver, &Encrypted::new(4).magtek());
    assert!(matches!(all[0], DriverEvent::State { state: DeviceState::Ready, .. }));
    assert_eq!(swipe(&all[1]).ksn[9], 4);
    assert_eq!(driver.health(HealthLevel::Internal).unwrap().state, DeviceState::Ready);
}

#[test]
fn masked_only_tracks_are_refused() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = magtek_reader(&host);
    let card = Encrypted { cipher: [0, 0, 0], ..Encrypted::new(1) };
    assert_eq!(reasons(&one(&host, &mut driver, &card.magtek())), ["masked-only"]);
    let card = Encrypted { cipher: [48, 0, 0], ..Encrypted::new(2) };
    assert_eq!(reasons(&one(&host, &mut driver, &card.magtek())), ["masked-only"]);

    // The same from ID TECH: stars and no ciphertext.
    let host = bench(TransportKind::Serial);
    let mut driver: Magstripe = armed(&host, r#"{"input": "idtech"}"#);
    let two = b";6200********0005=****************?";
    let head = [0x80, 0x3F, 0, u8::try_from(two.len()).unwrap(), 0, 2, 0];
    host.arrive(&framed(&[&head[..], two].concat()));
    assert_eq!(reasons(&events(&mut driver)), ["masked-only"]);
}

#[test]
fn a_ksn_that_repeats_or_goes_backwards_is_refused_also_after_a_restart() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = magtek_reader(&host);
    let report = |counter| Encrypted::new(counter).magtek();
    assert_eq!(reasons(&one(&host, &mut driver, &report(0x10))), ["read"]);
    assert_eq!(reasons(&one(&host, &mut driver, &report(0x10))), ["key-repeated"]);
    assert_eq!(reasons(&one(&host, &mut driver, &report(0x0F))), ["key-went-back"]);
    assert_eq!(reasons(&one(&host, &mut driver, &report(0x11))), ["read"]);
    // The device comes back, or tilld does: the recording is still one.
    let mut driver: Magstripe = open(&host, &settings("magtek", ""));
    driver.enable(sale()).unwrap();
    assert_eq!(reasons(&one(&host, &mut driver, &report(0x11))), ["key-repeated"]);
    assert_eq!(reasons(&one(&host, &mut driver, &report(0x12))), ["read"]);
    // New keys, another reader: counted from its own beginning.
    let mut other = Encrypted::new(1);
    other.ksn[2] = 0x55;
    assert_eq!(reasons(&one(&host, &mut driver, &other.magtek())), ["read"]);
}

#[test]
fn a_swipe_while_nobody_waits_uses_its_key_up() {
    let host = bench(TransportKind::Hidraw);
    let mut driver: Magstripe = open(&host, &settings("magtek", ""));
    let report = Encrypted::new(5).magtek();
    assert!(one(&host, &mut driver, &report).is_empty());
    driver.enable(sale()).unwrap();
    assert_eq!(reasons(&one(&host, &mut driver, &report)), ["key-repeated"]);
}

#[test]
fn an_encrypted_swipe_twice_within_300_ms_is_one_although_its_key_is_another() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = magtek_reader(&host);
    host.arrive(&Encrypted::new(1).magtek());
    host.pause(Duration::from_millis(200));
    host.arrive(&Encrypted::new(2).magtek());
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
    assert_eq!(reasons(&one(&host, &mut driver, &Encrypted::new(3).magtek())), ["read"]);
}

#[test]
fn track_errors_of_the_reader_and_two_cards_have_their_reasons() {
    let fresh = |card: Encrypted| {
        let host = bench(TransportKind::Hidraw);
        let mut driver = magtek_reader(&host);
        let all = one(&host, &mut driver, &card.magtek());
        reasons(&all).join(" ")
    };
    assert_eq!(fresh(Encrypted { unread: [0, 1, 0], ..Encrypted::new(1) }), "reader-error");
    assert_eq!(fresh(Encrypted { unread: [1, 1, 1], ..Encrypted::new(1) }), "reader-error");
    assert_eq!(fresh(Encrypted { unread: [1, 0, 0], ..Encrypted::new(1) }), "read");
    assert_eq!(fresh(Encrypted { two: "", cipher: [48, 0, 0], ..Encrypted::new(1) }), "no-track");
    assert_eq!(fresh(Encrypted { one: "", two: "", cipher: [0; 3], ..Encrypted::new(1) }), "no-track");
    assert_eq!(
        fresh(Encrypted { two: ";4111000000001111=30120000000000?", ..Encrypted::new(1) }),
        "two-cards"
    );
    assert_eq!(fresh(Encrypted { cipher: [48, 39, 0], ..Encrypted::new(1) }), "bad-report");
    assert_eq!(fresh(Encrypted { ksn: [0; 10], ..Encrypted::new(1) }), "no-key");
}

#[test]
fn a_report_with_a_length_beyond_its_field_or_cut_short_is_refused() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = magtek_reader(&host);
    let whole = Encrypted::new(1).magtek();
    for at in [3, 4, 5, 505, 506, 507] {
        let mut lie = whole.clone();
        lie[at] = 113;
        assert_eq!(reasons(&one(&host, &mut driver, &lie)), ["bad-report"], "{at}");
    }
    for length in [0, 1, 64, 855] {
        let cut = &whole[..length];
        if length > 0 {
            assert_eq!(reasons(&one(&host, &mut driver, cut)), ["bad-report"], "{length}");
        }
    }
    assert_eq!(reasons(&one(&host, &mut driver, &whole)), ["read"]);
}

#[test]
fn damaged_frames_are_refused_whole_and_the_next_one_counts() {
    let fault = |frame: &[u8]| {
        let host = bench(TransportKind::Serial);
        let mut driver: Magstripe = armed(&host, r#"{"input": "idtech"}"#);
        host.arrive(frame);
        let mut all = events(&mut driver);
        all.extend(one(&host, &mut driver, &Encrypted::new(7).idtech()));
        reasons(&all).join(" ")
    };
    let whole = Encrypted::new(6).idtech();
    let mut flipped = whole.clone();
    flipped[40] ^= 4;
    // Two errors that cancel in the LRC do not cancel in the sum.
    let mut twice = whole.clone();
    twice[40] ^= 4;
    twice[41] ^= 4;
    assert_eq!(fault(&flipped), "bad-report read");
    assert_eq!(fault(&twice), "bad-report read");
    assert_eq!(fault(&whole[..whole.len() - 1]), "truncated read");
    assert_eq!(fault(&whole[..2]), "truncated read");
    assert_eq!(fault(&[&[2, 0xFF, 0xFF][..], &whole].concat()), "too-long read");
    assert_eq!(fault(&[&b"%E?"[..], &whole].concat()), "bad-report read", "noise, and what follows at once");
    assert_eq!(
        fault(&framed(&[0x80, 0x3F, 0, 40, 0, 2, 0x82])),
        "bad-report read",
        "fields that are not there"
    );
    assert_eq!(fault(&framed(&[0x00, 0x3F, 0, 0, 0, 0, 0])), "bad-format read");
    assert_eq!(fault(&framed(b"")), "bad-report read");
    assert_eq!(fault(&vec![2; 100_000]), "bad-report read");
}

#[test]
fn a_frame_that_began_before_the_payment_is_not_its() {
    let host = bench(TransportKind::Serial);
    let mut driver: Magstripe = open(&host, r#"{"input": "idtech"}"#);
    let frame = Encrypted::new(6).idtech();
    host.arrive(&frame[..50]);
    driver.poll(Duration::ZERO).unwrap();
    driver.enable(sale()).unwrap();
    host.arrive(&frame[50..]);
    assert!(events(&mut driver).is_empty());
    assert_eq!(reasons(&one(&host, &mut driver, &Encrypted::new(7).idtech())), ["read"]);
}

#[test]
fn nothing_of_an_encrypted_card_but_its_masked_number_is_shown() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = magtek_reader(&host);
    // A reader set up to mask nothing.
    let card = Encrypted {
        one: "",
        two: ";6200000000000005=30121010000000000?",
        cipher: [0, 40, 0],
        ..Encrypted::new(1)
    };
    let all = one(&host, &mut driver, &card.magtek());
    let text = format!("{all:?} {:?}", host.log_lines());
    assert!(!text.contains("620000000") && text.contains("6200********0005"), "{text}");
}

#[test]
fn the_vectors_magtek_reports_give_what_they_say() {
    let report = |id| {
        let case = vector("devices-hid_reports.json", id)?;
        Some((hex::decode(case["report"].as_str().unwrap()).unwrap(), case["expect"].clone()))
    };
    let Some((bytes, expect)) = report("magtek-enc-t1") else { return };
    let Ok(Report::Sealed(sealed)) = magtek::read(&bytes, None) else { panic!("not sealed") };
    assert_eq!(hex::encode_upper(sealed.ksn), expect["ksn"].as_str().unwrap());
    assert_eq!(hex::encode_upper(sealed.tracks[0]), expect["t1_encrypted"].as_str().unwrap());
    assert_eq!(sealed.masked[0], expect["t1_masked"].as_str().unwrap().as_bytes());
    assert_eq!(sealed.swipe(true), Err(SealFault::Missing(2)));
    let swipe = sealed.swipe(false).unwrap();
    assert_eq!((swipe.masked.as_str(), swipe.expiry.as_deref()), ("5452********7189", Some("0804")));

    let (bytes, _) = report("magtek-t2-error").unwrap();
    let Ok(Report::Sealed(sealed)) = magtek::read(&bytes, None) else { panic!("not sealed") };
    assert_eq!(sealed.swipe(true), Err(SealFault::Unread(2)));
    assert!(sealed.swipe(false).is_ok());

    let (bytes, _) = report("magtek-dukpt-exhausted").unwrap();
    assert!(magtek::read(&bytes, None).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_a_card_or_a_reason_and_memory_is_bounded(bytes in proptest::collection::vec(any::<u8>(), 0..1200), chunk in 1_usize..100) {
        let mut frames = Frames::default();
        for part in bytes.chunks(chunk) {
            frames.push(part, |frame| {
                if let Ok(counted) = frame {
                    assert!(counted.len() < MAX_FRAME);
                    let _ = idtech::read(counted, None).map(|_| ());
                }
            });
        }
        let _ = frames.idle();
        let _ = idtech::read(&bytes, None).map(|_| ());
        if let Ok(Report::Sealed(sealed)) = magtek::read(&bytes, None) {
            let _ = sealed.swipe(false);
        }
    }

    #[test]
    fn one_damaged_byte_in_a_frame_never_makes_another_card(at in 0_usize..300, mask in 1_u8..=255) {
        let good = Encrypted::new(1).idtech();
        let mut frame = good.clone();
        let at = at % frame.len();
        frame[at] ^= mask;
        let mut frames = Frames::default();
        let mut read = 0;
        frames.push(&frame, |frame| read += usize::from(frame.is_ok()));
        prop_assert_eq!(read, 0);
        prop_assert!(frames.pending());
    }

    #[test]
    fn frames_arrive_however_their_reads_fall(chunk in 1_usize..80, zeros in 0_usize..70) {
        let frame = Encrypted::new(1).idtech();
        let stream = [&frame[..], &vec![0; zeros], &frame].concat();
        let mut frames = Frames::default();
        let mut read: Vec<Result<usize, FrameFault>> = Vec::new();
        for part in stream.chunks(chunk) {
            frames.push(part, |frame| read.push(frame.map(<[u8]>::len)));
        }
        prop_assert_eq!(read, vec![Ok(frame.len() - 6); 2]);
    }

    #[test]
    fn key_numbers_only_go_up(counters in proptest::collection::vec(0_u32..0x20_0000, 1..20)) {
        let mut guard = KsnGuard::default();
        let mut highest = None;
        for counter in counters {
            let taken = guard.take(&Encrypted::new(counter).ksn).is_ok();
            prop_assert_eq!(taken, highest.is_none_or(|highest| counter > highest));
            highest = highest.max(Some(counter));
            guard = KsnGuard::from_stored(Some(guard.stored().to_vec()));
        }
    }
}
