//! Any bytes as a WAV file: read or refused, never more sound than there were bytes.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_driver_voice::wav;

pub(crate) fn run(data: &[u8]) {
    if let Ok(clip) = wav::read(data) {
        assert!(!clip.samples.is_empty() && clip.samples.len() % 2 == 0);
        assert!(clip.samples.len() <= data.len().min(wav::LONGEST));
        assert!((8_000..=48_000).contains(&clip.rate));
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
