//! Accounts that a channel keeps itself (stored value): what is not a payment.

use serde::{Deserialize, Serialize};

use super::{Approval, AttemptIds, Decline, DeclineClass, Outcome, Unknown};
use crate::instrument::Instrument;
use crate::sensitive::{Sensitive, wire};
use crate::{Extra, Money};

/// What is to be done with an account.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AccountOperation {
    /// Open one for this card.
    Issue,
    /// Add money that another tender paid.
    Load,
    /// Let nothing be taken from it.
    Block,
    /// Lift a block.
    Unblock,
    /// Make an expired one usable again.
    Reactivate,
    /// Pay its balance out and close it.
    Redeem,
    /// Its last entries. Changes nothing.
    History,
}

impl AccountOperation {
    /// Lower-kebab name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Load => "load",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Reactivate => "reactivate",
            Self::Redeem => "redeem",
            Self::History => "history",
        }
    }
}

/// A request about an account.
///
/// [`AttemptIds::order`] is its key: the same key again gives the same answer and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Own numbers.
    pub ids: AttemptIds,
    /// What.
    pub operation: AccountOperation,
    /// How much, for [`AccountOperation::Load`] (and [`AccountOperation::Issue`] with a first balance).
    pub amount: Option<Money>,
    /// The card, where it is there. A load after its payment may come without it: then `recovery` names the account.
    pub instrument: Option<Instrument>,
    /// Recovery data of the [`super::Prepared`] that [`super::Channel::prepare_account`] gave for this request; empty in
    /// `prepare_account` itself.
    #[serde(with = "wire")]
    pub recovery: Sensitive<Vec<u8>>,
    /// Operator on duty.
    pub operator: Option<String>,
    /// Why, as an operator gave it; may be empty.
    pub reason: String,
    /// For [`AccountOperation::History`]: entries older than this [`AccountEntry::number`]; 0: the newest.
    pub before: u64,
    /// For [`AccountOperation::History`]: at most this many.
    pub limit: u32,
    /// Room for later facts.
    pub extra: Extra,
}

/// What became of an [`Account`]. The four outcomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant)] // one lives at a time; a box would stand in every author's way
pub enum AccountOutcome {
    /// Done, and durable at the channel.
    Done(AccountReport),
    /// A definite no.
    Declined(Decline),
    /// Nothing was changed and nothing left this machine.
    NotSent(Decline),
    /// Anything else: ask by [`super::Channel::query_account`].
    Unknown(Unknown),
}

impl AccountOutcome {
    /// The operation does not exist here; nothing was sent.
    pub fn unsupported(operation: &str) -> Self {
        Self::NotSent(Decline::local(
            DeclineClass::Channel,
            "unsupported",
            format!("this channel does not do {operation}"),
        ))
    }

    /// The same as the outcome of a payment, for a load or redemption that is a leg of one. Something done without an
    /// approval is unknown: nothing then says how much moved.
    pub fn as_outcome(&self) -> Outcome {
        match self {
            Self::Done(AccountReport { approval: Some(approval), .. }) => Outcome::Approved(approval.clone()),
            Self::Done(_) => Outcome::Unknown(Unknown::new(
                super::UnknownReason::Garbage,
                "the channel says that it is done, and not how much was moved",
            )),
            Self::Declined(no) => Outcome::Declined(no.clone()),
            Self::NotSent(no) => Outcome::NotSent(no.clone()),
            Self::Unknown(unknown) => Outcome::Unknown(unknown.clone()),
        }
    }
}

/// What was done, and how the account stands after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountReport {
    /// For what moves money (load, issue with a first balance, redeem): as for a payment.
    pub approval: Option<Approval>,
    /// The account, masked.
    pub account: String,
    /// How it stands.
    pub standing: AccountStanding,
    /// Its balance.
    pub balance: Money,
    /// Last day it can be used, `YYYY-MM-DD`; none: no end.
    pub expires: Option<String>,
    /// For [`AccountOperation::History`]: newest first.
    pub entries: Vec<AccountEntry>,
    /// Room for later facts.
    pub extra: Extra,
}

/// How an account stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AccountStanding {
    /// Usable.
    Active,
    /// Blocked by somebody.
    Blocked,
    /// Its time is over.
    Expired,
    /// Redeemed; it never comes back.
    Closed,
}

/// One entry of an account's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountEntry {
    /// Its number at the channel, growing.
    pub number: u64,
    /// Wall clock when it was booked, Unix ms.
    pub wall_ms: i64,
    /// Lower-kebab: `issue`, `load`, `debit`, `refund` …
    pub operation: String,
    /// Added to the balance (below zero: taken from it).
    pub amount: Money,
    /// Balance after it.
    pub balance: Money,
    /// Order number of the request.
    pub order: String,
}
