//! The shell: gives the core time and the switch, and the line its pulse.

use std::time::Duration;

use till_gpio::{Gpio, GpioError};
use till_plugin::driver::{
    DeviceState, DriverDescription, DriverEvent, Health, HealthLevel, OpenDrawer, class,
};
use till_plugin::host::{Host, Level, Settings};
use till_plugin::{Driver, ErrorCode, Extra, PluginError};

use crate::core::{Core, Event, Millis};
use crate::settings::{Config, DrawerSettings};

/// The relay's place among the lines.
const RELAY: usize = 0;
/// The switch's.
const SWITCH: usize = 1;
/// A line that does not let go is told so often.
const TRIES: usize = 3;

#[derive(Default)]
struct Counters {
    pulses: u64,
    refused: u64,
    opened: u64,
    stuck: u64,
    too_long: u64,
}

/// The driver.
pub struct Drawer {
    host: Host,
    config: Config,
    lines: Box<dyn Gpio>,
    core: Core,
    counters: Counters,
    waiting: Vec<DriverEvent>,
    /// What is the matter, for people; empty: nothing.
    trouble: &'static str,
}

impl Driver for Drawer {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let config = Config::new(settings.parse::<DrawerSettings>()?)?;
        let lines = till_gpio::open(&host, &config.wants)?;
        Ok(Self::with(host, config, lines))
    }

    fn describe(&self) -> DriverDescription {
        let switch = self.config.wants.len() > SWITCH;
        DriverDescription {
            classes: vec![class::DRAWER.into()],
            model: format!("cash drawer (GPIO {})", self.config.wants[RELAY].line),
            capabilities: if switch { vec!["drawer-state".into()] } else { Vec::new() },
            certified: false,
            extra: Extra::new(),
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<DriverEvent>, PluginError> {
        let until = self.now().saturating_add(u64::try_from(budget.as_millis()).unwrap_or(u64::MAX));
        loop {
            self.look()?;
            let now = self.now();
            if !self.waiting.is_empty() || now >= until {
                break;
            }
            let pace = if self.config.wants.len() > SWITCH { self.core.pace(now) } else { 60_000 };
            if !self.host.sleep(Duration::from_millis(pace.min(until - now))) {
                break;
            }
        }
        Ok(std::mem::take(&mut self.waiting))
    }

    fn open_drawer(&mut self, request: OpenDrawer) -> Result<(), PluginError> {
        let reason: String = request.reason.chars().filter(|c| !c.is_control()).take(80).collect();
        if reason.trim().is_empty() {
            let text = "the drawer is opened for a payment or for a stated reason only: give one";
            return Err(PluginError::new(ErrorCode::BadRequest, text));
        }
        let wait = self.core.ask(self.now()).map_err(|e| {
            self.counters.refused += 1;
            PluginError::new(ErrorCode::Busy, e.to_string())
        })?;
        let longest = Duration::from_millis(wait + self.config.pulse_ms) + Duration::from_millis(100);
        if self.host.remaining() < longest {
            return Err(PluginError::new(ErrorCode::Timeout, "there is no time left for a whole pulse"));
        }
        self.pass(wait);
        if self.host.cancelled() {
            return Err(PluginError::new(ErrorCode::Cancelled, "nobody waits for the drawer any more"));
        }
        // Written down before it happens: who opened the drawer is never in doubt.
        self.host.log(Level::Info, format!("drawer opened: {reason}"));
        self.pulse()?;
        self.counters.pulses += 1;
        Ok(())
    }

    fn health(&mut self, level: HealthLevel) -> Result<Health, PluginError> {
        self.look()?;
        let text = match (self.trouble, self.core.open()) {
            ("", Some(true)) => "open",
            ("", Some(false)) => "closed",
            ("", None) => "the line is ours; there is no switch that tells whether it is open",
            (trouble, _) => trouble,
        };
        let text = match level {
            // A check never opens a drawer with money in it.
            HealthLevel::Internal | HealthLevel::External => text.to_owned(),
            HealthLevel::Interactive => format!("{text}; open it with a reason to try it"),
        };
        Ok(Health { state: self.state(), text })
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        let c = &self.counters;
        [
            ("pulses", c.pulses),
            ("refused", c.refused),
            ("opened", c.opened),
            ("stuck", c.stuck),
            ("too-long", c.too_long),
        ]
        .map(|(name, n)| (name.to_owned(), n))
        .to_vec()
    }
}

impl Drawer {
    /// On lines that are there already.
    pub fn with(host: Host, config: Config, lines: Box<dyn Gpio>) -> Self {
        let core = Core::new(host.now().boot_ms, config.pulse_ms, config.too_long_ms);
        Self { host, config, lines, core, counters: Counters::default(), waiting: Vec::new(), trouble: "" }
    }

    fn now(&self) -> Millis {
        self.host.now().boot_ms
    }

    const fn state(&self) -> DeviceState {
        if self.trouble.is_empty() { DeviceState::Ready } else { DeviceState::Attention }
    }

    /// Lets time pass, whatever else is waiting.
    fn pass(&self, ms: u64) {
        let until = self.now().saturating_add(ms);
        loop {
            let left = until.saturating_sub(self.now());
            if left == 0 {
                return;
            }
            if !self.host.sleep(Duration::from_millis(left)) {
                // A call that waits ends the host's sleep at once, and a pulse must not get shorter by it.
                std::thread::sleep(Duration::from_millis(left.min(1)));
            }
        }
    }

    fn pulse(&mut self) -> Result<(), PluginError> {
        let now = self.now();
        let length = self.core.begin(now);
        let on = self.lines.set(RELAY, true);
        if on.is_ok() {
            self.pass(length);
        }
        // Also when it is said not to be active: nobody knows, and the safe level harms nothing.
        let mut off = self.lines.set(RELAY, false);
        for _ in 1..TRIES {
            if off.is_ok() {
                break;
            }
            off = self.lines.set(RELAY, false);
        }
        if let Err(e) = &off {
            // The process ends: then the kernel frees the line.
            self.host.log(Level::Error, format!("the drawer's line does not let go: {e}"));
        }
        on.and(off).map_err(PluginError::from)
    }

    fn look(&mut self) -> Result<(), GpioError> {
        let now = self.now();
        if self.config.wants.len() > SWITCH {
            let open = self.lines.get(SWITCH)?;
            if let Some(event) = self.core.switch(now, open) {
                self.take(event);
            }
        }
        if let Some(event) = self.core.tick(now) {
            self.take(event);
        }
        Ok(())
    }

    fn take(&mut self, event: Event) {
        let before = self.trouble;
        match event {
            Event::Moved(open) => {
                self.counters.opened += u64::from(open);
                self.trouble = "";
                self.waiting.push(DriverEvent::Drawer(open));
            }
            Event::Stuck => {
                self.counters.stuck += 1;
                self.trouble = "it did not open: check the lock, the cable and the supply of the solenoid";
            }
            Event::TooLong => {
                self.counters.too_long += 1;
                self.trouble = "it has been open for too long: close it";
            }
        }
        if self.trouble != before {
            self.waiting.push(DriverEvent::State { state: self.state(), text: self.trouble.into() });
        }
    }
}

till_plugin::export_driver!(Drawer, id = "org.tilld.drawer");
