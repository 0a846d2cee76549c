//! Driver for magnetic-stripe readers: keyboard wedge, serial, HID POS, and readers that encrypt (MagTek, ID TECH).
//!
//! Without I/O, and usable and testable without a device: [`swipe`] (typed bytes to swipes), [`track`] and [`card`]
//! (text to card), [`bits`] (raw stripe bits to text), [`msr`], [`magtek`] and [`idtech`] (reports and frames to
//! tracks), [`encrypted`] (ciphertext to the message that carries it). [`plugin`] is the shell that gives them to the
//! daemon, [`settings`] what may be set.

pub mod bits;
pub mod card;
pub mod encrypted;
mod front;
pub mod idtech;
pub mod magtek;
pub mod msr;
pub mod plugin;
pub mod settings;
mod sink;
pub mod swipe;
pub mod track;
