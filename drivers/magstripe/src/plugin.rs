//! The driver as the daemon runs it: a thin shell around the modules without I/O.
//!
//! The transport is read whether a payment waits or not: what comes while nobody waits is dropped at once and wiped, so
//! that no card of the last customer lies in a kernel buffer when the next sale opens.

use std::time::Duration;

use till_plugin::driver::{
    DeviceState, DriverDescription, DriverEvent, EnableRequest, Health, HealthLevel, ReadFailure, class,
};
use till_plugin::host::Read;
use till_plugin::instrument::StripeCard;
use till_plugin::{Driver, ErrorCode, Extra, Host, Instrument, PluginError, Sensitive, Settings};
use till_wedge::{Symbol, Wedge};
use zeroize::Zeroizing;

use crate::card::Card;
use crate::settings::{Config, Input};
use crate::swipe::{Assembler, Outcome, SwipeFault, Times};
use crate::track::Parsed;

/// Bytes a read: enough key events for a swipe in a few.
const CHUNK: usize = 4096;
/// Reads a call, so that a device that never stops sending cannot hold the host.
const READS: usize = 64;
/// Equal failures closer than this are told once.
const QUIET: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Counters {
    swipes: u64,
    failures: u64,
    repeats: u64,
    unwanted: u64,
}

/// A magnetic-stripe reader on an event device, a serial line or a socket.
pub struct Magstripe {
    host: Host,
    config: Config,
    wedge: Option<Wedge>,
    assembler: Assembler,
    sink: Sink,
    /// When the last byte or key came, by the host's clock.
    last: Duration,
}

struct Sink {
    armed: bool,
    require_track2: bool,
    counters: Counters,
    told: Option<(&'static str, Duration)>,
    events: Vec<DriverEvent>,
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
        let wedge = match config.input {
            Input::Text => None,
            Input::Keys(layout) => Some(Wedge::new(layout, config.caps)),
        };
        let sink = Sink {
            armed: false,
            require_track2: config.require_track2,
            counters: Counters::default(),
            told: None,
            events: Vec::new(),
        };
        let assembler = Assembler::new(config.end, config.silence, config.duplicate);
        Ok(Self { host, config, wedge, assembler, sink, last: Duration::ZERO })
    }

    fn describe(&self) -> DriverDescription {
        DriverDescription {
            classes: vec![class::MAGSTRIPE.into()],
            model: match self.config.input {
                Input::Text => "magnetic stripe reader".into(),
                Input::Keys(_) => "magnetic stripe reader (keyboard)".into(),
            },
            capabilities: vec!["track1".into(), "track2".into(), "track3".into()],
            certified: false,
            extra: Extra::new(),
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<DriverEvent>, PluginError> {
        let started = self.now();
        for _ in 0..READS {
            let left = budget.saturating_sub(self.now().saturating_sub(started));
            if !self.step(left)? || !self.sink.events.is_empty() {
                break;
            }
        }
        Ok(std::mem::take(&mut self.sink.events))
    }

    fn enable(&mut self, _request: EnableRequest) -> Result<(), PluginError> {
        // What already lies in the kernel's buffer was swiped before this payment asked for it.
        self.sink.armed = false;
        for _ in 0..READS {
            if self.read(Duration::ZERO)? == Got::Nothing {
                break;
            }
        }
        self.settle();
        // And a swipe whose first half came before is not this payment's either.
        self.assembler.discard();
        self.sink.events.clear();
        self.sink.told = None;
        self.sink.armed = true;
        Ok(())
    }

    fn disable(&mut self) -> Result<(), PluginError> {
        self.sink.armed = false;
        self.sink.events.clear();
        self.assembler.discard();
        Ok(())
    }

    fn health(&mut self, _level: HealthLevel) -> Result<Health, PluginError> {
        // A keyboard only talks: that its node is open is all there is to know.
        let text = if self.sink.armed { "waiting for a card" } else { "open, not armed" };
        Ok(Health { state: DeviceState::Ready, text: text.into() })
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        let c = &self.sink.counters;
        [("swipes", c.swipes), ("failures", c.failures), ("repeats", c.repeats), ("unwanted", c.unwanted)]
            .map(|(name, n)| (name.to_owned(), n))
            .to_vec()
    }
}

impl Magstripe {
    fn now(&self) -> Duration {
        Duration::from_millis(self.host.now().boot_ms)
    }

    /// One read and what follows from it; `false` when the budget is used up.
    fn step(&mut self, left: Duration) -> Result<bool, PluginError> {
        let wait = if self.assembler.pending() {
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
                if self.sink.armed && self.assembler.pending() {
                    // An error drops what poll would return, so this goes out by itself.
                    self.host.emit_driver(&DriverEvent::ReadFailed(ReadFailure {
                        reason: "device-gone".into(),
                        text: "the card reader went away in the middle of a swipe: check its cable, draw the card again"
                            .into(),
                    }));
                }
                self.assembler.reset();
                Err(gone.into())
            }
        }
    }

    /// The kernel has nothing: has the pause been long enough to end a swipe?
    fn settle(&mut self) {
        let now = self.now();
        if self.assembler.pending()
            && now.saturating_sub(self.last) >= self.config.silence
            && let Some(outcome) = self.assembler.idle()
        {
            self.sink.take(outcome, now);
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let now = self.now();
        let Self { wedge, assembler, sink, last, .. } = self;
        let Some(wedge) = wedge else {
            *last = now;
            // No time of its own: only an empty read tells a pause.
            for byte in bytes {
                assembler
                    .push(*byte, Times { typed: Duration::ZERO, now }, |outcome| sink.take(outcome, now));
            }
            return;
        };
        wedge.push(bytes, |typed| {
            *last = now;
            let times = Times { typed: typed.at, now };
            let sink = |outcome| sink.take(outcome, now);
            match (typed.symbol.byte(), typed.symbol) {
                (Some(byte), _) => assembler.push(byte, times, sink),
                (None, Symbol::Dropped) => assembler.damage(SwipeFault::Dropped, times, sink),
                (None, _) => assembler.damage(SwipeFault::NotText, times, sink),
            }
        });
    }
}

impl Sink {
    fn take(&mut self, outcome: Outcome, now: Duration) {
        if !self.armed {
            self.counters.unwanted += 1;
            return;
        }
        let (reason, text) = match outcome {
            Outcome::Swipe(text) => match Card::read(&text, self.require_track2) {
                Ok(card) => {
                    self.counters.swipes += 1;
                    self.events.push(DriverEvent::Read(Instrument::Stripe(stripe(&card))));
                    return;
                }
                Err(fault) => (fault.reason(), fault.to_string()),
            },
            Outcome::Fault(fault) => (
                match fault {
                    SwipeFault::TooLong => "too-long",
                    SwipeFault::Dropped => "events-lost",
                    SwipeFault::NotText => "bad-character",
                },
                format!("{fault}: draw the card again"),
            ),
            Outcome::Again => {
                self.counters.repeats += 1;
                return;
            }
            Outcome::Unwanted => {
                self.counters.unwanted += 1;
                return;
            }
        };
        self.counters.failures += 1;
        if self.told.is_some_and(|(last, at)| last == reason && now.saturating_sub(at) < QUIET) {
            return;
        }
        self.told = Some((reason, now));
        self.events.push(DriverEvent::ReadFailed(ReadFailure { reason: reason.into(), text }));
    }
}

fn stripe(card: &Card) -> StripeCard {
    let clear = |text: &str| Sensitive::new(text.to_owned());
    let track = |track: &Option<Parsed>| track.as_ref().map(|t| clear(t.text()));
    StripeCard {
        track1: track(&card.one),
        track2: track(&card.two),
        track3: card.three.as_ref().map(|text| clear(text)),
        pan: clear(card.pan()),
        expiry: card.expiry().map(clear),
        service_code: card.service_code().map(str::to_owned),
        masked: card.masked(),
        luhn: card.luhn(),
    }
}

till_plugin::export_driver!(Magstripe, id = "org.tilld.magstripe");
