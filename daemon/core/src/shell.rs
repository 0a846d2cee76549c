//! Journal first, as a type: what the daemon's actor and the simulation both run.
//!
//! A [`Shell`] owns the [`Till`]. An input is decided into a [`Next`]: either nothing is to be written and its effects
//! may run, or a [`Pending`] record must become durable first. A `Pending` shows what to write and nothing else; only
//! [`Shell::durable`], given the [`Durable`] place that the journal answered with, folds the record in and hands the
//! effects out (W1, W5). What was not written is dropped, and nothing has happened.
//!
//! The record is folded in with the stamp that the journal gave it, as every replay will fold it (I7).

use std::fmt;

use till_plugin::channel::{Decline, DeclineClass};

use crate::effect::Effect;
use crate::input::{Context, Input};
use crate::machine::{self, Step};
use crate::payment::{Payment, PaymentId};
use crate::planted::planted;
use crate::record::{Record, RecordError};
use crate::refusal::Refusal;
use crate::till::Till;

/// Where and when a record became durable, as the journal answered.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    seq: u64,
    wall_ms: i64,
}

impl Durable {
    /// `seq`: the record's number in the journal; `wall_ms`: the wall clock stamped on it, Unix ms.
    pub const fn new(seq: u64, wall_ms: i64) -> Self {
        Self { seq, wall_ms }
    }
}

/// What an input leads to.
#[derive(Debug)]
#[must_use = "a record that is not written has not happened"]
pub enum Next {
    /// Nothing is to be written: these may run.
    Act(Vec<Effect>),
    /// This must become durable first.
    Write(Pending),
}

impl Next {
    /// The record that is to be written, if any.
    pub const fn record(&self) -> Option<&Record> {
        match self {
            Self::Act(_) => None,
            Self::Write(pending) => Some(&pending.record),
        }
    }
}

/// A decided step whose record is not on disk yet. Its effects cannot be had.
#[must_use = "a record that is not written has not happened"]
pub struct Pending {
    record: Box<Record>,
    payload: Vec<u8>,
    effects: Vec<Effect>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes say nothing that the record does not.
        f.debug_struct("Pending")
            .field("record", &self.record)
            .field("effects", &self.effects)
            .finish_non_exhaustive()
    }
}

impl Pending {
    /// What is to be written.
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Its bytes for the journal.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Effects that run before the record is on disk: none, but for a planted fault.
    #[cfg(feature = "planted")]
    pub fn before_durable(&mut self) -> Vec<Effect> {
        let early = |effect: &Effect| match effect {
            Effect::Authorise { .. } => planted!(SendBeforeFlush),
            Effect::Print { .. } | Effect::PrintSlip { .. } => planted!(PrintBeforeFlush),
            Effect::OpenDrawer { .. } => planted!(DrawerBeforeFlush),
            Effect::Shred { .. } => planted!(ShredBeforeClose),
            _ => false,
        };
        self.effects.extract_if(.., |e| early(e)).collect()
    }

    /// The bytes, moved out for the journal's frame.
    pub fn take_payload(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.payload)
    }

    /// The subject of its frame: the payment, or zeros.
    pub fn subject(&self) -> [u8; 16] {
        self.record.payment().map_or([0; 16], |p| p.0)
    }
}

/// Why an input came to nothing. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// The machine refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its record cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The till, and the only way to change it.
#[derive(Debug, Default)]
pub struct Shell {
    till: Till,
}

impl Shell {
    /// Around a till that was replayed; [`Till::new`] for an empty journal.
    pub const fn new(till: Till) -> Self {
        Self { till }
    }

    /// What is known.
    pub const fn till(&self) -> &Till {
        &self.till
    }

    /// Gives the till back.
    pub fn into_till(self) -> Till {
        self.till
    }

    /// Takes a frame of the journal in while it is replayed from its beginning.
    pub fn replay(&mut self, at: Durable, payload: &[u8]) -> Result<(), RecordError> {
        self.till.apply(at.seq, at.wall_ms, &Record::decode(payload)?);
        Ok(())
    }

    /// The same; a finished payment that the record is about and that has left memory is asked for, as it was before
    /// this record.
    pub fn replay_with(
        &mut self,
        at: Durable,
        payload: &[u8],
        recall: impl FnOnce(PaymentId) -> Option<Payment>,
    ) -> Result<(), RecordError> {
        let record = Record::decode(payload)?;
        if let Some(payment) = self.till.lacks(&record).and_then(recall) {
            self.till.adopt(payment);
        }
        self.till.apply(at.seq, at.wall_ms, &record);
        #[cfg(feature = "planted")]
        self.till.forget(planted!(KeysForgotten), planted!(TracesForgotten), planted!(BatchesForgotten));
        #[cfg(feature = "planted")]
        if planted!(DisputesForgotten) {
            self.till.forget_disputes();
        }
        #[cfg(feature = "planted")]
        if planted!(SuspensionForgotten) {
            self.till.forget_suspensions();
        }
        #[cfg(feature = "planted")]
        if planted!(AnnouncementsForgotten) {
            self.till.forget_announcements();
        }
        #[cfg(feature = "planted")]
        if planted!(NoticesForgotten) {
            self.till.forget_notices();
        }
        Ok(())
    }

    /// A finished payment that has left memory comes back, folded from the journal: an input is about it.
    pub fn adopt(&mut self, payment: Payment) {
        self.till.adopt(payment);
    }

    /// What a restart must do, before anything else, one after the other.
    pub fn recover(&self) -> Result<Vec<Next>, RecordError> {
        machine::recover(&self.till).into_iter().map(next).collect()
    }

    /// Decides an input. Nothing changes yet.
    pub fn decide(&self, input: &Input, ctx: &Context) -> Result<Next, NotDone> {
        Ok(next(machine::decide(&self.till, input, ctx)?)?)
    }

    /// What to decide instead of an input whose record found no room. A request that was only prepared is then surely
    /// unsent, and to say so does find room: what finishes an attempt may use the last of the disk. None: nothing can
    /// be done but to tell whoever asked, and where nobody asked (an answer of a channel must not be forgotten) to end
    /// and resolve it after a restart from what is on disk.
    pub fn unwritten(input: &Input, why: &str) -> Option<Input> {
        let Input::Prepared { payment, attempt, result: Ok(_) } = input else { return None };
        let mut decline = Decline::local(DeclineClass::Device, "journal", format!("not sent: {why}"));
        decline.text_zh = "未发送：流水日志无法写入".into();
        Some(Input::Prepared { payment: *payment, attempt: *attempt, result: Err(decline) })
    }

    /// The record is on disk: folds it in and hands out what may be done now.
    pub fn durable(&mut self, pending: Pending, at: Durable) -> Vec<Effect> {
        let wall_ms = if planted!(OwnClock) { at.wall_ms + 1 } else { at.wall_ms };
        self.till.apply(at.seq, wall_ms, &pending.record);
        pending.effects
    }
}

fn next(step: Step) -> Result<Next, RecordError> {
    Ok(match step.record {
        None => Next::Act(step.effects),
        Some(record) => {
            let payload = record.encode()?;
            Next::Write(Pending { record: Box::new(record), payload, effects: step.effects })
        }
    })
}

#[cfg(test)]
mod tests {
    use till_plugin::{Currency, Money};

    use super::*;

    const ID: PaymentId = PaymentId([7; 16]);

    fn select(channel: Option<&str>) -> Input {
        Input::Select { channel: channel.map(Into::into), operator: None }
    }

    fn ctx() -> Context {
        Context {
            wall_ms: 5,
            clock_trusted: true,
            routes: Vec::new(),
            terminal: "T1".into(),
            config: "1".into(),
            printer: None,
            reuse_window_ms: 0,
            duplicate_window_ms: 0,
            undo_after_ms: None,
            hold_valid_ms: 0,
            job_valid_ms: 7 * 86_400_000,
            rules: crate::batch::Rules::default(),
        }
    }

    #[test]
    fn nothing_happens_before_the_record_is_durable_and_then_with_the_journals_stamp() {
        let mut shell = Shell::default();
        let record = Record::Opened {
            payment: ID,
            key: String::new(),
            amount: Money::new(100, Currency::CNY),
            subject: String::new(),
            operator: None,
        };
        let step = Step { record: Some(record), effects: vec![Effect::PaymentChanged(ID)] };
        let before = shell.till().clone();
        let Ok(Next::Write(pending)) = next(step) else { panic!("a record is to be written") };
        assert_eq!(*shell.till(), before, "deciding changes nothing");
        let (payload, subject) = (pending.payload().to_vec(), pending.subject());
        let effects = shell.durable(pending, Durable::new(9, 1_234));
        assert_eq!(effects, [Effect::PaymentChanged(ID)]);
        assert_eq!(subject, ID.0);
        let p = shell.till().payment(ID).expect("folded in");
        assert_eq!((p.seq, p.opened_wall_ms), (9, 1_234), "the journal's number and time, not the shell's");

        let mut again = Shell::default();
        again.replay(Durable::new(9, 1_234), &payload).expect("readable");
        assert_eq!(again.till(), shell.till(), "I7: a replay gives the live state");
    }

    #[test]
    fn a_refusal_changes_nothing_and_a_repeat_writes_nothing() {
        let shell = Shell::default();
        assert!(matches!(shell.decide(&select(Some("nowhere")), &ctx()), Err(NotDone::Refused(_))));
        assert!(matches!(shell.decide(&select(None), &ctx()), Ok(Next::Act(effects)) if effects.is_empty()));
    }
}
