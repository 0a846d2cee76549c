//! The fold: what a durable record means for everything that the till knows.

use std::collections::btree_map::Entry;

use crate::batch::BatchEvent;
use crate::fold::{self, fold};
use crate::keys::Keys;
use crate::limits::Counters;
use crate::payment::{Attempt, AttemptState, LegKind, Payment, PaymentId};
use crate::pinning::{self, Difference};
use crate::planted::planted;
use crate::record::Record;
use crate::suspension::{By, Suspension};
use crate::training::RECEIPTS;

use super::job::{COPIES, slip_job};
use super::{Job, Numbers, TOKENS, Till, Token, leg_body, use_of};

impl Till {
    /// Takes a durable record in. Total: a record that fits nothing changes nothing but the sequence number.
    pub fn apply(&mut self, seq: u64, wall_ms: i64, record: &Record) {
        self.seq = seq;
        self.apply_numbers(wall_ms, record);
        if let Record::Dispute { payment, number, event, .. } = record {
            self.disputes.apply((seq, wall_ms), *payment, *number, event);
        }
        let Some(id) = record.payment() else { return };
        if record.opens().is_some()
            && let Some(payment) = fold::opened(record, wall_ms, seq)
        {
            self.payments += 1;
            self.keys_of(payment.training).add(&payment.key, id, payment.amount, &payment.subject);
            self.batches.opened(&payment);
            self.open.insert(id, Box::new(payment));
            return;
        }
        let payment = match self.open.entry(id) {
            Entry::Occupied(open) => open.into_mut(),
            // A void, refund or late approval leads out of a finished payment.
            Entry::Vacant(place) => {
                let at = self.recent.iter().rposition(|(of, _)| *of == id);
                let Some((_, payment)) = at.and_then(|at| self.recent.remove(at)) else { return };
                place.insert(payment)
            }
        };
        let before = States::of(payment.attempts.iter().map(|a| a.state));
        fold(payment, record, wall_ms, seq);
        for (at, a) in payment.attempts.iter().enumerate() {
            // Training counts nowhere (I17).
            if before.get(at) != Some(a.state) && (!payment.training || planted!(TrainingCounts)) {
                self.batches.attempt_changed(payment, a, seq);
                count_used(&mut self.used, payment, a);
            }
        }
        let unlike = unlike(payment, record);
        let settled = payment.is_settled();
        if let Record::Approved { .. } = record
            && !payment.training
            && let Some(a) = payment.attempts.iter().rev().find(|a| a.stands())
            && a.kind.is_tender()
            && !a.token.is_empty()
        {
            let token = Token { value: a.token.clone(), payment: id, wall_ms, taken: Some(a.amount) };
            self.note(token);
        }
        if let Some((channel, found)) = unlike {
            let (by, operator) = (By::Pinning, String::new());
            let reason = pinning::line(&found);
            let s = Suspension { by, reason, operator, payment: Some(id), seq, wall_ms };
            self.suspensions.suspend(&channel, s);
        }
        if settled && let Some(done) = self.open.remove(&id) {
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
                let training = self.is_of_training(*payment);
                *self.orders_of(training) += 1;
                if let Some(channel) = &decision.chosen {
                    self.set_numbers(channel, |n| n.trace = ids.trace);
                }
                if !token.is_empty() && !training {
                    self.note(Token {
                        value: token.clone(),
                        payment: *payment,
                        wall_ms: ids.wall_ms,
                        taken: None,
                    });
                }
            }
            Record::LegCreated { payment, ids, channel, kind, of, amount, key, .. } => {
                let training = self.is_of_training(*payment);
                *self.orders_of(training) += 1;
                self.set_numbers(channel, |n| n.trace = ids.trace);
                self.keys_of(training).add(key, *payment, *amount, &leg_body(*kind, *payment, *of));
            }
            Record::Approved { payment, receipt_number, print, .. }
            | Record::ReviewDecided { payment, receipt_number, print, .. }
                if *receipt_number != 0 =>
            {
                match receipt_number.checked_sub(RECEIPTS) {
                    Some(number) => self.training.receipts = number,
                    None => self.receipts = *receipt_number,
                }
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
                    self.set_numbers(channel, |n| n.batch = *batch);
                }
                if let Some((channel, trace)) = follows.trace {
                    self.set_numbers(channel, |n| n.trace = trace);
                    self.orders += 1;
                }
                if follows.new_day && !planted!(CountersNotReset) {
                    self.used.reset();
                }
            }
            Record::TrainingSet { on, .. } => self.training.on = *on,
            Record::Maintenance { id, event, .. } => self.announced.apply(id, event),
            Record::Merchant { channel, event, .. } => self.merchants.apply(channel, *event),
            Record::ChannelSuspended { channel, reason, operator } => {
                let (reason, operator) = (reason.clone(), operator.clone());
                let (by, payment, seq) = (By::Person, None, self.seq);
                self.suspensions.suspend(channel, Suspension { by, reason, operator, payment, seq, wall_ms });
            }
            Record::ChannelResumed { channel, reason, operator } => {
                self.suspensions.resume(channel, reason, operator, (self.seq, wall_ms));
            }
            Record::ChannelSelected { channel, .. } => self.current.clone_from(channel),
            Record::TraceTaken { channel, trace } => {
                self.set_numbers(channel, |n| n.trace = *trace);
            }
            Record::SignedIn { channel, batch: Some(batch) } if !planted!(SignInIgnored) => {
                self.set_numbers(channel, |n| n.batch = *batch);
            }
            Record::JobSent { job, .. } => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.sent = true;
                }
            }
            Record::JobEnded { how, .. } if planted!(CancelledPrinted) && how == "cancelled" => {}
            Record::JobEnded { job, .. } => {
                self.jobs.remove(job);
            }
            _ => {}
        }
    }

    fn set_numbers(&mut self, channel: &str, set: impl FnOnce(&mut Numbers)) {
        match self.numbers.get_mut(channel) {
            Some(known) => set(known),
            None => set(self.numbers.entry(channel.to_owned()).or_default()),
        }
    }

    /// The payment of a record is a training one.
    fn is_of_training(&self, id: PaymentId) -> bool {
        self.payment(id).is_some_and(|p| p.training)
    }

    const fn keys_of(&mut self, training: bool) -> &mut Keys {
        if training { &mut self.training.keys } else { &mut self.keys }
    }

    const fn orders_of(&mut self, training: bool) -> &mut u64 {
        if training { &mut self.training.orders } else { &mut self.orders }
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
    pub(crate) fn forget_disputes(&mut self) {
        self.disputes = crate::dispute::Disputes::default();
    }

    /// The same.
    #[cfg(feature = "planted")]
    pub(crate) fn forget_suspensions(&mut self) {
        self.suspensions = crate::suspension::Suspensions::default();
    }

    /// The same.
    #[cfg(feature = "planted")]
    pub(crate) fn forget_announcements(&mut self) {
        self.announced = crate::announce::Announced::default();
    }

    /// The same.
    #[cfg(feature = "planted")]
    pub(crate) fn forget_notices(&mut self) {
        self.notices.clear();
    }

    /// The same.
    #[cfg(feature = "planted")]
    pub(crate) fn forget(&mut self, keys: bool, traces: bool, batches: bool) {
        if keys {
            self.keys = Keys::default();
        }
        if traces {
            self.numbers.clear();
        }
        if batches {
            self.batches = crate::batch::Batches::default();
        }
    }
}

/// The channel whose approval is not what was agreed, and how: it is suspended by the very record of it (S15).
fn unlike(p: &Payment, record: &Record) -> Option<(String, Vec<Difference>)> {
    let (record, of) = match record {
        Record::On { attempt, event } => (&**event, Some(*attempt)),
        Record::Reopened { attempt, .. } => (record, Some(*attempt)),
        _ => (record, None),
    };
    let (Record::Approved { approval, .. }
    | Record::Reopened { approval, .. }
    | Record::UndoDecided { approval: Some(approval), .. }) = record
    else {
        return None;
    };
    let found = pinning::differences(&approval.extra);
    if found.is_empty() || p.training {
        return None;
    }
    let same = |a: &&Attempt| match of {
        Some(number) => a.ids.attempt == number,
        None => a.approval.as_ref() == Some(approval),
    };
    Some((p.attempts.iter().rev().find(same)?.channel.clone(), found))
}

/// Where the attempts of a payment stood before a record. Few payments have more than eight: those need no memory of
/// their own at each record.
struct States {
    first: [Option<AttemptState>; 8],
    others: Vec<AttemptState>,
}

impl States {
    fn of(mut states: impl Iterator<Item = AttemptState>) -> Self {
        let mut first = [None; 8];
        first.iter_mut().zip(&mut states).for_each(|(place, state)| *place = Some(state));
        Self { first, others: states.collect() }
    }

    fn get(&self, at: usize) -> Option<AttemptState> {
        match self.first.get(at) {
            Some(state) => *state,
            None => self.others.get(at - self.first.len()).copied(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attempt_of_a_payment_stands_where_it_stood_however_many_there_are() {
        for n in [0, 1, 7, 8, 9, 20] {
            let all = [AttemptState::Sent, AttemptState::Declined, AttemptState::Review];
            let states: Vec<AttemptState> = all.into_iter().cycle().take(n).collect();
            let before = States::of(states.iter().copied());
            for (at, state) in states.iter().enumerate() {
                assert_eq!(before.get(at), Some(*state), "attempt {at} of {n}");
            }
            assert_eq!(before.get(n), None, "one more than {n}");
        }
    }
}
