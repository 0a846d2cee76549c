//! A payment (what is owed) and its attempts (one try on one channel each).
//!
//! Everything that moves money is an attempt: a tender (sale, hold) or a leg that follows one (void, refund, completion,
//! release, load). They share numbers, states and the resolver, and one at a time is under way (W3).
//!
//! States are those of the specification (pos.md §3.3) `Prepared` and
//! `Sent` are one durable state here, [`AttemptState::Sent`]: from the moment the prepared record is on disk bytes may
//! leave, and after a crash nobody can tell whether they did.

mod attempt;
mod id;
mod state;

use serde::{Deserialize, Serialize};
use till_plugin::Money;

use crate::planted::planted;

pub use attempt::Attempt;
pub use id::{PaymentId, PaymentIdError};
pub use state::{AttemptState, LegKind, PaymentState, Proposal, Purpose, Verdict};

/// What is owed, and how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Identity.
    pub id: PaymentId,
    /// What is owed.
    pub amount: Money,
    /// Opened for training: no money moves, it counts nowhere, and it never becomes a real one (I17).
    pub training: bool,
    /// What it is for.
    pub purpose: Purpose,
    /// For the statement and the receipt.
    pub subject: String,
    /// Who opened it.
    pub operator: Option<String>,
    /// The caller's idempotency key.
    pub key: String,
    /// Where it stands.
    pub state: PaymentState,
    /// Why, lower-kebab; empty when the state says all.
    pub reason: String,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// All that is owed was paid once; what went back since does not reopen it.
    pub completed: bool,
    /// Everything taken is being given back, for this reason, lower-kebab.
    pub returning: Option<String>,
    /// Two people accepted it as it stands, whatever is left over.
    pub accepted: bool,
    /// What the first of two people proposed about an attempt in review.
    pub proposal: Option<Proposal>,
    /// An approval found after a restart waits for somebody's word: `Some(false)`, or has it: `Some(true)`.
    pub acknowledged: Option<bool>,
    /// Somebody asked to cancel while an attempt was under way.
    pub cancel_requested: bool,
    /// Its resolution goes on in the background; the till is free for others, and it ends by itself.
    pub parked: bool,
    /// Resolved after a restart of the daemon.
    pub recovered: bool,
    /// Receipt number, once paid.
    pub receipt_number: Option<u64>,
    /// Print job of its receipt, once paid.
    pub receipt_job: Option<u64>,
    /// Wall clock when opened, Unix ms.
    pub opened_wall_ms: i64,
    /// Wall clock of the last change, Unix ms.
    pub changed_wall_ms: i64,
    /// Journal sequence number of the last record: the `seq` of its signals.
    pub seq: u64,
}

impl Payment {
    /// The attempt that is under way, if any (W3: there is at most one that is not abandoned).
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|a| a.state.is_open() && !a.abandoned)
    }

    /// An attempt by its number.
    pub fn attempt(&self, number: u32) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|a| a.ids.attempt == number)
    }

    /// The newest attempt that took or holds money.
    pub fn approved(&self) -> Option<&Attempt> {
        let took = |a: &&Attempt| a.stands() && (a.kind.takes() || a.kind == LegKind::Hold);
        self.attempts.iter().rev().find(took)
    }

    fn sum(&self, which: impl Fn(&Attempt) -> bool) -> Money {
        let none = Money::zero(self.amount.currency());
        let mut chosen = self.attempts.iter().filter(|a| a.stands() && which(a));
        // Sums stay below what the payment owes, which is an amount.
        chosen.try_fold(none, |sum, a| sum.checked_add(a.amount)).unwrap_or(none)
    }

    /// What was taken: the fold of approved attempts, never a stored number. What an attempt took that was given up is
    /// no part of it (I2), it is [`surplus`](Self::surplus).
    pub fn paid(&self) -> Money {
        self.sum(|a| a.kind.takes() && !a.abandoned)
    }

    /// What went back of it.
    pub fn returned(&self) -> Money {
        self.sum(|a| a.kind.gives_back() && !a.abandoned && self.attempt(a.of).is_none_or(|of| !of.abandoned))
    }

    /// Attempts that were given up and, as people found out, took or hold money all the same, with what is left of it.
    pub fn surplus(&self) -> impl Iterator<Item = (&Attempt, Money)> {
        self.attempts.iter().filter(|a| a.abandoned && a.stands()).filter_map(|a| {
            let left = match a.kind {
                LegKind::Sale | LegKind::Capture => {
                    a.amount.checked_sub(self.returned_of(a.ids.attempt)).ok()?
                }
                LegKind::Hold if self.holds(a) => a.amount,
                _ => return None,
            };
            left.is_positive().then_some((a, left))
        })
    }

    /// What went back of one attempt.
    pub fn returned_of(&self, number: u32) -> Money {
        self.sum(|a| a.kind.gives_back() && a.of == number)
    }

    /// What the shop has of it: taken and not given back.
    pub fn kept(&self) -> Money {
        self.paid().checked_sub(self.returned()).unwrap_or(Money::zero(self.amount.currency()))
    }

    /// What the customer still owes.
    pub fn remaining(&self) -> Money {
        self.amount.checked_sub(self.kept()).unwrap_or(Money::zero(self.amount.currency()))
    }

    /// The hold that stands: approved, not completed, released or run out.
    pub fn hold(&self) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|a| self.holds(a))
    }

    /// It is a hold, and it stands.
    fn holds(&self, a: &Attempt) -> bool {
        let ends = |l: &Attempt| {
            l.of == a.ids.attempt && l.stands() && matches!(l.kind, LegKind::Capture | LegKind::Release)
        };
        let ended = || self.attempts.iter().any(ends);
        a.kind == LegKind::Hold && a.stands() && !a.expired && (!ended() || planted!(HoldTakenTwice))
    }

    /// What is held.
    pub fn held(&self) -> Money {
        self.hold().map_or(Money::zero(self.amount.currency()), |a| a.amount)
    }

    /// The value of a top-up is on its card.
    pub fn loaded(&self) -> bool {
        self.attempts.iter().any(|a| a.kind == LegKind::Load && a.stands())
    }

    /// Attempts whose money can still go back, newest first, with how much: taken and not given back, or held.
    pub fn returnable(&self) -> impl Iterator<Item = (&Attempt, Money)> {
        self.attempts.iter().rev().filter_map(|a| {
            let left = match a.kind {
                _ if !a.stands() => return None,
                LegKind::Sale | LegKind::Capture => {
                    a.amount.checked_sub(self.returned_of(a.ids.attempt)).ok()?
                }
                LegKind::Hold if self.holds(a) => a.amount,
                _ => return None,
            };
            left.is_positive().then_some((a, left))
        })
    }

    /// Name of where an attempt stands, as pos.md §3.3 has it: `authorised`, `captured`, `part-captured`,
    /// `hold-released`, `hold-expired`, `voided`, `refunded`, `part-refunded` instead of a plain `approved`.
    pub fn standing_of(&self, a: &Attempt) -> &'static str {
        let followed =
            |kind| self.attempts.iter().find(|f| f.kind == kind && f.of == a.ids.attempt && f.stands());
        let back = self.returned_of(a.ids.attempt);
        match a.kind {
            _ if !a.stands() => a.state.as_str(),
            LegKind::Hold if a.expired => "hold-expired",
            LegKind::Hold if followed(LegKind::Release).is_some() => "hold-released",
            LegKind::Hold => match followed(LegKind::Capture) {
                Some(c) if c.amount == a.amount => "captured",
                Some(_) => "part-captured",
                None => "authorised",
            },
            LegKind::Sale | LegKind::Capture if followed(LegKind::Void).is_some() => "voided",
            LegKind::Sale | LegKind::Capture if back == a.amount => "refunded",
            LegKind::Sale | LegKind::Capture if back.is_positive() => "part-refunded",
            _ => a.state.as_str(),
        }
    }

    /// Holds the till: nobody else can pay while it stands so.
    pub fn is_foreground(&self) -> bool {
        match self.state {
            PaymentState::Draft | PaymentState::Ready => true,
            PaymentState::Tendering
            | PaymentState::PartPaid
            | PaymentState::Returning
            | PaymentState::Delivering => !self.parked,
            PaymentState::Paid
            | PaymentState::Cancelled
            | PaymentState::Review
            | PaymentState::Authorised
            | PaymentState::Returned => {
                !self.parked && self.open_attempt().is_some_and(|a| a.state != AttemptState::Review)
            }
        }
    }

    /// Nothing will come of it by itself: it may leave memory.
    pub fn is_settled(&self) -> bool {
        self.state.is_final()
            && self.acknowledged != Some(false)
            && !self.attempts.iter().any(|a| a.state.is_open())
    }
}
