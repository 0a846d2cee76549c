//! The frame on disk: whatever a bad disk or a thief makes of it, it is never read as something else.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use common::{fill, key, open};
use proptest::prelude::*;
use till_journal::{DeviceKey, Frame, FrameError, HASH_LEN, HEADER_LEN};

fn decode(bytes: &[u8]) -> Result<(Frame, usize), FrameError> {
    Frame::decode(bytes)
}

fn decode_exact(bytes: &[u8], key: &DeviceKey) -> Result<Frame, FrameError> {
    Frame::decode_exact(bytes, key)
}

/// Frames as the journal wrote them, cut out of a segment.
fn frames() -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 0, 40);
    journal.close().unwrap();
    let bytes = std::fs::read(dir.path().join("segments/00000001-000001.log")).unwrap();
    let mut at = 512;
    let mut out = Vec::new();
    while let Ok((_, len)) = decode(&bytes[at..]) {
        out.push(bytes[at..at + len].to_vec());
        at += len;
    }
    assert!(out.len() >= 40, "{}", out.len());
    out
}

#[test]
fn every_single_bit_flip_and_every_truncation_is_refused() {
    let frames = frames();
    for frame in [&frames[0], &frames[9]] {
        assert!(decode_exact(frame, &key()).is_ok());
        for at in 0..frame.len() {
            for bit in 0..8 {
                let mut bad = frame.clone();
                bad[at] ^= 1 << bit;
                assert!(decode(&bad).is_err(), "bit {bit} of byte {at} passed");
            }
            assert!(decode(&frame[..at]).is_err(), "cut at {at} passed");
        }
    }
}

#[test]
fn another_devices_frame_is_not_authentic() {
    let frame = &frames()[3];
    assert!(decode(frame).is_ok());
    assert!(decode_exact(frame, &DeviceKey::new(&[43; 32])).is_err());
}

/// A thief who can compute the CRC but has no key.
fn with_new_crc(frame: &mut [u8]) {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&frame[..12]), &frame[16..]);
    frame[12..16].copy_from_slice(&crc.to_le_bytes());
}

proptest! {
    #[test]
    fn an_altered_frame_with_a_right_crc_fails_the_hash(at in 0usize..2000, value in 1u8..=255) {
        let frame = frames_once()[11].clone();
        let at = at % frame.len();
        let mut bad = frame.clone();
        bad[at] ^= value;
        with_new_crc(&mut bad);
        // The CRC field itself is made right again: then it is the same frame.
        if bad != frame {
            prop_assert!(decode_exact(&bad, &key()).is_err());
        }
    }

    #[test]
    fn random_bytes_never_panic_and_never_pass(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), magic: bool) {
        if magic && bytes.len() > 6 {
            bytes[..4].copy_from_slice(b"TILJ");
            bytes[4] = 1;
            bytes[5] = 0;
        }
        prop_assert!(decode_exact(&bytes, &key()).is_err());
        if bytes.len() >= HEADER_LEN + HASH_LEN {
            let len = u32::try_from(bytes.len()).unwrap();
            bytes[8..12].copy_from_slice(&len.to_le_bytes());
            with_new_crc(&mut bytes);
            prop_assert!(decode_exact(&bytes, &key()).is_err());
        }
    }

    #[test]
    fn bytes_behind_a_frame_do_not_change_it(extra in proptest::collection::vec(any::<u8>(), 0..50)) {
        let frame = &frames_once()[5];
        let (alone, len) = decode(frame).unwrap();
        let (with, same) = decode(&[frame.as_slice(), extra.as_slice()].concat()).unwrap();
        prop_assert!(alone == with && len == same);
    }
}

fn frames_once() -> &'static [Vec<u8>] {
    static FRAMES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    FRAMES.get_or_init(frames)
}
