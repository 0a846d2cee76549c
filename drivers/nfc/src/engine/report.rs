//! What the reader tells, and what it needs of the world.

use till_plugin::Instrument;

use crate::chip::Firmware;
use crate::link::LinkFault;

/// Why the device is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The line.
    #[error(transparent)]
    Link(#[from] LinkFault),
    /// It answers, and is something else.
    #[error("the device answers, but is no PN532 (chip {0:02X}h): check which device `transport` names")]
    NotOurs(u8),
    /// A reply that is none.
    #[error("the reader's replies are malformed: check the cable and the baud rate")]
    Malformed,
}

/// What happened.
pub enum Happened {
    /// The chip is ready.
    Ready(Firmware),
    /// A card was read.
    Read(Instrument),
    /// A card was not.
    Failed {
        /// Lower-kebab.
        reason: &'static str,
        /// One line.
        text: String,
    },
    /// The device is of no use.
    Broken(DeviceError),
}

/// Clock and randomness for one tap; from outside, so that a test repeats.
pub trait World {
    /// Unix ms.
    fn wall_ms(&self) -> i64;
    /// Random bytes, or nothing where the system has none.
    fn random(&self) -> Option<[u8; 4]>;
    /// The next number of 9F41.
    fn sequence(&mut self) -> u32;
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Cards read.
    pub taps: u64,
    /// Cards that could not pay.
    pub refused: u64,
    /// Taps that ended too early.
    pub torn: u64,
    /// Two cards at once.
    pub collisions: u64,
    /// Cards without ISO-DEP or payment application, reported by serial number.
    pub serial_numbers: u64,
    /// Offline data authentication: proved.
    pub proved: u64,
    /// Failed.
    pub not_proved: u64,
    /// Wakings after the first.
    pub restarts: u64,
}
