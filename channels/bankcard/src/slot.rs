//! One reversal at a time, before anything else (channels.md §1.6).
//!
//! The daemon keeps this order; here is the second lock. It opens when the reversal is settled or given up, and by itself
//! when nobody has worked at it for a while: then the daemon has handed it to a person, and a till must not stand still.

/// How long a reversal nobody works at keeps the slot. Tries are at most a minute apart.
const LIFE_MS: u64 = 600_000;

/// The slot. Time is the boot clock in milliseconds, given from outside.
#[derive(Debug, Default)]
pub struct Slot(Option<Taken>);

#[derive(Debug)]
struct Taken {
    batch: u32,
    trace: u32,
    until_ms: u64,
}

impl Slot {
    /// A request whose outcome is unknown takes it.
    pub fn take(&mut self, batch: u32, trace: u32, now_ms: u64) {
        self.0 = Some(Taken { batch, trace, until_ms: now_ms.saturating_add(LIFE_MS) });
    }

    /// Whether something must be reversed before anything else goes out.
    pub fn is_taken(&mut self, now_ms: u64) -> bool {
        self.0.take_if(|taken| now_ms >= taken.until_ms);
        self.0.is_some()
    }

    /// A try to reverse this request has ended; `settled`: it was the last.
    pub fn tried(&mut self, batch: u32, trace: u32, settled: bool, now_ms: u64) {
        if self.0.as_ref().is_some_and(|taken| (taken.batch, taken.trace) == (batch, trace)) {
            self.0 = None;
            if !settled {
                self.take(batch, trace, now_ms);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_until_its_own_reversal_is_settled() {
        let mut slot = Slot::default();
        assert!(!slot.is_taken(0));
        slot.take(12, 2, 0);
        slot.tried(12, 3, true, 1);
        slot.tried(13, 2, true, 1);
        slot.tried(12, 2, false, 1);
        assert!(slot.is_taken(1));
        slot.tried(12, 2, true, 2);
        assert!(!slot.is_taken(2));
    }

    #[test]
    fn a_reversal_nobody_works_at_does_not_stop_the_till_for_ever() {
        let mut slot = Slot::default();
        slot.take(12, 2, 0);
        assert!(slot.is_taken(LIFE_MS - 1));
        slot.tried(12, 2, false, LIFE_MS - 1);
        assert!(slot.is_taken(LIFE_MS), "it is worked at");
        assert!(!slot.is_taken(2 * LIFE_MS - 1));
    }
}
