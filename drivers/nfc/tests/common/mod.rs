//! Shared vectors, hex, and a field of view on frames.
#![allow(dead_code)] // each test file takes what it needs

use std::time::Duration;

use serde_json::Value;
use till_driver_nfc::chip;
use till_driver_nfc::link::Link;
use till_driver_nfc::link::acr122::Acr122;

pub(crate) fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/../../../shared/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared vectors");
        return Vec::new();
    };
    let whole: Value = serde_json::from_str(&text).unwrap();
    let list = if whole["vectors"].is_array() { &whole["vectors"] } else { &whole["cases"] };
    let cases = list.as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

pub(crate) fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_default()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    ::hex::decode(text.replace(' ', "")).unwrap()
}

/// A link to an ACR122U that is set up and has asked for the firmware of its chip, with sequence number 4.
pub(crate) fn asked() -> Acr122 {
    let mut link = Acr122::new(true);
    link.send(chip::FIRMWARE, Duration::from_secs(1), true, Duration::ZERO).unwrap();
    for data in ["", "41435231323255323031", "907F"] {
        let block = link.output().unwrap();
        let mut back = vec![0x80, u8::try_from(data.len() / 2).unwrap(), 0, 0, 0, 0, block[6], 0, 0, 0];
        back.extend(hex(data));
        link.push(&back, Duration::ZERO);
    }
    assert_eq!(link.output().unwrap()[..], hex("6F070000000004000000 FF00000002D402"));
    link
}
