//! What follows an approved payment: void, refund, capture, release.
//!
//! Order: [`Channel::prepare_follow`](super::Channel::prepare_follow) (no byte leaves) → the daemon makes it durable →
//! [`Channel::follow`](super::Channel::follow) → the daemon makes the outcome durable → everybody hears of it. The same
//! four outcomes and the same rule of doubt as for a sale.
//!
//! What becomes of an unknown one is stated per operation in [`LegRule::resolve`]: asked by
//! [`Channel::query_follow`](super::Channel::query_follow); a void, capture or release may be undone by
//! [`Channel::undo`](super::Channel::undo), which then gets the follow-on's own ids and recovery data. A refund is never
//! undone: it is asked about, or sent again under its own number where the network makes that safe.

use serde::{Deserialize, Serialize};

use super::{AttemptIds, Operation, Reference, ResolveProfile};
use crate::instrument::Instrument;
use crate::sensitive::{Sensitive, wire};
use crate::{Extra, Money};

/// What a [`Follow`] does to the payment it follows.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FollowKind {
    /// Undo an approved payment of the open batch, full amount.
    Void,
    /// Give money back, all or a part.
    Refund,
    /// Take money that is held, all or a part.
    Capture,
    /// Give a hold back without taking it.
    Release,
}

impl FollowKind {
    /// Lower-kebab name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Void => "void",
            Self::Refund => "refund",
            Self::Capture => "capture",
            Self::Release => "release",
        }
    }

    /// The operation under which a channel lists it.
    pub const fn operation(self) -> Operation {
        match self {
            Self::Void => Operation::Void,
            Self::Refund => Operation::Refund,
            Self::Capture => Operation::Capture,
            Self::Release => Operation::Release,
        }
    }
}

/// A request that follows an approved one.
///
/// For a query ([`super::Channel::query_follow`]) it comes without the instrument, also after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// Its own numbers. [`AttemptIds::order`] is its idempotency key: the same number never moves money twice.
    pub ids: AttemptIds,
    /// What it does.
    pub kind: FollowKind,
    /// What it follows: the sale, hold or capture, with its approval.
    pub original: Reference,
    /// Recovery data of the original's [`super::Prepared`]; empty once it is shredded (its batch is closed).
    #[serde(with = "wire")]
    pub original_recovery: Sensitive<Vec<u8>>,
    /// How much, greater than zero; the original's amount for a void or a release.
    pub amount: Money,
    /// The card presented again, where [`LegRule::instrument`] asks for it; none in a query.
    pub instrument: Option<Instrument>,
    /// Operator on duty.
    pub operator: Option<String>,
    /// Why, as an operator gave it or as a lower-kebab reason of the daemon; may be empty.
    pub reason: String,
    /// Room for later facts.
    pub extra: Extra,
}

/// How a channel does one operation that is not a sale. Listed by [`super::Channel::leg_rules`]; an operation without a
/// rule is not offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegRule {
    /// Which: [`Operation::Void`], [`Operation::Refund`], [`Operation::Capture`], [`Operation::Release`], or
    /// [`Operation::Account`] for the loads of an account.
    pub operation: Operation,
    /// How its unknown outcome is resolved. `undo: None`: it is never undone.
    pub resolve: ResolveProfile,
    /// The card must be presented again.
    pub instrument: bool,
    /// An amount below the original's is possible.
    pub partial: bool,
}
