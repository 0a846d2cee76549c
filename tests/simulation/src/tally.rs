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
}

impl Tally {
    pub(crate) fn see(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    pub(crate) fn see_many(&mut self, what: &'static str, n: u64) {
        *self.seen.entry(what).or_default() += n;
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
