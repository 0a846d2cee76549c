//! Driver for magnetic-stripe readers: keyboard wedge, and serial readers that send the same text.
//!
//! Without I/O, and usable and testable without a device: [`swipe`] (typed bytes to swipes), [`track`] and [`card`]
//! (text to card), [`bits`] (raw stripe bits to text). [`plugin`] is the shell that gives them to the daemon, [`settings`]
//! what may be set.

pub mod bits;
pub mod card;
pub mod plugin;
pub mod settings;
pub mod swipe;
pub mod track;
