//! ../shared/vectors: track strings and raw track bits.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

use serde_json::Value;
use till_driver_magstripe::bits;
use till_driver_magstripe::card::{Card, CardFault, Tracks};
use till_driver_magstripe::track::{Parsed, Track, TrackFault};

fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/../../../shared/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared vectors");
        return Vec::new();
    };
    let whole: Value = serde_json::from_str(&text).unwrap();
    let cases = whole["cases"].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn check_fields(id: &str, expect: &Value, track: &Parsed) {
    let text = |key: &str| expect[key].as_str();
    if let Some(pan) = text("pan") {
        assert!(track.pan() == pan, "{id}: account number");
    }
    if let Some(name) = text("name") {
        assert_eq!(track.name(), Some(name), "{id}");
    }
    for (key, found) in [("expiry_yymm", track.expiry()), ("service_code", track.service_code())] {
        if !expect[key].is_null() {
            assert_eq!(found, text(key), "{id}: {key}");
        } else if expect.get(key).is_some() {
            assert_eq!(found, None, "{id}: {key}");
        }
    }
    if let Some(wanted) = text("discretionary") {
        assert_eq!(track.discretionary(), wanted, "{id}");
    }
    if let Some(wanted) = expect["luhn_ok"].as_bool() {
        assert_eq!(track.luhn(), wanted, "{id}: luhn");
    }
    if let Some(wanted) = expect["expiry_valid"].as_bool() {
        assert_eq!(track.expiry_valid(), wanted, "{id}: expiry_valid");
    }
}

#[test]
fn track_strings() {
    for case in cases("devices-track_strings.json") {
        let (id, raw, expect) =
            (case["id"].as_str().unwrap(), case["raw"].as_str().unwrap(), &case["expect"]);
        let tracks = Tracks::split(raw);
        if expect.is_null() || expect.get("error").is_some() {
            assert!(Card::read(raw, true).is_err(), "{id}: taken as a card");
            assert!(Card::read(raw, false).is_err(), "{id}: taken as a card");
            continue;
        }
        match expect["track"].as_u64() {
            Some(1) => check_fields(id, expect, tracks.one.as_ref().unwrap().as_ref().unwrap()),
            Some(2) => check_fields(id, expect, tracks.two.as_ref().unwrap().as_ref().unwrap()),
            Some(3) => assert!(matches!(tracks.three, Some(Ok(_))), "{id}"),
            _ => {}
        }
        if let Some(present) = expect["tracks_present"].as_array() {
            let good = [
                matches!(tracks.one, Some(Ok(_))),
                matches!(tracks.two, Some(Ok(_))),
                matches!(tracks.three, Some(Ok(_))),
            ];
            for (i, good) in good.iter().enumerate() {
                assert_eq!(
                    *good,
                    present.iter().any(|n| n.as_u64() == Some(i as u64 + 1)),
                    "{id}: track {}",
                    i + 1
                );
            }
        }
        if expect["track1"].as_str() == Some("error") {
            assert!(matches!(tracks.one, Some(Err(_))), "{id}");
        }
        if let Some(wanted) = expect["pan_consistent"].as_bool() {
            assert_eq!(tracks.pan_consistent(), wanted, "{id}");
            assert_eq!(Card::read(raw, true).err() == Some(CardFault::TwoCards), !wanted, "{id}");
        }
        if let (None, Some(pan)) = (expect["track"].as_u64(), expect["pan"].as_str()) {
            assert!(Card::read(raw, true).unwrap().pan() == pan, "{id}");
        }
        if id == "bad-half-then-full" {
            assert!(Card::read(raw, true).unwrap().pan() == "4761739001010119", "{id}");
        }
    }
}

#[test]
fn track_bits() {
    for case in cases("devices-track_bits.json") {
        let id = case["id"].as_str().unwrap();
        let bits: Vec<bool> = case["bits"].as_str().unwrap().bytes().map(|b| b == b'1').collect();
        let track = match case["track"].as_u64().unwrap() {
            1 => Track::One,
            2 => Track::Two,
            _ => Track::Three,
        };
        let found = bits::decode(&bits, track);
        if let Some(text) = case["expect_text"].as_str() {
            let found = found.unwrap_or_else(|fault| panic!("{id}: {fault}"));
            assert!(*found.text == *text, "{id}: other text");
            if let Some(lrc) = case["expect_lrc_char"].as_str() {
                assert_eq!(found.lrc.to_string(), lrc, "{id}");
            }
            continue;
        }
        let fault = found.err().unwrap_or_else(|| panic!("{id}: taken"));
        match case["expect"].as_str().unwrap_or_default() {
            "LRC error" => assert_eq!(fault, TrackFault::Lrc, "{id}"),
            text if text.starts_with("parity") => {
                let at = text.rsplit(' ').next().and_then(|n| n.parse().ok());
                assert_eq!(Some(fault), at.map(|at| TrackFault::Parity { at }), "{id}");
            }
            _ => {}
        }
    }
}
