//! What a shop would lose if this printer lied.

mod paper;
mod streams;

use super::{Machine, Model};

/// A printer that has received these bytes.
fn printed(model: Model, bytes: &[u8]) -> Machine {
    let mut machine = Machine::new(model);
    machine.receive(bytes);
    machine
}

fn gb(text: &str) -> Vec<u8> {
    encoding_rs::GB18030.encode(text).0.into_owned()
}

/// The cases of a file, or nothing (said aloud) where the shared vectors are not there.
fn cases(file: &str) -> Vec<serde_json::Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no shared vectors");
        return Vec::new();
    };
    let mut root: serde_json::Value = serde_json::from_str(&text).unwrap();
    let list = if root["vectors"].is_array() { root["vectors"].take() } else { root["cases"].take() };
    serde_json::from_value(list).unwrap()
}
