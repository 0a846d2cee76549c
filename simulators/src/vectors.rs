//! Shared test vectors beside the project.

use serde_json::Value;

/// The cases of a file, or nothing (said aloud) where the shared vectors are not there.
pub(crate) fn cases(file: &str) -> Vec<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no shared vectors");
        return Vec::new();
    };
    let mut root: Value = serde_json::from_str(&text).unwrap();
    let list = if root["vectors"].is_array() { root["vectors"].take() } else { root["cases"].take() };
    serde_json::from_value(list).unwrap()
}
