//! GPIO lines for drivers: a seam with three backends.
//!
//! Levels here are logical: *active* is what the driver wants to happen (the relay pulls, the lamp shines), whatever
//! voltage that is. Every output is inactive from its request on, and when the lines are dropped.

pub mod chardev;
#[cfg(feature = "rppal")]
pub mod pi;
pub mod socket;

use till_plugin::host::{Host, TransportError, TransportKind};
use till_plugin::{ErrorCode, PluginError};

/// A line that a driver wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Its name (`GPIO17`, as `gpioinfo` shows) or its number on the chip.
    pub line: String,
    /// Output (inactive at first) or input.
    pub output: bool,
    /// Active is the low level.
    pub active_low: bool,
}

/// Lines in the order in which they were wanted.
pub trait Gpio: Send {
    /// Drives an output.
    fn set(&mut self, line: usize, active: bool) -> Result<(), GpioError>;
    /// Reads an input.
    fn get(&mut self, line: usize) -> Result<bool, GpioError>;
}

/// What went wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpioError {
    /// The chip has no such line.
    #[error("the chip {chip} has no line {line:?}: `gpioinfo` shows what there is")]
    NoLine {
        /// Chip.
        chip: String,
        /// Line.
        line: String,
    },
    /// Another program or driver has it.
    #[error("the line {line:?} is in use by {by:?}: end that, or choose another line")]
    Busy {
        /// Line.
        line: String,
        /// Who has it, as far as the chip tells.
        by: String,
    },
    /// The transport is no GPIO chip.
    #[error("{0} is no GPIO chip: use transport {{ kind = \"char-device\", path = \"/dev/gpiochip0\" }}")]
    NoChip(String),
    /// Anything else of the system.
    #[error("GPIO line {line:?}: {detail}")]
    System {
        /// Line.
        line: String,
        /// What the system said.
        detail: String,
    },
    /// The chip went away.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl From<GpioError> for PluginError {
    fn from(e: GpioError) -> Self {
        let code = match &e {
            GpioError::NoLine { .. } | GpioError::NoChip(_) => ErrorCode::Settings,
            GpioError::Busy { .. } => ErrorCode::Busy,
            GpioError::System { .. } => ErrorCode::Hardware,
            GpioError::Transport(_) => ErrorCode::TransportGone,
        };
        Self::new(code, e.to_string())
    }
}

/// Requests lines on the chip behind the host's transport.
pub fn open(host: &Host, wants: &[Want]) -> Result<Box<dyn Gpio>, GpioError> {
    let Some(transport) = host.transport() else { return Err(TransportError::None.into()) };
    match transport.kind {
        TransportKind::CharDevice => Ok(Box::new(chardev::Lines::request(host.transport_fd()?, wants)?)),
        TransportKind::Unix | TransportKind::Tcp => {
            Ok(Box::new(socket::Lines::request(host.clone(), wants)?))
        }
        _ => Err(GpioError::NoChip(transport.name.clone())),
    }
}
