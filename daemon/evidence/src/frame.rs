//! Reading a frame, from the journal's published layout (daemon/journal/src/frame.rs and body.rs) and not with its code:
//! what a third party would write.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

/// Bytes before and after the payload.
const HEAD: usize = 112;
const HASH: usize = 32;
/// Of a sealed body: its mark, which is the nonce, and the cipher's tag.
const MARK: usize = 24;
const TAG: usize = 16;

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameFault {
    /// Too short, or not as long as it says.
    #[error("its length is wrong")]
    Length,
    /// The magic or the version is another.
    #[error("it is no frame of a known version")]
    Version,
    /// Altered.
    #[error("its checksum does not match")]
    Checksum,
    /// Sealed, and no key beside it.
    #[error("it is sealed and its key is not in the file")]
    NoKey,
    /// The key is another record's, or something was altered.
    #[error("the key beside it does not open it")]
    WrongKey,
    /// A key beside a frame that is not sealed.
    #[error("a key is beside it, and it is not sealed")]
    KeyOfNothing,
}

/// What a frame says. The keyed hash can be checked by the till alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Place in the journal.
    pub seq: u64,
    /// Kind of record.
    pub kind: u16,
    /// Wall clock, ms since 1970 UTC.
    pub wall_ms: i64,
    /// Whether the till trusted its wall clock.
    pub clock_ok: bool,
    /// The payment.
    pub subject: [u8; 16],
    /// The link to the frame before.
    pub prev_hash: [u8; 32],
    /// The record's bytes; still sealed when [`sealed`](Self::sealed) says so.
    pub payload: Vec<u8>,
    /// Whether the record's bytes are sealed.
    pub sealed: bool,
    /// The link for the frame after.
    pub hash: [u8; 32],
}

impl Frame {
    /// Reads a frame that fills `bytes`.
    pub fn read(bytes: &[u8]) -> Result<Self, FrameFault> {
        if bytes.len() < HEAD + HASH || u32::from_le_bytes(at(bytes, 8)) as usize != bytes.len() {
            return Err(FrameFault::Length);
        }
        if bytes[..4] != *b"TILJ" || !(1..=2).contains(&bytes[4]) || bytes[5] > 1 {
            return Err(FrameFault::Version);
        }
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..]);
        if crc != u32::from_le_bytes(at(bytes, 12)) {
            return Err(FrameFault::Checksum);
        }
        Ok(Self {
            seq: u64::from_le_bytes(at(bytes, 24)),
            kind: u16::from_le_bytes(at(bytes, 6)),
            wall_ms: i64::from_le_bytes(at(bytes, 48)),
            clock_ok: bytes[5] == 1,
            subject: at(bytes, 64),
            prev_hash: at(bytes, 80),
            payload: bytes[HEAD..bytes.len() - HASH].to_vec(),
            sealed: bytes[4] == 2,
            hash: at(bytes, bytes.len() - HASH),
        })
    }
}

/// Reads a frame and opens it with the key that stands beside it: first half for the mark, second for the seal.
///
/// The mark is computed again from what came out: with it the frame says one text only, whoever chose the keys.
pub(crate) fn open(bytes: &[u8], key: Option<&[u8; 64]>) -> Result<Frame, FrameFault> {
    let mut frame = Frame::read(bytes)?;
    let key = match (frame.sealed, key) {
        (false, None) => return Ok(frame),
        (false, Some(_)) => return Err(FrameFault::KeyOfNothing),
        (true, None) => return Err(FrameFault::NoKey),
        (true, Some(key)) => key,
    };
    if frame.payload.len() < MARK + TAG {
        return Err(FrameFault::Length);
    }
    let mut header: [u8; HEAD] = at(bytes, 0);
    header[12..16].fill(0);
    let (mark, sealed) = frame.payload.split_at(MARK);
    let (mark_key, seal_key): ([u8; 32], [u8; 32]) = (at(key, 0), at(key, 32));
    let mut text = XChaCha20Poly1305::new((&seal_key).into())
        .decrypt(&XNonce::from(at::<MARK>(mark, 0)), Payload { msg: sealed, aad: &header })
        .map_err(|_| FrameFault::WrongKey)?;
    let computed = blake3::Hasher::new_keyed(&mark_key).update(&header).update(&text).finalize();
    if computed.as_bytes()[..MARK] != *mark {
        return Err(FrameFault::WrongKey);
    }
    // Behind the text stand 0x80 and zeros.
    let end =
        text.iter().rposition(|b| *b != 0).filter(|end| text[*end] == 0x80).ok_or(FrameFault::WrongKey)?;
    text.truncate(end);
    frame.payload = text;
    frame.sealed = false;
    Ok(frame)
}

/// The caller has checked the length.
fn at<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[from..from + N]);
    out
}
