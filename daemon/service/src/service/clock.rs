//! The till's clock: the kernel's, with the configured trust.

use till_journal::{Clock, Stamp, SystemClock};

use crate::config::ClockConfig;

/// Wall clock, boot time, and whether the wall clock is trusted.
#[derive(Debug)]
pub struct TillClock {
    system: SystemClock,
    trust: ClockConfig,
}

impl TillClock {
    /// With the configured trust.
    pub fn new(trust: ClockConfig) -> Self {
        Self { system: SystemClock::new(), trust }
    }

    /// The clocks now.
    pub fn now(&self) -> Stamp {
        Clock::now(self)
    }
}

impl Clock for TillClock {
    fn now(&self) -> Stamp {
        let stamp = self.system.now();
        let clock_ok = match self.trust {
            ClockConfig::Always => true,
            ClockConfig::Never => false,
            ClockConfig::Kernel => stamp.clock_ok && till_hosts::clock_synchronised(),
        };
        Stamp { clock_ok, ..stamp }
    }

    fn boot_id(&self) -> [u8; 16] {
        self.system.boot_id()
    }
}
