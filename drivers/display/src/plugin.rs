//! The shell: gives the screen bytes, time and content.

use std::time::Duration;

use till_plugin::driver::{
    DeviceState, DriverDescription, DriverEvent, Health, HealthLevel, ShowContent, class,
};
use till_plugin::host::{Host, Read, Settings, TransportError};
use till_plugin::{Driver, ErrorCode, Extra, PluginError};

use crate::profile::Charset;
use crate::screen::{Millis, Screen};
use crate::settings::{Config, DisplaySettings};

/// Longest write: 60 bytes take 0.3 s at 2400 baud.
const WRITE: Duration = Duration::from_millis(500);
/// Most reads of a poll; a display says nothing, and what noise says is dropped.
const READS: usize = 16;

#[derive(Default)]
struct Counters {
    shown: u64,
    refused: u64,
    partial: u64,
    noise: u64,
}

/// The driver.
pub struct Display {
    host: Host,
    config: Config,
    screen: Screen,
    counters: Counters,
    told: Option<DeviceState>,
    waiting: Vec<DriverEvent>,
}

impl Driver for Display {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        if host.transport().is_none() {
            return Err(TransportError::None.into());
        }
        let config = Config::new(settings.parse::<DisplaySettings>()?)?;
        let screen = Screen::new(config.clone(), host.now().boot_ms);
        let mut display =
            Self { host, config, screen, counters: Counters::default(), told: None, waiting: Vec::new() };
        // One that takes nothing now may be switched on later.
        display.write()?;
        Ok(display)
    }

    fn describe(&self) -> DriverDescription {
        let p = &self.config.profile;
        let mut capabilities = vec![format!("columns-{}", p.columns), format!("lines-{}", p.lines)];
        capabilities.push(match p.charset {
            Charset::Ascii => "text".into(),
            Charset::Gb18030 => "chinese".into(),
            Charset::Digits => "digits".into(),
        });
        DriverDescription {
            classes: vec![class::DISPLAY.into()],
            model: format!("customer display ({})", p.name),
            capabilities,
            certified: false,
            extra: Extra::new(),
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<DriverEvent>, PluginError> {
        let until = self.now().saturating_add(millis(budget));
        for _ in 0..READS {
            self.write()?;
            let now = self.now();
            if !self.waiting.is_empty() || now >= until {
                break;
            }
            let wait = self.screen.due(now).min(until).saturating_sub(now);
            match self.host.read(256, Duration::from_millis(wait.max(1)))? {
                Read::Data(bytes) => self.counters.noise += u64::try_from(bytes.len()).unwrap_or(0),
                Read::Timeout => {}
                Read::Woken => break,
            }
        }
        Ok(std::mem::take(&mut self.waiting))
    }

    fn show(&mut self, content: ShowContent) -> Result<(), PluginError> {
        let now = self.now();
        let laid = self.screen.show(now, &content);
        self.write()?;
        if let Err(no_room) = laid {
            self.counters.refused += 1;
            return Err(PluginError::new(ErrorCode::BadRequest, no_room.to_string()));
        }
        if self.screen.is_behind() {
            let text = "the display takes nothing: it is shown as soon as it does";
            return Err(PluginError::new(ErrorCode::NotReady, text));
        }
        self.counters.shown += 1;
        Ok(())
    }

    fn health(&mut self, level: HealthLevel) -> Result<Health, PluginError> {
        if level != HealthLevel::Internal {
            let now = self.now();
            self.screen.again(now);
            self.write()?;
        }
        if self.screen.is_behind() {
            let text = "it takes nothing: check its power and its cable".into();
            return Ok(Health { state: DeviceState::Offline, text });
        }
        let text = match level {
            HealthLevel::Internal => "everything was written; it does not tell whether it shows it",
            HealthLevel::External => "started anew and written again; it does not tell whether it shows it",
            HealthLevel::Interactive => {
                "started anew and written again: look at it, it must show what it did before"
            }
        };
        Ok(Health { state: DeviceState::Unknown, text: text.into() })
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        let c = &self.counters;
        [("shown", c.shown), ("refused", c.refused), ("partial-writes", c.partial), ("noise-bytes", c.noise)]
            .map(|(name, n)| (name.to_owned(), n))
            .to_vec()
    }
}

impl Display {
    fn now(&self) -> Millis {
        self.host.now().boot_ms
    }

    /// Writes what is due.
    fn write(&mut self) -> Result<(), PluginError> {
        let bytes = self.screen.bytes(self.now());
        if bytes.is_empty() {
            return Ok(());
        }
        let state = match self.host.write(&bytes, WRITE.min(self.host.remaining() / 2)) {
            Ok(()) => DeviceState::Unknown,
            Err(e) => {
                if e.error.is_some() {
                    return Err(e.into());
                }
                self.counters.partial += 1;
                let now = self.now();
                self.screen.doubt(now);
                DeviceState::Offline
            }
        };
        if self.told != Some(state) {
            // The first "nothing known against it" is no news.
            let news = self.told.is_some() || state == DeviceState::Offline;
            self.told = Some(state);
            let text = match state {
                DeviceState::Offline => "the display takes nothing: check its power and its cable".to_owned(),
                _ => String::new(),
            };
            self.waiting.extend(news.then_some(DriverEvent::State { state, text }));
        }
        Ok(())
    }
}

fn millis(time: Duration) -> Millis {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

till_plugin::export_driver!(Display, id = "org.tilld.display");
