//! The flight recorder: the same frames as in the store, appended to preallocated files, one sync a commit.
//!
//! This is what an acknowledgement rests on. A segment is filled with zeros and synced before its first frame, so a
//! commit overwrites blocks that already belong to the file: `fdatasync` then carries data only, no file system
//! journal. Anyone can read a segment at any time; a damaged store is rebuilt from them.

mod image;
mod writer;

use std::path::{Path, PathBuf};

pub(crate) use image::{Image, Tail};
pub(crate) use writer::{SPARE, Writer, prepare_spare, rewrite};

use crate::disk;
use crate::error::Result;
use crate::frame::{FrameError, Hash};

/// Bytes of a segment before its first frame: one sector, written once.
pub(crate) const HEADER_LEN: usize = 512;
const MAGIC: [u8; 8] = *b"TILJSEG1";
const BODY: usize = 8 + 4 + 4 + 8 + 8 + 32 + 16;

/// What a segment says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) epoch: u32,
    pub(crate) number: u32,
    /// Seq of its first frame.
    pub(crate) first_seq: u64,
    /// Bytes of the whole file.
    pub(crate) size: u64,
    /// Hash of the record before its first frame.
    pub(crate) prev_hash: Hash,
    /// Which device key its frames are made with.
    pub(crate) fingerprint: [u8; 16],
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut body = Vec::with_capacity(HEADER_LEN);
        body.extend_from_slice(&MAGIC);
        body.extend_from_slice(&self.epoch.to_le_bytes());
        body.extend_from_slice(&self.number.to_le_bytes());
        body.extend_from_slice(&self.first_seq.to_le_bytes());
        body.extend_from_slice(&self.size.to_le_bytes());
        body.extend_from_slice(&self.prev_hash);
        body.extend_from_slice(&self.fingerprint);
        let mut out = [0u8; HEADER_LEN];
        out[..BODY].copy_from_slice(&body);
        out[BODY..BODY + 4].copy_from_slice(&crc32c::crc32c(&body).to_le_bytes());
        out
    }

    /// Reads the header at the start of a segment.
    pub(crate) fn decode(bytes: &[u8]) -> std::result::Result<Self, FrameError> {
        let head = bytes.get(..HEADER_LEN).ok_or(FrameError::Truncated)?;
        if head[..8] != MAGIC {
            return Err(FrameError::NoMagic);
        }
        let crc: [u8; 4] = take(head, BODY);
        if crc32c::crc32c(&head[..BODY]) != u32::from_le_bytes(crc)
            || head[BODY + 4..].iter().any(|b| *b != 0)
        {
            return Err(FrameError::Checksum);
        }
        Ok(Self {
            epoch: u32::from_le_bytes(take(head, 8)),
            number: u32::from_le_bytes(take(head, 12)),
            first_seq: u64::from_le_bytes(take(head, 16)),
            size: u64::from_le_bytes(take(head, 24)),
            prev_hash: take(head, 32),
            fingerprint: take(head, 64),
        })
    }

    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{:08}-{:06}.log", self.epoch, self.number))
    }
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0u8; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// A segment file found on disk, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) epoch: u32,
    pub(crate) number: u32,
    pub(crate) path: PathBuf,
}

/// The segment files in `dir`, by epoch and number.
pub(crate) fn find(dir: &Path) -> Result<Vec<Found>> {
    let mut out = Vec::new();
    for path in disk::list(dir)? {
        let name = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".log"));
        if let Some((epoch, number)) = name.and_then(|n| n.split_once('-'))
            && let (Ok(epoch), Ok(number)) = (epoch.parse(), number.parse())
        {
            out.push(Found { epoch, number, path });
        }
    }
    out.sort_by_key(|f| (f.epoch, f.number));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header { epoch: 3, number: 9, first_seq: 77, size: 1 << 20, prev_hash: [5; 32], fingerprint: [6; 16] }
    }

    #[test]
    fn header_comes_back_and_no_altered_byte_passes() {
        let good = header().encode();
        assert_eq!(Header::decode(&good).unwrap(), header());
        for at in 0..HEADER_LEN {
            for bit in 0..8 {
                let mut bad = good;
                bad[at] ^= 1 << bit;
                assert!(Header::decode(&bad).is_err(), "bit {bit} of byte {at} altered unseen");
            }
            assert!(Header::decode(&good[..at]).is_err());
        }
    }
}
