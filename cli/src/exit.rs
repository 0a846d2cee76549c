//! Exit codes, and failures that say what to do.

use std::io;
use std::process::ExitCode;

use till_dbus::Error;

/// Done; of `pay`: paid.
pub const DONE: u8 = 0;
/// Failed in a way that no other code names.
pub const FAILED: u8 = 1;
/// Wrong usage.
pub const USAGE: u8 = 2;
/// tilld, or the bus, cannot be reached.
pub const UNREACHABLE: u8 = 3;
/// The caller may not.
pub const NOT_ALLOWED: u8 = 4;
/// The till refused; nothing changed.
pub const REFUSED: u8 = 5;
/// The payment, refund or the like ended, and no money moved.
pub const NO_MONEY: u8 = 6;
/// Its outcome is not known yet.
pub const UNKNOWN: u8 = 7;
/// The journal has problems.
pub const JOURNAL: u8 = 8;
/// Of `doctor`: something needs a fix, and it is said.
pub const TO_FIX: u8 = 9;

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub exit: u8,
    /// Stable name, as after `org.tilld.Error.`; `Usage`, `Io` for what happened here.
    pub code: String,
    /// What failed.
    pub text: String,
    /// What to do, when the text does not say it.
    pub hint: Option<String>,
}

impl Failure {
    /// Wrong usage.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { exit: USAGE, code: "Usage".into(), text: text.into(), hint: None }
    }

    /// Says it on standard error and gives the exit code.
    pub fn report(self, json: bool) -> ExitCode {
        if self.code == "BrokenPipe" {
            // The reader has seen enough (`tillctl payments | head`).
            return ExitCode::SUCCESS;
        }
        if json {
            eprintln!("{}", self.json());
        } else {
            eprintln!("tillctl: {}", self.text);
            if let Some(hint) = &self.hint {
                eprintln!("  → {hint}");
            }
        }
        ExitCode::from(self.exit)
    }

    /// The failure as JSON: `{"error": {"code", "text", "hint", "exit"}}`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "error": { "code": self.code, "text": self.text, "hint": self.hint, "exit": self.exit }
        })
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        let exit = match &e {
            Error::NotRunning { .. } | Error::NoBus { .. } | Error::NoAnswer | Error::Stopping(_) => {
                UNREACHABLE
            }
            Error::NotAuthorized(_) => NOT_ALLOWED,
            Error::Bus(_) => FAILED,
            _ => REFUSED,
        };
        let hint = match &e {
            Error::Busy(_) => "`tillctl show active` shows it, `tillctl cancel active` gives it up",
            Error::NotFound(_) => {
                "`tillctl payments`, `tillctl channels` and `tillctl devices` list what there is"
            }
            Error::NoRoute(_) | Error::Timeout(_) => "`tillctl channels` shows how each channel is",
            Error::JournalUnavailable(_) => "`tillctl status` says what is wrong with the journal",
            Error::TooLittle(_) => "take more, or enter what was really handed over",
            Error::PluginFailed(_) => {
                "`tillctl devices` and `tillctl channels` show the reason, `journalctl -u tilld` the story"
            }
            Error::KeyReuse(_) => "`tillctl show KEY` shows the payment that has the key",
            Error::PossibleDuplicate(_) => {
                "ask the customer; when it is another purchase, say why with --duplicate-reason WHY"
            }
            Error::NotGenuine(_) | Error::Outdated(_) => "`tillctl maintenance list` shows what is announced",
            Error::Locked(_) | Error::TooSoon(_) | Error::WrongPassword(_) => {
                "`tillctl channels` shows which channels ask for the merchant, and how that stands"
            }
            Error::OtherCard(_) => {
                "ask for the card that paid: `tillctl show PAYMENT` shows its masked number"
            }
            Error::TooMuch(_) => {
                "`tillctl show PAYMENT` shows what was paid, what went back, and what remains"
            }
            Error::NotPossible(_) => {
                "`tillctl show PAYMENT` shows each attempt by its number; what cannot be voided may still be refunded"
            }
            Error::Review(_) => {
                "it takes two people: `tillctl review propose`, then `tillctl review confirm` with another --operator"
            }
            Error::Bus(_) => "`systemctl status tilld`; tillctl and tilld may be of different versions",
            _ => "",
        };
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Self { exit, code: e.code().into(), text: e.to_string(), hint }
    }
}

impl From<zbus::Error> for Failure {
    fn from(e: zbus::Error) -> Self {
        Error::from(e).into()
    }
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        let code = if e.kind() == io::ErrorKind::BrokenPipe { "BrokenPipe" } else { "Io" };
        Self { exit: FAILED, code: code.into(), text: e.to_string(), hint: None }
    }
}
