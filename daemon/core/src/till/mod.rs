//! Everything the till knows: the fold of its records, and nothing else (I7).
//!
//! Finished payments leave memory: the newest [`RECENT`] stay for quick answers, older ones are folded from the journal
//! when somebody asks ([`Till::fold_payment`]). So memory is bounded by what is open, not by how long the till has run.

mod apply;
mod job;
mod needed;
mod snapshot;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use till_plugin::Money;
use till_plugin::channel::Authorise;

use crate::announce::Announced;
use crate::batch::Batches;
use crate::dispute::Disputes;
use crate::fold;
use crate::keys::Keys;
use crate::limits::{Counters, Use};
use crate::merchant::Merchants;
use crate::payment::{Attempt, LegKind, Payment, PaymentId};
use crate::record::Record;
use crate::suspension::{Suspension, Suspensions};
use crate::training::{RECEIPTS, Training};

pub(crate) use job::slip_job;
pub use job::{COPIES, Job};
pub use snapshot::{SNAPSHOT_VERSION, SnapshotError};

/// Finished payments kept in memory.
pub const RECENT: usize = 128;

/// Tokens of instruments kept in memory, to notice a second use.
const TOKENS: usize = 128;

/// Largest trace and batch number (n6); the next one is 1 (Q/CUP 009.1).
pub const MAX_NUMBER: u32 = 999_999;

/// State of the till.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Till {
    /// Boxed: a payment goes from here to `recent` and back, and is too large to be copied each time.
    open: BTreeMap<PaymentId, Box<Payment>>,
    /// Finished payments, for quick answers: a cache of the journal, not a part of the state.
    #[serde(skip)]
    recent: VecDeque<(PaymentId, Box<Payment>)>,
    keys: Keys,
    tokens: VecDeque<Token>,
    numbers: BTreeMap<String, Numbers>,
    batches: Batches,
    used: Counters,
    jobs: BTreeMap<u64, Job>,
    copies: u64,
    notices: BTreeMap<String, u64>,
    disputes: Disputes,
    training: Training,
    merchants: Merchants,
    announced: Announced,
    suspensions: Suspensions,
    current: Option<String>,
    orders: u64,
    receipts: u64,
    payments: u64,
    seq: u64,
}

impl PartialEq for Till {
    fn eq(&self, other: &Self) -> bool {
        self.open == other.open
            && self.keys == other.keys
            && self.tokens == other.tokens
            && self.numbers == other.numbers
            && self.batches == other.batches
            && self.used == other.used
            && self.jobs == other.jobs
            && self.copies == other.copies
            && self.notices == other.notices
            && self.disputes == other.disputes
            && self.training == other.training
            && self.merchants == other.merchants
            && self.announced == other.announced
            && self.suspensions == other.suspensions
            && self.current == other.current
            && (self.orders, self.receipts, self.payments, self.seq)
                == (other.orders, other.receipts, other.payments, other.seq)
    }
}

impl Eq for Till {}

/// Numbers of one channel.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Numbers {
    trace: u32,
    batch: u32,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { trace: 0, batch: 1 }
    }
}

/// Use of an instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Token {
    value: String,
    payment: PaymentId,
    wall_ms: i64,
    /// What was taken with it; none: presented only.
    taken: Option<Money>,
}

impl Till {
    /// A till that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sequence number of the last record folded in.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Payments ever opened, training too.
    pub const fn payments_ever(&self) -> u64 {
        self.payments
    }

    /// The operator's current channel; None: automatic.
    pub fn current_channel(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// A payment in memory (open or recent).
    pub fn payment(&self, id: PaymentId) -> Option<&Payment> {
        let recent = || self.recent.iter().rev().find(|(of, _)| *of == id).map(|(_, p)| p);
        self.open.get(&id).or_else(recent).map(AsRef::as_ref)
    }

    /// Payments that are not finished.
    pub fn open_payments(&self) -> impl Iterator<Item = &Payment> {
        self.open.values().map(AsRef::as_ref)
    }

    /// Finished payments still in memory, newest first.
    pub fn recent_payments(&self) -> impl Iterator<Item = &Payment> {
        self.recent.iter().rev().map(|(_, p)| p.as_ref())
    }

    /// The payment that holds the till, if any.
    pub fn foreground(&self) -> Option<&Payment> {
        self.open_payments().find(|p| p.is_foreground())
    }

    /// Receipts that are not certainly printed.
    pub const fn jobs(&self) -> &BTreeMap<u64, Job> {
        &self.jobs
    }

    /// The next number of a print job that is no original: originals have their receipt's number.
    pub const fn next_copy_job(&self) -> u64 {
        COPIES + self.copies + 1
    }

    /// Up to which record a receiver has its notices; 0: none yet.
    pub fn notices_taken(&self, sink: &str) -> u64 {
        self.notices.get(sink).copied().unwrap_or(0)
    }

    /// Receivers of notices, with the record up to which each has them.
    pub const fn notice_sinks(&self) -> &BTreeMap<String, u64> {
        &self.notices
    }

    /// Cases of disputed payments.
    pub const fn disputes(&self) -> &Disputes {
        &self.disputes
    }

    /// Maintenance that was announced.
    pub const fn announced(&self) -> &Announced {
        &self.announced
    }

    /// Wrong tries of merchants' passwords.
    pub const fn merchants(&self) -> &Merchants {
        &self.merchants
    }

    /// Payment that an idempotency key belongs to, among the newest [`KEYS`](crate::KEYS).
    pub fn by_key(&self, key: &str) -> Option<PaymentId> {
        self.keys.payment(key)
    }

    /// The same among the keys of training payments: a key means one thing there and another thing here.
    pub fn training_by_key(&self, key: &str) -> Option<PaymentId> {
        self.training.keys.payment(key)
    }

    /// The till is in training: payments that are opened now are training, and no money moves by them (I17).
    pub const fn is_training(&self) -> bool {
        self.training.on
    }

    /// Suspended channels, and the newest acts.
    pub const fn suspensions(&self) -> &Suspensions {
        &self.suspensions
    }

    /// Why a channel is suspended, if it is.
    pub fn suspended(&self, channel: &str) -> Option<&Suspension> {
        self.suspensions.now().get(channel)
    }

    /// Keys of training payments, or of all others.
    pub(crate) const fn keys(&self, training: bool) -> &Keys {
        if training { &self.training.keys } else { &self.keys }
    }

    /// The order and receipt numbers that come next for a payment: training has its own.
    pub(crate) const fn next_numbers(&self, training: bool) -> (u64, u64) {
        if training {
            (self.training.orders + 1, RECEIPTS + self.training.receipts + 1)
        } else {
            (self.orders + 1, self.receipts + 1)
        }
    }

    /// The payment for which a token was used at most `window_ms` ago (a clock that went back counts as just now).
    pub fn token_used(&self, token: &str, now_ms: i64, window_ms: i64) -> Option<PaymentId> {
        self.tokens
            .iter()
            .rev()
            .find(|t| !token.is_empty() && t.value == token && now_ms.saturating_sub(t.wall_ms) < window_ms)
            .map(|t| t.payment)
    }

    /// The payment for which the same amount was taken with the same token at most `window_ms` ago.
    pub fn possible_duplicate(
        &self,
        token: &str,
        amount: Money,
        now_ms: i64,
        window_ms: i64,
    ) -> Option<PaymentId> {
        let same = |t: &&Token| {
            // A clock that went back counts as just now, but without a window nothing does.
            window_ms > 0
                && !token.is_empty()
                && t.value == token
                && t.taken == Some(amount)
                && now_ms.saturating_sub(t.wall_ms) < window_ms
        };
        self.tokens.iter().rev().find(same).map(|t| t.payment)
    }

    /// Channels whose single reversal slot an unresolved attempt holds.
    pub fn slots_taken(&self) -> Vec<String> {
        self.open
            .values()
            .flat_map(|p| &p.attempts)
            .filter(|a| a.resolve.single_slot && a.state.is_armed())
            .map(|a| a.channel.clone())
            .collect()
    }

    /// The next trace number of a channel: 1–999999, then 1 again.
    pub fn next_trace(&self, channel: &str) -> u32 {
        self.numbers.get(channel).map_or(0, |n| n.trace) % MAX_NUMBER + 1
    }

    /// The open batch of a channel.
    pub fn batch(&self, channel: &str) -> u32 {
        self.numbers.get(channel).map_or(1, |n| n.batch)
    }

    /// The next number for an order text.
    pub const fn next_order(&self) -> u64 {
        self.orders + 1
    }

    /// The next receipt number.
    pub const fn next_receipt(&self) -> u64 {
        self.receipts + 1
    }

    /// The till's open batch.
    pub const fn open_batch(&self) -> u32 {
        self.batches.open_number()
    }

    /// The batches.
    pub const fn batches(&self) -> &Batches {
        &self.batches
    }

    /// What counts against payment limits.
    pub const fn limit_counters(&self) -> &Counters {
        &self.used
    }

    /// Payments whose outcome is not known yet: they count against limits as if they were taken.
    pub fn uses_under_way(&self) -> impl Iterator<Item = Use<'_>> {
        self.open.values().filter(|p| !p.training).flat_map(|p| {
            p.attempts.iter().filter(|a| a.state.is_open() && a.kind.is_tender()).map(|a| use_of(p, a))
        })
    }

    /// The payment that a record or input is about is finished and has left memory: the shell brings it back from the
    /// journal before it decides or applies. Only the cache changes.
    pub fn adopt(&mut self, payment: Payment) {
        if self.payment(payment.id).is_none() && payment.is_settled() {
            self.remember(Box::new(payment));
        }
    }

    fn remember(&mut self, payment: Box<Payment>) {
        self.recent.retain(|(id, _)| *id != payment.id);
        self.recent.push_back((payment.id, payment));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    /// The payment that must be adopted before this record is applied.
    pub fn lacks(&self, record: &Record) -> Option<PaymentId> {
        record.payment().filter(|id| record.opens().is_none() && self.payment(*id).is_none())
    }

    /// Folds one payment out of its own records, for payments that have left memory.
    pub fn fold_payment<'a>(
        id: PaymentId,
        records: impl IntoIterator<Item = (u64, i64, &'a Record)>,
    ) -> Option<Payment> {
        fold::payment(id, records)
    }
}

/// What an attempt counts against limits.
fn use_of<'a>(p: &'a Payment, a: &'a Attempt) -> Use<'a> {
    Use {
        channel: &a.channel,
        operator: a.operator.as_deref().or(p.operator.as_deref()).unwrap_or_default(),
        token: &a.token,
        amount: a.amount,
    }
}

/// What a repeated key must say again to mean the same leg.
pub(crate) fn leg_body(kind: LegKind, payment: PaymentId, of: u32) -> String {
    format!("{} {payment} {of}", kind.as_str())
}

/// The request as the channel gets it, from a created attempt; the shell adds the instrument.
pub fn authorise_request(p: &Payment, a: &Attempt, instrument: till_plugin::Instrument) -> Authorise {
    Authorise {
        ids: a.ids.clone(),
        hold: a.kind == LegKind::Hold,
        amount: a.amount,
        instrument,
        subject: p.subject.clone(),
        operator: p.operator.clone(),
        pin_block: None,
        extra: till_plugin::Extra::new(),
    }
}
