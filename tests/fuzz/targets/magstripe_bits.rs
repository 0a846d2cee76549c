//! Raw stripe bits: never a panic, and whatever decodes has its sentinels.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_driver_magstripe::bits;
use till_driver_magstripe::track::Track;

pub(crate) fn run(data: &[u8]) {
    let stream: Vec<bool> = data.iter().flat_map(|byte| (0..8).map(move |i| byte >> i & 1 == 1)).collect();
    for track in [Track::One, Track::Two, Track::Three] {
        if let Ok(found) = bits::decode(&stream, track) {
            assert!(found.text.ends_with('?') && found.text.starts_with(['%', ';']));
        }
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
