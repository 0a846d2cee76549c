//! Shared vectors, hex, and a field of view on frames.
#![allow(dead_code)] // each test file takes what it needs

use serde_json::Value;

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
