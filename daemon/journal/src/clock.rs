//! Time as the journal stamps it; passed in, so that a test decides what time it is.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// One reading of the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Wall clock, milliseconds since 1970-01-01T00:00:00Z.
    pub wall_ms: i64,
    /// `CLOCK_BOOTTIME` in milliseconds: runs through suspend, starts again at boot.
    pub boottime_ms: u64,
    /// The wall clock was believed right when it was read.
    pub clock_ok: bool,
}

/// Where the journal takes the time and the boot's identity from.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Stamp;
    /// Identity of this boot: two stamps' `boottime_ms` compare only within one boot.
    fn boot_id(&self) -> [u8; 16];
}

/// The kernel's clocks.
///
/// `clock_ok` is true while the wall clock is past 2025 (a board without a battery starts in 1970) and nobody
/// called [`SystemClock::set_trusted`] with `false`. The daemon calls that with what timedated says.
#[derive(Debug)]
pub struct SystemClock {
    boot_id: [u8; 16],
    trusted: AtomicBool,
}

/// 2025-01-01T00:00:00Z.
const PLAUSIBLE_MS: i64 = 1_735_689_600_000;

impl SystemClock {
    /// Reads the boot's identity once; all zero where the kernel gives none.
    pub fn new() -> Self {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()
            .and_then(|text| hex::decode(text.trim().replace('-', "")).ok())
            .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
            .unwrap_or_default();
        Self { boot_id, trusted: AtomicBool::new(true) }
    }

    /// Says whether the wall clock is synchronised, as far as the caller knows.
    pub fn set_trusted(&self, trusted: bool) {
        self.trusted.store(trusted, Ordering::Relaxed);
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Stamp {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_ms = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX);
        let boot = clock_gettime(ClockId::Boottime);
        let millis = boot.tv_sec.saturating_mul(1000).saturating_add(boot.tv_nsec / 1_000_000);
        Stamp {
            wall_ms,
            boottime_ms: u64::try_from(millis).unwrap_or_default(),
            clock_ok: wall_ms > PLAUSIBLE_MS && self.trusted.load(Ordering::Relaxed),
        }
    }

    fn boot_id(&self) -> [u8; 16] {
        self.boot_id
    }
}
