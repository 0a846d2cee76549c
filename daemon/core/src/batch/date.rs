//! A business date: a calendar day, whatever the clock says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// A calendar day of the proleptic Gregorian calendar, from 0001-01-01 to 9999-12-31; days before and after stop there.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct BusinessDate(i32);

/// Text that is not a date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a date: write year, month and day as 2026-01-31")]
pub struct DateError(String);

impl BusinessDate {
    /// 0001-01-01.
    pub const FIRST: Self = Self(-719_162);
    /// 9999-12-31.
    pub const LAST: Self = Self(2_932_896);

    /// The day so many days after 1970-01-01.
    pub const fn from_day(day: i64) -> Self {
        if day < Self::FIRST.0 as i64 {
            Self::FIRST
        } else if day > Self::LAST.0 as i64 {
            Self::LAST
        } else {
            #[allow(clippy::cast_possible_truncation)] // between two i32
            Self(day as i32)
        }
    }

    /// Days after 1970-01-01.
    pub const fn day(self) -> i32 {
        self.0
    }

    /// The calendar day of a wall clock (Unix ms) at a place so many minutes east of UTC.
    pub const fn at(wall_ms: i64, utc_offset_min: i32) -> Self {
        Self::from_day(local_ms(wall_ms, utc_offset_min).div_euclid(DAY_MS))
    }

    /// 0 Monday to 6 Sunday.
    pub const fn weekday(self) -> u8 {
        // 1970-01-01 was a Thursday.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 6
        let day = (self.0 + 3).rem_euclid(7) as u8;
        day
    }

    /// So many days later.
    #[must_use]
    pub const fn plus(self, days: u16) -> Self {
        Self::from_day(self.0 as i64 + days as i64)
    }

    /// Year, month and day (days-from-civil inverse).
    pub(crate) fn civil(self) -> (i64, i64, i64) {
        let z = i64::from(self.0) + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        (yoe + era * 400 + i64::from(month <= 2), month, day)
    }

    fn from_civil(year: i64, month: i64, day: i64) -> Self {
        let y = year - i64::from(month <= 2);
        let era = y.div_euclid(400);
        let yoe = y.rem_euclid(400);
        let mp = if month > 2 { month - 3 } else { month + 9 };
        let doy = (153 * mp + 2) / 5 + day - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        Self::from_day(era * 146_097 + doe - 719_468)
    }
}

/// A wall clock as it shows so many minutes east of UTC, ms. Total: a wild clock stops at the end of its range.
pub(crate) const fn local_ms(wall_ms: i64, utc_offset_min: i32) -> i64 {
    wall_ms.saturating_add(utc_offset_min as i64 * MINUTE_MS)
}

impl fmt::Display for BusinessDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for BusinessDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BusinessDate {
    type Err = DateError;
    fn from_str(s: &str) -> Result<Self, DateError> {
        let bad = || DateError(s.chars().take(16).collect());
        let digits = |range: std::ops::Range<usize>| -> Option<i64> {
            let part = s.get(range)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
        };
        if s.len() != 10 || s.as_bytes()[4] != b'-' || s.as_bytes()[7] != b'-' {
            return Err(bad());
        }
        let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(5..7), digits(8..10)) else {
            return Err(bad());
        };
        if year < 1 || !(1..=12).contains(&month) {
            return Err(bad());
        }
        let date = Self::from_civil(year, month, day);
        // The 31st of a month without one would become another day.
        if date.civil() == (year, month, day) { Ok(date) } else { Err(bad()) }
    }
}

// A number from the disk is held to the range, so that no date is outside it.
impl<'de> Deserialize<'de> for BusinessDate {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        i32::deserialize(d).map(|day| Self::from_day(i64::from(day)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_are_those_of_the_place() {
        assert_eq!(BusinessDate::at(0, 0).to_string(), "1970-01-01");
        assert_eq!(BusinessDate::at(1_767_199_800_000, 480).to_string(), "2026-01-01", "00:50 in China");
        assert_eq!(BusinessDate::at(1_767_199_800_000, 0).to_string(), "2025-12-31");
        assert_eq!(BusinessDate::at(1_767_225_600_000, -480).to_string(), "2025-12-31");
    }

    #[test]
    fn wild_clocks_have_a_day_too() {
        assert_eq!(BusinessDate::at(i64::MAX, i32::MAX), BusinessDate::LAST);
        assert_eq!(BusinessDate::at(i64::MIN, i32::MIN), BusinessDate::FIRST);
        assert_eq!(BusinessDate::LAST.to_string(), "9999-12-31");
        assert_eq!(BusinessDate::FIRST.to_string(), "0001-01-01");
        assert_eq!(BusinessDate::LAST.plus(3), BusinessDate::LAST);
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for bad in [
            "",
            "2026-1-1",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "0000-01-01",
            "+026-01-01",
            "2026/01/01",
            "2026-01-011",
            "二026-01-1",
        ] {
            assert!(bad.parse::<BusinessDate>().is_err(), "{bad}");
        }
        assert_eq!("2024-02-29".parse::<BusinessDate>().unwrap().plus(1).to_string(), "2024-03-01");
    }

    proptest! {
        #[test]
        fn every_day_reads_back_and_follows_the_one_before(day in -719_162_i64..2_932_896) {
            let date = BusinessDate::from_day(day);
            prop_assert_eq!(date.to_string().parse::<BusinessDate>(), Ok(date));
            let (next, this) = (date.plus(1).civil(), date.civil());
            let follows = (next.0, next.1, next.2) == (this.0, this.1, this.2 + 1)
                || (next.0, next.1, next.2) == (this.0, this.1 + 1, 1)
                || (next.0, next.1, next.2) == (this.0 + 1, 1, 1);
            prop_assert!(follows, "{:?} then {:?}", this, next);
        }
    }
}
