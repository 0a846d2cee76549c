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

mod describe;
mod outcome;
mod request;

use std::time::Duration;

use crate::driver::Health;
use crate::host::{Host, Settings};
use crate::{Money, PluginError};

pub use describe::{ChannelDescription, Operation, QueryRule, ResolveProfile, UndoRule};
pub use outcome::{
    Approval, ChannelEvent, Decline, DeclineClass, Echo, NextStep, Outcome, QueryOutcome, SettleOutcome,
    UndoOutcome, UndoReason, Unknown, UnknownReason,
};
pub use request::{
    AttemptIds, Authorise, Capture, FollowUp, Prepared, Reference, Refund, Settle, SignIn, SignedIn, Upload,
    Void,
};

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

    /// Asks what became of an authorisation, capture or void.
    fn query(&mut self, _original: &FollowUp) -> QueryOutcome {
        QueryOutcome::Unknown(Unknown::new(UnknownReason::Unsupported, "this channel cannot be asked"))
    }

    /// Undoes an authorisation whose outcome is unknown (cancel, reverse, reversal). Safe to repeat.
    fn undo(&mut self, original: &FollowUp, reason: UndoReason) -> UndoOutcome;

    /// Completes a pre-authorisation.
    fn capture(&mut self, _request: &Capture) -> Outcome {
        Outcome::unsupported("capture")
    }

    /// Voids an approved payment of the open batch, full amount.
    fn void(&mut self, _request: &Void) -> Outcome {
        Outcome::unsupported("void")
    }

    /// Gives money back.
    fn refund(&mut self, _request: &Refund) -> Outcome {
        Outcome::unsupported("refund")
    }

    /// Asks what became of a refund.
    fn query_refund(&mut self, _request: &Refund) -> QueryOutcome {
        QueryOutcome::Unknown(Unknown::new(
            UnknownReason::Unsupported,
            "this channel cannot be asked about refunds",
        ))
    }

    /// Compares totals of a frozen batch.
    fn settle(&mut self, _request: &Settle) -> SettleOutcome {
        SettleOutcome::Unknown(Unknown::new(UnknownReason::Unsupported, "this channel has no settlement"))
    }

    /// Uploads one detail record of a mismatched batch, or its end mark.
    fn upload(&mut self, _request: &Upload) -> Outcome {
        Outcome::unsupported("upload")
    }

    /// Balance of a card. Never stored.
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
