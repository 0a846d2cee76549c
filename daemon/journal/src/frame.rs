//! The frame: one record as bytes on disk, the same in the store, the segments and an export.
//!
//! All integers little endian. `hash` is the next frame's `prev_hash`: that is the chain.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic `TILJ` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | flags: bit 0 = wall clock believed right; others zero |
//! | 6 | 2 | kind |
//! | 8 | 4 | length of the whole frame |
//! | 12 | 4 | CRC-32C over everything but itself |
//! | 16 | 4 | epoch |
//! | 20 | 2 | frames of the same atomic append that follow this one |
//! | 22 | 2 | frames of the same commit that came before this one |
//! | 24 | 8 | seq |
//! | 32 | 16 | boot id |
//! | 48 | 8 | wall clock, ms |
//! | 56 | 8 | `CLOCK_BOOTTIME`, ms |
//! | 64 | 16 | subject (payment id; zero: none) |
//! | 80 | 32 | `prev_hash` |
//! | 112 | n | payload |
//! | 112+n | 32 | hash: keyed BLAKE3 over bytes 0–11, 16–111 and the payload's keyed digest |
//!
//! The hash covers a digest of the payload, so a proof can leave out another payment's payload and still hold.

use std::fmt;

use crate::clock::Stamp;
use crate::key::DeviceKey;

/// A link of the chain.
pub type Hash = [u8; 32];

/// What a record is about: the payment's id, or zero for none.
pub type Subject = [u8; 16];

/// Largest frame. Above it sled would use blob files, which it never syncs.
pub const MAX_FRAME: usize = 4096;
/// Bytes before the payload.
pub const HEADER_LEN: usize = 112;
/// Bytes after the payload.
pub const HASH_LEN: usize = 32;
/// Largest payload of one record.
pub const MAX_PAYLOAD: usize = MAX_FRAME - HEADER_LEN - HASH_LEN;
/// Smallest kind that belongs to the journal itself.
pub const FIRST_RESERVED_KIND: u16 = 0xff00;
/// Kind of the checkpoint records.
pub const KIND_CHECKPOINT: u16 = 0xffff;

pub(crate) const MAGIC: [u8; 4] = *b"TILJ";
const VERSION: u8 = 1;
const FLAG_CLOCK_OK: u8 = 1;

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Fewer bytes than the frame says it has.
    #[error("frame is cut short")]
    Truncated,
    /// The magic is not there.
    #[error("no frame begins here")]
    NoMagic,
    /// Written by a later version.
    #[error("frame version {0} is not known")]
    Version(u8),
    /// A length outside the allowed range.
    #[error("frame length {0} is out of range")]
    Length(u32),
    /// The checksum does not hold.
    #[error("frame checksum does not match")]
    Checksum,
    /// Flag bits without a meaning.
    #[error("unknown frame flags {0:#04x}")]
    Flags(u8),
    /// The keyed hash does not hold: altered, or another device's key.
    #[error("frame hash does not match")]
    Hash,
}

/// One record, as read.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Place in the journal, from 1, strictly one more than the record before.
    pub seq: u64,
    /// The epoch (store directory) it belongs to.
    pub epoch: u32,
    /// What it is, as the writer says; at or above [`FIRST_RESERVED_KIND`] the journal's own.
    pub kind: u16,
    /// Records of the same atomic append that follow this one.
    pub group_left: u16,
    /// Records of the same commit that came before this one.
    pub commit_index: u16,
    /// The boot it was written in.
    pub boot_id: [u8; 16],
    /// When it was written.
    pub stamp: Stamp,
    /// The payment it is about; zero for none.
    pub subject: Subject,
    /// The writer's bytes.
    pub payload: Vec<u8>,
    /// Hash of the record before.
    pub prev_hash: Hash,
    /// Keyed hash of this record.
    pub hash: Hash,
}

// The payload is the writer's and may hold sealed secrets: a log line shows its length only.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("seq", &self.seq)
            .field("epoch", &self.epoch)
            .field("kind", &self.kind)
            .field("subject", &hex::encode(self.subject))
            .field("wall_ms", &self.stamp.wall_ms)
            .field("payload_len", &self.payload.len())
            .finish_non_exhaustive()
    }
}

impl Record {
    /// Whether the journal wrote this record for itself (a checkpoint).
    pub fn is_control(&self) -> bool {
        self.kind >= FIRST_RESERVED_KIND
    }

    /// First record of the commit this one was synced with.
    pub(crate) fn commit_first(&self) -> u64 {
        self.seq.saturating_sub(u64::from(self.commit_index))
    }

    fn header(&self, total: u32) -> [u8; HEADER_LEN] {
        let mut out = [0u8; HEADER_LEN];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&MAGIC);
        put(&[VERSION, if self.stamp.clock_ok { FLAG_CLOCK_OK } else { 0 }]);
        put(&self.kind.to_le_bytes());
        put(&total.to_le_bytes());
        put(&[0; 4]);
        put(&self.epoch.to_le_bytes());
        put(&self.group_left.to_le_bytes());
        put(&self.commit_index.to_le_bytes());
        put(&self.seq.to_le_bytes());
        put(&self.boot_id);
        put(&self.stamp.wall_ms.to_le_bytes());
        put(&self.stamp.boottime_ms.to_le_bytes());
        put(&self.subject);
        put(&self.prev_hash);
        out
    }

    /// The hash this record must carry, from its fields and the digest of its payload.
    pub(crate) fn expected_hash(&self, key: &DeviceKey, payload_len: usize, digest: &Hash) -> Hash {
        let total = u32::try_from(frame_len(payload_len)).unwrap_or(u32::MAX);
        // A forgotten key makes no hash; zeros are never one that is found to match.
        key.link(self.epoch, &self.header(total), digest).unwrap_or_default()
    }

    /// Whether the record was written with `key` and not altered since.
    pub fn is_authentic(&self, key: &DeviceKey) -> bool {
        let digest = key.payload_digest(self.epoch, &self.payload);
        // Not a secret comparison: whoever can try frames here already writes to the disk.
        self.hash != [0; 32] && self.expected_hash(key, self.payload.len(), &digest) == self.hash
    }

    /// Sets the hash and appends the frame to `out`, as the committer does. The caller has checked the payload's length
    /// ([`MAX_PAYLOAD`]).
    pub fn seal_into(&mut self, key: &DeviceKey, out: &mut Vec<u8>) {
        let digest = key.payload_digest(self.epoch, &self.payload);
        self.hash = self.expected_hash(key, self.payload.len(), &digest);
        self.encode_into(out);
    }

    /// Appends the frame to `out`, with the hash the record carries.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        let total = u32::try_from(frame_len(self.payload.len())).unwrap_or(u32::MAX);
        let start = out.len();
        out.extend_from_slice(&self.header(total));
        out.extend_from_slice(&self.payload);
        out.extend_from_slice(&self.hash);
        let crc = checksum(&out[start..]);
        out[start + 12..start + 16].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Bytes of a frame with that much payload.
pub(crate) fn frame_len(payload: usize) -> usize {
    HEADER_LEN + payload + HASH_LEN
}

fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..12]), &frame[16..])
}

/// Little-endian fields of a slice whose length was checked.
fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0u8; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// Reads the frame at the start of `bytes`; returns it and its length. Bytes after it are not looked at.
///
/// Checks form and CRC. Whether the keyed hash holds is asked with [`Record::is_authentic`].
pub fn decode(bytes: &[u8]) -> Result<(Record, usize), FrameError> {
    if bytes.len() < MAGIC.len() {
        return Err(FrameError::Truncated);
    }
    if bytes[..4] != MAGIC {
        return Err(FrameError::NoMagic);
    }
    if bytes.len() < HEADER_LEN + HASH_LEN {
        return Err(FrameError::Truncated);
    }
    let announced = u32::from_le_bytes(take(bytes, 8));
    let total = usize::try_from(announced).map_err(|_| FrameError::Length(announced))?;
    if !(HEADER_LEN + HASH_LEN..=MAX_FRAME).contains(&total) {
        return Err(FrameError::Length(announced));
    }
    let frame = bytes.get(..total).ok_or(FrameError::Truncated)?;
    if checksum(frame) != u32::from_le_bytes(take(frame, 12)) {
        return Err(FrameError::Checksum);
    }
    // After the checksum: a version or flag that is read here was written so.
    if frame[4] != VERSION {
        return Err(FrameError::Version(frame[4]));
    }
    if frame[5] & !FLAG_CLOCK_OK != 0 {
        return Err(FrameError::Flags(frame[5]));
    }
    let record = Record {
        kind: u16::from_le_bytes(take(frame, 6)),
        epoch: u32::from_le_bytes(take(frame, 16)),
        group_left: u16::from_le_bytes(take(frame, 20)),
        commit_index: u16::from_le_bytes(take(frame, 22)),
        seq: u64::from_le_bytes(take(frame, 24)),
        boot_id: take(frame, 32),
        stamp: Stamp {
            wall_ms: i64::from_le_bytes(take(frame, 48)),
            boottime_ms: u64::from_le_bytes(take(frame, 56)),
            clock_ok: frame[5] & FLAG_CLOCK_OK != 0,
        },
        subject: take(frame, 64),
        prev_hash: take(frame, 80),
        payload: frame[HEADER_LEN..total - HASH_LEN].to_vec(),
        hash: take(frame, total - HASH_LEN),
    };
    Ok((record, total))
}

/// Reads a frame that fills `bytes` exactly and carries a valid keyed hash.
pub fn decode_exact(bytes: &[u8], key: &DeviceKey) -> Result<Record, FrameError> {
    let (record, len) = decode(bytes)?;
    if len != bytes.len() {
        return Err(FrameError::Length(u32::try_from(len).unwrap_or(u32::MAX)));
    }
    if !record.is_authentic(key) {
        return Err(FrameError::Hash);
    }
    Ok(record)
}
