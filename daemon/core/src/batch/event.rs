//! What the journal holds of batches. Variants never change once released; new ones go at the end.

use serde::{Deserialize, Serialize};
use till_plugin::channel::AttemptIds;

use super::date::BusinessDate;
use super::entry::{Item, PartId, Why};
use super::part::{Answer, Ask};
use super::payout::Payout;
use super::totals::Totals;

/// One event of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BatchEvent {
    /// The open batch gets its business date: the first one, or a corrected one (it ran ahead with a wrong clock).
    Dated {
        /// Batch.
        batch: u32,
        /// What it was.
        from: Option<BusinessDate>,
        /// What it is.
        to: BusinessDate,
    },
    /// A batch is frozen and the next one is open, in one step: sales never wait.
    Frozen {
        /// The frozen batch; the next one has the number after it.
        batch: u32,
        /// Its business date.
        date: Option<BusinessDate>,
        /// That of the next one.
        next_date: Option<BusinessDate>,
        /// Channels that go on under the next batch number of their network, and that number.
        moved: Vec<(String, u32)>,
        /// By the clock.
        automatic: bool,
        /// Who, when not by the clock.
        operator: Option<String>,
    },
    /// A part waits a while for items that are under way.
    Waited {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
    },
    /// Something is left to people, by name.
    Excepted {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
        /// Item it is about; None: the part.
        item: Option<Item>,
        /// Why.
        why: Why,
    },
    /// A request of the settlement is about to leave.
    Started {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
        /// What is asked.
        ask: Ask,
        /// Numbers, given now; the same ones for a repeat.
        ids: AttemptIds,
    },
    /// It is answered.
    Answered {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
        /// What was asked.
        ask: Ask,
        /// What it said.
        answer: Answer,
    },
    /// The allowed tries are spent; people decide whether it goes on. Everything stays as it is.
    GaveUp {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
        /// One line.
        text: String,
    },
    /// It goes on, with as many tries as at first.
    Resumed {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
        /// Who; None: the next close of a day.
        operator: Option<String>,
    },
    /// A part is closed.
    PartClosed {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
        /// What it came to.
        totals: Totals,
        /// Entries in it.
        count: u32,
        /// Exceptions in it.
        exceptions: u32,
        /// Whether the network agreed; None: own totals only.
        agreed: Option<bool>,
        /// When and how much the shop gets.
        payout: Payout,
        /// Who closed it without the network's answer, and why (W8); None: it went its way.
        by_hand: Option<(String, String)>,
    },
    /// A batch is closed: all of its parts are.
    Closed {
        /// Batch.
        batch: u32,
        /// Its business date.
        date: Option<BusinessDate>,
        /// What it came to.
        totals: Totals,
        /// Entries in it.
        count: u32,
        /// Exceptions in it.
        exceptions: u32,
        /// A settlement slip is to be printed.
        print: bool,
    },
    /// The first of two people wants a part closed without the network's answer (W8).
    CloseProposed {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
        /// Why.
        reason: String,
        /// Who.
        operator: String,
    },
    /// A settlement slip is to be printed once more, as a numbered copy.
    SlipRequested {
        /// Batch.
        batch: u32,
        /// Job.
        job: u64,
        /// Number of the copy, from 1.
        copy: u32,
        /// Who.
        operator: Option<String>,
    },
}

impl BatchEvent {
    /// The batch.
    pub const fn batch(&self) -> u32 {
        match self {
            Self::Dated { batch, .. }
            | Self::Frozen { batch, .. }
            | Self::Waited { batch, .. }
            | Self::Excepted { batch, .. }
            | Self::Started { batch, .. }
            | Self::Answered { batch, .. }
            | Self::GaveUp { batch, .. }
            | Self::Resumed { batch, .. }
            | Self::PartClosed { batch, .. }
            | Self::CloseProposed { batch, .. }
            | Self::SlipRequested { batch, .. }
            | Self::Closed { batch, .. } => *batch,
        }
    }

    /// Lower-kebab name, for exports and people.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Dated { .. } => "business-date",
            Self::Frozen { .. } => "batch-frozen",
            Self::Waited { .. } => "settlement-waited",
            Self::Excepted { .. } => "batch-exception",
            Self::Started { ask: Ask::Upload { .. }, .. } => "upload-started",
            Self::Started { .. } => "settlement-started",
            Self::Answered { ask: Ask::Upload { .. }, .. } => "upload-answered",
            Self::Answered { .. } => "settlement-answered",
            Self::GaveUp { .. } => "settlement-gave-up",
            Self::Resumed { .. } => "settlement-resumed",
            Self::PartClosed { .. } => "part-closed",
            Self::Closed { .. } => "batch-closed",
            Self::CloseProposed { .. } => "close-proposed",
            Self::SlipRequested { .. } => "slip-requested",
        }
    }
}
