//! Driver for code scanners: serial and keyboard wedge.
//!
//! Without I/O, and usable and testable without a device: [`assemble`] (bytes to scans), [`aim`] and [`gs1`] (what the
//! scanner says of the symbol), [`code`] (scan to text), [`dedupe`] (one code, one scan). [`plugin`] is the shell that gives
//! them to the daemon, [`settings`] what may be set.

pub mod aim;
pub mod assemble;
pub mod code;
pub mod dedupe;
pub mod gs1;
pub mod plugin;
pub mod settings;
