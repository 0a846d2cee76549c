//! Frames between host and PN532 (NXP UM0701-02 §6.2.1): `00 00 FF LEN LCS data DCS 00`, extended frames, ACK, NACK.

use zeroize::Zeroize;

/// Host to PN532.
pub const HOST: u8 = 0xD4;
/// PN532 to host.
pub const CHIP: u8 = 0xD5;
/// Most bytes in a frame, identifier included (UM0701-02 §6.2.1.2).
pub const MOST: usize = 265;
/// Acknowledge.
pub const ACK: [u8; 6] = [0, 0, 0xFF, 0, 0xFF, 0];
/// Not acknowledged: send that again.
pub const NACK: [u8; 6] = [0, 0, 0xFF, 0xFF, 0, 0];
/// What wakes a PN532 on a serial line: `55 55` and silence long enough for its clock (UM0701-02 §7.2.11).
pub const WAKE: [u8; 16] = [0x55, 0x55, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The data does not fit into a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes do not fit into a PN532 frame of {MOST}")]
pub struct TooLong(pub usize);

/// Wraps a command or reply: `data` begins with [`HOST`] or [`CHIP`].
pub fn encode(data: &[u8]) -> Result<Vec<u8>, TooLong> {
    if data.is_empty() || data.len() > MOST {
        return Err(TooLong(data.len()));
    }
    let mut frame = Vec::with_capacity(data.len() + 11);
    frame.extend_from_slice(&[0, 0, 0xFF]);
    let [high, low] = u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes();
    if high == 0 && low != 0xFF {
        frame.extend_from_slice(&[low, 0u8.wrapping_sub(low)]);
    } else {
        frame.extend_from_slice(&[0xFF, 0xFF, high, low, 0u8.wrapping_sub(high.wrapping_add(low))]);
    }
    frame.extend_from_slice(data);
    frame.extend_from_slice(&[0u8.wrapping_sub(sum(data)), 0]);
    Ok(frame)
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |s, b| s.wrapping_add(*b))
}

/// What was found in the bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// Acknowledge.
    Ack,
    /// Send that again.
    Nack,
    /// The PN532 could make nothing of the command (`7F`).
    Error,
    /// A frame; its data begins with [`HOST`] or [`CHIP`].
    Data(Vec<u8>),
    /// Something with a start code and a length that was damaged behind them.
    Damaged,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ack => f.write_str("Ack"),
            Self::Nack => f.write_str("Nack"),
            Self::Error => f.write_str("Error"),
            Self::Damaged => f.write_str("Damaged"),
            // What a card answers may be its number.
            Self::Data(data) => write!(f, "Data({} bytes)", data.len()),
        }
    }
}

enum Look {
    /// Frame and how far it reaches.
    Frame(Frame, usize),
    /// Needs more bytes.
    More,
    /// No frame begins here.
    No,
}

/// Finds frames in a stream, whatever lies between them. Holds at most two frames' bytes.
#[derive(Default)]
pub struct Decoder {
    held: Vec<u8>,
    garbage: u64,
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.held.zeroize();
    }
}

impl Decoder {
    /// Most bytes held.
    pub const HELD: usize = 2 * (MOST + 11);

    /// A decoder that holds nothing.
    pub fn new() -> Self {
        Self { held: Vec::with_capacity(Self::HELD), garbage: 0 }
    }

    /// Takes bytes and gives the frames that they complete.
    pub fn push(&mut self, mut bytes: &[u8], mut found: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(Self::HELD - self.held.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            self.scan(&mut found);
            if self.held.len() >= Self::HELD {
                // Cannot be: no frame is longer than half of it. Better less than stuck.
                self.drop_front(1);
            }
        }
    }

    /// Nothing more comes: what looked like the start of a frame was none. Gives what stands behind it.
    pub fn give_up(&mut self, mut found: impl FnMut(Frame)) {
        while !self.held.is_empty() {
            self.drop_front(1);
            self.scan(&mut found);
        }
    }

    /// Forgets everything held.
    pub fn clear(&mut self) {
        self.held.zeroize();
        self.held.reserve(Self::HELD);
    }

    /// Whether part of a frame is held.
    pub fn pending(&self) -> bool {
        !self.held.is_empty()
    }

    /// Bytes that belonged to no frame since the start.
    pub fn garbage(&self) -> u64 {
        self.garbage
    }

    fn drop_front(&mut self, count: usize) {
        let count = count.min(self.held.len());
        self.held.copy_within(count.., 0);
        let left = self.held.len() - count;
        if let Some(tail) = self.held.get_mut(left..) {
            tail.zeroize();
        }
        self.held.truncate(left);
    }

    fn scan(&mut self, found: &mut impl FnMut(Frame)) {
        let mut at = 0;
        let mut lost: u64 = 0;
        while at < self.held.len() {
            match look(&self.held[at..]) {
                Look::Frame(frame, length) => {
                    // A damaged frame's length may be the lie: what stands inside is looked at again.
                    at += if frame == Frame::Damaged { 2 } else { length };
                    found(frame);
                }
                Look::More => break,
                Look::No => {
                    lost += u64::from(self.held[at] != 0);
                    at += 1;
                }
            }
        }
        self.garbage += lost;
        self.drop_front(at);
    }
}

/// What begins with these bytes: start code `00 FF`, the preamble being no more than filling.
fn look(bytes: &[u8]) -> Look {
    match bytes {
        [0] | [0, 0xFF] | [0, 0xFF, _] => return Look::More,
        [0, 0xFF, ..] => {}
        _ => return Look::No,
    }
    let (length, header) = match (bytes[2], bytes[3]) {
        (0x00, 0xFF) => return Look::Frame(Frame::Ack, 4),
        (0xFF, 0x00) => return Look::Frame(Frame::Nack, 4),
        (0xFF, 0xFF) => {
            let Some([high, low, check]) = bytes.get(4..7).and_then(|b| <[u8; 3]>::try_from(b).ok()) else {
                return Look::More;
            };
            if high.wrapping_add(low).wrapping_add(check) != 0 {
                return Look::Frame(Frame::Damaged, 2);
            }
            (usize::from(high) << 8 | usize::from(low), 7)
        }
        (length, check) if length.wrapping_add(check) == 0 => (usize::from(length), 4),
        _ => return Look::Frame(Frame::Damaged, 2),
    };
    if length == 0 || length > MOST {
        return Look::Frame(Frame::Damaged, 2);
    }
    let Some(data) = bytes.get(header..header + length) else { return Look::More };
    let Some(check) = bytes.get(header + length) else { return Look::More };
    if sum(data).wrapping_add(*check) != 0 {
        return Look::Frame(Frame::Damaged, 2);
    }
    let frame = match data {
        [0x7F] => Frame::Error,
        _ => Frame::Data(data.to_vec()),
    };
    Look::Frame(frame, header + length + 1)
}
