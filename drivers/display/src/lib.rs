//! Customer displays: two lines of twenty characters, or eight digits, that show what a payment is over.
//!
//! `profile` is what a model can do, `text` turns strings into bytes that can never be a command, `layout` makes a
//! [`layout::Frame`] of what is to be shown, `encode` makes the model's bytes of a frame, `screen` decides when what is
//! written, with time as a number. `plugin` is the thin shell that the daemon loads.

pub mod encode;
pub mod layout;
pub mod plugin;
pub mod profile;
pub mod screen;
pub mod settings;
pub mod text;
