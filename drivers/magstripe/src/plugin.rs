//! The driver as the daemon runs it: a thin shell around the modules without I/O.
//!
//! The transport is read whether a payment waits or not: what comes while nobody waits is dropped at once and wiped, so
//! that no card of the last customer lies in a kernel buffer when the next sale opens.

use std::time::Duration;

use till_plugin::driver::{
    DeviceState, DriverDescription, DriverEvent, EnableRequest, Health, HealthLevel, ReadFailure, class,
};
use till_plugin::host::{Level, Read};
use till_plugin::{Driver, ErrorCode, Extra, Host, PluginError, Settings};
use zeroize::Zeroizing;

use crate::front::Front;
use crate::settings::Config;
use crate::sink::Sink;

/// Where the last key serial number is stored.
const KSN: &str = "ksn";

/// Bytes a read: enough key events for a swipe in a few, and any one report.
const CHUNK: usize = 4096;
/// Reads a call, so that a device that never stops sending cannot hold the host.
const READS: usize = 64;
/// A magnetic-stripe reader on an event device, a hidraw node, a serial line or a socket.
pub struct Magstripe {
    host: Host,
    config: Config,
    front: Front,
    sink: Sink,
    /// When the last byte or key came, by the host's clock.
    last: Duration,
}

/// What a read came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Got {
    Data,
    Nothing,
    /// Another call is waiting; whether there was data is not known.
    Woken,
}

impl Driver for Magstripe {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let Some(transport) = host.transport() else {
            return Err(PluginError::new(
                ErrorCode::Settings,
                "the card reader has no transport: set `transport` for the device in tilld.toml",
            ));
        };
        let config = Config::new(&settings, transport.kind)?;
        let front = Front::open(&host, &config)?;
        let sink = Sink::new(&config, host.load(KSN));
        Ok(Self { host, config, front, sink, last: Duration::ZERO })
    }

    fn describe(&self) -> DriverDescription {
        DriverDescription {
            classes: vec![class::MAGSTRIPE.into()],
            model: self.front.model().into(),
            capabilities: self.front.capabilities(),
            certified: false,
            extra: Extra::new(),
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<DriverEvent>, PluginError> {
        let started = self.now();
        for _ in 0..READS {
            let left = budget.saturating_sub(self.now().saturating_sub(started));
            if !self.step(left)? || self.sink.has_events() {
                break;
            }
        }
        self.remember();
        Ok(self.sink.take_events())
    }

    fn enable(&mut self, _request: EnableRequest) -> Result<(), PluginError> {
        // What already lies in the kernel's buffer was swiped before this payment asked for it.
        self.sink.disarm();
        for _ in 0..READS {
            if self.read(Duration::ZERO)? == Got::Nothing {
                break;
            }
        }
        self.settle();
        // And a swipe whose first half came before is not this payment's either.
        self.front.discard();
        self.sink.arm();
        self.remember();
        Ok(())
    }

    fn disable(&mut self) -> Result<(), PluginError> {
        self.sink.disarm();
        self.front.discard();
        Ok(())
    }

    fn health(&mut self, _level: HealthLevel) -> Result<Health, PluginError> {
        // A reader only talks: that its node is open, and what its last report said, is all there is to know.
        if self.sink.exhausted() {
            return Ok(Health {
                state: DeviceState::Blocked,
                text: crate::magtek::MagtekFault::Exhausted.to_string(),
            });
        }
        let text = if self.sink.armed() { "waiting for a card" } else { "open, not armed" };
        Ok(Health { state: DeviceState::Ready, text: text.into() })
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        self.sink.statistics()
    }
}

impl Magstripe {
    fn now(&self) -> Duration {
        Duration::from_millis(self.host.now().boot_ms)
    }

    /// One read and what follows from it; `false` when the budget is used up.
    fn step(&mut self, left: Duration) -> Result<bool, PluginError> {
        let wait = if self.front.pending() {
            let quiet = self.now().saturating_sub(self.last);
            left.min(self.config.silence.saturating_sub(quiet))
        } else {
            left
        };
        Ok(match self.read(wait)? {
            Got::Data => true,
            Got::Nothing => {
                self.settle();
                wait < left
            }
            Got::Woken => false,
        })
    }

    /// Reads once and feeds it.
    fn read(&mut self, wait: Duration) -> Result<Got, PluginError> {
        match self.host.read(CHUNK, wait) {
            Ok(Read::Data(bytes)) => {
                self.feed(&Zeroizing::new(bytes));
                Ok(Got::Data)
            }
            Ok(Read::Timeout) => Ok(Got::Nothing),
            Ok(Read::Woken) => Ok(Got::Woken),
            Err(gone) => {
                if self.sink.armed() && self.front.pending() {
                    // An error drops what poll would return, so this goes out by itself.
                    self.host.emit_driver(&DriverEvent::ReadFailed(ReadFailure {
                        reason: "device-gone".into(),
                        text: "the card reader went away in the middle of a swipe: check its cable, draw the card again"
                            .into(),
                    }));
                }
                self.front.reset();
                Err(gone.into())
            }
        }
    }

    /// The kernel has nothing: has the pause been long enough to end a swipe?
    fn settle(&mut self) {
        let now = self.now();
        if self.front.pending() && now.saturating_sub(self.last) >= self.config.silence {
            self.front.idle(|came| self.sink.take(came, now));
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let now = self.now();
        let Self { front, sink, last, .. } = self;
        if front.feed(bytes, now, |came| sink.take(came, now)) {
            *last = now;
        }
    }

    /// Stores the last key serial number, so that a recording of a swipe is known also after a restart.
    fn remember(&mut self) {
        let Some(ksn) = self.sink.unstored() else { return };
        if let Err(e) = self.host.store(KSN, &ksn) {
            self.host
                .log(Level::Warn, format!("the reader's key number is not remembered over a restart: {e}"));
        }
    }
}

till_plugin::export_driver!(Magstripe, id = "org.tilld.magstripe");
