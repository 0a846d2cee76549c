//! A figure: debits a second of the ledger alone, on a log in memory.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Instant;

use common::*;
use till_channel_prepaid::ledger::*;

#[test]
#[ignore = "a measurement: cargo test --release -p till-channel-prepaid --test figure -- --ignored --nocapture"]
fn debits_a_second() {
    const DEBITS: u32 = 200_000;
    let log = MemoryLog::new();
    let mut ledger = open(log.clone());
    for n in 1..=100 {
        ledger.submit(&issue(&format!("I{n}"), n, true, 500_000), NOW).unwrap();
    }
    let start = Instant::now();
    for n in 0..DEBITS {
        let card = u8::try_from(n % 100).unwrap() + 1;
        ledger.submit(&debit(&format!("T0012026010{n:08}"), card, 1), NOW).unwrap();
    }
    let took = start.elapsed();
    println!("{DEBITS} debits: {} a second", u128::from(DEBITS) * 1_000_000 / took.as_micros());
    let start = Instant::now();
    drop(open(log.clone()));
    let took = start.elapsed();
    println!("opening {} entries: {} ms", log.len(), took.as_millis());
    let mut bytes = 0;
    log.tamper(|entries| bytes = entries.iter().map(Vec::len).sum::<usize>() / entries.len());
    println!("an entry has {bytes} bytes");
}
