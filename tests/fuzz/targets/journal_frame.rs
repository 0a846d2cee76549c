//! Bytes into the frame decoder: what is accepted has the length it says, and none is authentic without the key.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_journal::{DeviceKey, Frame, HASH_LEN, HEADER_LEN};

pub(crate) fn run(data: &[u8]) {
    if let Ok((frame, len)) = Frame::decode(data) {
        assert_eq!(len, frame.len());
        // The seeds are made with the key of bytes 42; any other must be refused.
        assert!(Frame::decode_exact(&data[..len], &DeviceKey::new(&[1; 32])).is_err());
        if let Ok((record, same)) = till_journal::decode(data) {
            assert!(same == len && record.seq == frame.seq);
            assert_eq!(len, HEADER_LEN + record.payload.len() + HASH_LEN);
        }
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
