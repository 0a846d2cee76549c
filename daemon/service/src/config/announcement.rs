//! An announcement as text: what a file in the maintenance folder, a supervisor and a signed message have in common.

use std::path::Path;

use serde::Deserialize;
use till_core::windows::Window;

use super::file::WindowFile;
use super::load::{ConfigError, bad, parse};

/// Longest text, bytes.
pub const MAX_TEXT: usize = 64 * 1024;

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its name; None: whoever brings it names it.
    pub id: Option<String>,
    /// Number of a signed message.
    pub issue: Option<u64>,
    /// Terminals that it is for; empty: all.
    pub tills: Vec<String>,
    /// Until when a signed message may be brought, Unix ms.
    pub valid_until_ms: Option<i64>,
    /// Its windows.
    pub windows: Vec<Window>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Text {
    id: Option<String>,
    issue: Option<u64>,
    tills: Vec<String>,
    valid_until: Option<String>,
    window: Vec<WindowFile>,
}

/// Reads it; `from`: where it comes from, for errors. Times without an offset are the place's own.
pub fn announcement(from: &Path, text: &str) -> Result<Said, ConfigError> {
    let at = from.display().to_string();
    if text.len() > MAX_TEXT {
        return Err(bad(at, format!("{} bytes: an announcement has at most {MAX_TEXT}", text.len())));
    }
    let written: Text = parse(from, text)?;
    if let Some(id) = &written.id {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if id.is_empty() || id.len() > 48 || !id.bytes().all(good) {
            return Err(bad(at, format!("id {id:?} is not 1 to 48 lower-case letters, digits and dashes")));
        }
    }
    if written.window.is_empty() && written.issue.is_none() {
        return Err(bad(at, "it announces nothing: write [[window]], as in tilld.toml's [[routing.window]]"));
    }
    let mut windows = Vec::new();
    for (n, w) in written.window.iter().enumerate() {
        windows.extend(super::routing::window(&format!("{at}: window, number {}", n + 1), w)?);
    }
    let valid_until = written.valid_until.as_deref().map(|text| super::routing::time(&at, text));
    let valid_until_ms = valid_until.transpose()?;
    Ok(Said { id: written.id, issue: written.issue, tills: written.tills, valid_until_ms, windows })
}

impl Said {
    /// What only a signed message has: a number, the tills it is for, until when it may be brought.
    pub fn is_message(&self) -> bool {
        self.issue.is_some() || !self.tills.is_empty() || self.valid_until_ms.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Said, String> {
        announcement(Path::new("bank.toml"), text).map_err(|e| e.to_string())
    }

    const WINDOW: &str =
        "[[window]]\nchannels=['a','b']\nfrom='2026-12-01T01:00Z'\nuntil='2026-12-01T05:00Z'\n";

    #[test]
    fn it_says_what_the_configuration_could_say() {
        let said = read(&format!("id='bank-december'\nissue=7\ntills=['TILL0001']\n{WINDOW}")).unwrap();
        assert_eq!((said.id.as_deref(), said.issue, said.tills.len()), (Some("bank-december"), Some(7), 1));
        let channels: Vec<&str> = said.windows.iter().map(|w| w.channel.as_str()).collect();
        assert_eq!(channels, ["a", "b"]);
        assert!(read("issue=8\n").unwrap().windows.is_empty(), "a signed message may take all back");
        let until = read(&format!("valid-until='2026-12-01T00:00Z'\n{WINDOW}")).unwrap();
        assert_eq!(until.valid_until_ms, Some(1_796_083_200_000));
        assert!(until.is_message() && said.is_message() && !read(WINDOW).unwrap().is_message());
    }

    #[test]
    fn nonsense_is_refused_with_its_line() {
        for (text, part) in [
            ("", "announces nothing"),
            ("window = 5", "bank.toml:1:"),
            ("id='Bank December'\n[[window]]", "bank.toml:2:"),
            ("[[window]]\nchannels=['a']\nfrom='2026-12-01T01:00Z'\n", "say when"),
            ("[[window]]\nchannels=['a']\nfrom='2026-12-01T01:00Z'\nunti", "bank.toml:4:"),
            ("[[windows]]\n", "windows"),
            ("issue=7\nvalid-until='soon'\n", "is no time"),
        ] {
            let e = read(text).unwrap_err();
            assert!(e.contains(part), "{text}: {e}");
        }
        assert!(read(&format!("id='Bank December'\n{WINDOW}")).unwrap_err().contains("dashes"));
        assert!(read(&"#".repeat(MAX_TEXT + 1)).unwrap_err().contains("at most"));
    }
}
