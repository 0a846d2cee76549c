//! Services of the host process for a plugin: log, clock, timer, transport, secrets, store.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::channel::ChannelEvent;
use crate::driver::DriverEvent;
use crate::error::PluginError;
use crate::proto::{self, event};
use crate::sensitive::Sensitive;

/// What the host does for a plugin. Implemented by the host process and by [`crate::testing`].
pub trait Services: Send + Sync {
    /// Writes a log line under the plugin's name.
    fn log(&self, level: Level, message: &str);
    /// The clocks.
    fn now(&self) -> Now;
    /// Waits; `false` when woken early because a call is waiting or this one is cancelled.
    fn sleep(&self, time: Duration) -> bool;
    /// Reads at most `max` bytes from the transport, waiting at most `wait` for the first one.
    fn read(&self, max: usize, wait: Duration) -> Result<Read, TransportError>;
    /// Writes all bytes to the transport, waiting at most `wait` in total.
    fn write(&self, bytes: &[u8], wait: Duration) -> Result<(), WriteError>;
    /// A secret named in the manifest.
    fn secret(&self, name: &str) -> Option<Sensitive<Vec<u8>>>;
    /// A value that the plugin stored, also in an earlier run.
    fn load(&self, key: &str) -> Option<Vec<u8>>;
    /// Stores a value; durable when it returns.
    fn store(&self, key: &str, value: &[u8]) -> Result<(), StoreError>;
    /// Appends to the instance's log; durable when it returns `Ok`.
    fn log_append(&self, _bytes: &[u8]) -> Result<u64, LogError> {
        Err(LogError::Refused { detail: "there is none here".into() })
    }
    /// Entries of the instance's log after one, oldest first, at most `max`.
    fn log_read(&self, _after: u64, _max: u32) -> Result<Vec<LogEntry>, LogError> {
        Err(LogError::Refused { detail: "there is none here".into() })
    }
    /// Gives up the entries of the instance's log up to and with one; durable when it returns `Ok`.
    fn log_trim(&self, _through: u64) -> Result<(), LogError> {
        Err(LogError::Refused { detail: "there is none here".into() })
    }
    /// A duplicate of the transport's descriptor.
    fn transport_fd(&self) -> Result<OwnedFd, TransportError> {
        Err(TransportError::None)
    }
    /// Hands an encoded event out at once (see [`proto::event`]).
    fn emit(&self, kind: u32, payload: Vec<u8>);
    /// Time left for the call that is running; `None` outside a call.
    fn remaining(&self) -> Option<Duration>;
    /// Whether the running call has been cancelled.
    fn cancelled(&self) -> bool;
}

/// A plugin's view of its host. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    services: Arc<dyn Services>,
    transport: Option<TransportInfo>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("transport", &self.transport).finish_non_exhaustive()
    }
}

impl Host {
    /// From services; plugins get theirs in `open`.
    pub fn new(services: Arc<dyn Services>, transport: Option<TransportInfo>) -> Self {
        Self { services, transport }
    }

    /// The transport that the daemon opened for this device, if any.
    pub const fn transport(&self) -> Option<&TransportInfo> {
        self.transport.as_ref()
    }

    /// Logs a line. No card data: build it from masked values only.
    pub fn log(&self, level: Level, message: impl AsRef<str>) {
        self.services.log(level, message.as_ref());
    }

    /// The clocks now.
    pub fn now(&self) -> Now {
        self.services.now()
    }

    /// Waits; `false` when woken early (a call is waiting, or this one is cancelled): return soon.
    pub fn sleep(&self, time: Duration) -> bool {
        self.services.sleep(time)
    }

    /// Reads what has come, at most `max` bytes (at most 64 KiB), waiting at most `wait` for the first byte.
    pub fn read(&self, max: usize, wait: Duration) -> Result<Read, TransportError> {
        self.services.read(max.min(proto::MAX_READ), wait)
    }

    /// Writes all bytes within `wait`, or says how many went out.
    pub fn write(&self, bytes: &[u8], wait: Duration) -> Result<(), WriteError> {
        self.services.write(bytes, wait)
    }

    /// The transport's descriptor, duplicated, for devices that are driven by `ioctl` and not by bytes (GPIO).
    /// What goes through it is neither recorded nor timed by the host. Streams use [`Host::read`] and [`Host::write`].
    pub fn transport_fd(&self) -> Result<OwnedFd, TransportError> {
        self.services.transport_fd()
    }

    /// A secret that the manifest names.
    pub fn secret(&self, name: &str) -> Result<Sensitive<Vec<u8>>, PluginError> {
        self.services.secret(name).ok_or_else(|| {
            PluginError::new(
                crate::ErrorCode::SecretMissing,
                format!("the secret {name:?} is not configured: add it under `secrets` of this plugin in tilld.toml"),
            )
        })
    }

    /// A value stored by this instance, also in an earlier run.
    pub fn load(&self, key: &str) -> Option<Vec<u8>> {
        self.services.load(key)
    }

    /// Stores a small value durably (all values of an instance together at most 64 KiB). Not for secrets.
    pub fn store(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.services.store(key, value)
    }

    /// Appends an entry to this instance's log and returns its number; durable when it returns `Ok`.
    ///
    /// The log is the place for books that must outlive everything (the ledger of a stored-value channel): it is kept in
    /// the daemon's journal, append-only, chained, rebuilt from its second copy, in every backup. Entries have 1 to
    /// [`proto::MAX_LOG_ENTRY`] bytes; numbers grow, with gaps. No card numbers and no secrets: tokens and hashes.
    ///
    /// After [`LogError::Undecided`] the entry may be there: read the log before anything is decided on it.
    pub fn log_append(&self, bytes: &[u8]) -> Result<u64, LogError> {
        let length = bytes.len();
        if length == 0 || length > proto::MAX_LOG_ENTRY {
            return Err(LogError::Refused {
                detail: format!("an entry of {length} bytes; it must have 1 to {}", proto::MAX_LOG_ENTRY),
            });
        }
        self.services.log_append(bytes)
    }

    /// Entries of this instance's log with a number above `after` (0: from the first), oldest first; at most `max` and at
    /// most [`proto::MAX_LOG_PAGE`]. Go on from the last one's number; an empty answer is the end.
    pub fn log_read(&self, after: u64, max: u32) -> Result<Vec<LogEntry>, LogError> {
        let most = u32::try_from(proto::MAX_LOG_PAGE).unwrap_or(u32::MAX);
        self.services.log_read(after, max.min(most))
    }

    /// Gives every entry of this instance's log after `after` to `f`, oldest first; returns the last one's number, or
    /// `after` when there is none. For folding books at a start: `after` 0.
    pub fn log_replay(&self, after: u64, mut f: impl FnMut(&LogEntry)) -> Result<u64, LogError> {
        let mut at = after;
        loop {
            let page = self.log_read(at, u32::MAX)?;
            let Some(last) = page.last().map(|e| e.seq) else { return Ok(at) };
            if page.iter().any(|e| e.seq <= at) || last <= at {
                return Err(LogError::Refused { detail: "the log answers out of order; report it".into() });
            }
            page.iter().for_each(&mut f);
            at = last;
        }
    }

    /// Gives up the entries of this instance's log up to and with number `through`, an entry of its own: they are read no
    /// more, and the daemon's retention may remove them. Until then they are kept for ever. Append what they came to (a
    /// ledger's balances) first.
    pub fn log_trim(&self, through: u64) -> Result<(), LogError> {
        self.services.log_trim(through)
    }

    /// Tells a driver event before the running call returns.
    pub fn emit_driver(&self, e: &DriverEvent) {
        if let Ok(payload) = proto::encode(e) {
            self.services.emit(event::DRIVER_1, payload);
        }
    }

    /// Tells a channel event before the running call returns.
    pub fn emit_channel(&self, e: &ChannelEvent) {
        if let Ok(payload) = proto::encode(e) {
            self.services.emit(event::CHANNEL_1, payload);
        }
    }

    /// Time left for the running call; outside a call [`Duration::MAX`].
    pub fn remaining(&self) -> Duration {
        self.services.remaining().unwrap_or(Duration::MAX)
    }

    /// Whether the running call was cancelled: stop waiting and return.
    pub fn cancelled(&self) -> bool {
        self.services.cancelled()
    }
}

/// Severity of a log line.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is odd.
    Warn,
    /// Worth knowing.
    Info,
    /// For debugging.
    Debug,
}

/// The clocks.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Wall clock, Unix ms. May be wrong and may jump.
    pub wall_ms: i64,
    /// `CLOCK_BOOTTIME`, ms: for every timer.
    pub boot_ms: u64,
    /// Whether the wall clock is synchronised; when not, do not sign with it.
    pub trusted: bool,
}

/// What a read gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Read {
    /// At least one byte.
    Data(Vec<u8>),
    /// Nothing came in time.
    Timeout,
    /// Stopped early because a call is waiting or this one is cancelled.
    Woken,
}

/// Why a transport failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum TransportError {
    /// Unplugged, closed or hung up.
    #[error("{name} is gone: {detail}")]
    Gone {
        /// Which transport.
        name: String,
        /// What the system said.
        detail: String,
    },
    /// This instance was given no transport.
    #[error("this plugin instance has no transport: set `transport` for the device in tilld.toml")]
    None,
}

impl From<TransportError> for PluginError {
    fn from(e: TransportError) -> Self {
        Self::new(crate::ErrorCode::TransportGone, e.to_string())
    }
}

/// A write that did not go out whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("wrote {written} bytes, then {}", match .error { Some(e) => e.to_string(), None => "the other end took no more in time".into() })]
pub struct WriteError {
    /// Bytes that were taken.
    pub written: usize,
    /// Why it stopped; `None`: time ran out or the call was cancelled.
    pub error: Option<TransportError>,
}

impl From<WriteError> for PluginError {
    fn from(e: WriteError) -> Self {
        let code =
            if e.error.is_some() { crate::ErrorCode::TransportGone } else { crate::ErrorCode::Timeout };
        Self::new(code, e.to_string())
    }
}

/// A value that could not be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("could not store {key:?}: {detail}")]
pub struct StoreError {
    /// Which value.
    pub key: String,
    /// Why.
    pub detail: String,
}

/// One entry of an instance's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Its number: grows from entry to entry, with gaps.
    pub seq: u64,
    /// What was appended.
    pub bytes: Vec<u8>,
}

/// Why the instance's log did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum LogError {
    /// Certainly nothing was written (or read).
    #[error("the log of this plugin instance: {detail}")]
    Refused {
        /// Why, and what to do.
        detail: String,
    },
    /// The entry may be durable or not.
    #[error(
        "the log of this plugin instance: {detail}; the entry may be there: read the log before going on"
    )]
    Undecided {
        /// Why.
        detail: String,
    },
}

impl From<LogError> for PluginError {
    fn from(e: LogError) -> Self {
        Self::new(crate::ErrorCode::Internal, e.to_string())
    }
}

/// The transport of a device, as opened by the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportInfo {
    /// What it is.
    pub kind: TransportKind,
    /// Where it leads, for messages (`/dev/ttyACM0`, `10.0.0.7:9100`).
    pub name: String,
}

/// Kinds of transports. Most are one byte stream to the plugin; for [`TransportKind::Evdev`] the stream is the kernel's
/// `input_event` structs. Hidraw, I2C, SPI and CCID are packets: one a read, one a write.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TransportKind {
    /// Serial port or pty, raw mode.
    Serial,
    /// TCP connection.
    Tcp,
    /// Grabbed input device.
    Evdev,
    /// HID reports, one a read.
    Hidraw,
    /// USB printer: the byte stream of its bulk endpoints, which the daemon has claimed.
    Usb,
    /// One address on an I2C bus; packets of [`crate::bus`].
    I2c,
    /// One chip select of an SPI bus; packets of [`crate::bus`].
    Spi,
    /// A character device such as `/dev/usb/lp0`.
    CharDevice,
    /// Unix stream socket (simulated devices, recordings).
    Unix,
    /// USB smart-card reader (CCID, class 0Bh), which the daemon has claimed: a packet is one message of its bulk endpoints.
    Ccid,
}

impl TransportKind {
    /// Lower-kebab name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Tcp => "tcp",
            Self::Evdev => "evdev",
            Self::Hidraw => "hidraw",
            Self::Usb => "usb",
            Self::I2c => "i2c",
            Self::Spi => "spi",
            Self::CharDevice => "char-device",
            Self::Unix => "unix",
            Self::Ccid => "ccid",
        }
    }
}

/// The plugin's settings: the `settings` table of its section in `tilld.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(String);

impl Settings {
    /// From JSON text.
    pub fn from_json(json: impl Into<String>) -> Self {
        Self(json.into())
    }

    /// Reads them into the plugin's own type; use `#[serde(deny_unknown_fields)]` there.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, PluginError> {
        let text = if self.0.is_empty() { "{}" } else { &self.0 };
        serde_json::from_str(text).map_err(|e| PluginError::settings(format!("settings: {e}")))
    }
}
