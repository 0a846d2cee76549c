//! What a hand at the printer, or a script, can do to it.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Something broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The cutter is jammed; DLE ENQ clears it.
    Cutter,
    /// Does not come back by itself.
    Unrecoverable,
    /// The head is too hot and will cool.
    Overheat,
}

/// One action. As JSON: `{"do":"refill","lines":200}`; as words on standard input: `refill 200`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// The roll is empty now (`paper-out`).
    PaperOut {},
    /// So many lines are left (`paper 12`).
    Paper {
        /// Lines of 30 dots.
        lines: u32,
    },
    /// A new roll (`refill`, `refill 200`).
    Refill {
        /// Lines; absent: without end.
        #[serde(default)]
        lines: Option<u32>,
    },
    /// The cover (`cover open`, `cover close`).
    Cover {
        /// Open or closed.
        open: bool,
    },
    /// The offline switch (`offline on`, `offline off`).
    Offline {
        /// Offline or not.
        on: bool,
    },
    /// An error (`fault cutter`, `fault unrecoverable`, `fault overheat`, `fault none`).
    Fault {
        /// Which; absent: none.
        #[serde(default)]
        fault: Option<Fault>,
    },
    /// The drawer switch on connector pin 3 (`drawer high`, `drawer low`).
    Drawer {
        /// Level.
        high: bool,
    },
    /// Off and on (`power-cycle`): what was received and not printed is gone.
    PowerCycle {},
    /// Tears the paper off at the edge (`tear`).
    Tear {},
    /// Reads so many bytes a second (`read-rate 200`, `read-rate full`).
    ReadRate {
        /// Bytes a second; absent: as fast as they come.
        #[serde(default)]
        bytes_per_second: Option<u32>,
    },
    /// Leaves the bytes in the network (`stop-reading on`, `stop-reading off`): the window closes.
    StopReading {
        /// Reading stopped.
        on: bool,
    },
    /// Hangs up after so many more bytes (`drop-after 100`).
    DropAfter {
        /// Bytes, counted from now.
        bytes: u64,
        /// RST instead of FIN.
        #[serde(default)]
        reset: bool,
    },
    /// Never answers, as printers with one-way interfaces (`silent on`, `silent off`).
    Silent {
        /// No answers.
        on: bool,
    },
}

/// A line that is no command.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "{line:?} is no printer command; try paper-out, paper N, refill [N], cover open|close, offline on|off, \
         fault cutter|unrecoverable|overheat|none, drawer high|low, power-cycle, tear, read-rate N|full, \
         stop-reading on|off, drop-after N, reset-after N, silent on|off"
)]
pub struct NotACommand {
    line: String,
}

impl std::str::FromStr for Command {
    type Err = NotACommand;

    fn from_str(line: &str) -> Result<Self, NotACommand> {
        let bad = || NotACommand { line: line.to_owned() };
        if line.trim_start().starts_with('{') {
            return serde_json::from_str(line).map_err(|_| bad());
        }
        let number = |text: &str| text.parse::<u32>().map_err(|_| bad());
        let words: Vec<&str> = line.split_whitespace().collect();
        Ok(match words.as_slice() {
            ["paper-out"] => Self::PaperOut {},
            ["paper", lines] => Self::Paper { lines: number(lines)? },
            ["refill"] => Self::Refill { lines: None },
            ["refill", lines] => Self::Refill { lines: Some(number(lines)?) },
            ["cover", "open"] => Self::Cover { open: true },
            ["cover", "close" | "closed"] => Self::Cover { open: false },
            ["offline", "on"] => Self::Offline { on: true },
            ["offline", "off"] => Self::Offline { on: false },
            ["fault", "cutter"] => Self::Fault { fault: Some(Fault::Cutter) },
            ["fault", "unrecoverable"] => Self::Fault { fault: Some(Fault::Unrecoverable) },
            ["fault", "overheat"] => Self::Fault { fault: Some(Fault::Overheat) },
            ["fault", "none"] => Self::Fault { fault: None },
            ["drawer", "high"] => Self::Drawer { high: true },
            ["drawer", "low"] => Self::Drawer { high: false },
            ["power-cycle"] => Self::PowerCycle {},
            ["tear"] => Self::Tear {},
            ["read-rate", "full"] => Self::ReadRate { bytes_per_second: None },
            ["read-rate", rate] => Self::ReadRate { bytes_per_second: Some(number(rate)?.max(1)) },
            ["stop-reading", "on"] => Self::StopReading { on: true },
            ["stop-reading", "off"] => Self::StopReading { on: false },
            ["drop-after", bytes] => Self::DropAfter { bytes: number(bytes)?.into(), reset: false },
            ["reset-after", bytes] => Self::DropAfter { bytes: number(bytes)?.into(), reset: true },
            ["silent", "on"] => Self::Silent { on: true },
            ["silent", "off"] => Self::Silent { on: false },
            _ => return Err(bad()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_json_say_the_same() {
        let same = [
            ("refill 200", r#"{"do":"refill","lines":200}"#),
            ("cover open", r#"{"do":"cover","open":true}"#),
            ("paper-out", r#"{"do":"paper-out"}"#),
            ("fault cutter", r#"{"do":"fault","fault":"cutter"}"#),
            ("reset-after 9", r#"{"do":"drop-after","bytes":9,"reset":true}"#),
        ];
        for (words, json) in same {
            assert_eq!(words.parse::<Command>(), json.parse::<Command>(), "{words}");
            assert!(words.parse::<Command>().is_ok());
        }
        for bad in ["refil", "paper", "paper x", r#"{"do":"paper-out","now":1}"#, ""] {
            assert!(bad.parse::<Command>().is_err(), "{bad}");
        }
    }
}
