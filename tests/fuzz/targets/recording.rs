//! Any text as a recording of a transport: read or refused with its line, in order, and written and read the same.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_hosts::transport::{Recording, RecordingError};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Recording::parse(text) {
        Ok(recording) => {
            assert!(recording.steps.windows(2).all(|two| two[0].0 <= two[1].0));
            assert_eq!(Recording::parse(&recording.to_text()), Ok(recording));
        }
        Err(RecordingError::Line { line } | RecordingError::Time { line }) => {
            assert!((2..=text.lines().count()).contains(&line));
        }
        Err(_) => {}
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
