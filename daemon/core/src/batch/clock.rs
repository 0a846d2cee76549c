//! When a business day ends by itself.
//!
//! The rule rests on dates, not on times: the wall clock says which business day it is now, the open batch says which
//! one is open, and a list says which were closed by the clock already. A date that is on the list never becomes the
//! date of an open batch again, so no clock, however wild, closes a day twice; and a batch whose date is in the past is
//! closed once, however many days the power was off.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::date::{BusinessDate, local_ms};

/// Dates closed by the clock that are remembered.
pub const REMEMBERED: usize = 512;

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 1_440;

/// A clock outside these years is not believed, whoever vouches for it: this program is younger than the first, and
/// nobody sells on the last.
const EARLIEST: BusinessDate = BusinessDate::from_day(20_089); // 2025-01-01
const LATEST: BusinessDate = BusinessDate::from_day(84_005); // 2199-12-31

/// Local time at which a business day ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseAt(u16);

impl CloseAt {
    /// Minutes after local midnight, 0–1439. Before noon it ends the business day of the calendar day before (a bar
    /// that closes at 02:00); from noon on, that of the same day (a shop that closes at 23:30).
    pub const fn new(minute: u16) -> Option<Self> {
        if minute < 1_440 { Some(Self(minute)) } else { None }
    }

    /// Minutes after local midnight.
    pub const fn minute(self) -> u16 {
        self.0
    }
}

/// The wall clock as it is now.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// Unix ms.
    pub wall_ms: i64,
    /// Whether it is trusted.
    pub trusted: bool,
    /// Minutes east of UTC.
    pub utc_offset_min: i32,
}

impl Now {
    /// The calendar day at the place.
    pub(crate) const fn today(self) -> BusinessDate {
        BusinessDate::at(self.wall_ms, self.utc_offset_min)
    }

    /// Minutes after local midnight.
    pub(crate) const fn minute(self) -> i64 {
        local_ms(self.wall_ms, self.utc_offset_min).div_euclid(MINUTE_MS).rem_euclid(DAY_MINUTES)
    }

    /// The business day that it is now; None while the clock is not to be believed. Without a closing time a business
    /// day is the calendar day.
    pub fn business_date(self, close_at: Option<CloseAt>) -> Option<BusinessDate> {
        let cut = i64::from(close_at.map_or(0, CloseAt::minute));
        let minutes = local_ms(self.wall_ms, self.utc_offset_min).div_euclid(MINUTE_MS);
        let day = minutes.saturating_sub(cut).div_euclid(DAY_MINUTES);
        let date = BusinessDate::from_day(day + i64::from(cut >= DAY_MINUTES / 2));
        (self.trusted && date >= EARLIEST && date <= LATEST).then_some(date)
    }
}

/// The newest dates that the clock closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoClosed(VecDeque<BusinessDate>);

impl AutoClosed {
    /// A date was closed by the clock.
    pub fn add(&mut self, date: BusinessDate) {
        if self.contains(date) {
            return;
        }
        self.0.push_back(date);
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }

    /// Whether it was.
    pub fn contains(&self, date: BusinessDate) -> bool {
        self.0.contains(&date)
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The date that a batch gets which opens on `date`: that one, or the first after it that no clock has closed.
    pub fn free_from(&self, date: BusinessDate) -> BusinessDate {
        let mut free = date;
        while self.contains(free) && free < BusinessDate::LAST {
            free = free.plus(1);
        }
        free
    }
}

/// What the clock asks for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// The open batch gets this date: it had none, or its date ran ahead with a clock that was wrong.
    Date(BusinessDate),
    /// The open batch's day is over: close it; the next batch gets this date.
    Close {
        /// Date of the next batch.
        next: BusinessDate,
    },
}

/// What the clock asks for now, with a batch of that date open.
pub fn due(open: Option<BusinessDate>, closed: &AutoClosed, now: Now, close_at: Option<CloseAt>) -> Due {
    let Some(today) = now.business_date(close_at) else { return Due::Nothing };
    let free = closed.free_from(today);
    match open {
        None => Due::Date(free),
        // Not `today`: a day that the clock has closed already stays closed, its late sales belong to the next one.
        Some(open) if open > free => Due::Date(free),
        Some(open) if open < today && close_at.is_some() => Due::Close { next: free },
        Some(_) => Due::Nothing,
    }
}

/// Date of the batch that follows one closed by hand: today's while the clock is believed, else the same as before.
pub fn after_manual_close(
    open: Option<BusinessDate>,
    closed: &AutoClosed,
    now: Now,
    close_at: Option<CloseAt>,
) -> Option<BusinessDate> {
    now.business_date(close_at).map(|today| closed.free_from(today)).or(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> BusinessDate {
        text.parse().unwrap()
    }

    /// A trusted clock in China.
    fn at(day: &str, hour: i64, minute: i64) -> Now {
        let wall_ms = (i64::from(date(day).day()) * 1_440 + hour * 60 + minute - 480) * 60_000;
        Now { wall_ms, trusted: true, utc_offset_min: 480 }
    }

    const EVENING: Option<CloseAt> = CloseAt::new(23 * 60 + 30);
    const NIGHT: Option<CloseAt> = CloseAt::new(2 * 60);

    #[test]
    fn the_limits_are_the_dates_they_say() {
        assert_eq!((EARLIEST, LATEST), (date("2025-01-01"), date("2199-12-31")));
        assert_eq!(CloseAt::new(1_440), None);
    }

    #[test]
    fn a_business_day_ends_at_its_closing_time() {
        for (close_at, now, day) in [
            (EVENING, at("2026-05-01", 23, 29), "2026-05-01"),
            (EVENING, at("2026-05-01", 23, 30), "2026-05-02"),
            (EVENING, at("2026-05-02", 0, 10), "2026-05-02"),
            (NIGHT, at("2026-05-02", 1, 59), "2026-05-01"),
            (NIGHT, at("2026-05-02", 2, 0), "2026-05-02"),
            (None, at("2026-05-02", 0, 0), "2026-05-02"),
        ] {
            assert_eq!(now.business_date(close_at), Some(date(day)), "{close_at:?} {now:?}");
        }
    }

    #[test]
    fn a_day_is_closed_once_and_days_without_power_are_caught_up_with_once() {
        let mut closed = AutoClosed::default();
        let open = date("2026-05-01");
        assert_eq!(due(Some(open), &closed, at("2026-05-01", 23, 29), EVENING), Due::Nothing);
        let next = date("2026-05-09");
        assert_eq!(due(Some(open), &closed, at("2026-05-09", 8, 0), EVENING), Due::Close { next });
        closed.add(open);
        assert_eq!(due(Some(next), &closed, at("2026-05-09", 8, 0), EVENING), Due::Nothing);
    }

    #[test]
    fn a_clock_that_is_not_believed_waits() {
        let closed = AutoClosed::default();
        let open = Some(date("2026-05-01"));
        let suspect = Now { trusted: false, ..at("2026-05-03", 8, 0) };
        assert_eq!(due(open, &closed, suspect, EVENING), Due::Nothing);
        assert_eq!(due(open, &closed, at("1970-01-03", 8, 0), EVENING), Due::Nothing);
        assert_eq!(due(open, &closed, at("2200-01-03", 8, 0), EVENING), Due::Nothing);
        assert_eq!(due(None, &closed, suspect, EVENING), Due::Nothing);
        assert_eq!(after_manual_close(open, &closed, suspect, EVENING), open);
    }

    #[test]
    fn a_wild_clock_closes_no_day_twice() {
        let mut closed = AutoClosed::default();
        let open = date("2026-05-01");
        let next = date("2036-07-07");
        // At noon the clock jumps ten years ahead: the day ends early, once.
        assert_eq!(due(Some(open), &closed, at("2036-07-07", 12, 0), EVENING), Due::Close { next });
        closed.add(open);
        // Back again: the date that ran ahead is corrected to the first day that is not closed yet.
        let second = date("2026-05-02");
        assert_eq!(due(Some(next), &closed, at("2026-05-01", 12, 5), EVENING), Due::Date(second));
        assert_eq!(due(Some(second), &closed, at("2026-05-01", 23, 45), EVENING), Due::Nothing);
        assert_eq!(due(Some(second), &closed, at("2026-05-02", 23, 29), EVENING), Due::Nothing);
        let third = date("2026-05-03");
        assert_eq!(due(Some(second), &closed, at("2026-05-02", 23, 30), EVENING), Due::Close { next: third });
    }

    #[test]
    fn a_journey_to_another_time_zone_closes_no_day_twice() {
        let mut closed = AutoClosed::default();
        closed.add(date("2026-05-01"));
        // 10:00 on the 2nd in China is 19:00 on the 1st in California.
        let now = Now { utc_offset_min: -420, ..at("2026-05-02", 10, 0) };
        assert_eq!(now.business_date(EVENING), Some(date("2026-05-01")));
        assert_eq!(due(Some(date("2026-05-02")), &closed, now, EVENING), Due::Nothing);
    }

    #[test]
    fn memory_is_bounded() {
        let mut closed = AutoClosed::default();
        for n in 0..2_000 {
            closed.add(EARLIEST.plus(n));
        }
        assert_eq!(closed.len(), REMEMBERED);
        assert!(closed.contains(EARLIEST.plus(1_999)) && !closed.contains(EARLIEST));
    }
}
