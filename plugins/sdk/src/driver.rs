//! The driver side of the contract: one [`Driver`] trait for readers, printers, drawers, displays and PIN pads, and
//! its messages. Vocabulary is UnifiedPOS's (open, enable, data, disable; health at three levels; statistics).
//!
//! Rules for messages: a message type never changes once released; a changed message gets a new method number
//! ([`crate::proto::method`]) and both are served. New enum variants go at the end. Small additions travel in `extra`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::host::{Host, Settings};
use crate::instrument::Instrument;
use crate::sensitive::{Sensitive, wire};
use crate::{Extra, Family, Money, PluginError};

/// A device driver.
///
/// The host calls every function from one thread. A call returns within its deadline ([`Host::remaining`]); longer work
/// (printing, waiting for a card) is started by a call, carried on in [`Driver::poll`], and reported by events.
pub trait Driver: Sized + Send + 'static {
    /// Takes the device over: check settings, talk to it as far as needed to know it is there. The transport is in the
    /// host. Readers start disabled.
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError>;

    /// What this device can do, now that it is open.
    fn describe(&self) -> DriverDescription;

    /// Carries on: reads the transport, moves jobs, waits at most `budget`. Returns what happened; an error ends the
    /// instance (the device is gone or unusable) and is shown as the reason.
    fn poll(&mut self, budget: Duration) -> Result<Vec<DriverEvent>, PluginError>;

    /// Arms a reader for one payment. Input that came before must not be reported.
    fn enable(&mut self, _request: EnableRequest) -> Result<(), PluginError> {
        Err(PluginError::unsupported("enable"))
    }

    /// Disarms a reader and wipes what it holds.
    fn disable(&mut self) -> Result<(), PluginError> {
        Err(PluginError::unsupported("disable"))
    }

    /// Takes a print job; the result comes as [`DriverEvent::Print`].
    fn print(&mut self, _job: PrintJob) -> Result<(), PluginError> {
        Err(PluginError::unsupported("print"))
    }

    /// Gives a job up. What is on paper stays; the job ends `Cancelled`.
    fn cancel_print(&mut self, _job: u64) -> Result<(), PluginError> {
        Err(PluginError::unsupported("cancel-print"))
    }

    /// Opens the cash drawer.
    fn open_drawer(&mut self, _request: OpenDrawer) -> Result<(), PluginError> {
        Err(PluginError::unsupported("open-drawer"))
    }

    /// Shows to the customer.
    fn show(&mut self, _content: ShowContent) -> Result<(), PluginError> {
        Err(PluginError::unsupported("show"))
    }

    /// Light or sound.
    fn signal(&mut self, _signal: Signal) -> Result<(), PluginError> {
        Err(PluginError::unsupported("signal"))
    }

    /// Says a sentence.
    fn say(&mut self, _sentence: Sentence) -> Result<(), PluginError> {
        Err(PluginError::unsupported("say"))
    }

    /// Says what happened at the till, in the driver's own words; the same [`Announcement::key`] again is not said again.
    fn announce(&mut self, _announcement: Announcement) -> Result<(), PluginError> {
        Err(PluginError::unsupported("announce"))
    }

    /// Asks for a PIN on a certified pad; the block comes as [`DriverEvent::Pin`], as ciphertext only.
    fn enter_pin(&mut self, _request: PinRequest) -> Result<(), PluginError> {
        Err(PluginError::unsupported("enter-pin"))
    }

    /// Checks itself.
    fn health(&mut self, _level: HealthLevel) -> Result<Health, PluginError> {
        Ok(Health { state: DeviceState::Unknown, text: String::new() })
    }

    /// Counters since the instance opened; the daemon adds them up over restarts.
    fn statistics(&mut self) -> Vec<(String, u64)> {
        Vec::new()
    }
}

/// What a device class is; an open set of lower-kebab names.
pub mod class {
    /// Magnetic stripe reader.
    pub const MAGSTRIPE: &str = "magstripe";
    /// Contactless reader.
    pub const CONTACTLESS: &str = "contactless";
    /// Contact chip reader.
    pub const CHIP: &str = "chip";
    /// Code scanner.
    pub const SCANNER: &str = "scanner";
    /// Receipt printer.
    pub const PRINTER: &str = "printer";
    /// Cash drawer.
    pub const DRAWER: &str = "drawer";
    /// Customer display.
    pub const DISPLAY: &str = "display";
    /// Speech.
    pub const VOICE: &str = "voice";
    /// LED or beeper.
    pub const SIGNAL: &str = "signal";
    /// PIN pad.
    pub const PINPAD: &str = "pinpad";
}

/// Answer to `describe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverDescription {
    /// Classes it serves ([`class`]); one device may be several (printer with drawer).
    pub classes: Vec<String>,
    /// Make and model as the device tells, for people.
    pub model: String,
    /// Capabilities beyond the classes, lower-kebab (`cutter`, `native-qr`, `status`); an open set.
    pub capabilities: Vec<String>,
    /// Whether a payment scheme's certification is claimed. Drivers of this project say false.
    pub certified: bool,
    /// Room for later facts.
    pub extra: Extra,
}

/// Arms a reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnableRequest {
    /// What the payment is over; contactless cards are told it, displays show it.
    pub amount: Money,
    /// Families the till takes now; a reader may leave others alone.
    pub families: Vec<Family>,
    /// Room for later facts.
    pub extra: Extra,
}

/// A print job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintJob {
    /// Job number, unique for this till for ever (a journal sequence number).
    pub job: u64,
    /// What to print.
    pub document: Document,
    /// 0 the original, n the n-th copy; a copy is marked.
    pub copy: u32,
    /// Set when an earlier try of this job may have left paper behind: cut first and mark the new one as restarted.
    pub restarted: bool,
    /// Room for later facts.
    pub extra: Extra,
}

/// How a print job stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PrintState {
    /// The first byte went out.
    Started,
    /// Waiting for a person; goes on by itself when mended.
    Held {
        /// Lower-kebab (`paper-out`, `cover-open`, `offline`, `cutter`, `overheated`).
        reason: String,
    },
    /// Going on after `Held`.
    Resumed,
    /// The device confirmed the end.
    Done,
    /// Everything was sent, the device does not tell: perhaps printed.
    Unconfirmed,
    /// Given up on request.
    Cancelled,
    /// Ended by a fault; paper may hold a part of it if `partly`.
    Failed {
        /// One line.
        reason: String,
        /// Whether bytes of the job may be on paper.
        partly: bool,
    },
}

impl PrintState {
    /// No further state follows.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Done | Self::Unconfirmed | Self::Cancelled | Self::Failed { .. })
    }
}

/// Opens a drawer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenDrawer {
    /// Why: a payment's id or `no-sale: …`.
    pub reason: String,
    /// Connector pin 0 or 1 where there are two.
    pub pin: u8,
    /// Room for later facts.
    pub extra: Extra,
}

/// For a customer display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ShowContent {
    /// Nothing.
    Clear,
    /// An amount due.
    Amount(Money),
    /// A code to scan.
    Qr {
        /// Content.
        data: String,
        /// The amount it is for.
        amount: Money,
    },
    /// Lines of text.
    Text(Vec<String>),
    /// Where a payment stands, in the driver's own words and layout. Drivers built before this variant cannot decode it.
    Stage(StageContent),
}

/// Where a payment stands, as the customer is told it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Stage {
    /// The sum so far; nobody is asked to pay yet.
    Total,
    /// This is to be paid now.
    Due,
    /// Paid in cash; this is given back.
    Change,
    /// Paid.
    Approved,
    /// Not paid; the amount is still owed.
    Declined,
    /// Given back.
    Refunded,
    /// The receipt can be taken.
    Receipt,
}

impl Stage {
    /// Lower-kebab name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Due => "due",
            Self::Change => "change",
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Refunded => "refunded",
            Self::Receipt => "receipt",
        }
    }
}

/// A stage with its amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageContent {
    /// Where it stands.
    pub stage: Stage,
    /// The amount that belongs to it, exactly.
    pub amount: Money,
    /// Room for later facts.
    pub extra: Extra,
}

/// For LEDs and beepers.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Signal {
    /// Ready for the customer.
    Ready,
    /// Working.
    Busy,
    /// Went well.
    Success,
    /// Went wrong.
    Failure,
    /// All off.
    Off,
    /// A person must come. Drivers built before this variant cannot decode it.
    Alarm,
}

/// For a voice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// BCP 47 language tag (`zh-CN`, `en`).
    pub language: String,
    /// What to say, numbers already in words.
    pub text: String,
}

/// For a voice: what happened, not how to say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Names this announcement (`due/<payment>`); the same one again, also after a restart, is not said again. 1 to 64 bytes.
    pub key: String,
    /// BCP 47 language tag; empty: the one of the driver's settings.
    pub language: String,
    /// What.
    pub spoken: Spoken,
    /// Goes before everything that waits, and ends what is being said where the device can.
    pub urgent: bool,
    /// Not worth saying any more after this many ms; 0: always.
    pub valid_ms: u32,
    /// Room for later facts.
    pub extra: Extra,
}

/// What is announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Spoken {
    /// Where a payment stands; the driver makes the words.
    Stage(StageContent),
    /// A sentence as it is, numbers in words.
    Text(String),
}

/// For a PIN pad.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinRequest {
    /// Account number the block is bound to (ISO 9564-1).
    #[serde(with = "wire")]
    pub pan: Sensitive<String>,
    /// Shown on the pad.
    pub amount: Money,
    /// PIN block format of ISO 9564-1 (0, 3, 4).
    pub format: u8,
    /// Name of the key in the pad that enciphers the block.
    pub key: String,
    /// Give up after this many ms.
    pub timeout_ms: u32,
}

/// What a driver tells by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DriverEvent {
    /// A reader read something for the payment it is enabled for.
    Read(Instrument),
    /// A reader could not read.
    ReadFailed(ReadFailure),
    /// The device's state changed.
    State {
        /// New state.
        state: DeviceState,
        /// One line for people, empty when well.
        text: String,
    },
    /// A print job moved.
    Print {
        /// Job number.
        job: u64,
        /// New state.
        state: PrintState,
    },
    /// Drawer opened (true) or closed.
    Drawer(bool),
    /// An enciphered PIN block, or that the customer gave up (None).
    Pin {
        /// PIN block as ciphertext.
        #[serde(with = "wire::option")]
        block: Option<Sensitive<Vec<u8>>>,
        /// Key serial number for derived keys, else empty.
        ksn: Vec<u8>,
    },
}

/// Why a read gave nothing. The customer is asked to do it again, or otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadFailure {
    /// Lower-kebab reason: `bad-lrc`, `bad-parity`, `truncated`, `no-track`, `collision`, `card-removed`, `too-long`,
    /// `not-text`, `use-chip` …; an open set.
    pub reason: String,
    /// One line for the operator. No card data.
    pub text: String,
}

/// State of a device (UnifiedPOS power and health states, joined).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DeviceState {
    /// Not known (the device does not tell).
    Unknown,
    /// Well.
    Ready,
    /// Works, needs a person soon (paper near end).
    Attention,
    /// Needs a person now (paper out, cover open).
    Blocked,
    /// Switched off or out of reach.
    Offline,
    /// Faulty.
    Failed,
}

impl DeviceState {
    /// Lower-kebab name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ready => "ready",
            Self::Attention => "attention",
            Self::Blocked => "blocked",
            Self::Offline => "offline",
            Self::Failed => "failed",
        }
    }
}

/// How deep a check goes (UnifiedPOS checkHealth).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthLevel {
    /// Without moving anything.
    Internal,
    /// With the device acting (a test print, a beep).
    External,
    /// With a person's help.
    Interactive,
}

/// Result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// State found.
    pub state: DeviceState,
    /// One line for people.
    pub text: String,
}
