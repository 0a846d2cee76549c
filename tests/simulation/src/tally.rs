//! What happened, for the figures, and to see that a world is as bad as it should be.

use std::collections::BTreeMap;

use serde::Serialize;

/// Counts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Payments that were opened.
    pub payments: u64,
    /// Records that became durable.
    pub records: u64,
    /// Each kind of record.
    pub record: BTreeMap<&'static str, u64>,
    /// Each alarm.
    pub alarm: BTreeMap<&'static str, u64>,
    /// How payments ended.
    pub payment: BTreeMap<&'static str, u64>,
    /// Deaths of the process.
    pub died: BTreeMap<&'static str, u64>,
    /// Anything else that should happen now and then.
    pub seen: BTreeMap<&'static str, u64>,
    /// Records of the world that is lived, in the order in which their kinds came.
    #[serde(skip)]
    counting: Vec<(&'static str, u64)>,
}

impl Tally {
    pub(crate) fn see(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    pub(crate) fn see_many(&mut self, what: &'static str, n: u64) {
        *self.seen.entry(what).or_default() += n;
    }

    /// Counts a record of this kind. Names are the program's own, so that nearly always the place in memory tells them
    /// apart; one that stands in two places is two counts until [`Tally::close`].
    pub(crate) fn count_record(&mut self, name: &'static str) {
        match self.counting.iter_mut().find(|(known, _)| std::ptr::eq(*known, name)) {
            Some((_, n)) => *n += 1,
            None => self.counting.push((name, 1)),
        }
    }

    /// Brings what was counted under its name.
    pub(crate) fn close(&mut self) {
        for (name, n) in self.counting.drain(..) {
            *self.record.entry(name).or_default() += n;
        }
    }

    /// Adds another world's.
    pub fn add(&mut self, other: &Self) {
        self.payments += other.payments;
        self.records += other.records;
        let maps = [
            (&mut self.record, &other.record),
            (&mut self.alarm, &other.alarm),
            (&mut self.payment, &other.payment),
            (&mut self.died, &other.died),
            (&mut self.seen, &other.seen),
        ];
        for (ours, theirs) in maps {
            for (what, n) in theirs {
                *ours.entry(*what).or_default() += n;
            }
        }
    }
}
