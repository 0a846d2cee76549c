//! Typed characters of a swipe to a card: a part of `./bench devices`.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use till_benches::devices::{self, row};
use till_benches::table::Row;
use till_benches::{Effort, Outcome};
use till_driver_magstripe::card::Card;
use till_driver_magstripe::swipe::{self, End, Times};

/// Tracks 1 and 2 of a card from a scheme's test range, as a keyboard reader types them.
const SWIPE: &str =
    "%B6200000000000005^TEST/CARD^30122010000000000000?;6200000000000005=30122010000000000000?\r";

/// Key by key as the kernel hands them over, to a card that was checked.
fn swipes(effort: Effort) -> Outcome<Vec<Row>> {
    let mut keys = swipe::Assembler::new(End::Enter, Duration::from_millis(200), Duration::ZERO);
    let mut at = Duration::ZERO;
    let mut once = || {
        let mut card = None;
        for byte in SWIPE.bytes() {
            at += Duration::from_millis(2);
            keys.push(byte, Times { typed: at, now: at }, |outcome| {
                if let swipe::Outcome::Swipe(text) = outcome {
                    card = Card::read(&text, true).ok();
                }
            });
        }
        card
    };
    if once().is_none_or(|card| card.pan() != "6200000000000005") {
        return Err("the swipe to be measured is not read".into());
    }
    let what = format!("stripe: {} typed characters → card", SWIPE.len() - 1);
    Ok(vec![row(&what, effort, || drop(black_box(once()))).0])
}

fn main() -> ExitCode {
    devices::main(swipes)
}
