//! The device's `settings` in `tilld.toml`, checked before the first byte is sent. Names and meanings stand in
//! `manifest.toml`.

use std::time::Duration;

use serde::Deserialize;
use till_plugin::PluginError;

use crate::emv::aid;
use crate::emv::oda::{Capk, Keys};
use crate::emv::terminal::Terminal;
use crate::link::hsu::Timing;

/// Settings as they drive the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Facts of the terminal.
    pub terminal: Terminal,
    /// Keys of the schemes.
    pub keys: Keys,
    /// The serial line.
    pub timing: Timing,
    /// Longest for one command to the card.
    pub apdu: Duration,
    /// Longest for a whole tap.
    pub tap: Duration,
    /// Pause between two looks for a card.
    pub pause: Duration,
    /// Local time, minutes east of UTC.
    pub offset: i32,
    /// Whether cards without a payment application are reported as stored-value cards by their serial number.
    pub serial_cards: bool,
    /// An ACR122U keeps its own sound and light.
    pub reader_beeps: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Raw {
    aids: Vec<String>,
    qualifiers: String,
    country: u16,
    capabilities: String,
    terminal_type: u8,
    serial: String,
    small_amount: i64,
    most_amount: i64,
    without_directory: WithoutDirectory,
    uid_cards: UidCards,
    oda: OdaUse,
    scheme_keys: Vec<String>,
    utc_offset_minutes: i32,
    ack_ms: u64,
    apdu_ms: u64,
    tap_ms: u64,
    pause_ms: u64,
    reader_beeps: bool,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            aids: Vec::new(),
            qualifiers: "26000080".into(),
            country: 156,
            capabilities: "002800".into(),
            terminal_type: 21,
            serial: "00000000".into(),
            small_amount: 100_000,
            most_amount: 0,
            without_directory: WithoutDirectory::Refuse,
            uid_cards: UidCards::Off,
            oda: OdaUse::Count,
            scheme_keys: Vec::new(),
            utc_offset_minutes: 480,
            ack_ms: 100,
            apdu_ms: 1500,
            tap_ms: 5000,
            pause_ms: 60,
            reader_beeps: false,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WithoutDirectory {
    Refuse,
    TryList,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum UidCards {
    Off,
    StoredValue,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OdaUse {
    Count,
    Require,
}

impl Config {
    /// Reads and checks the settings.
    pub fn new(settings: &till_plugin::Settings) -> Result<Self, PluginError> {
        let raw: Raw = settings.parse()?;
        within("ack-ms", raw.ack_ms, 15, 2_000)?;
        within("apdu-ms", raw.apdu_ms, 100, 10_000)?;
        within("tap-ms", raw.tap_ms, 500, 30_000)?;
        within("pause-ms", raw.pause_ms, 0, 1_000)?;
        if raw.small_amount < 0 || raw.most_amount < 0 {
            return Err(PluginError::settings("`small-amount` and `most-amount` are minor units, 0 or more"));
        }
        if !(-14 * 60..=14 * 60).contains(&raw.utc_offset_minutes) {
            return Err(PluginError::settings("`utc-offset-minutes` is -840 to 840: China is 480"));
        }
        if raw.country > 999 || raw.terminal_type > 99 {
            return Err(PluginError::settings("`country` and `terminal-type` are three and two digits"));
        }
        let aids = if raw.aids.is_empty() {
            aid::DEFAULT.iter().map(|a| a.to_vec()).collect()
        } else {
            raw.aids.iter().map(|text| aid_of(text)).collect::<Result<_, _>>()?
        };
        let serial = <[u8; 8]>::try_from(raw.serial.as_bytes())
            .ok()
            .filter(|s| s.iter().all(u8::is_ascii_alphanumeric))
            .ok_or_else(|| PluginError::settings("`serial` is eight letters and digits"))?;
        let terminal = Terminal {
            aids,
            qualifiers: bytes("qualifiers", &raw.qualifiers)?,
            country: raw.country,
            capabilities: bytes("capabilities", &raw.capabilities)?,
            kind: ((raw.terminal_type / 10) << 4) | (raw.terminal_type % 10),
            serial,
            transaction: 0,
            small: raw.small_amount,
            most: (raw.most_amount > 0).then_some(raw.most_amount),
            try_list: matches!(raw.without_directory, WithoutDirectory::TryList),
        };
        let keys = raw.scheme_keys.iter().map(|text| capk(text)).collect::<Result<Vec<_>, _>>()?;
        let required = matches!(raw.oda, OdaUse::Require);
        if required && keys.is_empty() {
            return Err(PluginError::settings("`oda` is \"require\", but `scheme-keys` names no key"));
        }
        Ok(Self {
            terminal,
            keys: Keys::new(keys, required),
            timing: Timing { ack: Duration::from_millis(raw.ack_ms), ..Timing::default() },
            apdu: Duration::from_millis(raw.apdu_ms),
            tap: Duration::from_millis(raw.tap_ms),
            pause: Duration::from_millis(raw.pause_ms),
            offset: raw.utc_offset_minutes,
            serial_cards: matches!(raw.uid_cards, UidCards::StoredValue),
            reader_beeps: raw.reader_beeps,
        })
    }
}

fn aid_of(text: &str) -> Result<Vec<u8>, PluginError> {
    hex::decode(text).ok().filter(|a| (5..=16).contains(&a.len())).ok_or_else(|| {
        PluginError::settings(format!("`aids`: {text:?} is no AID: give 5 to 16 bytes in hexadecimal"))
    })
}

fn bytes<const N: usize>(name: &str, text: &str) -> Result<[u8; N], PluginError> {
    hex::decode(text)
        .ok()
        .and_then(|b| b.try_into().ok())
        .ok_or_else(|| PluginError::settings(format!("`{name}` is {text:?}: give {N} bytes in hexadecimal")))
}

/// `RID:INDEX:EXPONENT:MODULUS`, all hexadecimal.
fn capk(text: &str) -> Result<Capk, PluginError> {
    let wrong = || {
        let head: String = text.chars().take(16).collect();
        PluginError::settings(format!(
            "`scheme-keys`: {head:?}… is not RID:INDEX:EXPONENT:MODULUS in hexadecimal"
        ))
    };
    let parts: Vec<Vec<u8>> =
        text.split(':').map(hex::decode).collect::<Result<_, _>>().map_err(|_| wrong())?;
    match parts.as_slice() {
        [rid, index, exponent, modulus]
            if index.len() == 1 && matches!(exponent.len(), 1 | 3) && (64..=248).contains(&modulus.len()) =>
        {
            Ok(Capk {
                rid: rid.as_slice().try_into().map_err(|_| wrong())?,
                index: index[0],
                modulus: modulus.clone(),
                exponent: exponent.clone(),
            })
        }
        _ => Err(wrong()),
    }
}

fn within(name: &str, value: u64, least: u64, most: u64) -> Result<(), PluginError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(PluginError::settings(format!("`{name}` is {value}: give a number from {least} to {most}")))
}
