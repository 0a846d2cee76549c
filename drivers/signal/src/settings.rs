//! The `settings` table of a signal.

use serde::Deserialize;
use till_gpio::Want;
use till_plugin::PluginError;

/// As written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SignalSettings {
    ready: String,
    success: String,
    failure: String,
    beeper: String,
    active_low: bool,
}

/// Checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Lines that are there.
    pub wants: Vec<Want>,
    /// For ready, success, failure, beeper: their place among the lines.
    pub places: [Option<usize>; 4],
}

impl Config {
    /// Checks.
    pub fn new(s: SignalSettings) -> Result<Self, PluginError> {
        let mut config = Self { wants: Vec::new(), places: [None; 4] };
        for (place, line) in config.places.iter_mut().zip([s.ready, s.success, s.failure, s.beeper]) {
            if line.is_empty() {
                continue;
            }
            if config.wants.iter().any(|w| w.line == line) {
                return Err(PluginError::settings(format!("the line {line:?} is named twice")));
            }
            *place = Some(config.wants.len());
            config.wants.push(Want { line, output: true, active_low: s.active_low });
        }
        if config.wants.is_empty() {
            let text = "name at least one GPIO line: `ready`, `success`, `failure` or `beeper`";
            return Err(PluginError::settings(text));
        }
        Ok(config)
    }
}
