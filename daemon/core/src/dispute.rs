//! Disputes (pos.md S52): a case that links a payment, what went back of it, and the evidence that was handed over. A
//! case moves no money: a refund is a leg that somebody asks for, and a charge-back that a network books shows in its
//! statement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use till_plugin::Money;

use crate::payment::PaymentId;

/// Closed cases kept in memory; older ones are in the journal, with their payment.
const CLOSED: usize = 512;

/// Open cases at once.
pub const MAX_OPEN: usize = 1024;

/// Where a case stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DisputeState {
    /// The cardholder or the network disputes; nothing was answered.
    Open,
    /// Evidence was handed over; the other side decides.
    Answered,
    /// The shop keeps the money.
    Won,
    /// The shop gives way.
    Lost,
}

impl DisputeState {
    /// Lower-kebab name, as on D-Bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }

    /// It is over.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Won | Self::Lost)
    }
}

/// What happened to a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DisputeEvent {
    /// It was opened.
    Opened {
        /// The attempt that is disputed.
        attempt: u32,
        /// How much of it.
        amount: Money,
        /// Why, as the other side says.
        reason: String,
        /// Its number at the network; empty: none.
        reference: String,
        /// Wall clock until which an answer is wanted, Unix ms; 0: not said.
        answer_by_ms: i64,
    },
    /// Something was noted.
    Noted {
        /// It.
        text: String,
    },
    /// Evidence was handed over.
    Answered {
        /// BLAKE3 of the evidence file.
        evidence: [u8; 32],
        /// What was said with it.
        text: String,
    },
    /// It is over.
    Closed {
        /// The shop keeps the money.
        won: bool,
        /// Why.
        text: String,
    },
}

impl DisputeEvent {
    /// Lower-kebab name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "dispute-opened",
            Self::Noted { .. } => "dispute-noted",
            Self::Answered { .. } => "dispute-answered",
            Self::Closed { .. } => "dispute-closed",
        }
    }
}

/// A case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Its number.
    pub number: u32,
    /// The payment.
    pub payment: PaymentId,
    /// The attempt that is disputed.
    pub attempt: u32,
    /// How much of it.
    pub amount: Money,
    /// Why, as the other side says.
    pub reason: String,
    /// Its number at the network; empty: none.
    pub reference: String,
    /// Wall clock until which an answer is wanted, Unix ms; 0: not said.
    pub answer_by_ms: i64,
    /// Where it stands.
    pub state: DisputeState,
    /// Wall clock when it was opened, Unix ms.
    pub opened_wall_ms: i64,
    /// Wall clock of its newest record, Unix ms.
    pub changed_wall_ms: i64,
    /// Journal sequence number of its newest record.
    pub seq: u64,
}

/// All cases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disputes {
    newest: u32,
    cases: BTreeMap<u32, Dispute>,
}

impl Disputes {
    /// The next case's number.
    pub const fn next(&self) -> u32 {
        self.newest + 1
    }

    /// A case: every open one, and the newest closed ones.
    pub fn get(&self, number: u32) -> Option<&Dispute> {
        self.cases.get(&number)
    }

    /// All of them, oldest first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Dispute> {
        self.cases.values()
    }

    /// Takes a durable event in.
    pub(crate) fn apply(&mut self, at: (u64, i64), payment: PaymentId, number: u32, event: &DisputeEvent) {
        let (seq, wall_ms) = at;
        if let DisputeEvent::Opened { attempt, amount, reason, reference, answer_by_ms } = event {
            self.newest = self.newest.max(number);
            let case = Dispute {
                number,
                payment,
                attempt: *attempt,
                amount: *amount,
                reason: reason.clone(),
                reference: reference.clone(),
                answer_by_ms: *answer_by_ms,
                state: DisputeState::Open,
                opened_wall_ms: wall_ms,
                changed_wall_ms: wall_ms,
                seq,
            };
            self.cases.insert(number, case);
            return;
        }
        let Some(case) = self.cases.get_mut(&number) else { return };
        (case.seq, case.changed_wall_ms) = (seq, wall_ms);
        case.state = match event {
            DisputeEvent::Answered { .. } => DisputeState::Answered,
            DisputeEvent::Closed { won: true, .. } => DisputeState::Won,
            DisputeEvent::Closed { won: false, .. } => DisputeState::Lost,
            DisputeEvent::Opened { .. } | DisputeEvent::Noted { .. } => case.state,
        };
        let closed = self.cases.values().filter(|c| c.state.is_closed()).map(|c| c.number);
        let closed: Vec<u32> = closed.collect();
        if closed.len() > CLOSED
            && let Some(oldest) = closed.first()
        {
            self.cases.remove(oldest);
        }
    }
}
