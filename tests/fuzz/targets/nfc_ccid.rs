//! What a USB reader answers, each message behind its length: the reader's set-up and one command. One event, whatever comes, and
//! silence ends it.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::time::Duration;

use till_driver_nfc::chip;
use till_driver_nfc::link::acr122::Acr122;
use till_driver_nfc::link::{Event, Link};

/// Where a message has its sequence number (USB CCID rev. 1.1, 6).
const SEQUENCE: usize = 6;

fn events(link: &mut Acr122) -> usize {
    let mut seen = 0;
    while let Some(event) = link.event() {
        seen += 1;
        if let Event::Reply(reply) = event {
            let _ = chip::firmware(&reply);
        }
    }
    seen
}

pub(crate) fn run(data: &[u8]) {
    let mut link = Acr122::new(data.len().is_multiple_of(2));
    assert!(link.send(chip::FIRMWARE, Duration::from_secs(1), true, Duration::ZERO).is_ok());
    let (mut rest, mut asked, mut seen, mut now) = (data, 0, 0, Duration::ZERO);
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
        now += Duration::from_millis(10);
        link.tick(now);
        seen += events(&mut link);
    }
    for _ in 0..64 {
        now += Duration::from_secs(2);
        link.tick(now);
    }
    seen += events(&mut link);
    assert!(seen == 1 && link.deadline().is_none(), "{seen} events");
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
