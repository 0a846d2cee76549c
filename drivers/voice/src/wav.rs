//! Reads WAV files: PCM of 16 bits, one channel. Nothing else is taken, and nothing is believed.
//!
//! Source: Microsoft/IBM "Multimedia Programming Interface and Data Specifications 1.0" (RIFF WAVE, `fmt ` and `data`).

/// Longest clip, bytes of sound: 10 s at 48 kHz.
pub const LONGEST: usize = 960_000;

/// The sound of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// Samples a second.
    pub rate: u32,
    /// Signed 16-bit little-endian samples, whole ones.
    pub samples: Vec<u8>,
}

/// A file that is not taken.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// No RIFF WAVE.
    #[error("it is no WAV file")]
    NoWav,
    /// It ends too soon.
    #[error("it is cut off")]
    Short,
    /// Another kind of sound.
    #[error(
        "it has {channels} channels of {bits} bits in format {format}; it must be PCM (1) with one channel of 16 bits"
    )]
    Kind {
        /// Format tag.
        format: u16,
        /// Channels.
        channels: u16,
        /// Bits a sample.
        bits: u16,
    },
    /// A rate that no sound card plays.
    #[error("it has {0} samples a second; 8000 to 48000 are taken")]
    Rate(u32),
    /// No `fmt ` before `data`, or no `data`.
    #[error("it has no sound in it")]
    Empty,
    /// Longer than ten seconds.
    #[error("it has {0} bytes of sound; at most {LONGEST} are taken")]
    Long(usize),
}

/// Reads a file's bytes.
pub fn read(bytes: &[u8]) -> Result<Clip, WavError> {
    let (Some(b"RIFF"), Some(b"WAVE")) = (bytes.get(..4), bytes.get(8..12)) else {
        return Err(WavError::NoWav);
    };
    let mut rest = bytes.get(12..).unwrap_or_default();
    let mut rate = None;
    while !rest.is_empty() {
        let (Some(name), Some(length)) = (rest.get(..4), word(rest, 4)) else { return Err(WavError::Short) };
        let length = usize::try_from(length).map_err(|_| WavError::Short)?;
        let from = 8_usize;
        let end = from.checked_add(length).ok_or(WavError::Short)?;
        let body = rest.get(from..end).ok_or(WavError::Short)?;
        match name {
            b"fmt " => rate = Some(format(body)?),
            b"data" => {
                let rate = rate.ok_or(WavError::Empty)?;
                let whole = body.len() / 2 * 2;
                return match whole {
                    0 => Err(WavError::Empty),
                    long if long > LONGEST => Err(WavError::Long(long)),
                    _ => Ok(Clip { rate, samples: body[..whole].to_vec() }),
                };
            }
            _ => {}
        }
        // Chunks begin at even places.
        rest = rest.get(end + length % 2..).unwrap_or_default();
    }
    Err(WavError::Empty)
}

fn format(body: &[u8]) -> Result<u32, WavError> {
    let half = |at: usize| Some(u16::from_le_bytes([*body.get(at)?, *body.get(at + 1)?]));
    let (Some(format), Some(channels), Some(rate), Some(bits)) = (half(0), half(2), word(body, 4), half(14))
    else {
        return Err(WavError::Short);
    };
    if (format, channels, bits) != (1, 1, 16) {
        return Err(WavError::Kind { format, channels, bits });
    }
    if !(8_000..=48_000).contains(&rate) {
        return Err(WavError::Rate(rate));
    }
    Ok(rate)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
