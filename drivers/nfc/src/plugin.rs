//! The driver as the daemon runs it: a thin shell around [`Engine`], which it gives bytes, time and random numbers.

use std::time::Duration;

use till_plugin::driver::{
    DeviceState, DriverDescription, DriverEvent, EnableRequest, Health, HealthLevel, ReadFailure, class,
};
use till_plugin::host::Level;
use till_plugin::{Driver, ErrorCode, Extra, Family, Host, PluginError, Settings};

use crate::engine::{DeviceError, Engine, Happened, World};
use crate::link::Link;
use crate::link::way::Way;
use crate::port::{self, Port};
use crate::settings::Config;

/// Turns a call, so that a device that never stops sending cannot hold the host.
const TURNS: usize = 256;
/// Longest until the chip is set up when the device is opened.
const OPEN: Duration = Duration::from_secs(8);
/// Longest for a check of health.
const CHECK: Duration = Duration::from_secs(4);
/// Numbers of 9F41 that are reserved at once, so that a tap does not wait for the disk.
const RESERVE: u32 = 256;
/// Where the reservation is kept.
const SEQUENCE: &str = "sequence";

/// A contactless reader.
pub struct Nfc {
    host: Host,
    engine: Engine<Way>,
    port: Port,
    outside: Outside,
    broken: Option<DeviceError>,
    events: Vec<DriverEvent>,
}

struct Outside {
    host: Host,
    next: u32,
    reserved: u32,
}

impl World for Outside {
    fn wall_ms(&self) -> i64 {
        self.host.now().wall_ms
    }

    fn random(&self) -> Option<[u8; 4]> {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).ok().map(|()| bytes)
    }

    fn sequence(&mut self) -> u32 {
        if self.next >= self.reserved {
            self.reserve();
        }
        let number = self.next;
        self.next += 1;
        number
    }
}

impl Outside {
    fn new(host: Host) -> Self {
        let kept = host.load(SEQUENCE).and_then(|b| <[u8; 4]>::try_from(b).ok()).map(u32::from_le_bytes);
        // Numbers of eight digits; zero is none.
        let next = kept.filter(|n| (1..99_999_000).contains(n)).unwrap_or(1);
        let mut outside = Self { host, next, reserved: next };
        outside.reserve();
        outside
    }

    fn reserve(&mut self) {
        self.reserved = self.next.saturating_add(RESERVE);
        if let Err(error) = self.host.store(SEQUENCE, &self.reserved.to_le_bytes()) {
            // A counter that begins again is worse than none for nobody: the channel has its own trace numbers.
            self.host.log(Level::Warn, format!("the tap counter could not be kept: {error}"));
        }
    }
}

/// What a read came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Got {
    Data,
    Nothing,
    /// Another call is waiting.
    Woken,
}

impl Driver for Nfc {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let Some(kind) = host.transport().map(|t| t.kind) else {
            return Err(PluginError::new(
                ErrorCode::Settings,
                "the contactless reader has no transport: set `transport` for the device in tilld.toml",
            ));
        };
        let config = Config::new(&settings)?;
        let engine = Engine::new(Way::new(kind, config.timing, config.reader_beeps), config);
        let outside = Outside::new(host.clone());
        let port = Port::new(host.clone(), kind);
        let mut driver = Self { host, engine, port, outside, broken: None, events: Vec::new() };
        let now = driver.now();
        driver.engine.start(now);
        driver.until_idle(OPEN)?;
        driver.events.clear();
        Ok(driver)
    }

    fn describe(&self) -> DriverDescription {
        let chip = match self.engine.link() {
            Way::Frames(_) => Some("PN532"),
            Way::Messages(_) => Some("ACR122U, PN532"),
            Way::Slot(_) => None,
        };
        let model = match (chip, self.engine.firmware()) {
            (Some(chip), Some(f)) => format!("{chip}, firmware {}.{}", f.version, f.revision),
            (Some(chip), None) => chip.into(),
            (None, _) => "card reader (CCID)".into(),
        };
        let mut extra = Extra::new();
        extra.insert("profile".into(), "online-only reader of card data, no certified kernel".into());
        DriverDescription {
            classes: vec![class::CONTACTLESS.into()],
            model,
            capabilities: vec!["iso-dep".into(), "online-only".into()],
            certified: false,
            extra,
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<DriverEvent>, PluginError> {
        let started = self.now();
        for _ in 0..TURNS {
            let left = budget.saturating_sub(self.now().saturating_sub(started));
            let got = self.turn(left)?;
            if got == Got::Woken || !self.events.is_empty() || (got == Got::Nothing && left.is_zero()) {
                break;
            }
        }
        Ok(std::mem::take(&mut self.events))
    }

    fn enable(&mut self, request: EnableRequest) -> Result<(), PluginError> {
        let takes = |family: &str| {
            request.families.is_empty() || request.families.iter().any(|f| f.as_str() == family)
        };
        let (payment, prepaid) = (takes(Family::CARD_CONTACTLESS), takes(Family::PREPAID));
        self.events.clear();
        self.engine.arm(request.amount, payment, prepaid, self.now());
        self.flush()
    }

    fn disable(&mut self) -> Result<(), PluginError> {
        self.events.clear();
        self.engine.disarm(self.now());
        self.flush()
    }

    fn health(&mut self, level: HealthLevel) -> Result<Health, PluginError> {
        if self.engine.armed() {
            return Ok(Health { state: DeviceState::Ready, text: "waiting for a card".into() });
        }
        let text = match level {
            HealthLevel::Internal => "open, field off",
            HealthLevel::External | HealthLevel::Interactive => {
                self.engine.check(self.now());
                if let Err(error) = self.until_idle(CHECK) {
                    return Ok(Health { state: DeviceState::Failed, text: error.to_string() });
                }
                match level {
                    HealthLevel::Interactive => {
                        "the chip answers; to try the field, open a sale and tap a card"
                    }
                    _ => "the chip answers",
                }
            }
        };
        Ok(Health { state: DeviceState::Ready, text: text.into() })
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        let c = self.engine.counters();
        let (garbage, stale) = self.engine.link().noise();
        [
            ("taps", c.taps),
            ("refused", c.refused),
            ("torn", c.torn),
            ("collisions", c.collisions),
            ("serial-numbers", c.serial_numbers),
            ("proved", c.proved),
            ("not-proved", c.not_proved),
            ("restarts", c.restarts),
            ("noise-bytes", garbage),
            ("stale-replies", stale),
            ("bus-faults", self.port.faults()),
        ]
        .map(|(name, n)| (name.to_owned(), n))
        .to_vec()
    }
}

impl Nfc {
    fn now(&self) -> Duration {
        Duration::from_millis(self.host.now().boot_ms)
    }

    /// Writes what waits, reads at most until something must be done, and does it.
    fn turn(&mut self, left: Duration) -> Result<Got, PluginError> {
        self.flush()?;
        let now = self.now();
        let wait = self.engine.deadline().map_or(left, |at| left.min(at.saturating_sub(now)));
        let got = match self.port.wait(self.engine.link().awaited(), wait) {
            Ok(port::Got::Bytes(bytes)) => {
                let now = self.now();
                self.engine.push(&bytes, now, &mut self.outside);
                Got::Data
            }
            Ok(port::Got::Frame(frame)) => {
                let now = self.now();
                self.engine.push_frame(&frame, now, &mut self.outside);
                Got::Data
            }
            Ok(port::Got::Nothing) => Got::Nothing,
            Ok(port::Got::Woken) => Got::Woken,
            Err(gone) => return Err(self.gone(gone)),
        };
        let now = self.now();
        self.engine.tick(now, &mut self.outside);
        self.flush()?;
        for happened in self.engine.happened() {
            match happened {
                Happened::Ready(_) => {}
                Happened::Read(instrument) => self.events.push(DriverEvent::Read(instrument)),
                Happened::Failed { reason, text } => {
                    self.events.push(DriverEvent::ReadFailed(ReadFailure { reason: reason.into(), text }));
                }
                Happened::Broken(error) => self.broken = Some(error),
            }
        }
        match self.broken {
            Some(error) => Err(PluginError::new(ErrorCode::TransportGone, error.to_string())),
            None => Ok(got),
        }
    }

    fn flush(&mut self) -> Result<(), PluginError> {
        while let Some(bytes) = self.engine.output() {
            self.port.write(&bytes).map_err(|e| self.gone(e))?;
        }
        Ok(())
    }

    fn gone(&self, error: PluginError) -> PluginError {
        if self.engine.armed() && !self.engine.idle() {
            // An error drops what poll would return, so this goes out by itself.
            self.host.emit_driver(&DriverEvent::ReadFailed(ReadFailure {
                reason: "device-gone".into(),
                text: "the contactless reader went away: check its cable, then tap again".into(),
            }));
        }
        error
    }

    fn until_idle(&mut self, longest: Duration) -> Result<(), PluginError> {
        let until = self.now() + longest.min(self.host.remaining());
        while !self.engine.idle() {
            let left = until.saturating_sub(self.now());
            if left.is_zero() || self.host.cancelled() {
                return Err(PluginError::new(
                    ErrorCode::Timeout,
                    "the reader was not ready in time: check its cable, its power and the baud rate",
                ));
            }
            self.turn(left)?;
        }
        Ok(())
    }
}

till_plugin::export_driver!(Nfc, id = "org.tilld.nfc");
