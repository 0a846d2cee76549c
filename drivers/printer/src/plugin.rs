//! The shell: gives the spooler bytes, time and jobs, and its events to the daemon.

use crate::encode::{self, Marks};
use crate::job::{Direct, Event, Hold, Input, Job, Millis, Refused, State};
use crate::printed::{Ended, Printed};
use crate::profile::{Cutter, ProfileError, QrKind};
use crate::settings::{FlowControl, Level as Pin, PrinterSettings};
use crate::spool::Spooler;
use crate::status::{Block, Paper, Status};
use crate::{command, profile::Profile};
use std::collections::BTreeMap;
use std::time::Duration;
use till_plugin::driver::{
    DeviceState, DriverDescription, DriverEvent, Health, HealthLevel, OpenDrawer, PrintJob, PrintState,
    Signal, class,
};
use till_plugin::host::{Host, Level, Read, Settings, TransportError};
use till_plugin::{Driver, ErrorCode, PluginError};

/// Longest single read while something is going on: so often time is looked at.
const SLICE: Duration = Duration::from_millis(50);
/// Longest single write: status is read between two.
const WRITE_SLICE: Duration = Duration::from_millis(200);
/// A drawer command waits at most this long for the printer.
const DRAWER_WAIT_MS: u64 = 5_000;
/// Time in `open` to hear the printer's first answers.
const OPEN_WAIT: Duration = Duration::from_millis(1_500);

/// The driver.
pub struct PrinterDriver {
    host: Host,
    settings: PrinterSettings,
    profile: Profile,
    spooler: Spooler,
    printed: Printed,
    /// Events that came up outside `poll`.
    waiting: Vec<DriverEvent>,
    told: Option<(DeviceState, String)>,
    drawer: Option<bool>,
    /// Outcome of the direct command that is waited for.
    sent: Option<bool>,
    counts: BTreeMap<&'static str, u64>,
    /// Lines and cuts of each job that is under way or waits.
    wear: BTreeMap<u64, (u64, u64)>,
}

impl std::fmt::Debug for PrinterDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrinterDriver").field("profile", &self.profile.name).finish_non_exhaustive()
    }
}

impl From<ProfileError> for PluginErrorOf {
    fn from(error: ProfileError) -> Self {
        Self(PluginError::settings(error.to_string()))
    }
}

/// Lets `?` turn this crate's errors into the SDK's.
struct PluginErrorOf(PluginError);

impl From<PluginErrorOf> for PluginError {
    fn from(error: PluginErrorOf) -> Self {
        error.0
    }
}

fn set_up(settings: &PrinterSettings) -> Result<(Profile, Spooler), PluginErrorOf> {
    let profile = settings.profile()?;
    let xoff = settings.flow_control == FlowControl::XonXoff;
    let spooler = Spooler::new(profile.clone(), settings.timing()?, xoff);
    Ok((profile, spooler))
}

impl Driver for PrinterDriver {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let settings: PrinterSettings = settings.parse()?;
        let (profile, spooler) = set_up(&settings)?;
        if host.transport().is_none() {
            return Err(TransportError::None.into());
        }
        let printed = Printed::load(host.clone());
        let mut driver = Self {
            host,
            settings,
            profile,
            spooler,
            printed,
            waiting: Vec::new(),
            told: None,
            drawer: None,
            sent: None,
            counts: BTreeMap::new(),
            wear: BTreeMap::new(),
        };
        // Hear what it says; one that says nothing may still print.
        driver.ask()?;
        Ok(driver)
    }

    fn describe(&self) -> DriverDescription {
        let mut capabilities = vec!["drawer".to_owned(), format!("columns-{}", self.profile.columns)];
        if self.profile.cutter != Cutter::None {
            capabilities.push("cutter".to_owned());
        }
        if self.profile.qr == QrKind::Native {
            capabilities.push("native-qr".to_owned());
        }
        if self.spooler.answers() {
            capabilities.push("status".to_owned());
        }
        let mut classes = vec![class::PRINTER.to_owned(), class::DRAWER.to_owned()];
        if self.settings.beeper {
            classes.push(class::SIGNAL.to_owned());
        }
        DriverDescription {
            classes,
            model: format!("ESC/POS printer ({})", self.profile.name),
            capabilities,
            certified: false,
            extra: till_plugin::Extra::new(),
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<DriverEvent>, PluginError> {
        let until = self.now().saturating_add(millis(budget));
        loop {
            self.turn(until)?;
            if !self.waiting.is_empty() || self.now() >= until || self.read(until)? {
                self.turn(until)?;
                return Ok(std::mem::take(&mut self.waiting));
            }
        }
    }

    fn print(&mut self, job: PrintJob) -> Result<(), PluginError> {
        let id = job.job;
        let known = self.printed.find(id);
        let ended = match known {
            Some(Ended::Done) => Some(PrintState::Done),
            Some(Ended::Unconfirmed) => Some(PrintState::Unconfirmed),
            Some(Ended::Begun) | None => None,
        };
        if let Some(state) = ended {
            self.host.log(Level::Info, format!("print job {id} was printed before and is not printed again"));
            self.waiting.push(DriverEvent::Print { job: id, state });
            return Ok(());
        }
        let marks = Marks { copy: job.copy, restarted: job.restarted || known == Some(Ended::Begun) };
        let atoms = encode::job(&self.profile, &job.document, marks)
            .map_err(|error| PluginError::new(ErrorCode::BadRequest, format!("print job {id}: {error}")))?;
        let lines = atoms.iter().map(|atom| atom.lines).sum();
        let cuts = atoms.iter().map(|atom| u64::from(atom.cut)).sum();
        let now = self.now();
        self.spooler.submit(now, Job { id, atoms }).map_err(|error| refused(&error))?;
        self.wear.insert(id, (lines, cuts));
        Ok(())
    }

    fn cancel_print(&mut self, job: u64) -> Result<(), PluginError> {
        let now = self.now();
        let events = self.spooler.step(now, Input::Cancel(job));
        self.take(events);
        Ok(())
    }

    fn open_drawer(&mut self, request: OpenDrawer) -> Result<(), PluginError> {
        let reason: String = request.reason.chars().filter(|c| !c.is_control()).take(80).collect();
        if reason.trim().is_empty() {
            let text = "the drawer is opened for a payment or for a stated reason only: give one";
            return Err(PluginError::new(ErrorCode::BadRequest, text));
        }
        let length = self.settings.drawer_pulse_ms;
        self.direct(
            encode::pulse(request.pin, length, false),
            Some(encode::pulse(request.pin, length, true)),
            "the drawer",
        )?;
        self.count("drawer-opened");
        self.host.log(Level::Info, format!("drawer opened: {reason}"));
        Ok(())
    }

    fn signal(&mut self, signal: Signal) -> Result<(), PluginError> {
        if !self.settings.beeper {
            return Err(PluginError::unsupported("signal (set `beeper = true` if the printer has one)"));
        }
        let beep = match signal {
            Signal::Success => command::beep(1, 2),
            Signal::Failure => command::beep(3, 4),
            _ => return Ok(()),
        };
        let atom = encode::Atom { bytes: beep.to_vec(), lines: 0, hunger: 2, pulse: false, cut: false };
        self.direct(atom, None, "the beeper")
    }

    fn health(&mut self, _level: HealthLevel) -> Result<Health, PluginError> {
        if self.spooler.is_idle() {
            self.ask()?;
        }
        let (state, text) = self.state();
        Ok(Health { state, text })
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        self.counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }
}

impl PrinterDriver {
    fn now(&self) -> Millis {
        self.host.now().boot_ms
    }

    fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// What a job has cost the head, the motor and the knife (S27).
    fn worn(&mut self, id: u64) {
        if let Some((lines, cuts)) = self.wear.get(&id).copied() {
            *self.counts.entry("lines").or_default() += lines;
            *self.counts.entry("cuts").or_default() += cuts;
        }
    }

    /// One round of status questions, or as much as there is time for.
    fn ask(&mut self) -> Result<(), PluginError> {
        let wait = OPEN_WAIT.min(self.host.remaining() / 2);
        let until = self.now().saturating_add(millis(wait));
        self.spooler.ask_now();
        self.turn(until)?;
        while !self.spooler.is_idle() && self.now() < until {
            let woken = self.read(until)?;
            self.turn(until)?;
            if woken {
                break;
            }
        }
        Ok(())
    }

    /// Sends one command outside a document and waits until it has gone out.
    fn direct(
        &mut self,
        atom: encode::Atom,
        when_blocked: Option<encode::Atom>,
        what: &str,
    ) -> Result<(), PluginError> {
        let left = millis(self.host.remaining() / 10 * 9);
        let until = self.now().saturating_add(left.min(DRAWER_WAIT_MS));
        self.sent = None;
        self.spooler.direct(Direct { atom, when_blocked, until }).map_err(|error| refused(&error))?;
        loop {
            self.turn(until.saturating_add(100))?;
            if let Some(sent) = self.sent.take() {
                let text = format!("{what} did not get its command in time: {}", self.state().1);
                return if sent { Ok(()) } else { Err(PluginError::new(ErrorCode::NotReady, text)) };
            }
            self.read(until.saturating_add(100))?;
            if self.host.cancelled() {
                self.spooler.forget_direct();
                return Err(PluginError::new(ErrorCode::Cancelled, format!("{what}: cancelled")));
            }
        }
    }

    /// Steps the spooler and writes what it has, until it has nothing more or the transport takes no more.
    fn turn(&mut self, until: Millis) -> Result<(), PluginError> {
        let now = self.now();
        let events = self.spooler.step(now, Input::Tick);
        self.take(events);
        loop {
            let now = self.now();
            let bytes = self.spooler.to_write();
            if bytes.is_empty() {
                return Ok(());
            }
            let wait = Duration::from_millis(until.saturating_sub(now)).min(WRITE_SLICE);
            let offered = bytes.len();
            let (written, gone) = match self.host.write(bytes, wait) {
                Ok(()) => (offered, None),
                Err(error) => (error.written, error.error),
            };
            let now = self.now();
            let events = self.spooler.step(now, Input::Wrote(written));
            self.take(events);
            if let Some(error) = gone {
                return Err(self.gone(error));
            }
            if written < offered {
                return Ok(());
            }
        }
    }

    /// Reads once; whether the host wants the thread back.
    fn read(&mut self, until: Millis) -> Result<bool, PluginError> {
        let left = Duration::from_millis(until.saturating_sub(self.now()));
        let wait = if self.spooler.is_idle() { left.min(Duration::from_secs(1)) } else { left.min(SLICE) };
        match self.host.read(4096, wait) {
            Ok(Read::Data(bytes)) => {
                let now = self.now();
                let events = self.spooler.step(now, Input::Bytes(&bytes));
                self.take(events);
                Ok(false)
            }
            Ok(Read::Timeout) => Ok(false),
            Ok(Read::Woken) => Ok(true),
            Err(error) => Err(self.gone(error)),
        }
    }

    /// Ends all jobs as far as they got, and tells it before the error ends the instance.
    fn gone(&mut self, error: TransportError) -> PluginError {
        let now = self.now();
        let events = self.spooler.step(now, Input::Gone);
        self.take(events);
        for event in std::mem::take(&mut self.waiting) {
            self.host.emit_driver(&event);
        }
        error.into()
    }

    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Direct(sent) => self.sent = Some(sent),
                Event::Status(status) => self.status(status),
                Event::Job { id, state } => self.job(id, state),
            }
        }
        let state = self.state();
        if self.told.as_ref() != Some(&state) {
            self.told = Some(state.clone());
            self.waiting.push(DriverEvent::State { state: state.0, text: state.1 });
        }
    }

    fn status(&mut self, status: Status) {
        let Some(open_level) = self.settings.drawer_open_level else { return };
        let open = status.drawer_pin3.map(|high| high == (open_level == Pin::High));
        if open.is_some() && open != self.drawer {
            self.drawer = open;
            self.waiting.extend(open.map(DriverEvent::Drawer));
        }
    }

    fn job(&mut self, id: u64, state: State) {
        let state = match state {
            State::Started => {
                // On disk before the first byte is on the wire.
                self.printed.note(id, Some(Ended::Begun));
                PrintState::Started
            }
            State::Held(why) => {
                self.count("held");
                PrintState::Held { reason: why.as_str().to_owned() }
            }
            State::Resumed => PrintState::Resumed,
            State::Restarted { lost } => {
                self.count("restarted");
                // The part that was lost is on paper too; how much of it nobody knows.
                self.worn(id);
                let text =
                    format!("print job {id}: printer lost what it was sent ({lost}); void mark, cut, again");
                self.host.log(Level::Warn, text);
                return;
            }
            State::Done(_) => {
                self.count("done");
                self.worn(id);
                self.printed.note(id, Some(Ended::Done));
                PrintState::Done
            }
            State::Unconfirmed => {
                self.count("unconfirmed");
                self.worn(id);
                self.printed.note(id, Some(Ended::Unconfirmed));
                PrintState::Unconfirmed
            }
            State::Cancelled(_) => {
                self.count("cancelled");
                self.printed.note(id, None);
                PrintState::Cancelled
            }
            State::Failed { fault, progress } => {
                self.count("failed");
                let partly = progress.written > 0;
                if !partly {
                    self.printed.note(id, None);
                }
                PrintState::Failed { reason: format!("{fault} ({progress})"), partly }
            }
        };
        if state.is_final() {
            self.wear.remove(&id);
        }
        self.waiting.push(DriverEvent::Print { job: id, state });
    }

    /// State of the device with a line for people.
    fn state(&self) -> (DeviceState, String) {
        let status = self.spooler.status();
        if let Some(block) = status.block() {
            let state = match block {
                Block::Unrecoverable => DeviceState::Failed,
                Block::Offline => DeviceState::Offline,
                _ => DeviceState::Blocked,
            };
            return (state, block.to_string());
        }
        if let Some(hold @ (Hold::NotReading | Hold::NoAnswer)) = self.spooler.held() {
            return (DeviceState::Offline, hold.to_string());
        }
        if !self.spooler.answers() {
            return (DeviceState::Unknown, "printer does not tell its status".to_owned());
        }
        if status.paper == Paper::NearEnd {
            return (DeviceState::Attention, "paper is nearly used up: have a roll ready".to_owned());
        }
        (DeviceState::Ready, String::new())
    }
}

fn refused(error: &Refused) -> PluginError {
    PluginError::new(ErrorCode::Busy, error.to_string())
}

fn millis(time: Duration) -> Millis {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

till_plugin::export_driver!(PrinterDriver, id = "org.tilld.printer");
