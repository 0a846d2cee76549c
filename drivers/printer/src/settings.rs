//! The driver's settings, as they stand under `settings` of the device in tilld.toml. Keys and limits: `manifest.toml`.

use crate::job::Timing;
use crate::profile::{CharsetKind, Confirm, Cutter, Overrides, Profile, ProfileError, QrKind};
use serde::Deserialize;

/// Flow control by bytes from the printer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowControl {
    /// None (TCP, USB), or by wires, which the serial port does itself.
    #[default]
    None,
    /// 13h stops, 11h goes on.
    XonXoff,
}

/// Level of drawer connector pin 3 while the drawer is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Low.
    Low,
    /// High.
    High,
}

/// All settings; every one has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PrinterSettings {
    profile: String,
    columns: Option<usize>,
    dots: Option<usize>,
    charset: Option<CharsetKind>,
    code_page: Option<u8>,
    cutter: Option<Cutter>,
    tear_feed: Option<u8>,
    qr: Option<QrKind>,
    confirm: Option<Confirm>,
    band_rows: Option<usize>,
    chunk_bytes: Option<usize>,
    line_ms: Option<u64>,
    /// Flow control.
    pub flow_control: FlowControl,
    hold_minutes: u64,
    reply_ms: u64,
    /// Length of a drawer pulse, ms.
    pub drawer_pulse_ms: u16,
    /// Level of pin 3 with the drawer open; not given: no sensor.
    pub drawer_open_level: Option<Level>,
    /// Whether it has a beeper that `ESC B` sounds.
    pub beeper: bool,
}

impl Default for PrinterSettings {
    fn default() -> Self {
        Self {
            profile: "generic-80".to_owned(),
            columns: None,
            dots: None,
            charset: None,
            code_page: None,
            cutter: None,
            tear_feed: None,
            qr: None,
            confirm: None,
            band_rows: None,
            chunk_bytes: None,
            line_ms: None,
            flow_control: FlowControl::None,
            hold_minutes: 30,
            reply_ms: 500,
            drawer_pulse_ms: 100,
            drawer_open_level: None,
            beeper: false,
        }
    }
}

impl PrinterSettings {
    /// The profile with its replaced values.
    pub fn profile(&self) -> Result<Profile, ProfileError> {
        let over = Overrides {
            columns: self.columns,
            dots: self.dots,
            charset: self.charset,
            code_page: self.code_page,
            cutter: self.cutter,
            tear_feed: self.tear_feed,
            qr: self.qr,
            status: None,
            confirm: self.confirm,
            band_rows: self.band_rows,
            chunk_bytes: self.chunk_bytes,
            line_ms: self.line_ms,
        };
        Profile::built_in(&self.profile)?.with(&over)
    }

    /// The spooler's limits.
    pub fn timing(&self) -> Result<Timing, ProfileError> {
        let range = |key, value: u64, low, high, want| {
            let error = || ProfileError::Range { key, value: value.to_string(), want };
            (low..=high).contains(&value).then_some(value).ok_or_else(error)
        };
        let hold = range("hold-minutes", self.hold_minutes, 1, 24 * 60, "1 to 1440")?;
        let reply_ms = range("reply-ms", self.reply_ms, 50, 10_000, "50 to 10000")?;
        let pulse = u64::from(self.drawer_pulse_ms);
        range("drawer-pulse-ms", pulse, 50, u64::from(crate::encode::MAX_PULSE_MS), "50 to 500")?;
        Ok(Timing { hold_ms: hold * 60_000, reply_ms, ..Timing::default() })
    }
}
