//! Reads, merges and checks configuration files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use till_core::receipt::Language;
use till_core::recognise::Table;
use till_hosts::{TransportSpec, UdevSpec, UsbClass, UsbSpec};
use till_plugin::Family;
use till_plugin::host::TransportKind;

use super::file::{self, File, LanguageName, Transport};
use super::{AccessConfig, ChannelConfig, ClockConfig, Config, DeviceConfig, JournalConfig, ShopConfig};

/// Which files to read.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Files in the order in which they apply; those that are not there are left out, except `required`.
    pub files: Vec<PathBuf>,
    /// Folders whose `*.toml` apply after the files, by name.
    pub drop_ins: Vec<PathBuf>,
    /// A file that must be there.
    pub required: Option<PathBuf>,
}

impl Sources {
    /// `/usr/lib/tilld`, `/etc/tilld`.
    pub fn system() -> Self {
        Self {
            files: vec!["/usr/lib/tilld/tilld.toml".into(), "/etc/tilld/tilld.toml".into()],
            drop_ins: vec!["/etc/tilld/tilld.toml.d".into()],
            required: None,
        }
    }

    /// One file and the `.d` folder beside it.
    pub fn file(path: &Path) -> Self {
        let mut drop_in = path.as_os_str().to_owned();
        drop_in.push(".d");
        Self { files: vec![path.into()], drop_ins: vec![drop_in.into()], required: Some(path.into()) }
    }
}

/// Why a configuration is refused: which file, where, what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("{path}: cannot be read: {error}")]
    Read {
        /// File.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("{path}:{line}:{column}: {message}")]
    Toml {
        /// File.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A value that makes no sense.
    #[error("{key}: {message}")]
    Value {
        /// Key, dotted.
        key: String,
        /// What is wrong and what to write.
        message: String,
    },
    /// Two devices on one port.
    #[error("devices {first} and {second} are both on {port}: a port belongs to one device")]
    SamePort {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// The port.
        port: String,
    },
}

/// Reads everything.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut paths: Vec<PathBuf> = sources.files.clone();
    for folder in &sources.drop_ins {
        let mut found: Vec<PathBuf> = match fs::read_dir(folder) {
            Ok(entries) => entries.filter_map(|e| e.ok().map(|e| e.path())).collect(),
            Err(_) => continue,
        };
        found.retain(|p| p.extension().is_some_and(|e| e == "toml"));
        found.sort();
        paths.append(&mut found);
    }
    let mut hasher = blake3::Hasher::new();
    let mut merged = File::default();
    for path in paths {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e)
                if e.kind() == std::io::ErrorKind::NotFound && sources.required.as_ref() != Some(&path) =>
            {
                continue;
            }
            Err(error) => return Err(ConfigError::Read { path, error }),
        };
        hasher.update(text.as_bytes());
        hasher.update(&[0]);
        merge(&mut merged, parse(&path, &text)?);
    }
    let version = hasher.finalize().to_hex().chars().take(12).collect();
    build(merged, version)
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|e| {
        let at = e.span().map_or(0, |s| s.start.min(text.len()));
        let before = text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        ConfigError::Toml {
            path: path.into(),
            line,
            column,
            message: e.message().trim_end().replace('\n', " "),
        }
    })
}

/// Later wins, key by key; devices and channels table by table.
fn merge(to: &mut File, from: File) {
    // Every table and every key by its name: one that is not merged would be ignored without a word.
    macro_rules! table {
        ($table:ident: $type:ident { $($key:ident),+ } $(and more $($more:ident),+)?) => {
            let file::$type { $($key,)+ $($($more,)+)? } = $table;
            $( if $key.is_some() { to.$table.$key = $key; } )+
            $($( to.$table.$more.extend($more); )+)?
        };
    }
    let File {
        terminal,
        shop,
        journal,
        bus,
        access,
        plugins,
        power,
        clock,
        payment,
        settlement,
        routing,
        secrets,
        maintenance,
        device,
        channel,
    } = from;
    table!(terminal: Terminal { id });
    table!(shop: Shop { name, lines, footer, language, receipt_template });
    table!(journal: Journal {
        dir, force_filesystem, free_floor_mib, ballast_mib, snapshot_records, keep_months, keep_records,
        segment_kib, epoch_records
    });
    table!(bus: Bus { address });
    table!(access: Access { supervisors, operators, viewers, polkit });
    table!(plugins: Plugins { dirs, host, state_dir, trust } and more keys, allow);
    table!(power: Power { refuse_below, class_dir });
    table!(clock: Clock { trust });
    table!(payment: Payment {
        reuse_window_s, duplicate_window_s, undo_after_s, hold_days, receipt_days, codes, cards, limits,
        receipt_printer, drawer
    });
    table!(settlement: Settlement { close_at, holidays, workdays });
    table!(secrets: Secrets { dir });
    table!(maintenance: Maintenance { dir, public_key });
    super::routing::merge(&mut to.routing, routing);
    to.device.extend(device);
    to.channel.extend(channel);
}

pub(super) fn bad(key: impl Into<String>, message: impl Into<String>) -> ConfigError {
    ConfigError::Value { key: key.into(), message: message.into() }
}

fn build(file: File, version: String) -> Result<Config, ConfigError> {
    let terminal = file.terminal.id.unwrap_or_else(|| "TILL0001".into());
    if terminal.is_empty() || terminal.len() > 8 || !terminal.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(bad("terminal.id", format!("{terminal:?} must be 1 to 8 letters and digits")));
    }
    let plugin_trust = Arc::new(super::plugins::trust(&file.plugins)?);
    let state_dir = file.plugins.state_dir.unwrap_or_else(|| "/var/lib/tilld/plugins".into());
    let mut rules = super::rules::rules(&file.settlement, file.payment.limits, &file.channel)?;
    rules.routing = super::routing::routing(file.routing, &file.channel)?;
    let devices =
        file.device.into_iter().map(|(id, d)| Ok((id.clone(), device(id, d)?))).collect::<Result<_, _>>()?;
    let channels: BTreeMap<String, ChannelConfig> = file
        .channel
        .into_iter()
        .map(|(id, c)| Ok((id.clone(), channel(id, c)?)))
        .collect::<Result<_, _>>()?;
    let asked = |c: &ChannelConfig| Some((c.id.clone(), c.merchant.as_ref()?.terms));
    Arc::make_mut(&mut rules.routing.policy).merchants = channels.values().filter_map(asked).collect();
    check_ports(&devices)?;
    if let Some(both) = channels.keys().find(|id| devices.contains_key(*id)) {
        return Err(bad(format!("channel.{both}"), "a device has the same id: give each its own"));
    }
    if let Some(printer) = &file.payment.receipt_printer
        && !devices.contains_key(printer)
    {
        return Err(bad("payment.receipt-printer", format!("there is no device {printer:?}")));
    }
    if let Some(drawer) = &file.payment.drawer
        && !devices.contains_key(drawer)
    {
        return Err(bad("payment.drawer", format!("there is no device {drawer:?}")));
    }
    let mut codes = Table { cards: file.payment.cards.unwrap_or_default(), ..Table::default() };
    if let Some(rules) = file.payment.codes {
        codes.codes = rules;
    }
    let never = |family: &Family| format!("the rule for {family} can never match");
    if let Some(rule) =
        codes.codes.iter().find(|r| r.min_length < 2 || r.min_length > r.max_length || r.first > r.last)
    {
        return Err(bad("payment.codes", never(&rule.family)));
    }
    for rule in &codes.cards {
        let good =
            (2..=12).contains(&rule.prefix.len()) && rule.prefix.bytes().all(|b| b.is_ascii_alphanumeric());
        if !good {
            let text = format!("prefix {:?} is not 2 to 12 letters and digits", rule.prefix);
            return Err(bad("payment.cards", text));
        }
        if rule.min_length < rule.prefix.len() || rule.min_length > rule.max_length {
            return Err(bad("payment.cards", never(&rule.family)));
        }
    }
    Ok(Config {
        terminal,
        shop: ShopConfig {
            name: file.shop.name.unwrap_or_else(|| "tilld".into()),
            lines: file.shop.lines.unwrap_or_default(),
            footer: file.shop.footer.unwrap_or_default(),
            language: match file.shop.language {
                Some(LanguageName::English) => Language::English,
                Some(LanguageName::Chinese) | None => Language::Chinese,
            },
            receipt_template: file.shop.receipt_template,
        },
        journal: JournalConfig {
            dir: file.journal.dir.unwrap_or_else(|| "/var/lib/tilld/journal".into()),
            force_filesystem: file.journal.force_filesystem.unwrap_or(false),
            free_floor_mib: file.journal.free_floor_mib.unwrap_or(64),
            ballast_mib: file.journal.ballast_mib.unwrap_or(8),
            snapshot_records: file.journal.snapshot_records.unwrap_or(5000),
            keep_months: file.journal.keep_months.unwrap_or(18),
            keep_records: file.journal.keep_records.unwrap_or(100_000),
            segment_kib: file.journal.segment_kib.unwrap_or(1024),
            epoch_records: file.journal.epoch_records.unwrap_or(200_000),
        },
        bus: file.bus.address.unwrap_or_else(|| "system".into()),
        access: AccessConfig {
            supervisors: file.access.supervisors.unwrap_or_default(),
            operators: file.access.operators.unwrap_or_default(),
            viewers: file.access.viewers.unwrap_or_default(),
            polkit: file.access.polkit.unwrap_or(true),
        },
        plugin_trust,
        plugin_dirs: file.plugins.dirs.unwrap_or_else(|| vec!["/usr/lib/tilld/plugins".into()]),
        plugin_host: file.plugins.host.unwrap_or_else(beside_us),
        state_dir,
        secrets_dir: file.secrets.dir.or_else(|| std::env::var_os("CREDENTIALS_DIRECTORY").map(Into::into)),
        clock: file.clock.trust.unwrap_or(ClockConfig::Kernel),
        reuse_window_s: file.payment.reuse_window_s.unwrap_or(60),
        duplicate_window_s: file.payment.duplicate_window_s.unwrap_or(300),
        undo_after_s: file.payment.undo_after_s.filter(|s| *s > 0),
        hold_days: file.payment.hold_days.unwrap_or(30),
        receipt_days: file.payment.receipt_days.unwrap_or(7),
        rules,
        codes,
        maintenance_dir: file.maintenance.dir.unwrap_or_else(|| "/etc/tilld/maintenance.d".into()),
        power_low: match file.power.refuse_below.unwrap_or(10) {
            percent @ 0..=100 => percent,
            more => return Err(bad("power.refuse-below", format!("{more} is no percentage"))),
        },
        power_dir: file.power.class_dir.unwrap_or_else(|| "/sys/class".into()),
        maintenance_key: file.maintenance.public_key,
        receipt_printer: file.payment.receipt_printer,
        drawer: file.payment.drawer,
        devices,
        channels,
        version,
    })
}

/// `till-plugin-host` in the folder of this binary, else where the package puts it.
fn beside_us() -> PathBuf {
    std::env::current_exe()
        .ok()
        .map(|exe| exe.with_file_name("till-plugin-host"))
        .filter(|host| host.exists())
        .unwrap_or_else(|| "/usr/libexec/tilld/till-plugin-host".into())
}

fn device(id: String, d: file::Device) -> Result<DeviceConfig, ConfigError> {
    check_id("device", &id)?;
    let transport = match d.transport {
        Transport::Serial { path, baud } => {
            check_baud(&id, baud)?;
            TransportSpec::Serial { path, baud }
        }
        Transport::Tcp { address } => TransportSpec::Tcp { address },
        Transport::Unix { path, stands_for } => TransportSpec::Unix { path, kind: stands_for },
        Transport::Evdev { path, also } => TransportSpec::Evdev { path, also },
        Transport::Hidraw { path } => TransportSpec::Device { path, kind: TransportKind::Hidraw },
        Transport::Gpio { chip } => TransportSpec::Gpio { chip },
        Transport::CharDevice { path } => TransportSpec::Device { path, kind: TransportKind::CharDevice },
        Transport::Replay { path } => TransportSpec::Replay { path },
        Transport::I2c { path, address } => TransportSpec::I2c { path, address: i2c_address(&id, address)? },
        Transport::Spi { path, speed, mode } => {
            let bad = |key: &str, text: String| bad(format!("device.{id}.transport.{key}"), text);
            if !(1_000..=50_000_000).contains(&speed) {
                return Err(bad(
                    "speed",
                    format!("{speed} Hz: give 1000 to 50000000; a PN532 does at most 5000000"),
                ));
            }
            if mode > 3 {
                return Err(bad("mode", format!("{mode}: SPI has the modes 0 to 3; a PN532 has mode 0")));
            }
            TransportSpec::Spi { path, speed, mode }
        }
        Transport::Usb { path, id: number, serial } => TransportSpec::Usb(UsbSpec {
            what: UsbClass::Printer,
            path,
            id: usb_number(&id, number)?,
            serial,
        }),
        Transport::Ccid { path, id: number, serial } => TransportSpec::Usb(UsbSpec {
            what: UsbClass::CardReader,
            path,
            id: usb_number(&id, number)?,
            serial,
        }),
        Transport::Udev { properties, baud } => {
            check_baud(&id, baud)?;
            check_properties(&id, &properties)?;
            TransportSpec::Udev(UdevSpec { properties, baud })
        }
    };
    for (counter, &limit) in &d.service_after {
        if limit == 0 {
            let key = format!("device.{id}.service-after.{counter}");
            return Err(bad(key, "0: give how many are due for service, or leave the line out"));
        }
    }
    Ok(DeviceConfig {
        id,
        plugin: d.plugin,
        transport,
        enabled: d.enabled,
        name: d.name,
        secrets: d.secrets,
        settings: d.settings,
        service_after: d.service_after,
    })
}

/// What lies outside belongs to the bus itself (I2C specification, 3.1.12).
fn i2c_address(id: &str, address: u16) -> Result<u8, ConfigError> {
    u8::try_from(address).ok().filter(|a| (0x08..=0x77).contains(a)).ok_or_else(|| {
        let message = format!("{address:#04x} is no address: give its 7 bits, 0x08 to 0x77 (`i2cdetect` shows it; a PN532 has 0x24)");
        bad(format!("device.{id}.transport.address"), message)
    })
}

/// Vendor and product number of a device's `transport.id`.
fn usb_number(device: &str, text: Option<String>) -> Result<Option<(u16, u16)>, ConfigError> {
    text.map(|text| usb_id(&text).ok_or(text)).transpose().map_err(|text| {
        let message =
            format!("{text:?} is no USB id: write vendor:product, such as \"04b8:0e15\" (`lsusb` shows it)");
        bad(format!("device.{device}.transport.id"), message)
    })
}

/// `04b8:0e15`.
fn usb_id(text: &str) -> Option<(u16, u16)> {
    let hex = |part: &str| {
        let good = part.len() == 4 && part.bytes().all(|b| b.is_ascii_hexdigit());
        good.then(|| u16::from_str_radix(part, 16).ok()).flatten()
    };
    let (vendor, product) = text.split_once(':')?;
    Some((hex(vendor)?, hex(product)?))
}

fn check_baud(id: &str, baud: u32) -> Result<(), ConfigError> {
    if (300..=4_000_000).contains(&baud) {
        return Ok(());
    }
    Err(bad(format!("device.{id}.transport.baud"), format!("{baud} is no usual speed (300 to 4000000)")))
}

/// A property that udev can never have would keep the device away for ever, without a word.
fn check_properties(id: &str, properties: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    let key_is_good = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic() && b != b'=');
    for (key, value) in properties {
        let message = if !key_is_good(key) {
            "is no udev property; they look like ID_SERIAL_SHORT (`udevadm info /dev/…` shows them)"
        } else if value.is_empty() || value.chars().any(char::is_control) {
            "must be one line of text: udev has no empty properties"
        } else {
            continue;
        };
        return Err(bad(format!("device.{id}.transport.properties.{key:?}"), message));
    }
    Ok(())
}

fn channel(id: String, c: file::Channel) -> Result<ChannelConfig, ConfigError> {
    check_id("channel", &id)?;
    if id == till_core::training::CHANNEL {
        return Err(bad(
            format!("channel.{id}"),
            "this is the name of the till's own training host: give the channel another id",
        ));
    }
    let merchant = c.merchant_auth.map(|m| super::merchant::merchant(&id, &m)).transpose()?;
    Ok(ChannelConfig {
        merchant,
        id,
        plugin: c.plugin,
        enabled: c.enabled,
        name: c.name,
        priority: c.priority,
        secrets: c.secrets,
        settings: c.settings,
    })
}

/// Ids are D-Bus path elements, file names and log fields.
fn check_id(table: &str, id: &str) -> Result<(), ConfigError> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if id.is_empty() || id.len() > 32 || !id.bytes().all(good) || id.starts_with('-') {
        return Err(bad(
            format!("{table}.{id}"),
            "an id is 1 to 32 lower-case letters, digits and dashes, a letter or digit first",
        ));
    }
    Ok(())
}

fn check_ports(devices: &BTreeMap<String, DeviceConfig>) -> Result<(), ConfigError> {
    let mut ports: BTreeMap<String, &str> = BTreeMap::new();
    for d in devices.values().filter(|d| d.enabled) {
        // Which port that is shows when it is plugged in; the supervisor gives no port to two.
        // A GPIO chip has many lines; the kernel gives no line to two.
        if matches!(d.transport, TransportSpec::Udev(_) | TransportSpec::Usb(_) | TransportSpec::Gpio { .. })
        {
            continue;
        }
        let mut names = vec![d.transport.name()];
        if let TransportSpec::Evdev { also, .. } = &d.transport {
            names.extend(also.iter().map(|p| p.display().to_string()));
        }
        for port in names {
            if let Some(first) = ports.insert(port.clone(), &d.id) {
                return Err(ConfigError::SamePort { first: first.into(), second: d.id.clone(), port });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "load/tests.rs"]
mod tests;
