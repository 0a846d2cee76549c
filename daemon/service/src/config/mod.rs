//! Configuration: `/usr/lib/tilld/tilld.toml` (vendor), `/etc/tilld/tilld.toml` (admin), `/etc/tilld/tilld.toml.d/*.toml`
//! (drop-ins, by name). Later files win key by key; a device or channel is one table, found by its id.
//!
//! Unknown keys are refused with file and line. A device or channel whose plugin or settings are wrong does not stop the
//! till: it is shown as failed with the reason ([`crate::service::problems`] lists them for `--check-config`).

pub mod announcement;
mod file;
mod load;
mod merchant;
mod plugins;
mod profile;
mod routing;
mod rules;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use till_core::batch::Rules;
use till_core::receipt::Language;
use till_core::recognise::Table;
use till_hosts::{TransportSpec, Trust};

pub use load::{ConfigError, Sources, load};

/// Everything that is configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// Terminal id (TID), letters and digits, at most 8.
    pub terminal: String,
    /// The shop on receipts.
    pub shop: ShopConfig,
    /// Where the journal lies.
    pub journal: JournalConfig,
    /// Bus address; `system`, `session`, or an address.
    pub bus: String,
    /// Who may do what.
    pub access: AccessConfig,
    /// Percent of a battery or UPS below which nothing new is sent to a network; 0: the power is not looked at.
    pub power_low: u8,
    /// Where the kernel shows sensors and supplies.
    pub power_dir: PathBuf,
    /// Folders with plugins, each plugin in a folder of its id.
    pub plugin_dirs: Vec<PathBuf>,
    /// Which of them are loaded.
    pub plugin_trust: Arc<Trust>,
    /// The `till-plugin-host` binary.
    pub plugin_host: PathBuf,
    /// State besides the journal (quarantine, plugin values).
    pub state_dir: PathBuf,
    /// Folder with secrets, one file each.
    pub secrets_dir: Option<PathBuf>,
    /// Whether the wall clock may be trusted.
    pub clock: ClockConfig,
    /// A payment code may not be used again within this many seconds.
    pub reuse_window_s: u32,
    /// The same amount with the same card within this many seconds is asked about; 0: never.
    pub duplicate_window_s: u32,
    /// A sale that only a restart found is given back unless it is acknowledged within this many seconds; None: it stands.
    pub undo_after_s: Option<u32>,
    /// A hold is good for this many days.
    pub hold_days: u32,
    /// A receipt that could not be printed for this many days is not printed any more.
    pub receipt_days: u32,
    /// Settlement, payouts and limits. The place's offset from UTC is not in it: it changes with the season.
    pub rules: Rules,
    /// Payment code rules.
    pub codes: Table,
    /// Device that prints receipts; None: the first printer.
    pub receipt_printer: Option<String>,
    /// Device that is the cash drawer; None: the first ready one that has a drawer.
    pub drawer: Option<String>,
    /// Folder with files that announce maintenance.
    pub maintenance_dir: PathBuf,
    /// File with the public key whose messages announce maintenance.
    pub maintenance_key: Option<PathBuf>,
    /// Devices, by id.
    pub devices: BTreeMap<String, DeviceConfig>,
    /// Channels, by id.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// Short hash of all files read, for decision records.
    pub version: String,
}

/// The shop on receipts.
#[derive(Clone, Debug, Default)]
pub struct ShopConfig {
    /// Name.
    pub name: String,
    /// Lines below it.
    pub lines: Vec<String>,
    /// Lines at the bottom.
    pub footer: Vec<String>,
    /// Language of the labels.
    pub language: Language,
    /// File with the merchant's receipt template; None: the built-in layout.
    pub receipt_template: Option<PathBuf>,
}

/// Where the journal lies.
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// Directory.
    pub dir: PathBuf,
    /// Use a file system that is known not to keep promises (tests only).
    pub force_filesystem: bool,
    /// Refuse new payments below this many free MiB.
    pub free_floor_mib: u64,
    /// Ballast that is given up when the disk is full, MiB.
    pub ballast_mib: u64,
    /// Records between two snapshots of the state; zero for none.
    pub snapshot_records: u64,
    /// Months after which records may go; zero to keep them for ever.
    pub keep_months: u32,
    /// At least so many of the newest records stay.
    pub keep_records: u64,
    /// Size of one segment of the flight recorder, KiB.
    pub segment_kib: u64,
    /// Records after which a new epoch is begun.
    pub epoch_records: u64,
}

/// Who may do what. Closed by default: root and the daemon's own user only.
#[derive(Clone, Debug, Default)]
pub struct AccessConfig {
    /// User ids that may sell.
    pub operators: Vec<u32>,
    /// User ids that may only look.
    pub viewers: Vec<u32>,
    /// User ids that may do everything.
    pub supervisors: Vec<u32>,
    /// Whether polkit is asked about everybody else.
    pub polkit: bool,
}

/// Whether the wall clock may be trusted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockConfig {
    /// As the kernel says (synchronised by NTP).
    #[default]
    Kernel,
    /// Always (a machine with a battery clock).
    Always,
    /// Never (tests).
    Never,
}

/// One device.
#[derive(Clone, Debug)]
pub struct DeviceConfig {
    /// Id.
    pub id: String,
    /// Plugin.
    pub plugin: String,
    /// Where it is attached.
    pub transport: TransportSpec,
    /// Switched on.
    pub enabled: bool,
    /// Name for people; empty: the plugin's.
    pub name: String,
    /// Secrets: the plugin's name to the file's name in the secrets folder.
    pub secrets: BTreeMap<String, String>,
    /// Settings.
    pub settings: toml::Table,
    /// Counter of its statistics to how many of it, since they were reset, are due for service.
    pub service_after: BTreeMap<String, u64>,
}

/// One channel.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    /// Id.
    pub id: String,
    /// Plugin.
    pub plugin: String,
    /// Switched on.
    pub enabled: bool,
    /// Name for people; empty: the plugin's.
    pub name: String,
    /// Smaller is preferred.
    pub priority: u32,
    /// Secrets: the plugin's name to the file's name in the secrets folder.
    pub secrets: BTreeMap<String, String>,
    /// Settings.
    pub settings: toml::Table,
    /// Who has to be named before it sells; None: nobody.
    pub merchant: Option<MerchantConfig>,
}

/// The merchant that a channel asks for.
#[derive(Clone, Debug)]
pub struct MerchantConfig {
    /// Merchant number.
    pub number: String,
    /// Name of the secret that holds the hash of the password.
    pub password_hash: String,
    /// How often one may be wrong, and how long passing is good.
    pub terms: till_core::merchant::Terms,
}
