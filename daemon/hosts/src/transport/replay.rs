//! Recordings of a transport, played with their own timing through a socket pair.
//!
//! ```text
//! # till-recording 1 serial
//! # comments and empty lines are skipped
//! 0 in 36393031323334353637383932 0d
//! 250 out 1b40
//! 400 in 12
//! 900 gone
//! ```
//!
//! A line is milliseconds since the start, a direction and bytes in hex. `in` goes to the plugin at its time (of kind
//! `hidraw`: as one report); `out` is
//! what the plugin must have written before the recording goes on (within ten seconds of its time); `gone` unplugs. After
//! the last line the device stays, silent. Recordings must not hold real card data: make them with test cards.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use till_plugin::host::{TransportInfo, TransportKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::net::packet_pair;
use super::{Held, OpenError, OpenTransport};

const FIRST_LINE: &str = "# till-recording 1 ";
const MAX_FILE: u64 = 16 << 20;
const OUT_PATIENCE: Duration = Duration::from_secs(10);

/// A recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// What was recorded.
    pub kind: TransportKind,
    /// Its steps, with the time of each since the start.
    pub steps: Vec<(Duration, Step)>,
}

/// A step of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The device sends.
    In(Vec<u8>),
    /// The plugin sends.
    Out(Vec<u8>),
    /// The device is unplugged.
    Gone,
}

/// Why a recording cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// The first line is wrong.
    #[error("the first line must be `{FIRST_LINE}KIND`, KIND such as serial, evdev, hidraw, tcp")]
    FirstLine,
    /// A line is wrong.
    #[error("line {line} must be `MILLISECONDS in|out HEX` or `MILLISECONDS gone`")]
    Line {
        /// Line number, from 1.
        line: usize,
    },
    /// Time goes back.
    #[error("line {line} is earlier than the line before it")]
    Time {
        /// Line number, from 1.
        line: usize,
    },
    /// Far too long.
    #[error("it has {0} bytes; a recording has at most {MAX_FILE}")]
    TooBig(u64),
}

impl Recording {
    /// Reads the text of a recording.
    pub fn parse(text: &str) -> Result<Self, RecordingError> {
        let mut lines = text.lines().enumerate();
        let kind = lines
            .next()
            .and_then(|(_, first)| first.strip_prefix(FIRST_LINE))
            .and_then(kind_named)
            .ok_or(RecordingError::FirstLine)?;
        let mut steps: Vec<(Duration, Step)> = Vec::new();
        for (index, text) in lines {
            let line = index + 1;
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (at, step) = step(text).ok_or(RecordingError::Line { line })?;
            if steps.last().is_some_and(|(before, _)| at < *before) {
                return Err(RecordingError::Time { line });
            }
            steps.push((at, step));
        }
        Ok(Self { kind, steps })
    }

    /// As text that [`Recording::parse`] reads.
    pub fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}{}\n", self.kind.as_str());
        for (at, step) in &self.steps {
            let ms = at.as_millis();
            let (what, bytes) = match step {
                Step::In(bytes) => ("in ", hex::encode(bytes)),
                Step::Out(bytes) => ("out ", hex::encode(bytes)),
                Step::Gone => ("gone", String::new()),
            };
            text.extend([&ms.to_string(), " ", what, &bytes, "\n"]);
        }
        text
    }
}

fn kind_named(name: &str) -> Option<TransportKind> {
    use TransportKind as K;
    [K::Serial, K::Tcp, K::Evdev, K::Hidraw, K::Usb, K::I2c, K::Spi, K::CharDevice, K::Unix, K::Ccid]
        .into_iter()
        .find(|k| k.as_str() == name.trim())
}

fn step(text: &str) -> Option<(Duration, Step)> {
    let mut words = text.split_ascii_whitespace();
    let at = Duration::from_millis(words.next()?.parse().ok()?);
    let what = words.next()?;
    let bytes = || hex::decode(words.clone().collect::<String>()).ok().filter(|b| !b.is_empty());
    let step = match what {
        "in" => Step::In(bytes()?),
        "out" => Step::Out(bytes()?),
        "gone" => words.next().is_none().then_some(Step::Gone)?,
        _ => return None,
    };
    Some((at, step))
}

/// Opens a recording and begins to play it.
pub(super) fn open(path: &Path) -> Result<OpenTransport, OpenError> {
    let bad = |error| OpenError::Recording { path: path.into(), error };
    let file = |e: &std::io::Error| OpenError::file(path, e);
    let length = std::fs::metadata(path).map_err(|e| file(&e))?.len();
    if length > MAX_FILE {
        return Err(bad(RecordingError::TooBig(length)));
    }
    let text = std::fs::read_to_string(path).map_err(|e| file(&e))?;
    let recording = Recording::parse(&text).map_err(bad)?;
    let (ours, fd) = ends(recording.kind).map_err(|e| file(&e))?;
    let (stop, stopped) = oneshot::channel();
    let name = path.display().to_string();
    let info = TransportInfo { kind: recording.kind, name: name.clone() };
    tokio::spawn(async move {
        tokio::select! {
            ended = play(ours, recording.steps) => {
                // Not what was written: it may be card data.
                if let Err(what) = ended { tracing::warn!(recording = name, "replay ended: {what}"); }
            }
            _ = stopped => {}
        }
    });
    let label = info.name.clone();
    Ok(OpenTransport { info, label, fd, claim: None, _held: Held::Player { _stop: stop } })
}

/// The player's end and the plugin's; reports and transactions stay apart.
fn ends(kind: TransportKind) -> std::io::Result<(UnixStream, OwnedFd)> {
    if super::packets(kind) {
        let (ours, theirs) = packet_pair()?;
        return Ok((UnixStream::from_std(ours)?, theirs));
    }
    let (ours, theirs) = UnixStream::pair()?;
    Ok((ours, theirs.into_std()?.into()))
}

async fn play(mut device: UnixStream, steps: Vec<(Duration, Step)>) -> Result<(), String> {
    let start = Instant::now();
    let mut written = 0_usize;
    for (at, step) in steps {
        sleep_until(start + at).await;
        match step {
            Step::In(bytes) => device.write_all(&bytes).await.map_err(|e| e.to_string())?,
            Step::Out(expected) => {
                let mut got = vec![0; expected.len()];
                match timeout(OUT_PATIENCE, device.read_exact(&mut got)).await {
                    Err(_) => {
                        return Err(format!(
                            "the plugin did not write byte {written} to {} in time",
                            written + expected.len()
                        ));
                    }
                    Ok(Err(e)) => return Err(e.to_string()),
                    Ok(Ok(_)) if got != expected => {
                        let at = got.iter().zip(&expected).position(|(a, b)| a != b).unwrap_or(0);
                        return Err(format!(
                            "the plugin wrote another byte {} than was recorded",
                            written + at
                        ));
                    }
                    Ok(Ok(_)) => written += expected.len(),
                }
            }
            Step::Gone => return Ok(()),
        }
    }
    // The device stays, and takes whatever is written to it.
    let mut rest = [0; 4096];
    while device.read(&mut rest).await.is_ok_and(|n| n > 0) {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_recording_is_read_with_comments_and_spaced_hex() {
        let r =
            Recording::parse("# till-recording 1 evdev\n\n# swipe\n0 in 01 02\n5 out ff\n9 gone\n").unwrap();
        assert_eq!(r.kind, TransportKind::Evdev);
        assert_eq!(r.steps[0], (Duration::ZERO, Step::In(vec![1, 2])));
        assert_eq!(r.steps[2], (Duration::from_millis(9), Step::Gone));
    }

    #[test]
    fn each_defect_is_named_with_its_line() {
        let e = |text: &str| Recording::parse(text).unwrap_err();
        assert_eq!(e(""), RecordingError::FirstLine);
        assert_eq!(e("# till-recording 2 serial"), RecordingError::FirstLine);
        assert_eq!(e("# till-recording 1 serail"), RecordingError::FirstLine);
        for line in ["x in 00", "1 in", "1 in 0", "1 in zz", "1 up 00", "-1 in 00", "1 gone 00"] {
            assert_eq!(
                e(&format!("# till-recording 1 serial\n{line}")),
                RecordingError::Line { line: 2 },
                "{line}"
            );
        }
        assert_eq!(e("# till-recording 1 serial\n5 in 00\n4 in 00"), RecordingError::Time { line: 3 });
    }

    proptest! {
        #[test]
        fn text_round_trips(mut steps in proptest::collection::vec((0_u64..100_000, proptest::collection::vec(any::<u8>(), 1..20), any::<bool>()), 0..20)) {
            steps.sort_by_key(|s| s.0);
            let steps = steps.into_iter()
                .map(|(ms, b, inward)| (Duration::from_millis(ms), if inward { Step::In(b) } else { Step::Out(b) }))
                .collect();
            let recording = Recording { kind: TransportKind::Serial, steps };
            prop_assert_eq!(Recording::parse(&recording.to_text()), Ok(recording));
        }
    }
}
