//! The frame: one record as bytes on disk, the same in the store, the segments and a backup.
//!
//! All integers little endian. `hash` is the next frame's `prev_hash`: that is the chain.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic `TILJ` |
//! | 4 | 1 | version: 1 body in clear, 2 body sealed |
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
//! | 112 | n | body: the payload, or its sealed form (see `body.rs`) |
//! | 112+n | 32 | hash: keyed BLAKE3 over bytes 0–11, 16–111 and the body's keyed digest |
//!
//! The hash covers the body as it lies there, so the chain is checked without opening anything; and it covers a digest
//! of it, so a proof can leave out another payment's body and still hold.

use std::fmt;
use std::ops::Deref;

use crate::body;
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
/// Largest payload of one record: what fits a frame with its seal.
pub const MAX_PAYLOAD: usize = body::room_for(MAX_FRAME - HEADER_LEN - HASH_LEN);
/// Smallest kind that belongs to the journal itself.
pub const FIRST_RESERVED_KIND: u16 = 0xff00;
/// Kind of the checkpoint records.
pub const KIND_CHECKPOINT: u16 = 0xffff;

pub(crate) const MAGIC: [u8; 4] = *b"TILJ";
const CLEAR: u8 = 1;
const SEALED: u8 = 2;
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
    /// A sealed frame where only one in clear can be read.
    #[error("the frame is sealed: its body is opened with the key of its epoch")]
    Sealed,
}

/// Why a frame's body does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The key is not there; the text says why.
    #[error("the key of the records of epoch {epoch} is not there: {detail}")]
    NoKey {
        /// The epoch.
        epoch: u32,
        /// Why, when that is known.
        detail: String,
    },
    /// The key is another one.
    #[error("the key of the records of epoch {epoch} does not open them")]
    WrongKey {
        /// The epoch.
        epoch: u32,
    },
}

/// What a frame says of itself in clear: what is needed to find, order and date it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// Whether the body is sealed.
    pub sealed: bool,
    /// Place in the journal, from 1, strictly one more than the frame before.
    pub seq: u64,
    /// The epoch (store directory) it belongs to.
    pub epoch: u32,
    /// What it is, as the writer says; at or above [`FIRST_RESERVED_KIND`] the journal's own.
    pub kind: u16,
    /// Frames of the same atomic append that follow this one.
    pub group_left: u16,
    /// Frames of the same commit that came before this one.
    pub commit_index: u16,
    /// The boot it was written in.
    pub boot_id: [u8; 16],
    /// When it was written.
    pub stamp: Stamp,
    /// The payment it is about; zero for none.
    pub subject: Subject,
    /// Hash of the frame before.
    pub prev_hash: Hash,
}

/// One record as it lies on disk: checked and copied without being opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub(crate) head: FrameHead,
    pub(crate) body: Vec<u8>,
    /// Keyed hash: the link for the frame after.
    pub hash: Hash,
}

/// One record, as read: its body open.
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

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("seq", &self.seq)
            .field("epoch", &self.epoch)
            .field("kind", &self.kind)
            .field("sealed", &self.sealed)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Deref for Frame {
    type Target = FrameHead;

    fn deref(&self) -> &FrameHead {
        &self.head
    }
}

impl Record {
    /// Whether the journal wrote this record for itself (a checkpoint).
    pub fn is_control(&self) -> bool {
        self.kind >= FIRST_RESERVED_KIND
    }

    /// Whether the record was written in clear with `key` and not altered since. What was sealed is checked as a
    /// [`Frame`].
    pub fn is_authentic(&self, key: &DeviceKey) -> bool {
        is_authentic(&self.head(), &self.payload, &self.hash, key)
    }

    /// Sets the hash and appends the frame to `out` with its body in clear: a frame of version 1. The caller has checked
    /// the payload's length ([`MAX_PAYLOAD`]).
    pub fn seal_into(&mut self, key: &DeviceKey, out: &mut Vec<u8>) {
        self.hash = make(&self.head(), &self.payload, key, out);
    }

    fn head(&self) -> FrameHead {
        FrameHead {
            sealed: false,
            seq: self.seq,
            epoch: self.epoch,
            kind: self.kind,
            group_left: self.group_left,
            commit_index: self.commit_index,
            boot_id: self.boot_id,
            stamp: self.stamp,
            subject: self.subject,
            prev_hash: self.prev_hash,
        }
    }
}

impl FrameHead {
    /// The header's bytes, the CRC zero, of a frame of `total` bytes.
    pub(crate) fn bytes(&self, total: u32) -> [u8; HEADER_LEN] {
        let mut out = [0u8; HEADER_LEN];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&MAGIC);
        put(&[if self.sealed { SEALED } else { CLEAR }, if self.stamp.clock_ok { FLAG_CLOCK_OK } else { 0 }]);
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

    /// First frame of the commit this one was synced with.
    pub(crate) fn commit_first(&self) -> u64 {
        self.seq.saturating_sub(u64::from(self.commit_index))
    }

    fn into_record(self, payload: Vec<u8>, hash: Hash) -> Record {
        Record {
            seq: self.seq,
            epoch: self.epoch,
            kind: self.kind,
            group_left: self.group_left,
            commit_index: self.commit_index,
            boot_id: self.boot_id,
            stamp: self.stamp,
            subject: self.subject,
            payload,
            prev_hash: self.prev_hash,
            hash,
        }
    }
}

impl Frame {
    /// Reads the frame at the start of `bytes`; returns it and its length. Bytes after it are not looked at.
    ///
    /// Checks form and CRC. Whether the keyed hash holds is asked with [`is_authentic`](Self::is_authentic).
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), FrameError> {
        let frame = FrameRef::decode(bytes)?;
        Ok((Self { head: frame.head, body: frame.body.to_vec(), hash: frame.hash }, frame.len()))
    }

    /// Reads a frame that fills `bytes` exactly and carries a valid keyed hash.
    pub fn decode_exact(bytes: &[u8], key: &DeviceKey) -> Result<Self, FrameError> {
        let (frame, len) = Self::decode(bytes)?;
        if len != bytes.len() {
            return Err(FrameError::Length(u32::try_from(len).unwrap_or(u32::MAX)));
        }
        if !frame.is_authentic(key) {
            return Err(FrameError::Hash);
        }
        Ok(frame)
    }

    /// Whether the frame was made with `key` and not altered since. Needs no key of the body.
    pub fn is_authentic(&self, key: &DeviceKey) -> bool {
        is_authentic(&self.head, &self.body, &self.hash, key)
    }

    /// Bytes of the whole frame.
    #[allow(clippy::len_without_is_empty)] // there is no empty frame
    pub fn len(&self) -> usize {
        frame_len(self.body.len())
    }

    /// The record, its body opened with the key of its epoch.
    pub fn open(self, key: &DeviceKey) -> Result<Record, OpenError> {
        let payload = if self.sealed { key.open(&self.head, &self.body)?.0 } else { self.body };
        Ok(self.head.into_record(payload, self.hash))
    }

    /// The record of a kind that is never sealed; `None` for one that is.
    pub(crate) fn in_clear(&self) -> Option<Record> {
        (!self.sealed).then(|| self.head.into_record(self.body.clone(), self.hash))
    }

    /// Makes the frame of a record, its body sealed with the epoch's keys where there are any; appends it to `out` and
    /// sets the record's hash. `None`: the cipher refused, nothing was appended.
    pub(crate) fn make_into(
        record: &mut Record,
        key: &DeviceKey,
        sealer: Option<&body::EpochKeys>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let Some(sealer) = sealer.filter(|_| body::is_sealed_kind(record.kind)) else {
            record.seal_into(key, out);
            return Some(());
        };
        let head = FrameHead { sealed: true, ..record.head() };
        let body = sealer.seal(&head, &record.payload)?;
        record.hash = make(&head, &body, key, out);
        Some(())
    }

    /// The hash a frame must carry, from its head and the length and digest of its body.
    pub(crate) fn expected_hash(head: &FrameHead, key: &DeviceKey, body_len: usize, digest: &Hash) -> Hash {
        expected_hash(head, key, body_len, digest)
    }

    /// Appends the frame to `out`, as it lies on disk.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        encode(&self.head.bytes(total_len(self.body.len())), &self.body, &self.hash, out);
    }
}

/// One record as it lies in somebody's bytes: what is only looked at need not be copied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FrameRef<'a> {
    head: FrameHead,
    body: &'a [u8],
    /// Keyed hash: the link for the frame after.
    pub hash: Hash,
}

impl fmt::Debug for FrameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameRef")
            .field("seq", &self.head.seq)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Deref for FrameRef<'_> {
    type Target = FrameHead;

    fn deref(&self) -> &FrameHead {
        &self.head
    }
}

impl<'a> FrameRef<'a> {
    /// Reads the frame at the start of `bytes`, as [`Frame::decode`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, FrameError> {
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
        let sealed = match frame[4] {
            CLEAR => false,
            SEALED => true,
            other => return Err(FrameError::Version(other)),
        };
        if frame[5] & !FLAG_CLOCK_OK != 0 {
            return Err(FrameError::Flags(frame[5]));
        }
        if sealed && total < HEADER_LEN + body::OVERHEAD + HASH_LEN {
            return Err(FrameError::Length(announced));
        }
        let head = FrameHead {
            sealed,
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
        };
        Ok(Self { head, body: &frame[HEADER_LEN..total - HASH_LEN], hash: take(frame, total - HASH_LEN) })
    }

    /// Whether the frame was made with `key` and not altered since. Needs no key of the body.
    pub fn is_authentic(&self, key: &DeviceKey) -> bool {
        is_authentic(&self.head, self.body, &self.hash, key)
    }

    /// The writer's bytes, of a frame in clear; `None` for one that is sealed.
    pub fn payload(&self) -> Option<&'a [u8]> {
        (!self.head.sealed).then_some(self.body)
    }

    /// Bytes of the whole frame.
    #[allow(clippy::len_without_is_empty)] // there is no empty frame
    pub fn len(&self) -> usize {
        frame_len(self.body.len())
    }
}

fn expected_hash(head: &FrameHead, key: &DeviceKey, body_len: usize, digest: &Hash) -> Hash {
    // A forgotten key makes no hash; zeros are never one that is found to match.
    key.link(head.epoch, &head.bytes(total_len(body_len)), digest).unwrap_or_default()
}

fn is_authentic(head: &FrameHead, body: &[u8], hash: &Hash, key: &DeviceKey) -> bool {
    if key.is_links_only() {
        return true;
    }
    let digest = key.payload_digest(head.epoch, body);
    // Not a secret comparison: whoever can try frames here already writes to the disk.
    *hash != [0; 32] && expected_hash(head, key, body.len(), &digest) == *hash
}

/// Appends a new frame to `out` and gives its hash.
fn make(head: &FrameHead, body: &[u8], key: &DeviceKey, out: &mut Vec<u8>) -> Hash {
    let header = head.bytes(total_len(body.len()));
    let digest = key.payload_digest(head.epoch, body);
    let hash = key.link(head.epoch, &header, &digest).unwrap_or_default();
    encode(&header, body, &hash, out);
    hash
}

fn encode(header: &[u8; HEADER_LEN], body: &[u8], hash: &Hash, out: &mut Vec<u8>) {
    let start = out.len();
    out.reserve(frame_len(body.len()));
    out.extend_from_slice(header);
    out.extend_from_slice(body);
    out.extend_from_slice(hash);
    let crc = checksum(&out[start..]);
    out[start + 12..start + 16].copy_from_slice(&crc.to_le_bytes());
}

/// The length that the frame of a body announces.
pub(crate) fn total_len(body: usize) -> u32 {
    u32::try_from(frame_len(body)).unwrap_or(u32::MAX)
}

/// Bytes of a frame with that much body.
pub(crate) fn frame_len(body: usize) -> usize {
    HEADER_LEN + body + HASH_LEN
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

/// Reads the frame in clear at the start of `bytes`; returns its record and its length, as [`Frame::decode`].
pub fn decode(bytes: &[u8]) -> Result<(Record, usize), FrameError> {
    let (frame, len) = Frame::decode(bytes)?;
    if frame.sealed {
        return Err(FrameError::Sealed);
    }
    Ok((frame.head.into_record(frame.body, frame.hash), len))
}
