//! Event bytes to cards: never a panic, never an account number that was not between sentinels.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::time::Duration;

use till_driver_magstripe::card::Card;
use till_driver_magstripe::swipe::{Assembler, End, MAX_SWIPE, Outcome, SwipeFault, Times};
use till_wedge::{CapsLock, Layout, Wedge};

pub(crate) fn run(data: &[u8]) {
    let (end, text) = match data.first() {
        Some(0) => (End::Silence, true),
        Some(b'%' | b';') => (End::Enter, true),
        _ => (End::Enter, false),
    };
    let mut assembler = Assembler::new(end, Duration::from_millis(100), Duration::from_millis(300));
    let check = |outcome| {
        if let Outcome::Swipe(text) = outcome {
            assert!(text.len() <= MAX_SWIPE);
            if let Ok(card) = Card::read(&text, false) {
                assert!((12..=19).contains(&card.pan().len()) && text.contains(card.pan()));
                assert!(!format!("{card:?}").contains(card.pan()));
            }
        }
    };
    if text {
        for byte in data {
            assembler.push(*byte, Times::default(), check);
        }
    } else {
        let mut wedge = Wedge::new(Layout::Bits32, CapsLock::Apply);
        for part in data.chunks(7) {
            wedge.push(part, |typed| {
                let times = Times { typed: typed.at, now: typed.at };
                match typed.symbol.byte() {
                    Some(byte) => assembler.push(byte, times, check),
                    None => assembler.damage(SwipeFault::Dropped, times, check),
                }
            });
        }
    }
    assembler.idle().into_iter().for_each(check);
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
