//! The wedge recordings of ../shared/vectors/devices-evdev_wedge.json.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

use std::time::Duration;

use serde_json::Value;
use till_wedge::{CapsLock, Decoder, InputEvent, Symbol};

fn cases() -> Option<Vec<Value>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/devices-evdev_wedge.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared vectors");
        return None;
    };
    let whole: Value = serde_json::from_str(&text).unwrap();
    Some(whole["cases"].as_array().unwrap().clone())
}

#[test]
fn every_recording_types_the_text_it_states() {
    let Some(cases) = cases() else { return };
    assert!(!cases.is_empty());
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let mut decoder = Decoder::new(CapsLock::Ignore);
        let (mut text, mut end, mut damaged) = (String::new(), "TIMEOUT", false);
        for event in case["events_type_code_value"].as_array().unwrap() {
            let field = |i: usize| event[i].as_i64().unwrap();
            let event = InputEvent::from_raw(
                Duration::ZERO,
                u16::try_from(field(0)).unwrap(),
                u16::try_from(field(1)).unwrap(),
                i32::try_from(field(2)).unwrap(),
            );
            match decoder.feed(&event) {
                Some(Symbol::Byte(byte)) => text.push(char::from(byte)),
                Some(Symbol::Enter) => end = "ENTER",
                Some(Symbol::KeypadEnter) => end = "KPENTER",
                Some(Symbol::Tab) => end = "TAB",
                Some(Symbol::Undecodable | Symbol::Dropped) => damaged = true,
                None => {}
            }
        }
        let expect = &case["expect"];
        match expect["text"].as_str() {
            Some(wanted) => {
                assert!(!damaged, "{id}: reported damage");
                assert_eq!(text, wanted, "{id}");
            }
            None => assert!(damaged, "{id}: expected damage"),
        }
        if let Some(wanted) = expect["terminator"].as_str() {
            assert_eq!(end, wanted, "{id}");
        }
    }
}
