//! Asking for status: one `DLE EOT n` at a time, so that an answer is never taken for another question's.

use crate::command;
use crate::job::Millis;

/// How a round of questions ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// Every question was answered.
    Answered,
    /// Some were, then one was not.
    Partial,
    /// The first one was not.
    Silent,
}

/// Asks the questions that a printer is known to answer, in turn.
#[derive(Debug)]
pub(crate) struct Poller {
    questions: Vec<u8>,
    /// Misses of a question that has never been answered; `None` once it has.
    missed: [Option<u8>; 5],
    at: Option<usize>,
    outstanding: Option<Millis>,
    begun: u64,
    began: Millis,
    last: Option<Last>,
}

/// A round that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Last {
    pub(crate) round: Round,
    /// Its number; the first is 1.
    pub(crate) number: u64,
    pub(crate) began: Millis,
    pub(crate) ended: Millis,
}

/// A question that fails as often, and never was answered, is not asked again.
const GIVE_UP: u8 = 2;

impl Poller {
    pub(crate) fn new(questions: &[u8]) -> Self {
        let questions = questions.to_vec();
        Self { questions, missed: [Some(0); 5], at: None, outstanding: None, begun: 0, began: 0, last: None }
    }

    /// Whether a round is going on.
    pub(crate) fn busy(&self) -> bool {
        self.at.is_some()
    }

    /// Whether the printer ever answered.
    pub(crate) fn ever_answered(&self) -> bool {
        self.missed.contains(&None)
    }

    /// Number of the latest round that was begun.
    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    /// The last round that ended.
    pub(crate) fn last(&self) -> Option<Last> {
        self.last
    }

    /// Begins a round; gives the first question.
    pub(crate) fn start(&mut self, now: Millis) -> Option<[u8; 3]> {
        (self.at, self.outstanding, self.began) = (Some(0), None, now);
        self.begun += 1;
        self.next(now)
    }

    fn next(&mut self, now: Millis) -> Option<[u8; 3]> {
        while let Some(at) = self.at {
            let Some(&n) = self.questions.get(at) else {
                self.end(Round::Answered, now);
                break;
            };
            let dead = at > 0 && self.missed[usize::from(n)].is_some_and(|times| times >= GIVE_UP);
            if !dead {
                return Some(command::real_time_status(n));
            }
            self.at = Some(at + 1);
        }
        None
    }

    fn end(&mut self, round: Round, now: Millis) {
        (self.at, self.outstanding) = (None, None);
        self.last = Some(Last { round, number: self.begun, began: self.began, ended: now });
    }

    /// The question has left: its time runs from now.
    pub(crate) fn written(&mut self, now: Millis) {
        if self.at.is_some() && self.outstanding.is_none() {
            self.outstanding = Some(now);
        }
    }

    /// An answer came: to which question, if any was out, and the next question.
    pub(crate) fn reply(&mut self, now: Millis) -> Option<(u8, Option<[u8; 3]>)> {
        let (at, _) = (self.at?, self.outstanding?);
        let n = *self.questions.get(at)?;
        self.missed[usize::from(n)] = None;
        (self.at, self.outstanding) = (Some(at + 1), None);
        let next = self.next(now);
        Some((n, next))
    }

    /// Ends the round where an answer is overdue: a late one must not be taken for the answer to the next question.
    pub(crate) fn tick(&mut self, now: Millis, reply_ms: Millis) {
        let (Some(at), Some(asked)) = (self.at, self.outstanding) else { return };
        if now < asked + reply_ms {
            return;
        }
        if let Some(times) = self.questions.get(at).and_then(|n| self.missed[usize::from(*n)].as_mut()) {
            *times = times.saturating_add(1);
        }
        self.end(if at == 0 { Round::Silent } else { Round::Partial }, now);
    }
}
