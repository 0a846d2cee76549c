//! Driver for magnetic-stripe readers: keyboard wedge.
//!
//! Without I/O, and usable and testable without a device: [`swipe`] (typed bytes to swipes), [`track`] and [`card`]
//! (text to card), [`bits`] (raw stripe bits to text).

pub mod bits;
pub mod card;
pub mod swipe;
pub mod track;
