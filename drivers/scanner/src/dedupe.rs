//! The same code twice in a moment is one scan: a phone held before a presentation scanner is read again and again.
//!
//! This is about the reader only. That a payment code is not used twice within a minute is the daemon's rule.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// Remembers the last code by a keyed hash: the code itself is a bearer credential and is not kept for this.
pub struct Dedupe {
    window: Duration,
    hasher: RandomState,
    last: Option<(u64, Duration)>,
}

impl Dedupe {
    /// `window`: how long after its last sighting a code counts as the same scan. Zero switches it off.
    pub fn new(window: Duration) -> Self {
        Self { window, hasher: RandomState::new(), last: None }
    }

    /// Whether this code, seen at `at`, is a new scan. Every sighting counts, also of codes that are then not reported.
    pub fn is_new(&mut self, code: &[u8], at: Duration) -> bool {
        let hash = self.hasher.hash_one(code);
        let again =
            self.last.is_some_and(|(last, seen)| last == hash && at.saturating_sub(seen) < self.window);
        self.last = Some((hash, at));
        !again
    }
}
