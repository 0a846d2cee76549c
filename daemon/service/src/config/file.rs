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
    pub routing: Routing,
    pub secrets: Secrets,
    pub maintenance: Maintenance,
    pub power: Power,
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
    pub polkit: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Plugins {
    pub dirs: Option<Vec<PathBuf>>,
    pub host: Option<PathBuf>,
    pub state_dir: Option<PathBuf>,
    pub trust: Option<String>,
    pub keys: BTreeMap<String, String>,
    pub allow: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Power {
    pub refuse_below: Option<u8>,
    pub class_dir: Option<PathBuf>,
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

/// How a channel is chosen.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Routing {
    pub cost: Option<bool>,
    pub sticky: Option<bool>,
    pub failover: Option<bool>,
    pub shares: Option<BTreeMap<String, u32>>,
    pub window: Option<Vec<WindowFile>>,
    pub rule: Option<Vec<RuleFile>>,
    pub off: Option<Vec<String>>,
    pub profile: Option<Vec<ProfileFile>>,
    pub breaker: Breaker,
}

/// When a breaker opens, and for how long.
#[derive(Copy, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Breaker {
    pub in_a_row: Option<u32>,
    pub faults: Option<u32>,
    pub of: Option<u32>,
    pub pause_s: Option<u32>,
    pub pause_max_s: Option<u32>,
}

/// Announced maintenance: `{ channels = ["bank"], from = "2026-12-01T01:00", until = "2026-12-01T05:00" }`, or coming again:
/// `{ channels = ["bank"], every = "week", day = "sun", at = "23:30", minutes = 90 }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct WindowFile {
    pub channels: Vec<String>,
    pub from: Option<String>,
    pub until: Option<String>,
    pub every: Option<Every>,
    pub day: Option<String>,
    pub at: Option<String>,
    pub minutes: Option<u32>,
    pub lead_s: Option<u32>,
    #[serde(default)]
    pub kind: WindowKind,
    #[serde(default)]
    pub reason: String,
}

#[derive(Copy, Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Every {
    Day,
    Week,
}

#[derive(Copy, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WindowKind {
    #[default]
    Down,
    Degraded,
}

/// Which payments go where: `{ id = "large", min = 100000, currency = "CNY", prefer = ["bank"] }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RuleFile {
    pub id: String,
    #[serde(default)]
    pub families: Vec<String>,
    /// Minor units.
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub currency: Option<String>,
    #[serde(default)]
    pub operators: Vec<String>,
    #[serde(default)]
    pub bins: Vec<String>,
    pub hours: Option<String>,
    #[serde(default)]
    pub days: Vec<String>,
    pub profile: Option<String>,
    pub only: Option<Vec<String>>,
    pub never: Option<Vec<String>>,
    pub prefer: Option<Vec<String>>,
}

/// What is offered when: `{ id = "fair", from = "2026-10-01T00:00", off = ["alipay"] }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ProfileFile {
    pub id: String,
    pub from: Option<String>,
    pub until: Option<String>,
    #[serde(default)]
    pub when: Vec<TimesFile>,
    #[serde(default)]
    pub on: Vec<String>,
    #[serde(default)]
    pub off: Vec<String>,
    #[serde(default)]
    pub priority: BTreeMap<String, u32>,
}

/// Days and hours: `{ days = ["sat"], hours = "10:00-14:00" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TimesFile {
    #[serde(default)]
    pub days: Vec<String>,
    pub hours: Option<String>,
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

/// What was agreed with the channel's network.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Agreed {
    pub merchant_name: Option<String>,
    pub mcc: Option<String>,
    pub payee: Option<String>,
    pub rate_ppm: Option<u32>,
}

/// What the channel takes of each sale; amounts in minor units.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Fee {
    pub rate_ppm: u32,
    pub fixed: u32,
    pub min: u32,
    pub max: Option<u32>,
    pub tiers: Vec<FeeTier>,
    pub rounding: RoundingName,
}

/// Terms of amounts from a size on: `{ from = 100001, rate-ppm = 6000 }`.
#[derive(Copy, Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FeeTier {
    /// Minor units.
    pub from: u64,
    pub rate_ppm: u32,
    #[serde(default)]
    pub fixed: u32,
}

#[derive(Copy, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RoundingName {
    #[default]
    HalfUp,
    HalfEven,
    Up,
    Down,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Secrets {
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Maintenance {
    pub dir: Option<PathBuf>,
    pub public_key: Option<PathBuf>,
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
    /// Counter of its statistics to how many of it are due for service.
    #[serde(default)]
    pub service_after: BTreeMap<String, u64>,
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
    pub agreed: Option<Agreed>,
    #[serde(default)]
    pub settlement: Option<ChannelSettlement>,
    #[serde(default)]
    pub merchant_auth: Option<MerchantAuth>,
}

/// The channel asks for the merchant before it sells.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct MerchantAuth {
    pub number: String,
    /// File in the secrets folder.
    pub password_hash: String,
    pub valid_s: Option<u32>,
    pub tries: Option<u32>,
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
