//! A simulated chip at the end of a stream: one line of text a question, one an answer (`till-sim gpio`).
//!
//! `out NAME LEVEL`, `in NAME`, `set NAME LEVEL` are answered `ok`, `busy WHO` or `none`; `get NAME` is answered `0` or `1`. Levels are
//! physical, 0 or 1.

use std::time::Duration;

use till_plugin::host::{Host, Read, TransportError};

use crate::{Gpio, GpioError, Want};

/// Longest for one question.
const PATIENCE: Duration = Duration::from_millis(500);
/// Longest answer, bytes.
const LONGEST: usize = 128;

/// Requested lines; the chip frees them when the stream ends.
pub struct Lines {
    host: Host,
    wants: Vec<Want>,
}

impl Lines {
    /// Requests lines.
    pub fn request(host: Host, wants: &[Want]) -> Result<Self, GpioError> {
        let mut lines = Self { host, wants: Vec::new() };
        for want in wants {
            if want.line.is_empty() || !want.line.chars().all(|c| c.is_ascii_graphic()) {
                return Err(GpioError::NoLine { chip: "simulated".into(), line: want.line.clone() });
            }
            let question = if want.output {
                format!("out {} {}", want.line, u8::from(want.active_low))
            } else {
                format!("in {}", want.line)
            };
            lines.ask(&want.line, &question)?;
            lines.wants.push(want.clone());
        }
        Ok(lines)
    }

    fn ask(&self, line: &str, question: &str) -> Result<String, GpioError> {
        let gone = |detail: &str| TransportError::Gone { name: "GPIO".into(), detail: detail.into() };
        if let Err(e) = self.host.write(format!("{question}\n").as_bytes(), PATIENCE) {
            return Err(e.error.unwrap_or_else(|| gone("it takes nothing")).into());
        }
        let until = self.host.now().boot_ms + 500;
        let mut answer = Vec::new();
        while answer.last() != Some(&b'\n') {
            let left = until.saturating_sub(self.host.now().boot_ms);
            match self.host.read(LONGEST, Duration::from_millis(left))? {
                Read::Data(bytes) => answer.extend(bytes),
                // A waiting call must not leave half an answer for the next question.
                Read::Woken if left > 0 => {}
                _ => return Err(gone("it does not answer").into()),
            }
            if answer.len() > LONGEST || left == 0 {
                return Err(gone("its answer is none").into());
            }
        }
        let text = String::from_utf8_lossy(&answer).trim_end().to_owned();
        match text.split_once(' ').unwrap_or((text.as_str(), "")) {
            ("busy", by) => Err(GpioError::Busy { line: line.into(), by: by.into() }),
            ("none", _) => Err(GpioError::NoLine { chip: "simulated".into(), line: line.into() }),
            ("ok" | "0" | "1", "") => Ok(text),
            _ => Err(gone("its answer is none").into()),
        }
    }

    fn want(&self, line: usize) -> Result<&Want, GpioError> {
        let missing = || GpioError::System { line: line.to_string(), detail: "it was not requested".into() };
        self.wants.get(line).ok_or_else(missing)
    }
}

impl Gpio for Lines {
    fn set(&mut self, line: usize, active: bool) -> Result<(), GpioError> {
        let want = self.want(line)?;
        let level = u8::from(active != want.active_low);
        self.ask(&want.line, &format!("set {} {level}", want.line)).map(|_| ())
    }

    fn get(&mut self, line: usize) -> Result<bool, GpioError> {
        let want = self.want(line)?;
        let high = self.ask(&want.line, &format!("get {}", want.line))? == "1";
        Ok(high != want.active_low)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        for line in 0..self.wants.len() {
            if self.wants[line].output {
                let _gone = self.set(line, false);
            }
        }
    }
}
