//! A payment (what is owed) and its attempts (one try on one channel each).
//!
//! States are those of the specification (pos.md §3.3) that a sale, its query, cancel and reversal need. `Prepared` and
//! `Sent` are one durable state here, [`AttemptState::Sent`]: from the moment the prepared record is on disk bytes may
//! leave, and after a crash nobody can tell whether they did.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use till_plugin::channel::{Approval, AttemptIds, Decline, ResolveProfile, UndoReason, UnknownReason};
use till_plugin::{Family, Money};

/// Identity of a payment: a UUID given by the shell, for ever.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PaymentId(pub [u8; 16]);

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not a payment id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a payment id; it is 32 hexadecimal digits, as `tillctl payments` shows")]
pub struct PaymentIdError(String);

impl FromStr for PaymentId {
    type Err = PaymentIdError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let bad = || PaymentIdError(s.chars().take(40).collect());
        // from_str_radix would take a sign.
        if s.len() != 32 || !s.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(s.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(id))
    }
}

/// Where a payment stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PaymentState {
    /// Opened; the amount is not confirmed yet.
    Draft,
    /// Amount confirmed, waiting for the customer.
    Ready,
    /// An attempt is under way.
    Tendering,
    /// Paid in full.
    Paid,
    /// Closed without money.
    Cancelled,
    /// Nobody knows and the machine gave up: people decide.
    Review,
}

impl PaymentState {
    /// Lower-kebab name, as on D-Bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Ready => "ready",
            Self::Tendering => "tendering",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Review => "review",
        }
    }

    /// Nothing happens by itself any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Paid | Self::Cancelled)
    }
}

/// Where an attempt stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptState {
    /// Routed; the channel is preparing.
    Created,
    /// Ended before any byte left.
    NotSent,
    /// Durable with its armed reversal; bytes may have left.
    Sent,
    /// Verified yes: money taken.
    Approved,
    /// Definite no.
    Declined,
    /// Nobody knows; asking the channel.
    Querying,
    /// Nobody knows, or it is not wanted; undoing it.
    Reversing,
    /// The channel confirmed: undone, or never existed.
    Reversed,
    /// The machine gave up; people decide.
    Review,
}

impl AttemptState {
    /// Lower-kebab name, as on D-Bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::NotSent => "not-sent",
            Self::Sent => "sent",
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Querying => "querying",
            Self::Reversing => "reversing",
            Self::Reversed => "reversed",
            Self::Review => "review",
        }
    }

    /// No money can move through it any more by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::NotSent | Self::Approved | Self::Declined | Self::Reversed)
    }

    /// The reversal is armed (I5): bytes may have left and no verified final answer is on disk.
    pub const fn is_armed(self) -> bool {
        matches!(self, Self::Sent | Self::Querying | Self::Reversing | Self::Review)
    }

    /// Open in the sense of W3: no other attempt of the payment may start.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Created) || self.is_armed()
    }
}

/// One try on one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its numbers.
    pub ids: AttemptIds,
    /// Channel instance.
    pub channel: String,
    /// What was presented.
    pub family: Family,
    /// How it may be shown.
    pub masked: String,
    /// Where it stands.
    pub state: AttemptState,
    /// How its unknown outcome would be resolved; fixed when it was created.
    pub resolve: ResolveProfile,
    /// Recovery data, sealed by the shell; present from `Sent` until final.
    pub recovery: Option<Vec<u8>>,
    /// Approval, once verified.
    pub approval: Option<Approval>,
    /// Why it was declined or not sent.
    pub decline: Option<Decline>,
    /// Why it became unknown.
    pub unknown: Option<UnknownReason>,
    /// Queries begun so far.
    pub queries: u32,
    /// "Not found" answers so far.
    pub not_found: u32,
    /// How long the queries so far surely took since the outcome became unknown, ms.
    pub asked_ms: u64,
    /// The next query comes without its pause, because of a restart: its time does not count.
    pub hurried: bool,
    /// Undo tries begun so far.
    pub undos: u32,
    /// Undo tries that surely did not leave; they do not count against the budget.
    pub undos_unsent: u32,
    /// Undo tries answered by "never existed", which a request that is still on its way can make wrong.
    pub never_existed: u32,
    /// A query or undo has begun and is not answered yet.
    pub waiting: bool,
    /// Reason of the undo, once decided.
    pub undo_reason: Option<UndoReason>,
    /// Money had moved and went back, as the channel said.
    pub money_returned: bool,
    /// Journal sequence number of its sent record, the age of the attempt.
    pub sent_seq: u64,
    /// Wall clock when it was sent, Unix ms.
    pub sent_wall_ms: i64,
}

/// What is owed, and how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Identity.
    pub id: PaymentId,
    /// What is owed.
    pub amount: Money,
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
    /// The attempt that is under way, if any (W3: there is at most one).
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|a| a.state.is_open())
    }

    /// The attempt that took the money.
    pub fn approved(&self) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|a| a.state == AttemptState::Approved)
    }

    /// What has been paid: the fold of approved attempts, never a stored number.
    pub fn paid(&self) -> Money {
        self.attempts
            .iter()
            .filter(|a| a.state == AttemptState::Approved)
            .filter_map(|a| a.approval.as_ref())
            .try_fold(Money::zero(self.amount.currency()), |sum, a| sum.checked_add(a.amount))
            .unwrap_or(Money::zero(self.amount.currency()))
    }

    /// Holds the till: nobody else can pay while it stands so.
    pub fn is_foreground(&self) -> bool {
        match self.state {
            PaymentState::Draft | PaymentState::Ready => true,
            PaymentState::Tendering => !self.parked,
            PaymentState::Paid | PaymentState::Cancelled | PaymentState::Review => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_bad_ones_are_refused() {
        let id = PaymentId([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "xyz", &"g".repeat(32), &"é".repeat(16), &"a".repeat(33), &"+1".repeat(16)] {
            assert!(bad.parse::<PaymentId>().is_err(), "{bad}");
        }
    }
}
