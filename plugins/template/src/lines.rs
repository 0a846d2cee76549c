//! Bytes in, lines out. No I/O.

use till_plugin::Sensitive;
use zeroize::Zeroize;

/// A scan.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Its text. A payment code is as good as money for a minute: it is `Sensitive`.
    Text(Sensitive<String>),
    /// Longer than allowed.
    TooLong,
    /// Not UTF-8.
    NotText,
}

/// Puts scans together from whatever pieces the device sends.
#[derive(Debug)]
pub struct Lines {
    end: u8,
    longest: usize,
    bytes: Sensitive<Vec<u8>>,
    too_long: bool,
}

impl Lines {
    /// Scans that end with `end` and have at most `longest` bytes.
    pub fn new(end: u8, longest: usize) -> Self {
        Self { end, longest, bytes: Sensitive::new(Vec::with_capacity(longest)), too_long: false }
    }

    /// Takes bytes; gives the scans that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for byte in bytes {
            if *byte == self.end {
                lines.extend(self.finish());
            } else if self.bytes.expose().len() == self.longest {
                self.too_long = true;
            } else {
                self.bytes.expose_mut().push(*byte);
            }
        }
        lines
    }

    /// Forgets what has come of an unfinished scan.
    pub fn clear(&mut self) {
        self.bytes.expose_mut().zeroize();
        self.bytes.expose_mut().reserve(self.longest);
        self.too_long = false;
    }

    fn finish(&mut self) -> Option<Line> {
        let line = if self.too_long {
            Some(Line::TooLong)
        } else if self.bytes.expose().is_empty() {
            None
        } else {
            Some(match std::str::from_utf8(self.bytes.expose()) {
                Ok(text) => Line::Text(Sensitive::new(text.to_owned())),
                Err(_) => Line::NotText,
            })
        };
        self.clear();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> Line {
        Line::Text(Sensitive::new(t.to_owned()))
    }

    #[test]
    fn a_scan_is_the_same_in_whatever_pieces_it_comes() {
        for size in 1..8 {
            let mut lines = Lines::new(b'\r', 100);
            let got: Vec<_> = b"6901234567892\r\rabc\r".chunks(size).flat_map(|c| lines.push(c)).collect();
            assert_eq!(got, [text("6901234567892"), text("abc")]);
        }
    }

    #[test]
    fn a_scan_that_is_too_long_is_one_failure_and_the_next_is_good() {
        let mut lines = Lines::new(b'\r', 5);
        assert_eq!(lines.push(b"123456789\r12345\r"), [Line::TooLong, text("12345")]);
        assert_eq!(lines.push(b"\xff\xfe\r"), [Line::NotText]);
    }
}
