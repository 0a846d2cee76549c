//! Framing: length prefix, reassembly, limits.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::{Zeroize, Zeroizing};

use super::MAX_FRAME;

/// Why a stream of frames ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length over the limit; nothing was allocated for it.
    #[error("a frame of {length} bytes is announced, the limit is {MAX_FRAME}")]
    TooLong {
        /// The announced length.
        length: u32,
    },
    /// The bytes of a frame are no message.
    #[error("a frame of {length} bytes is not a message of protocol {}", super::PROTOCOL)]
    Undecodable {
        /// Its length.
        length: usize,
    },
    /// A message is too big to send.
    #[error("a message of {length} bytes does not fit into a frame of {MAX_FRAME}")]
    TooBig {
        /// Its length.
        length: usize,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended after {have} bytes of a frame")]
    Half {
        /// Bytes that had come.
        have: usize,
    },
}

/// One message as a frame. Wiped on drop, because messages carry card data.
pub fn encode_frame<T: Serialize>(message: &T) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let mut frame = Zeroizing::new(vec![0; 4]);
    *frame = postcard::to_extend(message, std::mem::take(&mut *frame))
        .map_err(|_| FrameError::TooBig { length: 0 })?;
    let length = frame.len() - 4;
    if length > MAX_FRAME {
        return Err(FrameError::TooBig { length });
    }
    let prefix = u32::try_from(length).map_err(|_| FrameError::TooBig { length })?;
    frame[..4].copy_from_slice(&prefix.to_le_bytes());
    Ok(frame)
}

/// Puts frames together from whatever pieces a stream gives.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    start: usize,
}

impl FrameBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start == self.bytes.len() {
            self.clear();
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, or `None` when more bytes are needed.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let waiting = &self.bytes[self.start..];
        let Some((prefix, rest)) = waiting.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*prefix);
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if size > MAX_FRAME {
            return Err(FrameError::TooLong { length });
        }
        let Some(body) = rest.get(..size) else { return Ok(None) };
        let Ok((message, [])) = postcard::take_from_bytes(body) else {
            return Err(FrameError::Undecodable { length: size });
        };
        let end = self.start + 4 + size;
        self.bytes[self.start..end].zeroize();
        self.start = end;
        if self.start == self.bytes.len() {
            self.clear();
        } else if self.start > MAX_FRAME {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        Ok(Some(message))
    }

    /// To be asked at the end of the stream: an error if it ended inside a frame.
    pub fn finish(&self) -> Result<(), FrameError> {
        match self.bytes.len() - self.start {
            0 => Ok(()),
            have => Err(FrameError::Half { have }),
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ToHost;
    use proptest::prelude::*;

    #[test]
    fn a_wild_length_is_refused_before_memory_is_taken() {
        let mut buffer = FrameBuffer::new();
        buffer.push(&u32::MAX.to_le_bytes());
        assert_eq!(buffer.take::<ToHost>(), Err(FrameError::TooLong { length: u32::MAX }));
    }

    #[test]
    fn half_a_frame_is_named_at_the_end() {
        let mut buffer = FrameBuffer::new();
        buffer.push(&encode_frame(&ToHost::Ping { nonce: 7 }).unwrap()[..5]);
        assert_eq!(buffer.take::<ToHost>(), Ok(None));
        assert_eq!(buffer.finish(), Err(FrameError::Half { have: 5 }));
    }

    #[test]
    fn a_message_over_the_limit_is_not_sent() {
        let big = ToHost::Call { id: 1, method: 1, timeout_ms: 1, payload: vec![0; MAX_FRAME + 1] };
        assert!(matches!(encode_frame(&big), Err(FrameError::TooBig { .. })));
    }

    proptest! {
        #[test]
        fn frames_survive_any_splitting(nonces in proptest::collection::vec(any::<u64>(), 0..20), cut in 1_usize..9) {
            let mut stream = Vec::new();
            for nonce in &nonces {
                stream.extend_from_slice(&encode_frame(&ToHost::Ping { nonce: *nonce }).unwrap());
            }
            let mut buffer = FrameBuffer::new();
            let mut got = Vec::new();
            for piece in stream.chunks(cut) {
                buffer.push(piece);
                while let Some(message) = buffer.take::<ToHost>().unwrap() {
                    let ToHost::Ping { nonce } = message else { panic!("not what was sent") };
                    got.push(nonce);
                }
            }
            prop_assert_eq!(got, nonces);
            prop_assert_eq!(buffer.finish(), Ok(()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut buffer = FrameBuffer::new();
            buffer.push(&bytes);
            while let Ok(Some(_)) = buffer.take::<crate::proto::FromHost>() {}
        }
    }
}
