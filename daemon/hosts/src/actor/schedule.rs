//! When a failed instance is started again, and when no more. Pure: time is passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::supervisor::Timing;

/// What follows a failure.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Start again after this long.
    Retry(Duration),
    /// Never by itself.
    Quarantine,
}

/// The failures of one instance.
#[derive(Debug)]
pub(super) struct Schedule {
    first: Duration,
    max: Duration,
    reopen_max: Duration,
    settled: Duration,
    window: Duration,
    limit: usize,
    recent: VecDeque<Instant>,
    in_a_row: u32,
    reopens: u32,
}

impl Schedule {
    pub(super) fn new(timing: &Timing) -> Self {
        Self {
            first: timing.backoff_first,
            max: timing.backoff_max,
            reopen_max: timing.reopen_max,
            settled: timing.settled,
            window: timing.window,
            limit: timing.failures,
            recent: VecDeque::new(),
            in_a_row: 0,
            reopens: 0,
        }
    }

    /// The plugin failed, after having been ready for `ready_for`.
    pub(super) fn failed(&mut self, now: Instant, ready_for: Duration) -> Next {
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|t| now.saturating_duration_since(*t) > self.window) {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.limit {
            return Next::Quarantine;
        }
        Next::Retry(self.pause(ready_for))
    }

    /// The process could not be started: a pause, not held against the plugin.
    pub(super) fn pause(&mut self, ready_for: Duration) -> Duration {
        if ready_for >= self.settled {
            self.in_a_row = 0;
        }
        let pause = doubled(self.first, self.in_a_row, self.max);
        self.in_a_row += 1;
        pause
    }

    /// The device is not there: a pause before it is looked for again.
    pub(super) fn gone(&mut self, was_ready: bool) -> Duration {
        if was_ready {
            self.reopens = 0;
        }
        let pause = doubled(self.first, self.reopens, self.reopen_max);
        self.reopens += 1;
        pause
    }

    /// Somebody asked for a fresh start.
    pub(super) fn forget(&mut self) {
        self.recent.clear();
        self.in_a_row = 0;
        self.reopens = 0;
    }
}

fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule() -> Schedule {
        Schedule::new(&Timing::default())
    }

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn pauses_double_and_the_fifth_failure_in_a_minute_is_quarantine() {
        let (mut s, t) = (schedule(), Instant::now());
        for (n, pause) in [100, 200, 400, 800].into_iter().enumerate() {
            let now = t + Duration::from_secs(n as u64);
            assert_eq!(s.failed(now, Duration::ZERO), Next::Retry(MS(pause)));
        }
        assert_eq!(s.failed(t + Duration::from_secs(59), Duration::ZERO), Next::Quarantine);
    }

    #[test]
    fn failures_far_apart_never_end_in_quarantine() {
        let (mut s, t) = (schedule(), Instant::now());
        for n in 0..100 {
            assert!(
                matches!(s.failed(t + Duration::from_secs(16 * n), Duration::ZERO), Next::Retry(_)),
                "{n}"
            );
        }
    }

    #[test]
    fn a_long_good_run_begins_with_the_short_pause_again() {
        let (mut s, t) = (schedule(), Instant::now());
        s.failed(t, Duration::ZERO);
        s.failed(t + Duration::from_secs(1), Duration::ZERO);
        assert_eq!(s.failed(t + Duration::from_secs(3700), Duration::from_hours(1)), Next::Retry(MS(100)));
    }

    #[test]
    fn an_absent_device_is_looked_for_for_ever_and_never_held_against_the_plugin() {
        let mut s = schedule();
        assert_eq!(s.gone(true), MS(100));
        for _ in 0..1000 {
            s.gone(false);
        }
        assert_eq!(s.gone(false), Timing::default().reopen_max);
        assert_eq!(s.failed(Instant::now(), Duration::ZERO), Next::Retry(MS(100)));
    }

    proptest! {
        #[test]
        fn no_pause_is_outside_its_limits(gaps in proptest::collection::vec(0_u64..120, 0..60)) {
            let (mut s, mut now) = (schedule(), Instant::now());
            for gap in gaps {
                now += Duration::from_secs(gap);
                if let Next::Retry(pause) = s.failed(now, Duration::from_secs(gap)) {
                    prop_assert!(pause >= MS(100) && pause <= Duration::from_secs(30));
                }
            }
        }
    }
}
