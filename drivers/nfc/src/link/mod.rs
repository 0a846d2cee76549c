//! From commands to bytes and back: one command under way, its acknowledgement, its reply, and a deadline for each.
//!
//! Links hold no clock and do no I/O: time comes in with every call, bytes go out through [`Link::output`].

pub mod acr122;
pub mod bus;
pub mod ccid;
pub mod frame;
pub mod hsu;
pub mod line;
pub mod slot;
pub mod way;

use std::time::Duration;

use zeroize::Zeroizing;

/// What became of the command that was sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// Its reply, from the response code on (`D5` taken off).
    Reply(Zeroizing<Vec<u8>>),
    /// There will be none.
    Fault(LinkFault),
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reply(data) => write!(f, "Reply({} bytes)", data.len()),
            Self::Fault(fault) => write!(f, "Fault({fault:?})"),
        }
    }
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// No acknowledgement: not there, asleep, or another baud rate.
    #[error(
        "the reader does not answer: check its cable, its power, its mode switches (UART, I2C, SPI) and the speed"
    )]
    NoAck,
    /// Acknowledged, but no reply within its time. The command was given up.
    #[error("the reader took a command and gave no reply in time")]
    NoReply,
    /// Replies stayed damaged although they were asked for again.
    #[error("the reader's replies arrive damaged: check the cable and the baud rate")]
    Damaged,
    /// The reader could make nothing of the command (error frame).
    #[error("the reader refused a command: is it a PN532?")]
    Refused,
    /// The command is longer than a frame.
    #[error("a command is too long for the reader")]
    TooLong,
    /// An ACR122U that cannot hand commands through.
    #[error("the reader's firmware is too old: an ACR122U needs firmware 2 or later (ACR122U2…)")]
    OldFirmware,
    /// A command is under way (a mistake of the caller).
    #[error("a command is under way")]
    Busy,
}

/// A way to a PN532.
pub trait Link {
    /// Sends a command (its code first, without `D4`); the reply is waited for until `now + within`.
    /// `again`: it does no harm to send it twice when the acknowledgement is missing.
    fn send(&mut self, command: &[u8], within: Duration, again: bool, now: Duration)
    -> Result<(), LinkFault>;
    /// Bytes came.
    fn push(&mut self, bytes: &[u8], now: Duration);
    /// A whole frame came, as a bus gives it.
    fn push_frame(&mut self, bytes: &[u8], now: Duration) {
        self.push(bytes, now);
    }
    /// Time passed.
    fn tick(&mut self, now: Duration);
    /// Gives up the command that is under way, on the other side too.
    fn abort(&mut self);
    /// When [`Link::tick`] must be called next.
    fn deadline(&self) -> Option<Duration>;
    /// Bytes to write, in order.
    fn output(&mut self) -> Option<Zeroizing<Vec<u8>>>;
    /// What became of the command.
    fn event(&mut self) -> Option<Event>;
    /// The reader was or may have been switched off: wake it before the next command.
    fn asleep(&mut self);
    /// What is waited for now, for a bus, which must be asked for it.
    fn awaited(&self) -> Option<hsu::Awaited> {
        None
    }
    /// Bytes that belonged to no frame, and replies that belonged to no command.
    fn noise(&self) -> (u64, u64) {
        (0, 0)
    }
}
