//! Bytes on the line while a command is under way: no panic, one event at most, silence ends it.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::time::Duration;

use till_driver_nfc::chip::{self, Kind};
use till_driver_nfc::link::hsu::{Hsu, Timing};
use till_driver_nfc::link::{Event, Link};

pub(crate) fn run(data: &[u8]) {
    let mut link = Hsu::new(Timing::default());
    let sent = link.send(chip::FIRMWARE, Duration::from_secs(1), true, Duration::ZERO);
    assert!(sent.is_ok());
    let cut = data.first().map_or(1, |b| usize::from(*b) % 64 + 1);
    for (n, part) in data.chunks(cut).enumerate() {
        link.push(part, Duration::from_millis(n as u64));
    }
    let mut now = Duration::from_secs(2);
    for _ in 0..64 {
        link.tick(now);
        now += Duration::from_secs(2);
    }
    assert!(link.deadline().is_none());
    let mut events = 0;
    while let Some(event) = link.event() {
        events += 1;
        if let Event::Reply(reply) = event {
            let _ = chip::firmware(&reply);
        }
    }
    assert!(events == 1);
    for kind in [Kind::A, Kind::B] {
        let _ = chip::targets(data, kind);
    }
    let _ = chip::exchanged(data);
    let _ = till_driver_nfc::link::ccid::block(data);
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
