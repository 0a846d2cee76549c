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
    /// Reports of usage page 8Ch.
    HidPos,
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
    /// HID scanners: whether they are started and stopped by their output report.
    pub hid_trigger: bool,
    /// Scanners on a line: the maker's bytes that start and stop one; empty where there are none.
    pub line_trigger: (Vec<u8>, Vec<u8>),
    /// The HID report descriptor in hex, or `auto`: the kernel knows.
    pub report_descriptor: String,
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
    trigger: TriggerName,
    trigger_start: String,
    trigger_stop: String,
    report_descriptor: String,
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
            trigger: TriggerName::Auto,
            trigger_start: "none".into(),
            trigger_stop: "none".into(),
            report_descriptor: "auto".into(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum InputName {
    Auto,
    Text,
    Keys,
    HidPos,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TriggerName {
    Auto,
    Off,
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
            InputName::Auto if transport == TransportKind::Hidraw => Input::HidPos,
            InputName::Auto | InputName::Text => Input::Text,
            InputName::Keys => Input::Keys(layout),
            InputName::HidPos => Input::HidPos,
        };
        if (input == Input::HidPos) != (transport == TransportKind::Hidraw) {
            return Err(PluginError::settings(format!(
                "`input` does not go with a {} transport: give auto, or hid-pos on hidraw and text or keys elsewhere",
                transport.as_str()
            )));
        }
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
            hid_trigger: matches!(raw.trigger, TriggerName::Auto),
            line_trigger: (
                command("trigger-start", &raw.trigger_start, input)?,
                command("trigger-stop", &raw.trigger_stop, input)?,
            ),
            report_descriptor: raw.report_descriptor,
        })
    }
}

fn within(name: &str, value: u64, least: u64, most: u64) -> Result<(), PluginError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(PluginError::settings(format!("`{name}` is {value}: give a number from {least} to {most}")))
}

/// A maker's command for a scanner on a line: none, or up to 64 bytes as `0x` and hex digits.
fn command(setting: &str, text: &str, input: Input) -> Result<Vec<u8>, PluginError> {
    if text == "none" {
        return Ok(Vec::new());
    }
    if input != Input::Text {
        return Err(PluginError::settings(format!(
            "`{setting}` is for a scanner on a line (serial, tcp, unix): leave it out here; a HID scanner's `trigger` is auto or off"
        )));
    }
    let digits = text.strip_prefix("0x").filter(|d| (2..=128).contains(&d.len()) && d.is_ascii());
    digits.and_then(hex_bytes).ok_or_else(|| {
        PluginError::settings(format!(
            "`{setting}` is {text:?}: give none, or 1 to 64 bytes such as \"0x1654\""
        ))
    })
}

fn hex_bytes(digits: &str) -> Option<Vec<u8>> {
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().filter(|p| p.len() == 2))
        .map(|pair| pair.and_then(|p| u8::from_str_radix(p, 16).ok()))
        .collect()
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
