//! Jobs as the spooler sees them, and what it says about them.

use crate::encode::Atom;
use crate::status::{Block, Status};

/// Milliseconds of a clock that never goes back.
pub type Millis = u64;

/// A document, encoded.
#[derive(Clone, Debug)]
pub struct Job {
    /// Job number.
    pub id: u64,
    /// What is sent, in order.
    pub atoms: Vec<Atom>,
}

/// One command outside a document (drawer, beeper).
#[derive(Clone, Debug)]
pub struct Direct {
    /// What is sent in turn.
    pub atom: Atom,
    /// What is sent while the printer is stopped (past its buffer); `None`: wait.
    pub when_blocked: Option<Atom>,
    /// After this it is not sent any more: a drawer that opens minutes later surprises.
    pub until: Millis,
}

/// Every time limit of the spooler, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For one `DLE EOT`.
    pub reply_ms: Millis,
    /// Between two looks while waiting.
    pub poll_ms: Millis,
    /// Between two looks while idle.
    pub idle_ms: Millis,
    /// For the first `GS r`, which tells whether the printer answers it.
    pub probe_ms: Millis,
    /// Without the printer taking a byte, until the job counts as held.
    pub stall_ms: Millis,
    /// With status clear but `GS r` unanswered, until its buffer counts as lost. The time for printing is added.
    pub fence_ms: Millis,
    /// After the last byte, for a printer that says nothing.
    pub confirm_ms: Millis,
    /// A held job is given up after this.
    pub hold_ms: Millis,
    /// Between two drawer pulses.
    pub pulse_gap_ms: Millis,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            reply_ms: 500,
            poll_ms: 500,
            idle_ms: 5_000,
            probe_ms: 1_000,
            stall_ms: 3_000,
            fence_ms: 10_000,
            confirm_ms: 10_000,
            hold_ms: 30 * 60_000,
            pulse_gap_ms: 1_000,
        }
    }
}

/// How far a job got, in bytes of its document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Of the whole job.
    pub total: usize,
    /// Given to the transport.
    pub written: usize,
    /// Worked off by the printer, as it said itself.
    pub confirmed: usize,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {} bytes sent, {} confirmed by the printer",
            self.written, self.total, self.confirmed
        )
    }
}

/// Why a job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hold {
    /// The printer says why.
    #[error(transparent)]
    Blocked(#[from] Block),
    /// It takes no bytes (off line behind TCP, XOFF, cable).
    #[error("printer takes no data: check that it is on and on line")]
    NotReading,
    /// It answered before and does not now.
    #[error("printer no longer answers: check that it is on and connected")]
    NoAnswer,
}

impl Hold {
    /// Lower-kebab name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked(Block::PaperOut) => "paper-out",
            Self::Blocked(Block::CoverOpen) => "cover-open",
            Self::Blocked(Block::CutterJam) => "cutter",
            Self::Blocked(Block::Overheated) => "overheated",
            Self::Blocked(Block::Error) => "error",
            Self::Blocked(Block::Unrecoverable) => "unrecoverable",
            Self::Blocked(Block::Offline) => "offline",
            Self::NotReading => "not-reading",
            Self::NoAnswer => "no-answer",
        }
    }
}

/// Whose word it is that the job is on paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The printer answered `GS r` behind the last byte, and its status was clear.
    Queued,
    /// Its status was clear after the time that its buffer needs.
    RealTime,
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The connection ended.
    #[error("connection to the printer ended")]
    Gone,
    /// Held longer than allowed.
    #[error("held for too long: {0}")]
    HeldTooLong(Hold),
    /// The printer lost its buffer (switched off and on) again and again.
    #[error("printer forgot what it was sent {times} times: check its power supply")]
    BufferLost {
        /// How often.
        times: u8,
    },
}

/// How a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The first byte goes out.
    Started,
    /// Waits for a person.
    Held(Hold),
    /// Goes on.
    Resumed,
    /// From the top again, behind a void mark and a cut, since the printer lost what it had been sent.
    Restarted {
        /// How far the lost try had got.
        lost: Progress,
    },
    /// On paper.
    Done(Confirmed),
    /// All sent; the printer does not tell.
    Unconfirmed,
    /// Given up on request.
    Cancelled(Progress),
    /// Ended by a fault.
    Failed {
        /// Why.
        fault: Fault,
        /// How far it got. Written bytes may be on paper.
        progress: Progress,
    },
}

/// What the spooler tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A job moved.
    Job {
        /// Job number.
        id: u64,
        /// New state.
        state: State,
    },
    /// The status changed.
    Status(Status),
    /// A direct command was sent (`true`) or its time ran out.
    Direct(bool),
}

/// Why a job was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Same number is already waiting or printing.
    #[error("print job {0} is already in the queue")]
    Duplicate(u64),
    /// Queue full.
    #[error("{0} print jobs wait already: see to the printer first")]
    Full(usize),
}

/// What happens to the spooler.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Bytes from the printer.
    Bytes(&'a [u8]),
    /// The transport took so many of [`Spooler::to_write`](crate::spool::Spooler::to_write).
    Wrote(usize),
    /// The transport is gone for good.
    Gone,
    /// Give a job up.
    Cancel(u64),
    /// Time has passed.
    Tick,
}
