//! Where payments and attempts stand, and what they are for (pos.md §3.3).

use serde::{Deserialize, Serialize};

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
    /// A part is paid; waiting for the customer's next tender.
    PartPaid,
    /// The amount is held (pre-authorisation); waiting for its completion or release.
    Authorised,
    /// A top-up is paid; its value is being loaded.
    Delivering,
    /// Everything that was taken is being given back.
    Returning,
    /// Everything that was taken went back.
    Returned,
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
            Self::PartPaid => "part-paid",
            Self::Authorised => "authorised",
            Self::Delivering => "delivering",
            Self::Returning => "returning",
            Self::Returned => "returned",
        }
    }

    /// Nothing happens by itself any more; only a void, a refund or a late approval leads out (I18).
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Paid | Self::Cancelled | Self::Returned)
    }
}

/// What an attempt does with money.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LegKind {
    /// Takes it.
    Sale,
    /// Holds it (pre-authorisation).
    Hold,
    /// Undoes an approved sale or completion of the open batch, whole.
    Void,
    /// Gives money back, whole or in part.
    Refund,
    /// Takes held money (completion), whole or in part.
    Capture,
    /// Gives a hold back.
    Release,
    /// Loads a prepaid card that another tender has paid for.
    Load,
}

impl LegKind {
    /// Lower-kebab name, as on D-Bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Hold => "hold",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::Capture => "capture",
            Self::Release => "release",
            Self::Load => "load",
        }
    }

    /// A customer's own presentation of money; everything else follows such a one.
    pub const fn is_tender(self) -> bool {
        matches!(self, Self::Sale | Self::Hold)
    }

    /// Its approval is money taken.
    pub const fn takes(self) -> bool {
        matches!(self, Self::Sale | Self::Capture)
    }

    /// Its approval is money given back.
    pub const fn gives_back(self) -> bool {
        matches!(self, Self::Void | Self::Refund)
    }
}

/// What a payment is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// Goods or services, paid now.
    #[default]
    Sale,
    /// A hold that is completed or released later (hotels).
    Hold,
    /// Value for a prepaid card: paid by another tender, then loaded; both or neither.
    TopUp {
        /// Channel of the prepaid card.
        channel: String,
        /// What the channel needs to load it without the card, sealed.
        recovery: Vec<u8>,
        /// The card as it may be shown.
        masked: String,
    },
}

impl Purpose {
    /// Lower-kebab name, as on D-Bus.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Hold => "hold",
            Self::TopUp { .. } => "top-up",
        }
    }

    /// What a tender for it does.
    pub const fn tender(&self) -> LegKind {
        match self {
            Self::Hold => LegKind::Hold,
            Self::Sale | Self::TopUp { .. } => LegKind::Sale,
        }
    }
}

/// What two people found out about an attempt that the machine gave up.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It happened: the money moved.
    Happened,
    /// It did not happen, or was undone.
    DidNot,
}

impl Verdict {
    /// Lower-kebab name, as on D-Bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Happened => "happened",
            Self::DidNot => "did-not",
        }
    }
}

/// What the first of two people proposed (W8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Attempt.
    pub attempt: u32,
    /// Finding.
    pub verdict: Verdict,
    /// Who.
    pub operator: String,
    /// Why, and what it rests on (statement line, host's word).
    pub reason: String,
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
