//! One configuration file, as written. Every key may be left out; unknown keys are refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use till_core::recognise::{CardRule, CodeRule};
use till_plugin::host::TransportKind;

use super::ClockConfig;

/// A file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct File {
    pub terminal: Terminal,
    pub shop: Shop,
    pub journal: Journal,
    pub bus: Bus,
    pub access: Access,
    pub plugins: Plugins,
    pub clock: Clock,
    pub payment: Payment,
    pub settlement: Settlement,
    pub secrets: Secrets,
    pub device: BTreeMap<String, Device>,
    pub channel: BTreeMap<String, Channel>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Terminal {
    pub id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Shop {
    pub name: Option<String>,
    pub lines: Option<Vec<String>>,
    pub footer: Option<Vec<String>>,
    pub language: Option<LanguageName>,
    pub receipt_template: Option<PathBuf>,
}

#[derive(Copy, Clone, Debug, Deserialize)]
pub(super) enum LanguageName {
    #[serde(rename = "zh")]
    Chinese,
    #[serde(rename = "en")]
    English,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Journal {
    pub dir: Option<PathBuf>,
    pub force_filesystem: Option<bool>,
    pub free_floor_mib: Option<u64>,
    pub ballast_mib: Option<u64>,
    pub snapshot_records: Option<u64>,
    pub keep_months: Option<u32>,
    pub keep_records: Option<u64>,
    pub segment_kib: Option<u64>,
    pub epoch_records: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Bus {
    pub address: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Access {
    pub supervisors: Option<Vec<u32>>,
    pub operators: Option<Vec<u32>>,
    pub viewers: Option<Vec<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Plugins {
    pub dirs: Option<Vec<PathBuf>>,
    pub host: Option<PathBuf>,
    pub state_dir: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Clock {
    pub trust: Option<ClockConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Payment {
    pub reuse_window_s: Option<u32>,
    pub duplicate_window_s: Option<u32>,
    pub undo_after_s: Option<u32>,
    pub hold_days: Option<u32>,
    pub receipt_days: Option<u32>,
    pub codes: Option<Vec<CodeRule>>,
    pub cards: Option<Vec<CardRule>>,
    pub limits: Option<Vec<Limit>>,
    pub receipt_printer: Option<String>,
    pub drawer: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Settlement {
    pub close_at: Option<String>,
    pub holidays: Option<Vec<String>>,
    pub workdays: Option<Vec<String>>,
}

/// How much may be taken: `{ scope = "day", amount = 5000000, currency = "CNY" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Limit {
    pub scope: LimitScope,
    pub channel: Option<String>,
    /// Minor units.
    pub amount: i64,
    pub currency: String,
    pub count: Option<u32>,
}

#[derive(Copy, Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LimitScope {
    Payment,
    Day,
    Channel,
    Operator,
    Card,
}

/// How a channel is settled.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct ChannelSettlement {
    pub tries: Option<u32>,
    pub pause_s: Option<u32>,
    pub pause_max_s: Option<u32>,
    pub records: Option<u32>,
    pub payout: Option<String>,
    pub fee: Option<Fee>,
    pub batch_limit: Option<u32>,
}

/// What the channel takes of each sale; amounts in minor units.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Fee {
    pub rate_ppm: u32,
    pub fixed: u32,
    pub min: u32,
    pub max: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Secrets {
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Device {
    pub plugin: String,
    pub transport: Transport,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    #[serde(default)]
    pub settings: toml::Table,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Channel {
    pub plugin: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub name: String,
    #[serde(default = "middle")]
    pub priority: u32,
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    #[serde(default)]
    pub settings: toml::Table,
    #[serde(default)]
    pub settlement: Option<ChannelSettlement>,
}

/// Where a device is attached: `{ kind = "serial", path = "/dev/ttyACM0", baud = 115200 }`, or, wherever it is plugged in,
/// `{ kind = "udev" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub(super) enum Transport {
    Serial {
        path: PathBuf,
        #[serde(default = "baud")]
        baud: u32,
    },
    Tcp {
        address: String,
    },
    Unix {
        path: PathBuf,
        #[serde(rename = "as")]
        stands_for: Option<TransportKind>,
    },
    Evdev {
        path: PathBuf,
        #[serde(default)]
        also: Vec<PathBuf>,
    },
    Hidraw {
        path: PathBuf,
    },
    CharDevice {
        path: PathBuf,
    },
    /// The GPIO chip with this label, whatever number it has after this boot.
    Gpio {
        chip: String,
    },
    /// A chip on an I2C bus.
    I2c {
        path: PathBuf,
        /// 7 bits.
        address: u16,
    },
    /// A chip select of an SPI bus.
    Spi {
        path: PathBuf,
        /// Hz.
        #[serde(default = "megahertz")]
        speed: u32,
        #[serde(default)]
        mode: u8,
    },
    /// A USB printer (class 07), found by what it says of itself.
    Usb {
        path: Option<PathBuf>,
        /// `vendor:product`, four hexadecimal digits each.
        id: Option<String>,
        serial: Option<String>,
    },
    /// A USB card reader (CCID, class 0B), found by what it says of itself.
    Ccid {
        path: Option<PathBuf>,
        /// As of a printer.
        id: Option<String>,
        serial: Option<String>,
    },
    Replay {
        path: PathBuf,
    },
    /// Found by its udev properties: the plugin's `[[driver.match]]` tables and these.
    Udev {
        #[serde(default)]
        properties: BTreeMap<String, String>,
        #[serde(default = "baud")]
        baud: u32,
    },
}

const fn megahertz() -> u32 {
    1_000_000
}

const fn yes() -> bool {
    true
}

const fn middle() -> u32 {
    50
}

const fn baud() -> u32 {
    9600
}
