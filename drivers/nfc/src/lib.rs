//! Driver for contactless readers: PN532 on a serial line, I2C, SPI or in an ACR122U; ISO-DEP cards, EMV entry point, online-only profile.
//!
//! Without I/O, and usable and testable without a device: [`link`] (frames and commands to the reader), [`chip`] (what the
//! PN532 is told and answers), [`emv`] (what cards say), [`engine`] (the reader as a whole). [`plugin`] is the shell that
//! gives them to the daemon, [`settings`] what may be set.

pub mod chip;
pub mod emv;
pub mod engine;
pub mod link;
pub mod plugin;
mod port;
pub mod settings;
