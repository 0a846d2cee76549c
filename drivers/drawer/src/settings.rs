//! The `settings` table of a drawer.

use serde::Deserialize;
use till_gpio::Want;
use till_plugin::PluginError;

use crate::core::PULSE_MS;

/// As written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DrawerSettings {
    line: String,
    active_low: bool,
    pulse_ms: u64,
    switch: String,
    switch_active_low: bool,
    too_long_s: u64,
}

impl Default for DrawerSettings {
    fn default() -> Self {
        Self {
            line: String::new(),
            active_low: false,
            pulse_ms: 150,
            switch: String::new(),
            switch_active_low: false,
            too_long_s: 60,
        }
    }
}

/// Checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The line of the relay, then that of the switch if there is one.
    pub wants: Vec<Want>,
    /// Length of a pulse, ms.
    pub pulse_ms: u64,
    /// Open for so long is too long, ms; 0: never.
    pub too_long_ms: u64,
}

impl Config {
    /// Checks.
    pub fn new(s: DrawerSettings) -> Result<Self, PluginError> {
        if s.line.is_empty() || s.line == s.switch {
            let text = "`line` is the name or number of the relay's GPIO line, and not the switch's: `gpioinfo` shows them";
            return Err(PluginError::settings(text));
        }
        if !PULSE_MS.contains(&s.pulse_ms) {
            let text = format!("pulse-ms {}: {} to {}", s.pulse_ms, PULSE_MS.start(), PULSE_MS.end());
            return Err(PluginError::settings(text));
        }
        if s.too_long_s > 86_400 {
            return Err(PluginError::settings("too-long-s is at most 86400; 0: never"));
        }
        let mut wants = vec![Want { line: s.line, output: true, active_low: s.active_low }];
        if !s.switch.is_empty() {
            wants.push(Want { line: s.switch, output: false, active_low: s.switch_active_low });
        }
        Ok(Self { wants, pulse_ms: s.pulse_ms, too_long_ms: s.too_long_s * 1_000 })
    }
}
