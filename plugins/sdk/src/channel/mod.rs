//! The channel side of the contract: one [`Channel`] trait for every payment network, and its messages.
//!
//! The daemon owns the payment: it decides when to ask, query, undo, and writes to its journal before and after. A
//! channel plugin performs single exchanges and reports one of **four outcomes** ([`Outcome`]). Timeouts, bad MAC or
//! signature, a wrong echo of amount or number, a half reply: all are [`Outcome::Unknown`], never a decline.
//!
//! Order of a sale: [`Channel::prepare`] (no byte leaves; returns what is needed to query or reverse later) → the daemon
//! makes it durable → [`Channel::authorise`] → the daemon makes the outcome durable → everybody hears of it. After a
//! crash in between the daemon uses [`Channel::query`] and [`Channel::undo`] with the same ids; it never repeats an
//! authorisation.
//!
//! Order of what follows a payment ([`Follow`]: void, refund, capture, release): [`Channel::prepare_follow`] → durable →
//! [`Channel::follow`] → durable. A channel says in [`Channel::leg_rules`] which of these it does, and how.
//!
//! Order of what is done with an account ([`Account`]: issue, load, block …): [`Channel::prepare_account`] → durable →
//! [`Channel::account`] → durable; unknown ones are asked about by [`Channel::query_account`] and may be sent again with
//! the same key.

mod account;
pub mod answered;
pub mod balance;
mod describe;
mod follow;
mod outcome;
pub mod pin;
mod request;
#[doc(hidden)]
pub mod retired;
mod upload;

use std::time::Duration;

use crate::driver::Health;
use crate::host::{Host, Settings};
use crate::{Money, PluginError};

pub use account::{Account, AccountEntry, AccountOperation, AccountOutcome, AccountReport, AccountStanding};
pub use describe::{ChannelDescription, Operation, QueryRule, ResolveProfile, UndoRule};
pub use follow::{Follow, FollowKind, LegRule};
pub use outcome::{
    Approval, ChannelEvent, Decline, DeclineClass, Echo, NextStep, Outcome, QueryOutcome, SettleOutcome,
    UndoOutcome, UndoReason, Unknown, UnknownReason,
};
pub use request::{AttemptIds, Authorise, FollowUp, Prepared, Reference, Settle, SignIn, SignedIn};
pub use upload::{RecordKind, Upload, UploadRecord};

/// A payment channel.
///
/// Called from one thread; every call returns within its deadline ([`Host::remaining`]). Operations a channel does not
/// have keep their default and are left out of [`ChannelDescription::operations`].
pub trait Channel: Sized + Send + 'static {
    /// Reads settings and secrets. Talks to nobody.
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError>;

    /// What this channel does and how its unknown outcomes are resolved.
    fn describe(&self) -> ChannelDescription;

    /// Signs the terminal in (working keys, batch), where the network asks for it.
    fn sign_in(&mut self, _request: &SignIn) -> Result<SignedIn, PluginError> {
        Err(PluginError::unsupported("sign-in"))
    }

    /// Signs the terminal off.
    fn sign_off(&mut self) -> Result<(), PluginError> {
        Err(PluginError::unsupported("sign-off"))
    }

    /// Checks a request and builds what a later query or reversal needs. No byte leaves. An `Err` is a local refusal:
    /// nothing was sent, another channel may be used.
    fn prepare(&mut self, request: &Authorise) -> Result<Prepared, Decline>;

    /// Sends the request and waits for its answer.
    fn authorise(&mut self, request: &Authorise, prepared: &Prepared) -> Outcome;

    /// Asks what became of an authorisation.
    fn query(&mut self, _original: &FollowUp) -> QueryOutcome {
        QueryOutcome::Unknown(Unknown::new(UnknownReason::Unsupported, "this channel cannot be asked"))
    }

    /// Undoes an authorisation whose outcome is unknown (cancel, reverse, reversal), or a void, capture or release whose
    /// [`LegRule::resolve`] has an undo rule: then ids, amount and recovery data are the follow-on's own. Safe to repeat.
    fn undo(&mut self, original: &FollowUp, reason: UndoReason) -> UndoOutcome;

    /// What this channel does besides a sale, and how: one rule an operation. Asked once, when the instance is made.
    fn leg_rules(&self) -> Vec<LegRule> {
        Vec::new()
    }

    /// Checks a follow-on request and builds what a later query or undo of it needs. No byte leaves. An `Err` is a local
    /// refusal: nothing was sent.
    fn prepare_follow(&mut self, request: &Follow) -> Result<Prepared, Decline> {
        Err(Decline::local(
            DeclineClass::Channel,
            "unsupported",
            format!("this channel does not do {}", request.kind.as_str()),
        ))
    }

    /// Sends the follow-on request and waits for its answer. The same [`AttemptIds::order`] never moves money twice.
    fn follow(&mut self, request: &Follow, _prepared: &Prepared) -> Outcome {
        Outcome::unsupported(request.kind.as_str())
    }

    /// Asks what became of a follow-on request. `request` comes without its instrument; `original` holds the follow-on's
    /// own ids, amount and recovery data, and the number of this try.
    fn query_follow(&mut self, request: &Follow, _original: &FollowUp) -> QueryOutcome {
        QueryOutcome::Unknown(Unknown::new(
            UnknownReason::Unsupported,
            format!("this channel cannot be asked about a {}", request.kind.as_str()),
        ))
    }

    /// Compares totals of a frozen batch.
    fn settle(&mut self, _request: &Settle) -> SettleOutcome {
        SettleOutcome::Unknown(Unknown::new(UnknownReason::Unsupported, "this channel has no settlement"))
    }

    /// Uploads records of a mismatched batch, or its end mark.
    fn upload(&mut self, _request: &Upload) -> Outcome {
        Outcome::unsupported("upload")
    }

    /// Checks a request about an account and keeps what a later [`Channel::account`] without the card needs (its token).
    /// No byte leaves and nothing changes.
    fn prepare_account(&mut self, request: &Account) -> Result<Prepared, Decline> {
        Err(Decline::local(
            DeclineClass::Channel,
            "unsupported",
            format!("this channel has no accounts to {}", request.operation.as_str()),
        ))
    }

    /// Does what is asked with an account. The same [`AttemptIds::order`] again gives the same answer and changes nothing.
    fn account(&mut self, request: &Account) -> AccountOutcome {
        AccountOutcome::unsupported(request.operation.as_str())
    }

    /// Asks what became of a request about an account: its own ids, amount (zero where it moves none) and recovery data.
    fn query_account(&mut self, _original: &FollowUp) -> QueryOutcome {
        QueryOutcome::Unknown(Unknown::new(
            UnknownReason::Unsupported,
            "this channel cannot be asked about accounts",
        ))
    }

    /// Balance of a card, below zero where it is owed; how it is asked for: [`balance`]. Never stored, never logged.
    fn balance(&mut self, _request: &Authorise) -> Result<Money, Decline> {
        Err(Decline::local(DeclineClass::Channel, "unsupported", "this channel has no balance query"))
    }

    /// Is the other end well? Echo, sign-in or a query; never with money.
    fn probe(&mut self) -> Result<Health, PluginError> {
        Err(PluginError::unsupported("probe"))
    }

    /// Anything to do or tell by itself; waits at most `budget`.
    fn poll(&mut self, budget: Duration) -> Result<Vec<ChannelEvent>, PluginError>;

    /// Counters since the instance opened.
    fn statistics(&mut self) -> Vec<(String, u64)> {
        Vec::new()
    }
}
