//! Recordings of a transport: one format, written by `tillctl record` and played by `kind = "replay"`.
//!
//! ```text
//! # till-recording 2 serial
//! # comments and empty lines are skipped
//! 0 open
//! 40 in 36393031 *9 0d
//! 250 out 1b40
//! 400 in 12
//! 900 gone
//! 2400 open
//! ```
//!
//! The first line names the format's version and what kind of transport was recorded. Every other line is milliseconds
//! since the start, and what happened: bytes from the device (`in`) or to it (`out`), as hex and `*N` for N bytes that are
//! masked; `gone`: it was closed or unplugged; `open`: it was opened. Version 1 had neither `open` nor `*N`; it is still
//! read.

use std::fmt::Write as _;
use std::time::Duration;

use till_plugin::host::TransportKind;
use till_plugin::proto::traffic::Run;

const FIRST_WORDS: &str = "# till-recording ";
const VERSION: u32 = 2;

/// Longest file that is read or written, bytes.
pub const MAX_FILE: u64 = 16 << 20;

/// Most bytes that one line can say are masked.
const MAX_MASKED: u32 = 16 << 20;

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
    In(Vec<Run>),
    /// The plugin sends.
    Out(Vec<Run>),
    /// The device was opened.
    Open,
    /// The device is unplugged.
    Gone,
}

/// Why a recording cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// The first line is wrong.
    #[error("the first line must be `{FIRST_WORDS}{VERSION} KIND`, KIND such as serial, evdev, hidraw, tcp")]
    FirstLine,
    /// It is newer than this program.
    #[error("it is of version {0}; this tilld reads recordings up to version {VERSION}")]
    Newer(u32),
    /// A line is wrong.
    #[error("line {line} must be `MILLISECONDS in|out HEX`, `MILLISECONDS open` or `MILLISECONDS gone`")]
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
        let (_, first) = lines.next().ok_or(RecordingError::FirstLine)?;
        let (version, kind) = first
            .strip_prefix(FIRST_WORDS)
            .and_then(|rest| rest.trim().split_once(' '))
            .ok_or(RecordingError::FirstLine)?;
        match version.parse() {
            Ok(1..=VERSION) => {}
            Ok(newer) => return Err(RecordingError::Newer(newer)),
            Err(_) => return Err(RecordingError::FirstLine),
        }
        let kind = kind_named(kind).ok_or(RecordingError::FirstLine)?;
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
        let mut text = first_line(self.kind);
        for (at, step) in &self.steps {
            text += &line(*at, step);
        }
        text
    }
}

/// The first line of a recording.
pub fn first_line(kind: TransportKind) -> String {
    format!("{FIRST_WORDS}{VERSION} {}\n", kind.as_str())
}

/// The line of a step.
pub fn line(at: Duration, step: &Step) -> String {
    let mut text = at.as_millis().to_string();
    let (what, runs): (_, &[Run]) = match step {
        Step::In(runs) => (" in", runs),
        Step::Out(runs) => (" out", runs),
        Step::Open => (" open", &[]),
        Step::Gone => (" gone", &[]),
    };
    text += what;
    for run in runs {
        let _infallible = match run {
            Run::Known(bytes) => write!(text, " {}", hex::encode(bytes)),
            Run::Masked(n) => write!(text, " *{n}"),
        };
    }
    text.push('\n');
    text
}

/// A comment of one line.
pub fn comment(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("# {clean}\n")
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
    let step = match what {
        "in" => Step::In(runs(words)?),
        "out" => Step::Out(runs(words)?),
        "open" => words.next().is_none().then_some(Step::Open)?,
        "gone" => words.next().is_none().then_some(Step::Gone)?,
        _ => return None,
    };
    Some((at, step))
}

fn runs<'a>(words: impl Iterator<Item = &'a str>) -> Option<Vec<Run>> {
    let mut runs = Vec::new();
    let mut digits = String::new();
    let close = |digits: &mut String, runs: &mut Vec<Run>| {
        if !digits.is_empty() {
            runs.push(Run::Known(hex::decode(std::mem::take(digits)).ok()?));
        }
        Some(())
    };
    for word in words {
        if let Some(count) = word.strip_prefix('*') {
            close(&mut digits, &mut runs)?;
            let count = count.parse().ok().filter(|n| (1..=MAX_MASKED).contains(n))?;
            runs.push(Run::Masked(count));
        } else {
            digits += word;
        }
    }
    close(&mut digits, &mut runs)?;
    (!runs.is_empty()).then_some(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known(bytes: &[u8]) -> Vec<Run> {
        vec![Run::Known(bytes.to_vec())]
    }

    #[test]
    fn a_recording_of_either_version_is_read_with_comments_and_spaced_hex() {
        let r =
            Recording::parse("# till-recording 1 evdev\n\n# swipe\n0 in 01 02\n5 out ff\n9 gone\n").unwrap();
        assert_eq!(r.kind, TransportKind::Evdev);
        assert_eq!(r.steps[0], (Duration::ZERO, Step::In(known(&[1, 2]))));
        assert_eq!(r.steps[2], (Duration::from_millis(9), Step::Gone));
        let r =
            Recording::parse("# till-recording 2 serial\n0 open\n1 in 3b *16 3d 0\n".trim_end_matches("0\n"));
        let runs = vec![Run::Known(vec![0x3b]), Run::Masked(16), Run::Known(vec![0x3d])];
        assert_eq!(r.unwrap().steps[1], (Duration::from_millis(1), Step::In(runs)));
    }

    #[test]
    fn each_defect_is_named_with_its_line() {
        let e = |text: &str| Recording::parse(text).unwrap_err();
        assert_eq!(e(""), RecordingError::FirstLine);
        assert_eq!(e("# till-recording 3 serial"), RecordingError::Newer(3));
        assert_eq!(e("# till-recording 1 serail"), RecordingError::FirstLine);
        let bad = ["x in 00", "1 in", "1 in 0", "1 in zz", "1 up 00", "-1 in 00", "1 gone 00", "1 in *0"];
        for line in bad.into_iter().chain(["1 in *99999999", "1 in 0 *1 0", "1 open 00"]) {
            assert_eq!(
                e(&format!("# till-recording 2 serial\n{line}")),
                RecordingError::Line { line: 2 },
                "{line}"
            );
        }
        assert_eq!(e("# till-recording 2 serial\n5 in 00\n4 in 00"), RecordingError::Time { line: 3 });
    }

    #[test]
    fn a_comment_is_one_line_whatever_is_in_it() {
        assert_eq!(comment("a\nb\r0 in 00"), "# a b 0 in 00\n");
    }

    fn some_run() -> impl Strategy<Value = Run> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..20).prop_map(Run::Known),
            (1..5000_u32).prop_map(Run::Masked)
        ]
    }

    proptest! {
        #[test]
        fn text_round_trips(mut steps in proptest::collection::vec((0_u64..100_000, proptest::collection::vec(some_run(), 1..4), 0..4_u8), 0..20)) {
            steps.sort_by_key(|s| s.0);
            let steps = steps.into_iter().map(|(ms, mut runs, what)| {
                // Known bytes in a row are one run.
                runs.dedup_by(|b, a| matches!((a, b), (Run::Known(_), Run::Known(_))));
                let step = match what { 0 => Step::In(runs), 1 => Step::Out(runs), 2 => Step::Open, _ => Step::Gone };
                (Duration::from_millis(ms), step)
            }).collect();
            let recording = Recording { kind: TransportKind::Serial, steps };
            prop_assert_eq!(Recording::parse(&recording.to_text()), Ok(recording));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(# till-recording 2 serial\n)?[ -~\n]{0,200}") {
            let _either = Recording::parse(&text);
        }
    }
}
