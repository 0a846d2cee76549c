//! Lamps and a beeper: ready, working, went well, went wrong, a person must come.
//!
//! `pattern` is what shines and sounds when, with time as a number; `plugin` is the shell that the daemon loads.

pub mod pattern;
pub mod plugin;
pub mod settings;
