//! Against the shared vectors (`../shared/vectors` beside the workspace; channels.md §1). They stay outside the tree: where
//! the folder is absent these tests say so and pass.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod crypto;
mod iso8583;
mod policy;
mod requests;

use serde_json::Value;
use std::path::Path;
use till_channel_bankcard::link_key::LinkKey;
use till_channel_bankcard::tdes::DesKey;

/// The cases of one file, or `None` (said on the test's output) where there are no shared vectors.
fn cases(file: &str) -> Option<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no shared vectors");
        return None;
    };
    let mut whole: Value = serde_json::from_str(&text).unwrap();
    let list = if whole["vectors"].is_array() { whole["vectors"].take() } else { whole["cases"].take() };
    Some(list.as_array().unwrap().clone())
}

fn family(file: &str, name: &str) -> Vec<Value> {
    cases(file).unwrap_or_default().into_iter().filter(|case| case["family"] == name).collect()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("{} has no {key}", case["id"]))
}

fn bytes(case: &Value, key: &str) -> Vec<u8> {
    hex::decode(text(case, key)).unwrap()
}

fn des(case: &Value, name: &str) -> DesKey {
    DesKey::new(&bytes(case, name)).unwrap()
}

fn key(case: &Value, name: &str) -> LinkKey {
    des(case, name).into()
}
