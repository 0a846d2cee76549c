//! Recordings: what passed over a device, as text that the till's replay transport reads too.
//!
//! ```text
//! # till-recording 1 evdev
//! 0 in 0000…
//! 4 in 0000…
//! ```
//! First line: format version and what the bytes are (`evdev`, `serial`). Then `<ms since start> <in|out> <hex>`, in
//! order of time; `in` is from the device to the till. Blank lines and lines that begin with `#` are comments.

use std::fmt::Write as _;
use std::time::Duration;
use thiserror::Error;

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Device to till.
    In,
    /// Till to device.
    Out,
}

/// Bytes that passed at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// When, since the start; the file keeps milliseconds.
    pub at: Duration,
    /// Which way.
    pub direction: Direction,
    /// What.
    pub bytes: Vec<u8>,
}

/// A text that is no recording.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecordingError {
    /// The first line.
    #[error("not a recording: the first line must be \"# till-recording 1 KIND\"")]
    Header,
    /// A line.
    #[error("recording line {line}: {what}; a line is \"<ms since start> <in|out> <hex>\"")]
    Line {
        /// Line number from 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// A whole recording. Its text holds what the device sent, card data included: test cards only.
#[derive(Clone, PartialEq, Eq)]
pub struct Recording {
    /// `evdev`, `serial` …
    pub kind: String,
    /// In order of time.
    pub chunks: Vec<Chunk>,
}

impl Recording {
    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut out = ["# till-recording 1 ", &self.kind, "\n"].concat();
        for chunk in &self.chunks {
            let direction = if chunk.direction == Direction::In { "in" } else { "out" };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{} {direction} {}", chunk.at.as_millis(), hex::encode(&chunk.bytes));
        }
        out
    }

    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Self, RecordingError> {
        let mut lines = text.lines().enumerate();
        let kind = lines.next().and_then(|(_, line)| line.strip_prefix("# till-recording 1 "));
        let kind = kind.map(str::trim).filter(|k| !k.is_empty()).ok_or(RecordingError::Header)?;
        let mut chunks: Vec<Chunk> = Vec::new();
        for (at, line) in lines {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = |what| RecordingError::Line { line: at + 1, what };
            let mut words = line.split_whitespace();
            let (Some(ms), Some(direction), Some(bytes), None) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(bad("it has not three parts"));
            };
            let at = Duration::from_millis(ms.parse().map_err(|_| bad("the time is no number"))?);
            if chunks.last().is_some_and(|last| last.at > at) {
                return Err(bad("the time runs backwards"));
            }
            let direction = match direction {
                "in" => Direction::In,
                "out" => Direction::Out,
                _ => return Err(bad("the direction is neither in nor out")),
            };
            let bytes = hex::decode(bytes).map_err(|_| bad("the bytes are not hex"))?;
            chunks.push(Chunk { at, direction, bytes });
        }
        Ok(Self { kind: kind.to_owned(), chunks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_reads_back_what_it_wrote() {
        let chunk = |ms, direction, bytes: &[u8]| Chunk {
            at: Duration::from_millis(ms),
            direction,
            bytes: bytes.into(),
        };
        let chunks = vec![
            chunk(0, Direction::In, b"28"),
            chunk(7, Direction::Out, &[0xFF]),
            chunk(7, Direction::In, b"\r"),
        ];
        let recording = Recording { kind: "serial".into(), chunks };
        let text = recording.to_text();
        assert_eq!(text, "# till-recording 1 serial\n0 in 3238\n7 out ff\n7 in 0d\n");
        assert!(Recording::parse(&text).unwrap() == recording);
    }

    #[test]
    fn damage_is_named_with_its_line() {
        let line = |text: &str| Recording::parse(&["# till-recording 1 evdev\n", text].concat()).err();
        assert_eq!(Recording::parse("0 in 00").err(), Some(RecordingError::Header));
        for bad in ["0 in", "x in 00", "0 up 00", "0 in 0", "5 in 00\n4 in 00"] {
            assert!(matches!(line(bad), Some(RecordingError::Line { line: 2 | 3, .. })), "{bad}");
        }
        assert_eq!(line("\n# a comment\n0 in 00\n"), None);
    }
}
