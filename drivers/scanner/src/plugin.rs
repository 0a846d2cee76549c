//! The driver as the daemon runs it: a thin shell around the modules without I/O.
//!
//! The transport is read whether a payment waits or not: what comes while nobody waits is dropped at once and wiped, so
//! that no code of the last customer lies in a kernel buffer when the next sale opens.

use std::time::Duration;

use till_plugin::driver::{
    DeviceState, DriverDescription, DriverEvent, EnableRequest, Health, HealthLevel, ReadFailure, class,
};
use till_plugin::host::{Level, Read, TransportError};
use till_plugin::instrument::ScannedCode;
use till_plugin::{Driver, ErrorCode, Extra, Host, Instrument, PluginError, Sensitive, Settings};
use till_wedge::{Symbol, Wedge};
use zeroize::{Zeroize, Zeroizing};

use crate::aim::AimFault;
use crate::assemble::ScanFault;
use crate::code::{self, CodeFault};
use crate::dedupe::Dedupe;
use crate::front::Front;
use crate::settings::{Config, Input};
use crate::trigger::Trigger;

/// Bytes a read; bounds what one poll can report. No report of a scanner is longer.
const CHUNK: usize = 1024;
/// Longest that a scanner may take to accept a trigger.
const TRIGGER: Duration = Duration::from_millis(500);
/// Reads a call, so that a device that never stops sending cannot hold the host.
const READS: usize = 64;
/// Equal failures closer than this are told once: a stuck key or a wrong baud rate makes thousands.
const QUIET: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Counters {
    codes: u64,
    failures: u64,
    repeats: u64,
    unwanted: u64,
}

/// A code scanner on a serial line, a socket, an event device or a hidraw node.
pub struct Scanner {
    host: Host,
    config: Config,
    wedge: Option<Wedge>,
    trigger: Trigger,
    /// A scanner that does not take its trigger was told of.
    deaf: bool,
    reader: Reader,
    /// When the last byte or key came, by the host's clock.
    last: Duration,
}

/// Everything behind the transport; apart, so that the assembler can lend its buffer to it.
struct Reader {
    front: Front,
    sink: Sink,
}

struct Sink {
    armed: bool,
    /// Codes and failures since the scanner was last triggered.
    done: bool,
    dedupe: Dedupe,
    config: Config,
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

impl Driver for Scanner {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let Some(transport) = host.transport() else {
            return Err(PluginError::new(
                ErrorCode::Settings,
                "the scanner has no transport: set `transport` for the device in tilld.toml",
            ));
        };
        let config = Config::new(&settings, transport.kind)?;
        let wedge = match config.input {
            Input::Text | Input::HidPos => None,
            Input::Keys(layout) => Some(Wedge::new(layout, config.caps)),
        };
        let sink = Sink {
            armed: false,
            done: false,
            dedupe: Dedupe::new(config.duplicate),
            config: config.clone(),
            counters: Counters::default(),
            told: None,
            events: Vec::new(),
        };
        let (front, trigger) = Front::open(&host, &config)?;
        let mut scanner = Self {
            host,
            config,
            wedge,
            trigger,
            deaf: false,
            reader: Reader { front, sink },
            last: Duration::ZERO,
        };
        // What an earlier run left it doing, this one did not ask for.
        scanner.pull(false)?;
        Ok(scanner)
    }

    fn describe(&self) -> DriverDescription {
        DriverDescription {
            classes: vec![class::SCANNER.into()],
            model: match self.config.input {
                Input::Text => "code scanner".into(),
                Input::Keys(_) => "code scanner (keyboard)".into(),
                Input::HidPos => "code scanner (HID POS)".into(),
            },
            capabilities: if self.trigger.messages(true).is_empty() {
                vec!["aim".into()]
            } else {
                vec!["aim".into(), "trigger".into()]
            },
            certified: false,
            extra: Extra::new(),
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<DriverEvent>, PluginError> {
        let started = self.now();
        for _ in 0..READS {
            let left = budget.saturating_sub(self.now().saturating_sub(started));
            if !self.step(left)? {
                break;
            }
            if !self.reader.sink.events.is_empty() {
                break;
            }
        }
        // A triggered scanner ends with its code; while the payment still waits it is to read the next one.
        if std::mem::take(&mut self.reader.sink.done) && self.reader.sink.armed {
            self.pull(true)?;
        }
        Ok(std::mem::take(&mut self.reader.sink.events))
    }

    fn enable(&mut self, _request: EnableRequest) -> Result<(), PluginError> {
        // What already lies in the kernel's buffer was scanned before this payment asked for it.
        self.reader.sink.armed = false;
        for _ in 0..READS {
            if self.read(Duration::ZERO)? == Got::Nothing {
                break;
            }
        }
        self.settle();
        // And a code whose first half came before is not this payment's either.
        self.reader.front.discard();
        self.reader.sink.events.clear();
        self.reader.sink.told = None;
        self.reader.sink.done = false;
        self.reader.sink.armed = true;
        self.pull(true)
    }

    fn disable(&mut self) -> Result<(), PluginError> {
        self.reader.sink.armed = false;
        self.reader.sink.events.clear();
        self.reader.front.discard();
        self.pull(false)
    }

    fn health(&mut self, _level: HealthLevel) -> Result<Health, PluginError> {
        // A scanner in its factory mode only talks: that its line is open is all there is to know.
        let text = if self.reader.sink.armed { "waiting for a code" } else { "open, not armed" };
        Ok(Health { state: DeviceState::Ready, text: text.into() })
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        let c = &self.reader.sink.counters;
        [("codes", c.codes), ("failures", c.failures), ("repeats", c.repeats), ("unwanted", c.unwanted)]
            .map(|(name, n)| (name.to_owned(), n))
            .to_vec()
    }
}

impl Scanner {
    /// Starts or stops the scanner. One that does not listen is no reason to end: its own button still works.
    fn pull(&mut self, on: bool) -> Result<(), PluginError> {
        for message in self.trigger.messages(on) {
            match self.host.write(&message, TRIGGER) {
                Ok(()) => self.deaf = false,
                Err(e) => {
                    if let Some(gone @ TransportError::Gone { .. }) = e.error {
                        return Err(gone.into());
                    }
                    if !std::mem::replace(&mut self.deaf, true) {
                        self.host.log(Level::Warn, format!("the scanner does not take its trigger: {e}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.host.now().boot_ms)
    }

    /// One read and what follows from it; `false` when the budget is used up.
    fn step(&mut self, left: Duration) -> Result<bool, PluginError> {
        let wait = if self.reader.front.pending() {
            let quiet = self.now().saturating_sub(self.last);
            left.min(self.reader.front.patience().saturating_sub(quiet))
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
                if self.reader.sink.armed && self.reader.front.pending() {
                    // An error drops what poll would return, so this goes out by itself.
                    self.host.emit_driver(&DriverEvent::ReadFailed(ReadFailure {
                        reason: "device-gone".into(),
                        text: "the scanner went away in the middle of a code: check its cable, scan again"
                            .into(),
                    }));
                }
                self.reader.front.reset();
                Err(gone.into())
            }
        }
    }

    /// The kernel has nothing: has the pause been long enough to end, or give up, a code?
    fn settle(&mut self) {
        let now = self.now();
        let Reader { front, sink } = &mut self.reader;
        if front.pending() && now.saturating_sub(self.last) >= front.patience() {
            front.idle(|scan| sink.take(scan, now));
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let now = self.now();
        let Reader { front, sink } = &mut self.reader;
        let assembler = match front {
            Front::Bytes(assembler) => assembler,
            Front::Reports(reader) => {
                self.last = now;
                reader.push(bytes, |scan| sink.take(scan, now));
                return;
            }
        };
        let Some(wedge) = &mut self.wedge else {
            self.last = now;
            // No time of its own: bytes that waited in the kernel came when they came. Only an empty read tells a pause.
            assembler.push(bytes, Duration::ZERO, |scan| sink.take(scan, now));
            return;
        };
        let last = &mut self.last;
        wedge.push(bytes, |typed| {
            *last = now;
            let sink = |scan: Result<&[u8], ScanFault>| sink.take(scan, now);
            match (typed.symbol.byte(), typed.symbol) {
                (Some(byte), _) => {
                    let mut one = [byte];
                    assembler.push(&one, typed.at, sink);
                    one.zeroize();
                }
                (None, Symbol::Dropped) => assembler.damage(ScanFault::Dropped, typed.at, sink),
                (None, _) => assembler.damage(ScanFault::BadKey, typed.at, sink),
            }
        });
    }
}

impl Sink {
    fn take(&mut self, scan: Result<&[u8], ScanFault>, now: Duration) {
        self.done = true;
        let (reason, text) = match scan {
            Ok(scan) => {
                // Also while nobody waits: the code still before the scanner when the next sale opens is an old one.
                let new = self.dedupe.is_new(scan, now);
                if !self.armed {
                    self.counters.unwanted += 1;
                    return;
                }
                if !new {
                    self.counters.repeats += 1;
                    return;
                }
                match code::read(scan, self.config.aim, self.config.charset) {
                    Ok(mut code) => {
                        self.counters.codes += 1;
                        self.events.push(DriverEvent::Read(Instrument::Code(ScannedCode {
                            text: Sensitive::new(std::mem::take(&mut *code.text)),
                            symbology: code.aim.map(|aim| aim.to_string()),
                        })));
                        return;
                    }
                    Err(fault) => (code_reason(fault), fault.to_string()),
                }
            }
            Err(fault) => (scan_reason(fault), fault.to_string()),
        };
        if !self.armed {
            self.counters.unwanted += 1;
            return;
        }
        self.counters.failures += 1;
        if self.told.is_some_and(|(last, at)| last == reason && now.saturating_sub(at) < QUIET) {
            return;
        }
        self.told = Some((reason, now));
        self.events.push(DriverEvent::ReadFailed(ReadFailure { reason: reason.into(), text }));
    }
}

fn scan_reason(fault: ScanFault) -> &'static str {
    match fault {
        ScanFault::Empty => "empty",
        ScanFault::TooLong { .. } => "too-long",
        ScanFault::Unfinished => "truncated",
        ScanFault::NoPrefix => "no-prefix",
        ScanFault::Dropped => "events-lost",
        ScanFault::BadKey => "bad-character",
        ScanFault::BadReport => "bad-report",
    }
}

fn code_reason(fault: CodeFault) -> &'static str {
    match fault {
        CodeFault::Empty => "empty",
        CodeFault::NotText(_) => "not-text",
        CodeFault::UnknownEci(_) | CodeFault::BadEci => "bad-charset",
        CodeFault::Aim(AimFault::NoIdentifier) => "no-symbology",
        CodeFault::Aim(_) => "bad-check",
    }
}

till_plugin::export_driver!(Scanner, id = "org.tilld.scanner");
