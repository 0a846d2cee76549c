//! Frames on the line: length prefix, TPDU, header (channels.md §1.1).
//!
//! ```text
//! length(2, big endian) | TPDU(5: 60 DDDD SSSS) | header(6) | MTI(2) bitmap(8) fields…
//! ```

use thiserror::Error;

/// Longest payload taken from the line, in bytes. A longer prefix is refused before anything is allocated.
pub const MAX_FRAME: usize = 2048;

/// TPDU, header, MTI and bitmap: the shortest payload that can be a message.
const SHORTEST: usize = 5 + 6 + 2 + 8;

/// Why a payload is not a frame.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// The two length bytes announce more than [`MAX_FRAME`].
    #[error(
        "length prefix says {0} bytes, more than the {MAX_FRAME} this host takes; check the framing of the sender"
    )]
    TooLong(usize),
    /// TPDU, header, MTI and bitmap do not fit.
    #[error("frame of {0} bytes is shorter than TPDU, header, message type and bitmap ({SHORTEST} bytes)")]
    TooShort(usize),
    /// The first TPDU byte is not 60h.
    #[error("TPDU starts with {0:02X}, expected 60")]
    Tpdu(u8),
    /// A header nibble is not a decimal digit.
    #[error("header byte {0} is not BCD")]
    Header(usize),
}

/// One payload, taken apart as far as the framing goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// `60 DDDD SSSS`: destination and source.
    pub tpdu: [u8; 5],
    /// Application class, software version, state, six reserved digits.
    pub header: [u8; 6],
    /// MTI, bitmap and fields, as received.
    pub body: Vec<u8>,
}

impl Frame {
    /// Reads a payload (without its length prefix).
    pub fn parse(payload: &[u8]) -> Result<Self, FrameError> {
        if payload.len() > MAX_FRAME {
            return Err(FrameError::TooLong(payload.len()));
        }
        let short = || FrameError::TooShort(payload.len());
        if payload.len() < SHORTEST {
            return Err(short());
        }
        let (tpdu, rest) = payload.split_first_chunk::<5>().ok_or_else(short)?;
        let (header, body) = rest.split_first_chunk::<6>().ok_or_else(short)?;
        if tpdu[0] != 0x60 {
            return Err(FrameError::Tpdu(tpdu[0]));
        }
        if let Some(at) = header.iter().position(|b| b >> 4 > 9 || b & 0x0F > 9) {
            return Err(FrameError::Header(at));
        }
        Ok(Self { tpdu: *tpdu, header: *header, body: body.to_vec() })
    }

    /// The frame that answers this one: destination and source swapped, header kept, body replaced.
    #[must_use]
    pub fn answer(&self, body: Vec<u8>) -> Self {
        let [id, d1, d2, s1, s2] = self.tpdu;
        Self { tpdu: [id, s1, s2, d1, d2], header: self.header, body }
    }

    /// The bytes for the line, length prefix included.
    pub fn to_wire(&self) -> Result<Vec<u8>, FrameError> {
        let length = self.tpdu.len() + self.header.len() + self.body.len();
        let prefix = u16::try_from(length).ok().filter(|_| length <= MAX_FRAME);
        let prefix = prefix.ok_or(FrameError::TooLong(length))?;
        let mut wire = Vec::with_capacity(length + 2);
        wire.extend_from_slice(&prefix.to_be_bytes());
        wire.extend_from_slice(&self.tpdu);
        wire.extend_from_slice(&self.header);
        wire.extend_from_slice(&self.body);
        Ok(wire)
    }
}

/// How many payload bytes follow this prefix; 0 is a keep-alive.
pub fn announced(prefix: [u8; 2]) -> Result<usize, FrameError> {
    let length = usize::from(u16::from_be_bytes(prefix));
    if length > MAX_FRAME { Err(FrameError::TooLong(length)) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: &str = "600003000060310031010008200000000000C0001031323334353637383132333435363738393031323334350011000000123010";

    #[test]
    fn an_answer_goes_back_to_where_the_request_came_from() {
        let frame = Frame::parse(&hex::decode(ECHO).unwrap()).unwrap();
        let answer = frame.answer(vec![1, 2, 3]).to_wire().unwrap();
        assert_eq!(hex::encode_upper(answer), "000E6000000003603100310100010203");
    }

    #[test]
    fn a_huge_prefix_is_refused_before_anything_is_read() {
        assert_eq!(announced([0xFF, 0xFF]), Err(FrameError::TooLong(65535)));
        assert_eq!(announced([0x08, 0x00]), Ok(2048));
        assert_eq!(announced([0, 0]), Ok(0));
    }

    #[test]
    fn refuses_what_is_no_frame() {
        assert_eq!(Frame::parse(&hex::decode("6000000000").unwrap()).err(), Some(FrameError::TooShort(5)));
        let mut bytes = hex::decode(ECHO).unwrap();
        bytes[7] = 0xA0;
        assert_eq!(Frame::parse(&bytes).err(), Some(FrameError::Header(2)));
        bytes[0] = 0x61;
        assert_eq!(Frame::parse(&bytes).err(), Some(FrameError::Tpdu(0x61)));
    }
}
