//! A channel's calls.

use std::time::Duration;

use till_plugin::Money;
use till_plugin::channel::{
    Account, AccountOutcome, Authorise, ChannelDescription, Decline, Follow, FollowUp, LegRule, Outcome,
    Prepared, QueryOutcome, Settle, SettleOutcome, SignIn, SignedIn, UndoOutcome, UndoReason, Upload,
};
use till_plugin::driver::Health;
use till_plugin::proto::method;

use crate::error::HostError;
use crate::instance::{Instance, PendingCall};

/// Calls of [`till_plugin::Channel`]. Every call waits for its turn and then runs, each at most `timeout`
/// ([`Instance::call`]).
///
/// Money calls give the plugin's own outcome, or a [`HostError`] whose [`HostError::as_outcome`] says `NotSent` or
/// `Unknown`.
#[derive(Clone, Debug)]
pub struct ChannelClient {
    instance: Instance,
}

impl ChannelClient {
    /// Over an instance of a channel.
    pub const fn new(instance: Instance) -> Self {
        Self { instance }
    }

    /// The instance.
    pub const fn instance(&self) -> &Instance {
        &self.instance
    }

    /// What the channel does.
    pub async fn describe(&self, timeout: Duration) -> Result<ChannelDescription, HostError> {
        self.instance.call(method::DESCRIBE_1, &(), timeout).await
    }

    /// Counters since the instance opened.
    pub async fn statistics(&self, timeout: Duration) -> Result<Vec<(String, u64)>, HostError> {
        self.instance.call(method::STATISTICS_1, &(), timeout).await
    }

    /// Signs the terminal in.
    pub async fn sign_in(&self, request: &SignIn, timeout: Duration) -> Result<SignedIn, HostError> {
        self.instance.call(method::SIGN_IN_1, request, timeout).await
    }

    /// Signs the terminal off.
    pub async fn sign_off(&self, timeout: Duration) -> Result<(), HostError> {
        self.instance.call(method::SIGN_OFF_1, &(), timeout).await
    }

    /// Checks a request and builds what must be durable before it leaves. The inner `Err` is a local refusal.
    pub async fn prepare(
        &self,
        request: &Authorise,
        timeout: Duration,
    ) -> Result<Result<Prepared, Decline>, HostError> {
        self.instance.call(method::PREPARE_1, request, timeout).await
    }

    /// Sends the request.
    pub async fn authorise(
        &self,
        request: &Authorise,
        prepared: &Prepared,
        timeout: Duration,
    ) -> Result<Outcome, HostError> {
        self.instance.call(method::AUTHORISE_1, &(request, prepared), timeout).await
    }

    /// Sends the request, to be cancelled or waited for (`wait::<Outcome>()`).
    pub fn begin_authorise(
        &self,
        request: &Authorise,
        prepared: &Prepared,
        timeout: Duration,
    ) -> Result<PendingCall, HostError> {
        self.instance.begin(method::AUTHORISE_1, &(request, prepared), timeout)
    }

    /// Asks what became of it.
    pub async fn query(&self, original: &FollowUp, timeout: Duration) -> Result<QueryOutcome, HostError> {
        self.instance.call(method::QUERY_1, original, timeout).await
    }

    /// Undoes an unknown outcome.
    pub async fn undo(
        &self,
        original: &FollowUp,
        reason: UndoReason,
        timeout: Duration,
    ) -> Result<UndoOutcome, HostError> {
        self.instance.call(method::UNDO_1, &(original, reason), timeout).await
    }

    /// What the channel does besides a sale, as it said when its process became ready; empty while it is not ready, and
    /// for a plugin built before there were rules.
    pub fn leg_rules(&self) -> Vec<LegRule> {
        self.instance.status().host.map(|h| h.leg_rules.clone()).unwrap_or_default()
    }

    /// Checks a follow-on request and builds what must be durable before it leaves. The inner `Err` is a local refusal.
    pub async fn prepare_follow(
        &self,
        request: &Follow,
        timeout: Duration,
    ) -> Result<Result<Prepared, Decline>, HostError> {
        self.instance.call(method::PREPARE_FOLLOW_1, request, timeout).await
    }

    /// Sends a void, refund, capture or release.
    pub async fn follow(
        &self,
        request: &Follow,
        prepared: &Prepared,
        timeout: Duration,
    ) -> Result<Outcome, HostError> {
        self.instance.call(method::FOLLOW_1, &(request, prepared), timeout).await
    }

    /// Sends one, to be cancelled or waited for (`wait::<Outcome>()`).
    pub fn begin_follow(
        &self,
        request: &Follow,
        prepared: &Prepared,
        timeout: Duration,
    ) -> Result<PendingCall, HostError> {
        self.instance.begin(method::FOLLOW_1, &(request, prepared), timeout)
    }

    /// Asks what became of one. The instrument is left out of `request`, whatever it holds; `original` is the follow-on's
    /// own ids, amount and recovery data.
    pub async fn query_follow(
        &self,
        request: &Follow,
        original: &FollowUp,
        timeout: Duration,
    ) -> Result<QueryOutcome, HostError> {
        let request = &Follow { instrument: None, ..request.clone() };
        self.instance.call(method::QUERY_FOLLOW_1, &(request, original), timeout).await
    }

    /// Checks a request about an account and keeps what a later load without the card needs.
    pub async fn prepare_account(
        &self,
        request: &Account,
        timeout: Duration,
    ) -> Result<Result<Prepared, Decline>, HostError> {
        self.instance.call(method::PREPARE_ACCOUNT_1, request, timeout).await
    }

    /// Does what is asked with an account. Safe to repeat with the same order number.
    pub async fn account(&self, request: &Account, timeout: Duration) -> Result<AccountOutcome, HostError> {
        self.instance.call(method::ACCOUNT_1, request, timeout).await
    }

    /// Asks what became of a request about an account.
    pub async fn query_account(
        &self,
        original: &FollowUp,
        timeout: Duration,
    ) -> Result<QueryOutcome, HostError> {
        self.instance.call(method::QUERY_ACCOUNT_1, original, timeout).await
    }

    /// Compares totals of a batch.
    pub async fn settle(&self, request: &Settle, timeout: Duration) -> Result<SettleOutcome, HostError> {
        self.instance.call(method::SETTLE_1, request, timeout).await
    }

    /// Uploads records of a mismatched batch.
    pub async fn upload(&self, request: &Upload, timeout: Duration) -> Result<Outcome, HostError> {
        self.instance.call(method::UPLOAD_2, request, timeout).await
    }

    /// Balance of a card.
    pub async fn balance(
        &self,
        request: &Authorise,
        timeout: Duration,
    ) -> Result<Result<Money, Decline>, HostError> {
        self.instance.call(method::BALANCE_1, request, timeout).await
    }

    /// Is the other end well?
    pub async fn probe(&self, timeout: Duration) -> Result<Health, HostError> {
        self.instance.call(method::PROBE_1, &(), timeout).await
    }
}
