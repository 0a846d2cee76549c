//! Frames on a byte stream: a length, then that many bytes (channels.md §1.1).
//!
//! Bytes in, payloads out; a frame may arrive one byte at a time or two in one segment. A length above the cap is refused
//! before anything is stored for it, a length of 0 is a keep-alive and is skipped.

use crate::dialect::{Alphabet, Dialect, Frame, LengthForm};
use std::collections::VecDeque;
use zeroize::{Zeroize, Zeroizing};

/// Why the stream cannot be followed any further; the connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The prefix says more than the cap.
    #[error("the host announced a frame of {announced} bytes; the cap is {cap} (setting frame.max_bytes)")]
    TooLong {
        /// What the prefix said.
        announced: usize,
        /// The dialect's cap.
        cap: usize,
    },
    /// The prefix is not readable in this dialect.
    #[error("the host's length prefix is not readable; check frame.length of the dialect")]
    Prefix,
}

/// Puts the length before a payload.
pub fn frame(dialect: &Dialect, payload: &[u8]) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let rules = &dialect.frame;
    if payload.len() > rules.max_bytes {
        return Err(FrameError::TooLong { announced: payload.len(), cap: rules.max_bytes });
    }
    let counted = payload.len() + if rules.length_counts_itself { prefix_len(rules) } else { 0 };
    let mut out = Zeroizing::new(Vec::with_capacity(payload.len() + 4));
    match rules.length {
        LengthForm::Binary2 => {
            out.extend_from_slice(&u16::try_from(counted).map_err(|_| FrameError::Prefix)?.to_be_bytes());
        }
        LengthForm::Ascii4 => out.extend_from_slice(format!("{counted:04}").as_bytes()),
        LengthForm::Bcd2 => {
            let text = format!("{counted:04}");
            crate::digits::pack(text.as_bytes(), crate::dialect::Align::Left, None, &mut out)
                .ok_or(FrameError::Prefix)?;
        }
    }
    out.extend_from_slice(payload);
    Ok(out)
}

/// Collects received bytes and hands out complete payloads.
#[derive(Debug)]
pub struct FrameReader {
    rules: Frame,
    stored: Vec<u8>,
    ready: VecDeque<Zeroizing<Vec<u8>>>,
    broken: Option<FrameError>,
}

impl FrameReader {
    /// An empty reader.
    pub fn new(dialect: &Dialect) -> Self {
        // Room for the largest frame at once: growing would leave unwiped copies behind.
        let stored = Vec::with_capacity(dialect.frame.max_bytes + 4);
        Self { rules: dialect.frame.clone(), stored, ready: VecDeque::new(), broken: None }
    }

    /// Takes what was received. After an error every further call gives the same error.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), FrameError> {
        while !bytes.is_empty() {
            if let Some(error) = self.broken {
                return Err(error);
            }
            let wanted = match self.wanted() {
                Ok(wanted) => wanted,
                Err(error) => {
                    self.broken = Some(error);
                    return Err(error);
                }
            };
            let (now, later) = bytes.split_at(wanted.min(bytes.len()));
            self.stored.extend_from_slice(now);
            bytes = later;
            self.complete();
        }
        self.wanted().map(|_| ()).inspect_err(|error| self.broken = Some(*error))
    }

    /// The next complete payload.
    pub fn next_payload(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.ready.pop_front()
    }

    /// How many more bytes are needed now: for the prefix, then for the payload.
    fn wanted(&self) -> Result<usize, FrameError> {
        let prefix = prefix_len(&self.rules);
        match self.announced()? {
            None => Ok(prefix - self.stored.len()),
            Some(payload) => Ok(prefix + payload - self.stored.len()),
        }
    }

    fn announced(&self) -> Result<Option<usize>, FrameError> {
        let prefix = prefix_len(&self.rules);
        let Some(prefix_bytes) = self.stored.get(..prefix) else { return Ok(None) };
        let counted = match (self.rules.length, prefix_bytes) {
            (LengthForm::Binary2, &[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            (LengthForm::Bcd2, packed) => decimal(Alphabet::Bcd, packed).ok_or(FrameError::Prefix)?,
            (_, text) => decimal(Alphabet::Ascii, text).ok_or(FrameError::Prefix)?,
        };
        let payload = match counted {
            0 => 0,
            counted if self.rules.length_counts_itself => {
                counted.checked_sub(prefix).ok_or(FrameError::Prefix)?
            }
            counted => counted,
        };
        if payload > self.rules.max_bytes {
            return Err(FrameError::TooLong { announced: payload, cap: self.rules.max_bytes });
        }
        Ok(Some(payload))
    }

    fn complete(&mut self) {
        let prefix = prefix_len(&self.rules);
        if let Ok(Some(payload)) = self.announced()
            && self.stored.len() == prefix + payload
        {
            if payload > 0 {
                self.ready.push_back(Zeroizing::new(self.stored[prefix..].to_vec()));
            }
            self.stored.zeroize();
            self.stored.clear();
        }
    }
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        self.stored.zeroize();
    }
}

fn prefix_len(rules: &Frame) -> usize {
    match rules.length {
        LengthForm::Binary2 | LengthForm::Bcd2 => 2,
        LengthForm::Ascii4 => 4,
    }
}

fn decimal(alphabet: Alphabet, bytes: &[u8]) -> Option<usize> {
    let digits = match alphabet {
        Alphabet::Bcd => crate::digits::unpack(bytes, bytes.len() * 2, crate::dialect::Align::Left, None)?,
        _ => bytes.to_vec(),
    };
    digits
        .iter()
        .try_fold(0usize, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + usize::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::CUP;

    fn cup() -> Dialect {
        Dialect::parse(CUP).unwrap()
    }

    fn ascii() -> Dialect {
        Dialect::parse(include_str!("../tests/dialects/ascii.toml")).unwrap()
    }

    fn all(reader: &mut FrameReader) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| reader.next_payload()).map(|payload| payload.to_vec()).collect()
    }

    #[test]
    fn one_byte_at_a_time_and_two_frames_in_one_segment_give_the_same_payloads() {
        for dialect in [cup(), ascii()] {
            let mut stream = frame(&dialect, b"first").unwrap().to_vec();
            stream.extend_from_slice(&frame(&dialect, b"second one").unwrap());
            let mut reader = FrameReader::new(&dialect);
            reader.push(&stream).unwrap();
            assert_eq!(all(&mut reader), [b"first".to_vec(), b"second one".to_vec()]);
            let mut slow = FrameReader::new(&dialect);
            let mut seen = Vec::new();
            for byte in &stream {
                slow.push(&[*byte]).unwrap();
                seen.extend(all(&mut slow));
            }
            assert_eq!(seen, [b"first".to_vec(), b"second one".to_vec()]);
        }
    }

    #[test]
    fn a_keep_alive_is_skipped_also_between_two_frames() {
        let dialect = cup();
        let mut reader = FrameReader::new(&dialect);
        reader.push(&[0, 0, 0, 2, b'a', b'b', 0, 0, 0, 0, 0, 1, b'c']).unwrap();
        assert_eq!(all(&mut reader), [b"ab".to_vec(), b"c".to_vec()]);
    }

    #[test]
    fn a_length_above_the_cap_is_refused_from_the_prefix_alone_and_stays_refused() {
        let dialect = cup();
        let mut reader = FrameReader::new(&dialect);
        let error = FrameError::TooLong { announced: 0xFFFF, cap: 2048 };
        assert_eq!(reader.push(&[0xFF, 0xFF]), Err(error));
        assert_eq!(reader.push(&[0, 1, 7]), Err(error));
        assert!(reader.next_payload().is_none());
        let mut reader = FrameReader::new(&dialect);
        assert!(reader.push(&2049u16.to_be_bytes()).is_err());
        let mut reader = FrameReader::new(&dialect);
        assert!(reader.push(&2048u16.to_be_bytes()).is_ok());
    }

    #[test]
    fn a_prefix_that_is_no_number_is_refused() {
        let dialect = ascii();
        assert_eq!(FrameReader::new(&dialect).push(b"00x9PAN"), Err(FrameError::Prefix));
        assert_eq!(FrameReader::new(&dialect).push(b"0003"), Err(FrameError::Prefix));
        let bcd = Dialect::overlaid("[frame]\nlength = \"bcd-2\"").unwrap();
        assert_eq!(FrameReader::new(&bcd).push(&[0x1A, 0]), Err(FrameError::Prefix));
        let mut reader = FrameReader::new(&bcd);
        reader.push(&frame(&bcd, &[7; 120]).unwrap()).unwrap();
        assert_eq!(all(&mut reader), [vec![7; 120]]);
    }

    #[test]
    fn more_than_the_cap_is_not_sent_either() {
        assert!(frame(&cup(), &[0; 2049]).is_err());
    }
}
