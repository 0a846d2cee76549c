//! What stands on the counter beside printer and readers: customer displays, a voice, drawers and lamps on GPIO lines,
//! PIN pads. Each is a machine without I/O that is fed the bytes of its line, and a socket in front of it.

pub mod display;
pub mod dukpt;
pub mod gpio;
mod line;
pub mod pinpad;
pub mod voice;

pub use line::{LineError, Listen, Machine, Virtual};
