//! A complete small driver: a code scanner that sends each scan as a line. Copy the folder and change it.
//!
//! Two parts, kept apart: [`lines`] knows the device's bytes and nothing else, so it is tested without any host;
//! this file gives it to the SDK.

pub mod lines;

use std::time::Duration;

use serde::Deserialize;
use till_plugin::driver::{
    DeviceState, DriverDescription, DriverEvent, EnableRequest, Health, HealthLevel, ReadFailure, class,
};
use till_plugin::host::Read;
use till_plugin::instrument::{Instrument, ScannedCode};
use till_plugin::{Driver, Extra, Host, PluginError, Sensitive, Settings};

use lines::{Line, Lines};

till_plugin::export_driver!(LineScanner, id = "org.example.line-scanner");

/// The `settings` table of this plugin in `tilld.toml`. An unknown key is an error, so that a typing mistake shows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    end: String,
    longest: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { end: "cr".into(), longest: 512 }
    }
}

/// The driver.
#[derive(Debug)]
pub struct LineScanner {
    host: Host,
    lines: Lines,
    enabled: bool,
    scans: u64,
}

impl Driver for LineScanner {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let config: Config = settings.parse()?;
        let end = match config.end.as_str() {
            "cr" => b'\r',
            "lf" => b'\n',
            "tab" => b'\t',
            other => {
                return Err(PluginError::settings(format!(
                    "settings: end = {other:?} is not known; write cr, lf or tab"
                )));
            }
        };
        Ok(Self { host, lines: Lines::new(end, config.longest), enabled: false, scans: 0 })
    }

    fn describe(&self) -> DriverDescription {
        DriverDescription {
            classes: vec![class::SCANNER.into()],
            model: "line scanner".into(),
            capabilities: Vec::new(),
            certified: false,
            extra: Extra::new(),
        }
    }

    /// Wait here, in `host.read` or `host.sleep`, never in `std::thread::sleep`: a call wakes the host's waits.
    fn poll(&mut self, budget: Duration) -> Result<Vec<DriverEvent>, PluginError> {
        let bytes = match self.host.read(4096, budget)? {
            Read::Data(bytes) => Sensitive::new(bytes),
            Read::Timeout | Read::Woken => return Ok(Vec::new()),
        };
        let mut events = Vec::new();
        for line in self.lines.push(bytes.expose()) {
            // What is scanned while no payment asks for it belongs to nobody.
            if !self.enabled {
                continue;
            }
            events.push(match line {
                Line::Text(text) => {
                    self.scans += 1;
                    DriverEvent::Read(Instrument::Code(ScannedCode { text, symbology: None }))
                }
                Line::TooLong => failed("too-long", "the code is longer than this till takes"),
                Line::NotText => failed("not-text", "the code is not text; set the scanner to plain UTF-8"),
            });
        }
        Ok(events)
    }

    fn enable(&mut self, _request: EnableRequest) -> Result<(), PluginError> {
        self.lines.clear();
        self.enabled = true;
        Ok(())
    }

    fn disable(&mut self) -> Result<(), PluginError> {
        self.enabled = false;
        self.lines.clear();
        Ok(())
    }

    fn health(&mut self, _level: HealthLevel) -> Result<Health, PluginError> {
        Ok(Health { state: DeviceState::Ready, text: String::new() })
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        vec![("scans".into(), self.scans)]
    }
}

fn failed(reason: &str, text: &str) -> DriverEvent {
    DriverEvent::ReadFailed(ReadFailure { reason: reason.into(), text: text.into() })
}
