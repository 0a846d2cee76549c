//! The clock's rule against a second, plain reckoning of it: any clock, any power cut, any place (S65, I13).

#![allow(clippy::expect_used)] // an oracle of a test

use std::collections::HashSet;

use proptest::prelude::*;
use till_core::batch::clock::{AutoClosed, Due, Now, due};
use till_core::batch::{BusinessDate, CloseAt};

/// A till's end of day, told naively: days are counted one by one, dates closed are never forgotten.
#[derive(Default)]
struct Oracle {
    open: Option<i64>,
    closed: HashSet<i64>,
    closes: u32,
}

/// The business day of a local time: that of the closing time which comes next.
fn naive_day(wall_ms: i64, offset: i32, close_minute: i64) -> i64 {
    let local_minute = (wall_ms + i64::from(offset) * 60_000).div_euclid(60_000);
    let (day, minute) = (local_minute.div_euclid(1440), local_minute.rem_euclid(1440));
    match (close_minute < 720, minute < close_minute) {
        (true, true) => day - 1, // before a close in the night: still yesterday's
        (true, false) | (false, true) => day,
        (false, false) => day + 1, // after a close in the evening: tomorrow's
    }
}

impl Oracle {
    fn tick(&mut self, now: Now, close_minute: i64) {
        let today = naive_day(now.wall_ms, now.utc_offset_min, close_minute);
        let years = (20_089, 84_005); // 2025-01-01 and 2199-12-31
        if !now.trusted || today < years.0 || today > years.1 {
            return;
        }
        let mut free = today;
        while self.closed.contains(&free) {
            free += 1;
        }
        match self.open {
            None => self.open = Some(free),
            Some(open) if free < open => self.open = Some(free),
            Some(open) if open < today => {
                assert!(self.closed.insert(open), "the oracle closed a day twice");
                self.closes += 1;
                self.open = Some(free);
            }
            Some(_) => {}
        }
    }
}

/// The rule as the till uses it; a restart reads the same state back.
#[derive(Default)]
struct Rule {
    open: Option<BusinessDate>,
    closed: AutoClosed,
    log: Vec<BusinessDate>,
}

impl Rule {
    fn tick(&mut self, now: Now, at: CloseAt) {
        match due(self.open, &self.closed, now, Some(at)) {
            Due::Nothing => {}
            Due::Date(date) => self.open = Some(date),
            Due::Close { next } => {
                let open = self.open.expect("only an open date is closed");
                self.log.push(open);
                self.closed.add(open);
                self.open = Some(next);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Runs(i64),
    Off(i64),
    Jumps(i64),
    Moves(i32),
    Trust(bool),
}

const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1_i64..2_000).prop_map(|m| Event::Runs(m * MINUTE)),
        2 => (1_i64..10).prop_map(|d| Event::Off(d * DAY + 7 * MINUTE)),
        2 => (-3_700_i64..3_700).prop_map(|d| Event::Jumps(d * DAY)),
        1 => any::<i64>().prop_map(Event::Jumps),
        1 => (-12_i32..=14).prop_map(|h| Event::Moves(h * 60)),
        1 => any::<bool>().prop_map(Event::Trust),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_rule_is_the_oracles_and_closes_no_day_twice(
        close in 0_u16..1_440,
        events in proptest::collection::vec(event(), 1..120),
    ) {
        let at = CloseAt::new(close).expect("a time of day");
        let (mut rule, mut oracle) = (Rule::default(), Oracle::default());
        let mut now = Now { wall_ms: 1_777_000_000_000, trusted: true, utc_offset_min: 480 };
        for e in events {
            match e {
                Event::Runs(ms) | Event::Off(ms) | Event::Jumps(ms) => {
                    now.wall_ms = now.wall_ms.saturating_add(ms).clamp(-(1 << 52), 1 << 52);
                }
                Event::Moves(offset) => now.utc_offset_min = offset,
                Event::Trust(trusted) => now.trusted = trusted,
            }
            rule.tick(now, at);
            oracle.tick(now, i64::from(close));
            prop_assert_eq!(rule.open.map(|d| i64::from(d.day())), oracle.open);
            prop_assert_eq!(rule.log.len(), oracle.closes as usize);
        }
        let distinct: HashSet<BusinessDate> = rule.log.iter().copied().collect();
        prop_assert_eq!(distinct.len(), rule.log.len(), "a day was closed twice");
        prop_assert!(rule.open.is_none_or(|d| !rule.closed.contains(d)), "a closed day is open again");
    }

    /// With a good clock every business day that is sold on is closed once, whatever hour the till runs at.
    #[test]
    fn with_a_good_clock_every_day_is_closed_once(
        close in 0_u16..1_440,
        steps in proptest::collection::vec(1_i64..700, 10..400),
    ) {
        let at = CloseAt::new(close).expect("a time of day");
        let mut rule = Rule::default();
        let mut now = Now { wall_ms: 1_777_000_000_000, trusted: true, utc_offset_min: 480 };
        let mut sold_on = Vec::new();
        for minutes in steps {
            rule.tick(now, at);
            let day = rule.open.expect("a date");
            prop_assert_eq!(i64::from(day.day()), naive_day(now.wall_ms, 480, i64::from(close)));
            if sold_on.last() != Some(&day) {
                sold_on.push(day);
            }
            now.wall_ms += minutes * MINUTE;
        }
        sold_on.pop(); // still open
        prop_assert_eq!(rule.log, sold_on);
    }

    /// A clock that was wrong for a while costs no day its close and closes none twice once it is right again.
    #[test]
    fn a_clock_that_was_wrong_harms_no_later_day(
        wrong in -4_000_i64..4_000, after in 0_i64..2_000, days in 2_i64..10,
    ) {
        let at = CloseAt::new(23 * 60 + 30).expect("a time of day");
        let mut rule = Rule::default();
        let start = 1_777_000_000_000;
        let clock = |wall_ms| Now { wall_ms, trusted: true, utc_offset_min: 480 };
        rule.tick(clock(start), at);
        rule.tick(clock(start + after * MINUTE), at);
        rule.tick(clock(start + after * MINUTE + wrong * DAY), at);
        let mut t = start + after * MINUTE + MINUTE;
        while t < start + after * MINUTE + days * DAY {
            rule.tick(clock(t), at);
            t += 11 * MINUTE;
        }
        let first = naive_day(start, 480, 1410);
        let last = naive_day(t - 11 * MINUTE, 480, 1410);
        for day in first..last {
            let closes = rule.log.iter().filter(|d| i64::from(d.day()) == day).count();
            prop_assert_eq!(closes, 1, "day {} of {}..{}: {:?}", day, first, last, rule.log);
        }
    }
}
