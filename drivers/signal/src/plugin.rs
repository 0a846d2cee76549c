//! The shell: gives patterns time, and lines their levels.

use std::time::Duration;

use till_gpio::Gpio;
use till_plugin::driver::{DeviceState, DriverDescription, DriverEvent, Health, HealthLevel, Signal, class};
use till_plugin::host::{Host, Settings};
use till_plugin::{Driver, Extra, PluginError};

use crate::pattern::{self, Levels, Millis, Pattern};
use crate::settings::{Config, SignalSettings};

/// The driver.
pub struct Lamps {
    host: Host,
    config: Config,
    lines: Box<dyn Gpio>,
    pattern: Pattern,
    began: Millis,
    shown: Levels,
    signals: u64,
}

impl Driver for Lamps {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let config = Config::new(settings.parse::<SignalSettings>()?)?;
        let lines = till_gpio::open(&host, &config.wants)?;
        let began = host.now().boot_ms;
        let pattern = pattern::of(Signal::Off);
        Ok(Self { host, config, lines, pattern, began, shown: Levels::OFF, signals: 0 })
    }

    fn describe(&self) -> DriverDescription {
        let names = ["ready", "success", "failure", "beeper"];
        let there = names.iter().zip(self.config.places).filter(|(_, place)| place.is_some());
        DriverDescription {
            classes: vec![class::SIGNAL.into()],
            model: "lamps and beeper (GPIO)".into(),
            capabilities: there.map(|(name, _)| (*name).to_owned()).collect(),
            certified: false,
            extra: Extra::new(),
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<DriverEvent>, PluginError> {
        let until = self.now().saturating_add(u64::try_from(budget.as_millis()).unwrap_or(u64::MAX));
        loop {
            let next = self.turn()?;
            let now = self.now();
            if now >= until {
                break;
            }
            let wake = next.map_or(until, |n| n.min(until)).max(now + 1);
            if !self.host.sleep(Duration::from_millis(wake - now)) {
                break;
            }
        }
        Ok(Vec::new())
    }

    fn signal(&mut self, signal: Signal) -> Result<(), PluginError> {
        self.signals += 1;
        // The newest counts: what the last customer's lamp still had to say is over.
        self.pattern = pattern::of(signal);
        self.began = self.now();
        self.turn().map(|_| ())
    }

    fn health(&mut self, level: HealthLevel) -> Result<Health, PluginError> {
        let text = match level {
            HealthLevel::Internal => "the lines are ours",
            HealthLevel::External => {
                self.signal(Signal::Success)?;
                "the pattern of success was started; only an eye can tell"
            }
            HealthLevel::Interactive => {
                self.signal(Signal::Failure)?;
                "look: the lamp of failure, three beeps"
            }
        };
        Ok(Health { state: DeviceState::Ready, text: text.into() })
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        vec![("signals".to_owned(), self.signals)]
    }
}

impl Lamps {
    fn now(&self) -> Millis {
        self.host.now().boot_ms
    }

    /// Brings the lines to what is due; when that changes.
    fn turn(&mut self) -> Result<Option<Millis>, PluginError> {
        let (levels, next) = self.pattern.at(self.now().saturating_sub(self.began));
        let (old, new) = (self.shown.all(), levels.all());
        for (kind, place) in self.config.places.iter().enumerate() {
            if let Some(place) = place
                && old[kind] != new[kind]
            {
                self.lines.set(*place, new[kind])?;
            }
        }
        self.shown = levels;
        Ok(next.map(|n| self.began.saturating_add(n)))
    }
}

till_plugin::export_driver!(Lamps, id = "org.tilld.signal");
