//! The device's `settings` in `tilld.toml`, checked before the first byte is read.

use std::time::Duration;

use serde::Deserialize;
use till_plugin::PluginError;
use till_plugin::host::TransportKind;
use till_plugin::instrument::EncryptedSwipe;
use till_wedge::{CapsLock, Layout};

use crate::swipe::End;

/// What the transport's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The tracks' own characters: readers on a serial line.
    Text,
    /// Key events of a reader that pretends to be a keyboard.
    Keys(Layout),
    /// HID reports of whichever kind the device's descriptor and vendor say.
    Hid,
    /// Reports of usage page 8Eh.
    HidPos,
    /// MagTek's report.
    Magtek,
    /// ID TECH's enhanced encrypted frames, in reports or on a line.
    Idtech,
}

/// Settings as they drive the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What comes in.
    pub input: Input,
    /// How a swipe ends.
    pub end: End,
    /// The pause that ends a swipe.
    pub silence: Duration,
    /// Equal swipes closer than this are one.
    pub duplicate: Duration,
    /// Whether Caps Lock counts.
    pub caps: CapsLock,
    /// Whether track 1 alone is not enough.
    pub require_track2: bool,
    /// Whether a card that comes in clear is refused.
    pub require_encryption: bool,
    /// The key under which an encrypting reader was set up to encrypt; `None`: its maker's usual one.
    pub variant: Option<&'static str>,
    /// The HID report descriptor in hex, or `auto`: the kernel knows.
    pub report_descriptor: String,
}

/// Settings as written. Key names and meanings stand in `manifest.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Raw {
    input: InputName,
    event_layout: LayoutName,
    end: EndName,
    silence_ms: u64,
    duplicate_ms: u64,
    caps_lock: CapsName,
    require_track2: bool,
    require_encryption: bool,
    key_variant: VariantName,
    report_descriptor: String,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            input: InputName::Auto,
            event_layout: LayoutName::Native,
            end: EndName::Enter,
            silence_ms: 100,
            duplicate_ms: 300,
            caps_lock: CapsName::Ignore,
            require_track2: true,
            require_encryption: false,
            key_variant: VariantName::Auto,
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
    Magtek,
    Idtech,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum VariantName {
    Auto,
    Pin,
    Data,
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
enum EndName {
    Enter,
    Silence,
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
            // A socket is where recordings of event devices are played.
            InputName::Auto if matches!(transport, TransportKind::Evdev | TransportKind::Unix) => {
                Input::Keys(layout)
            }
            InputName::Auto if transport == TransportKind::Hidraw => Input::Hid,
            InputName::Auto | InputName::Text => Input::Text,
            InputName::Keys => Input::Keys(layout),
            InputName::HidPos => Input::HidPos,
            InputName::Magtek => Input::Magtek,
            InputName::Idtech => Input::Idtech,
        };
        let reports = matches!(input, Input::HidPos | Input::Magtek);
        let typed = matches!(input, Input::Text | Input::Keys(_));
        if reports && transport != TransportKind::Hidraw || typed && transport == TransportKind::Hidraw {
            return Err(PluginError::settings(format!(
                "`input` does not go with a {} transport: give auto, or hid-pos, magtek or idtech on hidraw",
                transport.as_str()
            )));
        }
        within("silence-ms", raw.silence_ms, 20, 2_000)?;
        within("duplicate-ms", raw.duplicate_ms, 0, 5_000)?;
        Ok(Self {
            input,
            end: match raw.end {
                EndName::Enter => End::Enter,
                EndName::Silence => End::Silence,
            },
            silence: Duration::from_millis(raw.silence_ms),
            duplicate: Duration::from_millis(raw.duplicate_ms),
            caps: match raw.caps_lock {
                CapsName::Ignore => CapsLock::Ignore,
                CapsName::Apply => CapsLock::Apply,
            },
            require_track2: raw.require_track2,
            require_encryption: raw.require_encryption,
            variant: match raw.key_variant {
                VariantName::Auto => None,
                VariantName::Pin => Some(EncryptedSwipe::TDES_PIN),
                VariantName::Data => Some(EncryptedSwipe::TDES_DATA),
            },
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
