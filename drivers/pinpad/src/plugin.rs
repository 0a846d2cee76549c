//! The shell: gives the wire bytes and time.

use std::time::Duration;

use serde::Deserialize;
use till_plugin::driver::{
    DeviceState, DriverDescription, DriverEvent, Health, HealthLevel, PinRequest, ReadFailure, class,
};
use till_plugin::host::{Host, Level, Read, Settings, TransportError};
use till_plugin::{Driver, ErrorCode, Extra, PluginError};
use zeroize::Zeroizing;

use crate::wire::{BadRequest, Millis, Outcome, Wire};

/// Longest write.
const WRITE: Duration = Duration::from_millis(500);
/// Longest single read, so that time is looked at.
const SLICE: Duration = Duration::from_millis(100);

/// Settings: there is one, and it has to be said.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct PadSettings {
    simulated: bool,
}

#[derive(Default)]
struct Counters {
    asked: u64,
    blocks: u64,
    none: u64,
    faults: u64,
}

/// The driver.
pub struct Pinpad {
    host: Host,
    wire: Wire,
    counters: Counters,
    waiting: Vec<DriverEvent>,
}

impl Driver for Pinpad {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let settings: PadSettings = settings.parse()?;
        if !settings.simulated {
            let text = "this driver is for the simulated PIN pad and is not certified: no customer may type a PIN into it. Use the \
                        plugin of a certified pad's vendor, or set `simulated = true` on a till that takes no real cards";
            return Err(PluginError::settings(text));
        }
        if host.transport().is_none() {
            return Err(TransportError::None.into());
        }
        host.log(Level::Warn, "a simulated PIN pad, certified: false; no real cards");
        Ok(Self { host, wire: Wire::default(), counters: Counters::default(), waiting: Vec::new() })
    }

    fn describe(&self) -> DriverDescription {
        DriverDescription {
            classes: vec![class::PINPAD.into()],
            model: "simulated PIN pad (not certified)".into(),
            capabilities: vec!["pin-format-0".into(), "pin-format-4".into(), "dukpt".into()],
            certified: false,
            extra: Extra::new(),
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<DriverEvent>, PluginError> {
        let until = self.now().saturating_add(u64::try_from(budget.as_millis()).unwrap_or(u64::MAX));
        loop {
            if let Some((outcome, cancel)) = self.wire.tick(self.now()) {
                self.take(outcome);
                self.host.write(&cancel, WRITE)?;
            }
            let left = Duration::from_millis(until.saturating_sub(self.now()));
            if !self.waiting.is_empty() {
                break;
            }
            let woken = self.read(left.min(SLICE))?;
            if woken || self.now() >= until || !self.waiting.is_empty() {
                break;
            }
        }
        Ok(std::mem::take(&mut self.waiting))
    }

    fn disable(&mut self) -> Result<(), PluginError> {
        if let Some(cancel) = self.wire.cancel() {
            // Ended first: a pad that cannot be told anything owes its end all the same.
            self.take(Outcome::None);
            self.host.write(&cancel, WRITE)?;
        }
        Ok(())
    }

    fn enter_pin(&mut self, request: PinRequest) -> Result<(), PluginError> {
        let line = self.wire.ask(self.now(), &request).map_err(|e| {
            let code = match e {
                BadRequest::Busy => ErrorCode::Busy,
                BadRequest::Format(_) => ErrorCode::Unsupported,
                _ => ErrorCode::BadRequest,
            };
            PluginError::new(code, e.to_string())
        })?;
        if let Err(e) = self.host.write(&line, WRITE.min(self.host.remaining() / 2)) {
            // Half a request may stand in the pad: it is closed, and what it answers is nobody's.
            self.wire.cancel();
            return Err(e.into());
        }
        self.counters.asked += 1;
        Ok(())
    }

    fn health(&mut self, level: HealthLevel) -> Result<Health, PluginError> {
        let text = match level {
            HealthLevel::Internal => "open; simulated, not certified",
            HealthLevel::External => {
                self.host.write(b"alive\n", WRITE)?;
                "asked whether it is alive; simulated, not certified"
            }
            HealthLevel::Interactive => "ask for a PIN with a test card; simulated, not certified",
        };
        // Never ready without that word: whoever looks must see what it is.
        Ok(Health { state: DeviceState::Attention, text: text.into() })
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        let c = &self.counters;
        [
            ("asked", c.asked),
            ("blocks", c.blocks),
            ("none", c.none),
            ("faults", c.faults),
            ("noise", self.wire.noise),
        ]
        .map(|(name, n)| (name.to_owned(), n))
        .to_vec()
    }
}

impl Pinpad {
    fn now(&self) -> Millis {
        self.host.now().boot_ms
    }

    fn read(&mut self, wait: Duration) -> Result<bool, PluginError> {
        match self.host.read(1024, wait) {
            Ok(Read::Data(bytes)) => {
                let bytes = Zeroizing::new(bytes);
                let mut outcomes = Vec::new();
                self.wire.push(&bytes, |outcome| outcomes.push(outcome));
                for outcome in outcomes {
                    self.take(outcome);
                }
                Ok(false)
            }
            Ok(Read::Timeout) => Ok(false),
            Ok(Read::Woken) => Ok(true),
            Err(gone) => {
                if self.wire.cancel().is_some() {
                    // The error drops what poll would return, so these go out by themselves.
                    let (reason, text) =
                        ("pin-pad".into(), "the PIN pad went away while the PIN was entered".into());
                    self.host.emit_driver(&DriverEvent::ReadFailed(ReadFailure { reason, text }));
                    self.host.emit_driver(&DriverEvent::Pin { block: None, ksn: Vec::new() });
                }
                Err(gone.into())
            }
        }
    }

    fn take(&mut self, outcome: Outcome) {
        let (block, ksn) = match outcome {
            Outcome::Block { block, ksn } => {
                self.counters.blocks += 1;
                (Some(block), ksn)
            }
            Outcome::None => {
                self.counters.none += 1;
                (None, Vec::new())
            }
            Outcome::Fault(text) => {
                self.counters.faults += 1;
                self.waiting.push(DriverEvent::ReadFailed(ReadFailure { reason: "pin-pad".into(), text }));
                (None, Vec::new())
            }
        };
        self.waiting.push(DriverEvent::Pin { block, ksn });
    }
}

till_plugin::export_driver!(Pinpad, id = "org.tilld.pinpad");
