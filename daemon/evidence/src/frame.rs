//! Reading a frame, from the journal's published layout (daemon/journal/src/frame.rs) and not with its code: what a third
//! party would write.

/// Bytes before and after the payload.
const HEAD: usize = 112;
const HASH: usize = 32;

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
    /// The record's bytes.
    pub payload: Vec<u8>,
    /// The link for the frame after.
    pub hash: [u8; 32],
}

impl Frame {
    /// Reads a frame that fills `bytes`.
    pub fn read(bytes: &[u8]) -> Result<Self, FrameFault> {
        if bytes.len() < HEAD + HASH || u32::from_le_bytes(at(bytes, 8)) as usize != bytes.len() {
            return Err(FrameFault::Length);
        }
        if bytes[..4] != *b"TILJ" || bytes[4] != 1 || bytes[5] > 1 {
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
            hash: at(bytes, bytes.len() - HASH),
        })
    }
}

/// The caller has checked the length.
fn at<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[from..from + N]);
    out
}
