//! Bytes into the frame decoder: never a panic; what is accepted encodes the length it says.
//! `cargo +nightly fuzz run frame` in this directory's parent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use till_journal::{DeviceKey, Frame};

fuzz_target!(|data: &[u8]| {
    if let Ok((frame, len)) = Frame::decode(data) {
        assert_eq!(len, frame.len());
        // The corpus is made with the key of bytes 42; any other must be refused.
        assert!(Frame::decode_exact(&data[..len], &DeviceKey::new(&[1; 32])).is_err());
    }
});
