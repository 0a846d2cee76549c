//! Everything the till knows: the fold of its records, and nothing else (I7).
//!
//! Finished payments leave memory: the newest [`RECENT`] stay for quick answers, older ones are folded from the journal
//! when somebody asks ([`Till::fold_payment`]). So memory is bounded by what is open, not by how long the till has run.

use std::collections::{BTreeMap, VecDeque};

use till_plugin::Money;
use till_plugin::channel::{Authorise, QueryOutcome, UndoOutcome, UnknownReason};

use crate::keys::Keys;
use crate::payment::{Attempt, AttemptState, Payment, PaymentId, PaymentState};
use crate::record::Record;

/// Finished payments kept in memory.
pub const RECENT: usize = 128;

/// Tokens of instruments kept in memory, to notice a second use.
const TOKENS: usize = 64;

/// Largest trace and batch number (n6); the next one is 1 (Q/CUP 009.1).
pub const MAX_NUMBER: u32 = 999_999;

/// State of the till.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Till {
    open: BTreeMap<PaymentId, Payment>,
    recent: VecDeque<Payment>,
    keys: Keys,
    tokens: VecDeque<Token>,
    numbers: BTreeMap<String, Numbers>,
    jobs: BTreeMap<u64, Job>,
    current: Option<String>,
    orders: u64,
    receipts: u64,
    payments: u64,
    seq: u64,
}

/// Numbers of one channel.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    value: String,
    payment: PaymentId,
    wall_ms: i64,
}

/// A receipt that is not certainly printed yet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Whose receipt.
    pub payment: PaymentId,
    /// It went to a printer before; paper may hold a part of it.
    pub sent: bool,
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

    /// Channels whose single reversal slot an unresolved attempt holds.
    pub fn slots_taken(&self) -> Vec<String> {
        self.open
            .values()
            .filter_map(Payment::open_attempt)
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

    /// Folds one payment out of its own records, for payments that have left memory.
    pub fn fold_payment<'a>(
        id: PaymentId,
        records: impl IntoIterator<Item = (u64, i64, &'a Record)>,
    ) -> Option<Payment> {
        let mut till = Self::new();
        for (seq, wall_ms, record) in records {
            till.apply(seq, wall_ms, record);
        }
        till.payment(id).cloned()
    }

    /// Takes a durable record in. Total: a record that fits nothing changes nothing but the sequence number.
    pub fn apply(&mut self, seq: u64, wall_ms: i64, record: &Record) {
        self.seq = seq;
        match record {
            Record::Opened { payment, key, amount, subject, operator } => {
                self.payments += 1;
                self.keys.add(key, *payment, *amount, subject);
                self.open.insert(
                    *payment,
                    Payment {
                        id: *payment,
                        amount: *amount,
                        subject: subject.clone(),
                        operator: operator.clone(),
                        key: key.clone(),
                        state: PaymentState::Draft,
                        reason: String::new(),
                        attempts: Vec::new(),
                        cancel_requested: false,
                        parked: false,
                        recovered: false,
                        receipt_number: None,
                        receipt_job: None,
                        opened_wall_ms: wall_ms,
                        changed_wall_ms: wall_ms,
                        seq,
                    },
                );
            }
            Record::AttemptCreated { payment, ids, decision, token, .. } => {
                self.orders += 1;
                if let Some(channel) = &decision.chosen {
                    self.numbers.entry(channel.clone()).or_default().trace = ids.trace;
                }
                if !token.is_empty() {
                    self.tokens.push_back(Token {
                        value: token.clone(),
                        payment: *payment,
                        wall_ms: ids.wall_ms,
                    });
                    if self.tokens.len() > TOKENS {
                        self.tokens.pop_front();
                    }
                }
            }
            Record::Approved { payment, receipt_number, print, .. } => {
                self.receipts = *receipt_number;
                if *print {
                    self.jobs.insert(*receipt_number, Job { payment: *payment, sent: false });
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
        let Some(id) = record.payment() else { return };
        if let Some(payment) = self.open.get_mut(&id) {
            fold(payment, record, wall_ms, seq);
            if payment.state.is_final()
                && let Some(done) = self.open.remove(&id)
            {
                self.recent.push_back(done);
                if self.recent.len() > RECENT {
                    self.recent.pop_front();
                }
            }
        }
    }
}

/// Takes a record into its payment.
fn fold(p: &mut Payment, record: &Record, wall_ms: i64, seq: u64) {
    p.changed_wall_ms = wall_ms;
    p.seq = seq;
    if let Record::AttemptCreated { ids, decision, family, masked, resolve, .. } = record {
        p.state = PaymentState::Tendering;
        p.reason.clear();
        p.attempts.push(Attempt {
            ids: ids.clone(),
            channel: decision.chosen.clone().unwrap_or_default(),
            family: family.clone(),
            masked: masked.clone(),
            state: AttemptState::Created,
            resolve: resolve.clone(),
            recovery: None,
            approval: None,
            decline: None,
            unknown: None,
            queries: 0,
            not_found: 0,
            asked_ms: 0,
            hurried: false,
            undos: 0,
            undos_unsent: 0,
            never_existed: 0,
            waiting: false,
            undo_reason: None,
            money_returned: false,
            sent_seq: 0,
            sent_wall_ms: 0,
        });
        return;
    }
    match record {
        Record::AmountConfirmed { .. } => {
            p.state = PaymentState::Ready;
            return;
        }
        Record::CancelRequested { .. } => {
            p.cancel_requested = true;
            return;
        }
        Record::Cancelled { reason, .. } => {
            p.state = PaymentState::Cancelled;
            p.reason.clone_from(reason);
            if let Some(a) = p.attempts.last_mut().filter(|a| a.state == AttemptState::Created) {
                a.state = AttemptState::NotSent;
            }
            return;
        }
        // Evidence; it changes nothing.
        Record::LateAnswer { .. } => return,
        _ => {}
    }
    let Some(a) = p.attempts.last_mut() else { return };
    match record {
        Record::NotSent { decline, .. } => {
            a.state = AttemptState::NotSent;
            a.decline = Some(decline.clone());
        }
        Record::Sent { recovery, masked, .. } => {
            a.state = AttemptState::Sent;
            a.recovery = Some(recovery.clone());
            a.masked.clone_from(masked);
            a.sent_seq = seq;
            a.sent_wall_ms = wall_ms;
        }
        Record::Approved { approval, receipt_number, print, .. } => {
            a.state = AttemptState::Approved;
            a.approval = Some(approval.clone());
            p.receipt_number = Some(*receipt_number);
            p.receipt_job = print.then_some(*receipt_number);
        }
        Record::Declined { decline, .. } => {
            a.state = AttemptState::Declined;
            a.decline = Some(decline.clone());
        }
        Record::BecameUnknown { reason, undo, .. } => {
            a.unknown = Some(*reason);
            a.undo_reason = *undo;
            a.waiting = false;
            a.state = if undo.is_some() { AttemptState::Reversing } else { AttemptState::Querying };
            if *reason == UnknownReason::Restarted {
                a.hurried = true;
                p.recovered = true;
                p.parked = true;
            }
        }
        Record::QueryStarted { .. } => {
            if !a.hurried {
                a.asked_ms = a.asked_ms.saturating_add(query_pause(a));
            }
            a.hurried = false;
            a.queries = a.queries.saturating_add(1);
            a.waiting = true;
        }
        Record::QueryOpen { outcome, .. } => {
            a.waiting = false;
            match outcome {
                QueryOutcome::NotFound => a.not_found = a.not_found.saturating_add(1),
                QueryOutcome::Unknown(u) if u.reason == UnknownReason::Restarted => {
                    a.hurried = true;
                    p.recovered = true;
                    p.parked = true;
                }
                _ => {}
            }
        }
        Record::UndoDecided { reason, approval, .. } => {
            a.state = AttemptState::Reversing;
            a.waiting = false;
            a.undo_reason = Some(*reason);
            if approval.is_some() {
                a.approval.clone_from(approval);
            }
        }
        Record::UndoStarted { .. } => {
            a.undos = a.undos.saturating_add(1);
            a.waiting = true;
        }
        Record::UndoAnswered { outcome, .. } => {
            a.waiting = false;
            match outcome {
                UndoOutcome::Undone { money_moved, .. } => {
                    a.state = AttemptState::Reversed;
                    a.money_returned = *money_moved;
                }
                UndoOutcome::NeverExisted => {
                    a.never_existed = a.never_existed.saturating_add(1);
                    if never_existed_stands(a, a.never_existed) {
                        a.state = AttemptState::Reversed;
                    }
                }
                UndoOutcome::NotSent(_) => {
                    a.undos_unsent = a.undos_unsent.saturating_add(1);
                    p.parked = true;
                }
                UndoOutcome::Unknown(_) | UndoOutcome::Refused(_) => p.parked = true,
            }
        }
        Record::WentToReview { text, .. } => {
            a.state = AttemptState::Review;
            p.state = PaymentState::Review;
            p.reason.clone_from(text);
        }
        _ => {}
    }
    if a.state.is_final() {
        // The reversal is disarmed only by this (W2); what it needed goes with it.
        a.recovery = None;
        close_attempt(p);
    }
}

/// Pause before the next query, ms: the rule's first, then its regular one. Never so short that it becomes a flood.
pub(crate) fn query_pause(a: &Attempt) -> u64 {
    let Some(rule) = &a.resolve.query else { return 0 };
    u64::from(if a.queries == 0 { rule.first_ms } else { rule.every_ms.max(SHORTEST_PAUSE_MS) })
}

/// Shortest pause between two exchanges of a resolver, ms, whatever a plugin asks for.
pub(crate) const SHORTEST_PAUSE_MS: u32 = 200;

/// "Never existed" ends the attempt: at once where the connection keeps the order of messages (no query rule: the
/// answer 25 to a reversal), at the second time where the request can still be on its way when the undo is answered.
pub(crate) const fn never_existed_stands(a: &Attempt, answers: u32) -> bool {
    a.resolve.query.is_none() || answers >= 2
}

/// A final attempt decides where its payment stands.
fn close_attempt(p: &mut Payment) {
    let Some(a) = p.attempts.last() else { return };
    match a.state {
        AttemptState::Approved => p.state = PaymentState::Paid,
        _ if p.cancel_requested => {
            p.state = PaymentState::Cancelled;
            p.reason = "cancelled".into();
        }
        // The customer has left long ago: nothing waits for another attempt.
        _ if p.parked => {
            p.state = PaymentState::Cancelled;
            p.reason = a.state.as_str().into();
        }
        _ => {
            p.state = PaymentState::Ready;
            p.reason = a
                .decline
                .as_ref()
                .map_or_else(|| a.state.as_str().into(), |d| d.code.chars().take(64).collect());
        }
    }
}

/// The request as the channel gets it, from a created attempt; the shell adds the instrument.
pub fn authorise_request(p: &Payment, a: &Attempt, instrument: till_plugin::Instrument) -> Authorise {
    Authorise {
        ids: a.ids.clone(),
        hold: false,
        amount: p.amount,
        instrument,
        subject: p.subject.clone(),
        operator: p.operator.clone(),
        pin_block: None,
        extra: till_plugin::Extra::new(),
    }
}
