//! Golden bytes of protocol 1: every message, as released plugins speak it.
//!
//! A difference here means that plugins in the field no longer understand this build. Never change a stored line: give
//! the changed message a new method, event or service number (`…_2`), serve both, and add new lines.

#![allow(clippy::unwrap_used)]

#[path = "golden/channel.rs"]
mod channel;
#[path = "golden/driver.rs"]
mod driver;
#[path = "golden/frames.rs"]
mod frames;

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use till_plugin::proto::{decode, encode};

const STORED: &str = include_str!("golden/protocol1.txt");

/// The stored lines, and what this build makes of the same messages.
pub(crate) struct Golden {
    stored: BTreeMap<&'static str, &'static str>,
    seen: Vec<String>,
    wrong: Vec<String>,
    missing: Vec<String>,
}

impl Golden {
    /// One message under its name.
    pub(crate) fn is<T: Serialize + DeserializeOwned + PartialEq + Debug>(
        &mut self,
        name: &str,
        message: &T,
    ) {
        assert!(!self.seen.iter().any(|s| s == name), "{name} is there twice");
        self.seen.push(name.to_owned());
        let bytes = encode(message).unwrap();
        let Some(stored) = self.stored.get(name) else {
            self.missing.push(format!("{name} {}", hex::encode(bytes)));
            return;
        };
        let old = hex::decode(stored).unwrap();
        if bytes != old {
            self.wrong.push(format!("{name}\n  stored  {stored}\n  encodes {}", hex::encode(bytes)));
        }
        match decode::<T>(&old) {
            Ok(decoded) if decoded == *message => {}
            other => self.wrong.push(format!("{name}: the stored bytes decode to {other:?}")),
        }
    }
}

fn all() -> Golden {
    let stored = STORED
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
        .map(|l| l.split_once(' ').unwrap_or((l, "")))
        .collect();
    let mut golden = Golden { stored, seen: Vec::new(), wrong: Vec::new(), missing: Vec::new() };
    frames::messages(&mut golden);
    driver::messages(&mut golden);
    channel::messages(&mut golden);
    golden
}

#[test]
fn every_message_of_protocol_1_is_as_it_was_released() {
    let golden = all();
    assert!(
        golden.wrong.is_empty(),
        "{} message(s) of protocol 1 changed:\n{}\n\nA released message never changes. Put the field back, or give the \
         changed message a new number (METHOD_2 beside METHOD_1 in till_plugin::proto) and serve both.",
        golden.wrong.len(),
        golden.wrong.join("\n")
    );
    assert!(
        golden.missing.is_empty(),
        "new messages; add these lines to tests/golden/protocol1.txt:\n{}",
        golden.missing.join("\n")
    );
    let gone: Vec<_> = golden.stored.keys().filter(|k| !golden.seen.iter().any(|s| s == *k)).collect();
    assert!(gone.is_empty(), "released messages that no case makes any more: {gone:?}");
}

/// The numbers in a source file: `pub const NAME: u32 = `.
fn numbers(source: &str, module: &str) -> Vec<String> {
    let from = source.find(module).map_or(0, |at| at + module.len());
    let body = &source[from..];
    let body = body.split("\npub mod ").next().unwrap_or(body);
    body.lines()
        .filter_map(|l| {
            l.trim().strip_prefix("pub const ")?.split_once(": u32 = ").map(|(name, _)| name.to_owned())
        })
        .filter(|name| name.as_bytes().last().is_some_and(u8::is_ascii_digit))
        .collect()
}

#[test]
fn no_number_is_without_golden_bytes() {
    let golden = all();
    let proto = include_str!("../src/proto/mod.rs");
    let service = include_str!("../src/proto/service.rs");
    let has =
        |name: &str| assert!(golden.seen.iter().any(|s| s == name), "no golden bytes for {name}: add a case");
    let methods = numbers(proto, "pub mod method {");
    assert!(methods.len() >= 34, "{methods:?}");
    for name in methods {
        has(&format!("method/{name}/request"));
        has(&format!("method/{name}/reply"));
    }
    for name in numbers(service, "") {
        has(&format!("service/{name}/request"));
        has(&format!("service/{name}/reply"));
    }
    has("event/DRIVER_1/read-code");
    has("event/CHANNEL_1/notice");
}
