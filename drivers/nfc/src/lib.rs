//! Driver for contactless readers: PN532 on a serial line, ISO-DEP cards, EMV entry point, online-only profile.
//!
//! Without I/O, and usable and testable without a device: [`link`] (frames and commands to the reader), [`chip`] (what the
//! PN532 is told and answers), [`emv`] (what cards say).

pub mod chip;
pub mod emv;
pub mod link;
