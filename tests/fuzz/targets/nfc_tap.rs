//! A card that answers as the input says: each answer is a length byte and that many bytes. Every tap ends.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::sync::Arc;

use till_driver_nfc::emv::oda::Keys;
use till_driver_nfc::emv::tap::{Step, Tap};
use till_driver_nfc::emv::terminal::Sale;
use till_driver_nfc::settings::Config;
use till_plugin::{Currency, Money, Settings};

pub(crate) fn run(data: &[u8]) {
    let Ok(config) = Config::new(&Settings::from_json(r#"{"without-directory": "try-list"}"#)) else {
        return;
    };
    let sale = Sale {
        amount: Money::new(1, Currency::CNY),
        date: [26, 1, 1],
        time: [0, 0, 0],
        unpredictable: [0; 4],
        sequence: 1,
    };
    let (mut tap, mut step) = Tap::begin(Arc::new(config.terminal), Arc::new(Keys::default()), sale);
    let mut left = data;
    for _ in 0..1000 {
        let Step::Send(_) = step else { return };
        let length = left.first().map_or(0, |n| usize::from(*n)).min(left.len().saturating_sub(1));
        let answer = left.get(1..=length).unwrap_or_default();
        left = left.get(length + 1..).unwrap_or_default();
        step = tap.answer(answer);
    }
    panic!("a tap does not end");
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
