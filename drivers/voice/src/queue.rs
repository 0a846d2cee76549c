//! What is said next. Bounded; the same thing is never said twice; what nobody wants to hear any more is dropped. Time is a
//! number.

use std::collections::VecDeque;

/// Milliseconds of the boot clock.
pub type Millis = u64;

/// Most sentences that wait.
pub const WAITING: usize = 8;
/// Keys that are remembered, so that nothing is said twice.
pub const REMEMBERED: usize = 32;

/// A sentence that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its key; empty: it has none.
    pub key: String,
    /// Language tag.
    pub language: String,
    /// Words.
    pub text: String,
    /// Goes first.
    pub urgent: bool,
    /// Not worth saying after this.
    pub until: Option<Millis>,
}

/// What became of a sentence that was handed in.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It waits; an urgent one should end what is being said.
    Waits {
        /// Cut off what is being said.
        now: bool,
    },
    /// It was said, or waits, already.
    Known,
}

/// Sentences that wait, oldest first, urgent ones before the others.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Waiting>,
    known: VecDeque<String>,
    dropped: u64,
}

impl Queue {
    /// With the keys of an earlier run.
    pub fn new(known: impl IntoIterator<Item = String>) -> Self {
        let mut queue = Self::default();
        known.into_iter().for_each(|key| queue.remember(key));
        queue
    }

    /// Keys that are not said again, oldest first.
    pub fn known(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(String::as_str)
    }

    /// Sentences dropped unsaid: stale, or pushed out by newer ones.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Sentences that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes a sentence in. An urgent one goes before all that are not; when the queue is full the oldest that is not
    /// urgent is given up, because the newest is what the customer stands before.
    pub fn push(&mut self, sentence: Waiting) -> Taken {
        if !sentence.key.is_empty() {
            if self.known.contains(&sentence.key) {
                return Taken::Known;
            }
            self.remember(sentence.key.clone());
        }
        if self.waiting.len() >= WAITING {
            let victim = self.waiting.iter().position(|w| !w.urgent).unwrap_or(0);
            self.waiting.remove(victim);
            self.dropped += 1;
        }
        let now = sentence.urgent;
        let place =
            if now { self.waiting.iter().take_while(|w| w.urgent).count() } else { self.waiting.len() };
        self.waiting.insert(place, sentence);
        Taken::Waits { now }
    }

    /// The next sentence that is still worth saying.
    pub fn pop(&mut self, now: Millis) -> Option<Waiting> {
        while let Some(next) = self.waiting.pop_front() {
            if next.until.is_none_or(|until| now <= until) {
                return Some(next);
            }
            self.dropped += 1;
        }
        None
    }

    fn remember(&mut self, key: String) {
        if self.known.len() >= REMEMBERED {
            self.known.pop_front();
        }
        self.known.push_back(key);
    }
}
