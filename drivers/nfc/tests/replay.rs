//! A recorded session played back: what a bug report or CI holds leads to the same event as the reader did.
//!
//! `tests/recordings/unionpay.txt` was made by this file from the simulated reader and a test card
//! (`TILL_RECORD=1 cargo test -p till-driver-nfc --test replay`).
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;
#[path = "common/twin.rs"]
mod twin;

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::hex;
use till_driver_nfc::plugin::Nfc;
use till_plugin::driver::DriverEvent;
use till_plugin::host::TransportKind;
use till_plugin::testing::TestHost;
use till_plugin::{Driver, Settings};
use till_simulators::nfc::{Card, Chip, Hand, Out};
use twin::{card, reasons, sale};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/unionpay.txt");

/// Runs a session over a transport that answers each write; the card comes after the reader has been opened.
fn session(host: &TestHost, opened: impl FnOnce()) -> Vec<DriverEvent> {
    let mut driver = Nfc::open(host.host(), Settings::from_json("{}")).unwrap();
    opened();
    driver.enable(sale(128)).unwrap();
    for _ in 0..50 {
        let events = driver.poll(Duration::from_millis(20)).unwrap();
        if !events.is_empty() {
            return events;
        }
    }
    Vec::new()
}

/// Writes the recording anew.
fn record() {
    let chip = Arc::new(Mutex::new(Chip::new()));
    let text = Arc::new(Mutex::new("# till-recording 1 serial\n".to_owned()));
    let host = TestHost::new().with_transport(TransportKind::Serial);
    let (theirs, lines, clock) = (Arc::clone(&chip), Arc::clone(&text), Mutex::new(0));
    host.respond(move |bytes| {
        let mut said = Vec::new();
        for out in theirs.lock().unwrap().receive(bytes) {
            if let Out::Bytes(_, more) = out {
                said.extend(more);
            }
        }
        let (mut lines, mut ms) = (lines.lock().unwrap(), clock.lock().unwrap());
        writeln!(lines, "{ms} out {}", ::hex::encode(bytes)).unwrap();
        *ms += 3;
        if !said.is_empty() {
            writeln!(lines, "{ms} in {}", ::hex::encode(&said)).unwrap();
        }
        *ms += 2;
        said
    });
    let events = session(&host, || drop(chip.lock().unwrap().present(Hand::with(Card::unionpay()))));
    assert_eq!(reasons(&events), ["read"]);
    std::fs::create_dir_all(std::path::Path::new(FILE).parent().unwrap()).unwrap();
    std::fs::write(FILE, text.lock().unwrap().as_str()).unwrap();
}

#[test]
fn a_recorded_tap_leads_to_the_same_card() {
    if std::env::var_os("TILL_RECORD").is_some() {
        record();
    }
    let text = std::fs::read_to_string(FILE).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("# till-recording 1 serial"));
    // For each write of the recording, what came back.
    let mut turns: VecDeque<(Vec<u8>, Vec<u8>)> = VecDeque::new();
    for line in lines {
        let [_, direction, bytes] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        match direction {
            "out" => turns.push_back((hex(bytes), Vec::new())),
            _ => turns.back_mut().unwrap().1.extend(hex(bytes)),
        }
    }
    assert!(turns.len() > 8);
    let host = TestHost::new().with_transport(TransportKind::Serial);
    let differing = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&differing);
    host.respond(move |bytes| match turns.pop_front() {
        Some((out, back)) => {
            *counted.lock().unwrap() += u32::from(out != bytes);
            back
        }
        None => Vec::new(),
    });
    let events = session(&host, || {});
    assert_eq!(card(&events[0]).masked, "620000******0005");
    // The random number makes one command another; everything else is as it was.
    assert_eq!(*differing.lock().unwrap(), 1);
}
