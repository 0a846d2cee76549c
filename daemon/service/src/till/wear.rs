//! What of a device is worn out (S27): counters that have reached what the configuration gives them since they were reset.

use std::collections::{BTreeMap, BTreeSet};

/// A counter that has reached its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Device.
    pub(crate) device: String,
    /// Counter, as the driver names it.
    pub(crate) counter: String,
    /// Where it stands.
    pub(crate) count: u64,
    /// `device.<id>.service-after`.
    pub(crate) limit: u64,
}

impl std::fmt::Display for Due {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { device, counter, count, limit } = self;
        write!(
            f,
            "{device} is due for service: {counter} {count}, of {limit}; then `tillctl device reset-statistics {device}`"
        )
    }
}

/// The limits of one device, and which of them were told.
#[derive(Debug, Default)]
pub(super) struct Wear {
    limits: BTreeMap<String, u64>,
    told: BTreeSet<String>,
}

impl Wear {
    /// With these limits; nothing is told yet.
    pub(super) const fn new(limits: BTreeMap<String, u64>) -> Self {
        Self { limits, told: BTreeSet::new() }
    }

    /// What is due now and was not told before. A counter that was reset is told again when it comes there again.
    pub(super) fn due(&mut self, device: &str, totals: &BTreeMap<String, u64>) -> Vec<Due> {
        let mut all = Vec::new();
        for (counter, &limit) in &self.limits {
            let count = totals.get(counter).copied().unwrap_or(0);
            if count < limit {
                self.told.remove(counter);
            } else if self.told.insert(counter.clone()) {
                all.push(Due { device: device.into(), counter: counter.clone(), count, limit });
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(cuts: u64) -> BTreeMap<String, u64> {
        [("cuts".into(), cuts), ("lines".into(), 7)].into()
    }

    #[test]
    fn s27_a_counter_is_told_once_where_it_is_due_and_again_after_service() {
        let mut wear = Wear::new([("cuts".into(), 10), ("never-counted".into(), 1)].into());
        assert_eq!(wear.due("printer", &totals(9)), []);
        let due = wear.due("printer", &totals(12));
        assert_eq!(due.len(), 1);
        assert_eq!((due[0].counter.as_str(), due[0].count, due[0].limit), ("cuts", 12, 10));
        assert!(due[0].to_string().contains("reset-statistics printer"), "{}", due[0]);
        assert_eq!(wear.due("printer", &totals(500)), [], "once");
        assert_eq!(wear.due("printer", &totals(0)), [], "serviced");
        assert_eq!(wear.due("printer", &totals(10)).len(), 1);
    }
}
