//! The device's `settings` in `tilld.toml`, checked before the first byte is read.

use std::time::Duration;

use serde::Deserialize;
use till_plugin::PluginError;
use till_plugin::host::TransportKind;
use till_wedge::{CapsLock, Layout};

use crate::assemble::{DEFAULT_MAX, Framing, Suffix};
use crate::code::{AimPolicy, Charset};

/// What the transport's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The code's own characters.
    Text,
    /// Key events of a scanner that pretends to be a keyboard.
    Keys(Layout),
}

/// Settings as they drive the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What comes in.
    pub input: Input,
    /// How codes are framed.
    pub framing: Framing,
    /// Equal codes closer than this are one scan.
    pub duplicate: Duration,
    /// Symbology identifiers.
    pub aim: AimPolicy,
    /// Character set.
    pub charset: Charset,
    /// Keyboard scanners: whether Caps Lock counts.
    pub caps: CapsLock,
}

/// Settings as written. Key names and meanings stand in `manifest.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Raw {
    input: InputName,
    event_layout: LayoutName,
    prefix: String,
    suffix: String,
    silence_ms: u64,
    stall_ms: u64,
    max_length: usize,
    duplicate_ms: u64,
    aim: AimName,
    charset: CharsetName,
    caps_lock: CapsName,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            input: InputName::Auto,
            event_layout: LayoutName::Native,
            prefix: "none".into(),
            suffix: "enter".into(),
            silence_ms: 80,
            stall_ms: 1000,
            max_length: DEFAULT_MAX,
            duplicate_ms: 1500,
            aim: AimName::Auto,
            charset: CharsetName::Utf8,
            caps_lock: CapsName::Ignore,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum InputName {
    Auto,
    Text,
    Keys,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LayoutName {
    Native,
    #[serde(rename = "64-bit")]
    Bits64,
    #[serde(rename = "32-bit")]
    Bits32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AimName {
    Auto,
    Required,
    Off,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CharsetName {
    #[serde(rename = "utf-8")]
    Utf8,
    Gb18030,
    #[serde(rename = "iso-8859-1")]
    Latin1,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CapsName {
    Ignore,
    Apply,
}

impl Config {
    /// Reads and checks the settings; `transport` decides what `input = "auto"` means.
    pub fn new(settings: &till_plugin::Settings, transport: TransportKind) -> Result<Self, PluginError> {
        let raw: Raw = settings.parse()?;
        let layout = match raw.event_layout {
            LayoutName::Native => Layout::native(),
            LayoutName::Bits64 => Layout::Bits64,
            LayoutName::Bits32 => Layout::Bits32,
        };
        let input = match raw.input {
            InputName::Auto if transport == TransportKind::Evdev => Input::Keys(layout),
            InputName::Auto | InputName::Text => Input::Text,
            InputName::Keys => Input::Keys(layout),
        };
        within("silence-ms", raw.silence_ms, 10, 2_000)?;
        within("stall-ms", raw.stall_ms, 50, 60_000)?;
        within("duplicate-ms", raw.duplicate_ms, 0, 60_000)?;
        within("max-length", raw.max_length as u64, 32, 65_536)?;
        let suffix = match raw.suffix.as_str() {
            "enter" => Suffix::Enter,
            "none" => Suffix::Silence,
            other => Suffix::Bytes(bytes("suffix", other)?),
        };
        let framing = Framing {
            prefix: if raw.prefix == "none" { Vec::new() } else { bytes("prefix", &raw.prefix)? },
            suffix,
            silence: Duration::from_millis(raw.silence_ms),
            stall: Duration::from_millis(raw.stall_ms),
            max: raw.max_length,
        };
        Ok(Self {
            input,
            framing,
            duplicate: Duration::from_millis(raw.duplicate_ms),
            aim: match raw.aim {
                AimName::Auto => AimPolicy::Auto,
                AimName::Required => AimPolicy::Required,
                AimName::Off => AimPolicy::Off,
            },
            charset: match raw.charset {
                CharsetName::Utf8 => Charset::Utf8,
                CharsetName::Gb18030 => Charset::Gb18030,
                CharsetName::Latin1 => Charset::Latin1,
            },
            caps: match raw.caps_lock {
                CapsName::Ignore => CapsLock::Ignore,
                CapsName::Apply => CapsLock::Apply,
            },
        })
    }
}

fn within(name: &str, value: u64, least: u64, most: u64) -> Result<(), PluginError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(PluginError::settings(format!("`{name}` is {value}: give a number from {least} to {most}")))
}

/// A name of control characters, or one to eight bytes as `0x` and hex digits.
fn bytes(setting: &str, text: &str) -> Result<Vec<u8>, PluginError> {
    let named: Option<&[u8]> = match text {
        "cr" => Some(b"\r"),
        "lf" => Some(b"\n"),
        "crlf" => Some(b"\r\n"),
        "tab" => Some(b"\t"),
        "stx" => Some(&[2]),
        "etx" => Some(&[3]),
        _ => None,
    };
    if let Some(named) = named {
        return Ok(named.to_vec());
    }
    let digits =
        text.strip_prefix("0x").filter(|d| d.is_ascii() && d.len() % 2 == 0 && (2..=16).contains(&d.len()));
    digits
        .and_then(|d| {
            d.as_bytes()
                .chunks(2)
                .map(|pair| std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok()))
                .collect()
        })
        .ok_or_else(|| {
            PluginError::settings(format!(
                "`{setting}` is {text:?}: give none, cr, lf, crlf, tab, stx, etx{}, or 1 to 8 bytes such as \"0x0d0a\"",
                if setting == "suffix" { ", enter (CR, LF or both)" } else { "" }
            ))
        })
}
