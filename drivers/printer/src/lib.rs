//! Driver for ESC/POS receipt printers.
//!
//! Everything but [`plugin`] is sans-I/O: [`layout`] turns a document into lines, [`encode`] lines into bytes, [`spool`] sends
//! them in chunks and knows when they are on paper, [`status`] understands what the printer answers. See README.md.

pub mod command;
pub mod encode;
pub mod job;
pub mod layout;
pub mod plugin;
mod poll;
mod printed;
pub mod profile;
pub mod raster;
pub mod settings;
pub mod spool;
pub mod status;
pub mod text;
pub mod width;
