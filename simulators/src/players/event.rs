//! `struct input_event` as the kernel writes it (linux/input.h, 64-bit).

use std::time::Duration;

/// `EV_SYN`.
pub const EV_SYN: u16 = 0;
/// `EV_KEY`.
pub const EV_KEY: u16 = 1;
/// `EV_MSC`.
pub const EV_MSC: u16 = 4;
/// `SYN_REPORT`.
pub const SYN_REPORT: u16 = 0;
/// `SYN_DROPPED`.
pub const SYN_DROPPED: u16 = 3;
/// `MSC_SCAN`.
pub const MSC_SCAN: u16 = 4;

/// Bytes of one event on a 64-bit kernel: seconds and microseconds (8 each), type, code (2 each), value (4).
pub const SIZE: usize = 24;

/// One event, with its time since the start of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputEvent {
    /// When, since the start.
    pub at: Duration,
    /// Type.
    pub kind: u16,
    /// Code.
    pub code: u16,
    /// Value.
    pub value: i32,
}

impl InputEvent {
    /// The bytes a reader of `/dev/input/event*` gets, in this machine's byte order.
    pub fn to_bytes(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let seconds = i64::try_from(self.at.as_secs()).unwrap_or(i64::MAX);
        bytes[..8].copy_from_slice(&seconds.to_ne_bytes());
        bytes[8..16].copy_from_slice(&i64::from(self.at.subsec_micros()).to_ne_bytes());
        bytes[16..18].copy_from_slice(&self.kind.to_ne_bytes());
        bytes[18..20].copy_from_slice(&self.code.to_ne_bytes());
        bytes[20..].copy_from_slice(&self.value.to_ne_bytes());
        bytes
    }

    /// Reads one event back.
    pub fn from_bytes(bytes: &[u8; SIZE]) -> Self {
        let long = |at: usize| i64::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]));
        let short = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        let micros = u32::try_from(long(8)).unwrap_or(0).min(999_999);
        Self {
            at: Duration::new(u64::try_from(long(0)).unwrap_or(0), micros * 1000),
            kind: short(16),
            code: short(18),
            value: i32::from_ne_bytes(std::array::from_fn(|i| bytes[20 + i])),
        }
    }
}
