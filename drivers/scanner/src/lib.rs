//! Driver for code scanners: serial, keyboard wedge and HID POS.
//!
//! Without I/O, and usable and testable without a device: [`assemble`] (bytes to scans), [`hidpos`] (reports to scans),
//! [`trigger`] (what starts and stops a scanner), [`aim`] and [`gs1`] (what the
//! scanner says of the symbol), [`code`] (scan to text), [`dedupe`] (one code, one scan). [`plugin`] is the shell that gives
//! them to the daemon, [`settings`] what may be set.

pub mod aim;
pub mod assemble;
pub mod code;
pub mod dedupe;
mod front;
pub mod gs1;
pub mod hidpos;
pub mod plugin;
pub mod settings;
pub mod trigger;
