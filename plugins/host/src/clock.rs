//! The clocks.

use std::time::SystemTime;

use rustix::time::{ClockId, clock_gettime};
use till_plugin::host::Now;

use crate::options::Clock;

/// Both clocks, and whether the wall clock is trusted.
pub(crate) fn now(trust: Clock) -> Now {
    Now {
        wall_ms: wall_ms(),
        boot_ms: boot_ms(),
        trusted: match trust {
            Clock::Always => true,
            Clock::Never => false,
            Clock::Kernel => synchronised(),
        },
    }
}

/// The wall clock as `tilld` reads it, ms: through the C library, where a test can step it for both.
fn wall_ms() -> i64 {
    let ms = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or_else(|before| -ms(before.duration()), ms)
}

/// `CLOCK_BOOTTIME`, ms.
pub(crate) fn boot_ms() -> u64 {
    let boot = clock_gettime(ClockId::Boottime);
    u64::try_from(boot.tv_sec.saturating_mul(1000) + boot.tv_nsec / 1_000_000).unwrap_or(0)
}

/// Whether the kernel believes that something keeps its clock right (`STA_UNSYNC` is clear, adjtimex(2)).
#[allow(unsafe_code)]
fn synchronised() -> bool {
    // SAFETY: `timex` is plain data, all zeroes is a valid value, and `modes` 0 only reads.
    unsafe {
        let mut status: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut status) >= 0 && status.status & libc::STA_UNSYNC == 0
    }
}
