//! What a USB reader that finds cards by itself answers, each message behind its length: one look for a card, then commands to it. Each command has
//! one event, whatever comes, and silence ends it.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::time::Duration;

use till_driver_nfc::chip::{self, Kind};
use till_driver_nfc::link::ccid::Dialogue;
use till_driver_nfc::link::slot::Slot;
use till_driver_nfc::link::{Event, Link};

/// Where a message has its sequence number (USB CCID rev. 1.1, 6).
const SEQUENCE: usize = 6;

fn next(n: usize) -> Vec<u8> {
    match n % 4 {
        0 => chip::list(Kind::A).to_vec(),
        1 => chip::list(Kind::B).to_vec(),
        2 => chip::exchange(1, &[0, 0xB2, 1, 0x0C, 0]).map(|c| c.to_vec()).unwrap_or_default(),
        _ => chip::RELEASE.to_vec(),
    }
}

fn look(event: Event, n: usize) {
    if let Event::Reply(reply) = event {
        match n % 4 {
            0 => drop(chip::targets(&reply, Kind::A).expect("a reply that the engine can read")),
            1 => drop(chip::targets(&reply, Kind::B).expect("a reply that the engine can read")),
            2 => drop(chip::exchanged(&reply).expect("a reply that the engine can read")),
            _ => {}
        }
    }
}

pub(crate) fn run(data: &[u8]) {
    let mut link = Slot::new(Dialogue::default());
    let (mut rest, mut asked, mut now, mut n) = (data, 0, Duration::ZERO, 0);
    assert!(link.send(&next(n), Duration::from_secs(1), true, now).is_ok());
    while let Some((&length, tail)) = rest.split_first() {
        while let Some(message) = link.output() {
            asked = message.get(SEQUENCE).copied().expect("a message has a header");
        }
        let (message, tail) = tail.split_at(usize::from(length & 0x7F).min(tail.len()));
        rest = tail;
        let mut message = message.to_vec();
        // Most answer what was asked: a fuzzer does not guess the number each time.
        if let Some(sequence) = message.get_mut(SEQUENCE).filter(|_| length & 0x80 == 0) {
            *sequence = asked;
        }
        link.push(&message, now);
        now += Duration::from_millis(30);
        link.tick(now);
        while let Some(event) = link.event() {
            look(event, n);
            assert!(link.event().is_none(), "one event a command");
            n += 1;
            assert!(link.send(&next(n), Duration::from_secs(1), true, now).is_ok());
        }
    }
    let mut seen = 0;
    for _ in 0..256 {
        now += Duration::from_secs(2);
        link.tick(now);
        while let Some(event) = link.event() {
            look(event, n);
            seen += 1;
        }
    }
    assert!(seen == 1 && link.deadline().is_none(), "{seen} events");
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
