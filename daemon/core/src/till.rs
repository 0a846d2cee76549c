//! Everything the till knows: the fold of its records, and nothing else (I7).
//!
//! Finished payments leave memory: the newest [`RECENT`] stay for quick answers, older ones are folded from the journal
//! when somebody asks ([`Till::fold_payment`]). So memory is bounded by what is open, not by how long the till has run.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use till_plugin::Money;
use till_plugin::channel::Authorise;

use crate::batch::{BatchEvent, Batches};
use crate::dispute::Disputes;
use crate::fold::{self, fold};
use crate::keys::Keys;
use crate::limits::{Counters, Use};
use crate::payment::{Attempt, AttemptState, LegKind, Payment, PaymentId};
use crate::planted::planted;
use crate::record::Record;

/// Job numbers above this are copies; those below are receipt numbers.
pub const COPIES: u64 = 1 << 32;

/// Job numbers above this are settlement slips.
const SLIPS: u64 = 2 << 32;

/// The print job of a batch's own settlement slip; its copies are numbered like all copies.
pub(crate) const fn slip_job(batch: u32) -> u64 {
    SLIPS + batch as u64
}

/// Finished payments kept in memory.
pub const RECENT: usize = 128;

/// Tokens of instruments kept in memory, to notice a second use.
const TOKENS: usize = 128;

/// Largest trace and batch number (n6); the next one is 1 (Q/CUP 009.1).
pub const MAX_NUMBER: u32 = 999_999;

/// State of the till.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Till {
    open: BTreeMap<PaymentId, Payment>,
    /// Finished payments, for quick answers: a cache of the journal, not a part of the state.
    #[serde(skip)]
    recent: VecDeque<Payment>,
    keys: Keys,
    tokens: VecDeque<Token>,
    numbers: BTreeMap<String, Numbers>,
    batches: Batches,
    used: Counters,
    jobs: BTreeMap<u64, Job>,
    copies: u64,
    notices: BTreeMap<String, u64>,
    disputes: Disputes,
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

/// A receipt that is not certainly printed yet.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Whose receipt; all zeros: nobody's, it is a settlement slip.
    pub payment: PaymentId,
    /// The batch whose settlement slip it is.
    pub batch: Option<u32>,
    /// Receipt number that is printed; 0: none.
    pub receipt: u64,
    /// 0: the original; n: the n-th copy.
    pub copy: u32,
    /// Wall clock when it was asked for, Unix ms.
    pub since_wall_ms: i64,
    /// It went to a printer before; paper may hold a part of it.
    pub sent: bool,
}

impl Job {
    const fn receipt(payment: PaymentId, receipt: u64, since_wall_ms: i64) -> Self {
        Self { payment, batch: None, receipt, copy: 0, since_wall_ms, sent: false }
    }

    const fn slip(batch: u32, copy: u32, since_wall_ms: i64) -> Self {
        Self { payment: PaymentId([0; 16]), batch: Some(batch), receipt: 0, copy, since_wall_ms, sent: false }
    }
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

    /// Payments ever opened.
    pub const fn payments_ever(&self) -> u64 {
        self.payments
    }

    /// The operator's current channel; None: automatic.
    pub fn current_channel(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// A payment in memory (open or recent).
    pub fn payment(&self, id: PaymentId) -> Option<&Payment> {
        self.open.get(&id).or_else(|| self.recent.iter().rev().find(|p| p.id == id))
    }

    /// Payments that are not finished.
    pub fn open_payments(&self) -> impl Iterator<Item = &Payment> {
        self.open.values()
    }

    /// Finished payments still in memory, newest first.
    pub fn recent_payments(&self) -> impl Iterator<Item = &Payment> {
        self.recent.iter().rev()
    }

    /// The payment that holds the till, if any.
    pub fn foreground(&self) -> Option<&Payment> {
        self.open.values().find(|p| p.is_foreground())
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

    /// Payment that an idempotency key belongs to, among the newest [`KEYS`](crate::KEYS).
    pub fn by_key(&self, key: &str) -> Option<PaymentId> {
        self.keys.payment(key)
    }

    /// Payment of a key that was used before, and whether it was opened over the same amount and subject.
    pub(crate) fn repeat(&self, key: &str, amount: Money, subject: &str) -> Option<(PaymentId, bool)> {
        self.keys.repeat(key, amount, subject)
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
        self.open.values().flat_map(|p| {
            p.attempts.iter().filter(|a| a.state.is_open() && a.kind.is_tender()).map(|a| use_of(p, a))
        })
    }

    /// The oldest batch whose sealed data somebody may still need: it is not closed (but for one that is about to be),
    /// or a payment with an attempt in it is not finished.
    pub fn needed_from(&self, closing: Option<u32>) -> u32 {
        let batches = self.batches.oldest_needed(closing);
        let attempts = self.open.values().flat_map(|p| &p.attempts).map(|a| a.batch);
        attempts.fold(batches, u32::min)
    }

    /// The payment that a record or input is about is finished and has left memory: the shell brings it back from the
    /// journal before it decides or applies. Only the cache changes.
    pub fn adopt(&mut self, payment: Payment) {
        if self.payment(payment.id).is_none() && payment.is_settled() {
            self.remember(payment);
        }
    }

    fn remember(&mut self, payment: Payment) {
        self.recent.retain(|p| p.id != payment.id);
        self.recent.push_back(payment);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    /// The payment that must be adopted before this record is applied.
    pub fn lacks(&self, record: &Record) -> Option<PaymentId> {
        record
            .payment()
            .filter(|id| self.payment(*id).is_none())
            .filter(|_| !matches!(record, Record::Opened { .. } | Record::OpenedFor { .. }))
    }

    /// Folds one payment out of its own records, for payments that have left memory.
    pub fn fold_payment<'a>(
        id: PaymentId,
        records: impl IntoIterator<Item = (u64, i64, &'a Record)>,
    ) -> Option<Payment> {
        fold::payment(id, records)
    }

    /// Takes a durable record in. Total: a record that fits nothing changes nothing but the sequence number.
    pub fn apply(&mut self, seq: u64, wall_ms: i64, record: &Record) {
        self.seq = seq;
        self.apply_numbers(wall_ms, record);
        if let Record::Dispute { payment, number, event, .. } = record {
            self.disputes.apply((seq, wall_ms), *payment, *number, event);
        }
        let Some(id) = record.payment() else { return };
        if let Some(payment) = fold::opened(record, wall_ms, seq) {
            self.payments += 1;
            self.keys.add(&payment.key, id, payment.amount, &payment.subject);
            self.batches.opened(&payment);
            self.open.insert(id, payment);
            return;
        }
        // A void, refund or late approval leads out of a finished payment.
        if !self.open.contains_key(&id)
            && let Some(at) = self.recent.iter().rposition(|p| p.id == id)
            && let Some(payment) = self.recent.remove(at)
        {
            self.open.insert(id, payment);
        }
        let Some(payment) = self.open.get_mut(&id) else { return };
        let before: Vec<AttemptState> = payment.attempts.iter().map(|a| a.state).collect();
        fold(payment, record, wall_ms, seq);
        for (at, a) in payment.attempts.iter().enumerate() {
            if before.get(at) != Some(&a.state) {
                self.batches.attempt_changed(payment, a, seq);
                count_used(&mut self.used, payment, a);
            }
        }
        if let Record::Approved { .. } = record
            && let Some(a) = payment.attempts.iter().rev().find(|a| a.stands())
            && a.kind.is_tender()
            && !a.token.is_empty()
        {
            let token = Token { value: a.token.clone(), payment: id, wall_ms, taken: Some(a.amount) };
            self.note(token);
        }
        let Some(payment) = self.open.get(&id) else { return };
        if payment.is_settled()
            && let Some(done) = self.open.remove(&id)
        {
            self.batches.settled(id);
            self.remember(done);
        }
    }

    fn note(&mut self, token: Token) {
        self.tokens.push_back(token);
        if self.tokens.len() > TOKENS {
            self.tokens.pop_front();
        }
    }

    /// Numbers, jobs and choices, whichever payment they are about.
    fn apply_numbers(&mut self, wall_ms: i64, record: &Record) {
        match record {
            Record::AttemptCreated { payment, ids, decision, token, .. }
            | Record::Tendered { payment, ids, decision, token, .. } => {
                self.orders += 1;
                if let Some(channel) = &decision.chosen {
                    self.numbers.entry(channel.clone()).or_default().trace = ids.trace;
                }
                if !token.is_empty() {
                    self.note(Token {
                        value: token.clone(),
                        payment: *payment,
                        wall_ms: ids.wall_ms,
                        taken: None,
                    });
                }
            }
            Record::LegCreated { payment, ids, channel, kind, of, amount, key, .. } => {
                self.orders += 1;
                self.numbers.entry(channel.clone()).or_default().trace = ids.trace;
                self.keys.add(key, *payment, *amount, &leg_body(*kind, *payment, *of));
            }
            Record::Approved { payment, receipt_number, print, .. }
            | Record::ReviewDecided { payment, receipt_number, print, .. }
                if *receipt_number != 0 =>
            {
                self.receipts = *receipt_number;
                if *print {
                    let (payment, receipt) = (*payment, *receipt_number);
                    let job = Job { copy: 0, ..Job::receipt(payment, receipt, wall_ms) };
                    self.jobs.insert(receipt, job);
                }
            }
            Record::On { event, .. } => self.apply_numbers(wall_ms, event),
            Record::CopyRequested { job, payment, receipt, copy, .. } => {
                self.copies = job.saturating_sub(COPIES);
                let (payment, receipt, copy) = (*payment, *receipt, *copy);
                self.jobs.insert(*job, Job { copy, ..Job::receipt(payment, receipt, wall_ms) });
            }
            Record::NoticesTaken { sink, seq } => {
                let taken = self.notices.entry(sink.clone()).or_default();
                *taken = (*taken).max(*seq);
            }
            Record::Batch(event) => {
                let follows = self.batches.apply(event, wall_ms);
                self.slip(event, wall_ms);
                for (channel, batch) in follows.moved {
                    self.numbers.entry(channel.clone()).or_default().batch = *batch;
                }
                if let Some((channel, trace)) = follows.trace {
                    self.numbers.entry(channel.to_owned()).or_default().trace = trace;
                    self.orders += 1;
                }
                if follows.new_day && !planted!(CountersNotReset) {
                    self.used.reset();
                }
            }
            Record::ChannelSelected { channel, .. } => self.current.clone_from(channel),
            Record::TraceTaken { channel, trace } => {
                self.numbers.entry(channel.clone()).or_default().trace = *trace;
            }
            Record::SignedIn { channel, batch: Some(batch) } => {
                self.numbers.entry(channel.clone()).or_default().batch = *batch;
            }
            Record::JobSent { job, .. } => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.sent = true;
                }
            }
            Record::JobEnded { job, .. } => {
                self.jobs.remove(job);
            }
            _ => {}
        }
    }

    /// Settlement slips that are to be printed.
    fn slip(&mut self, event: &BatchEvent, wall_ms: i64) {
        match event {
            BatchEvent::Closed { batch, print: true, .. } => {
                self.jobs.insert(slip_job(*batch), Job::slip(*batch, 0, wall_ms));
            }
            BatchEvent::SlipRequested { batch, job, copy, .. } => {
                self.copies = job.saturating_sub(COPIES);
                self.jobs.insert(*job, Job::slip(*batch, *copy, wall_ms));
            }
            _ => {}
        }
    }

    /// A planted fault: a replay that does not restore everything.
    #[cfg(feature = "planted")]
    pub(crate) fn forget(&mut self, keys: bool, traces: bool, batches: bool) {
        if keys {
            self.keys = Keys::default();
        }
        if traces {
            self.numbers.clear();
        }
        if batches {
            self.batches = Batches::default();
        }
    }

    /// The whole state as bytes, for a snapshot in the journal.
    pub fn to_snapshot(&self) -> Result<Vec<u8>, SnapshotError> {
        let mut bytes = Vec::with_capacity(4096);
        bytes.push(SNAPSHOT_VERSION);
        postcard::to_extend(self, bytes).map_err(|_| SnapshotError::Unencodable)
    }

    /// The state of a snapshot; the records after it are applied to it.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        match bytes.split_first() {
            Some((&SNAPSHOT_VERSION, rest)) => match postcard::take_from_bytes(rest) {
                Ok((till, [])) => Ok(till),
                _ => Err(SnapshotError::Undecodable(bytes.len())),
            },
            Some((&version, _)) => Err(SnapshotError::Version(version)),
            None => Err(SnapshotError::Undecodable(0)),
        }
    }
}

/// Version byte of snapshots. A snapshot of another version is not used: the records themselves are replayed.
const SNAPSHOT_VERSION: u8 = 3;

/// A snapshot that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Written by another version.
    #[error(
        "the snapshot has version {0}, this tilld reads {SNAPSHOT_VERSION}: the records are replayed instead"
    )]
    Version(u8),
    /// Not a snapshot.
    #[error("the snapshot of {0} bytes cannot be decoded: the records are replayed instead")]
    Undecodable(usize),
    /// Could not be written.
    #[error("the state cannot be encoded")]
    Unencodable,
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

/// An approved attempt uses limits up; a void frees what its original used.
fn count_used(used: &mut Counters, p: &Payment, a: &Attempt) {
    if !a.stands() {
        return;
    }
    if a.kind.takes() {
        used.take(&use_of(p, a));
    } else if a.kind == LegKind::Void
        && let Some(original) = p.attempt(a.of)
    {
        used.give_back(&use_of(p, original));
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
