//! Host times: fields 12 and 13 carry no year and are Shanghai local time, whatever zone the till is in (channels.md §0.5).

use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Unit};

/// China Standard Time; no daylight saving since 1991.
const SHANGHAI: Offset = Offset::constant(8);

/// The date in Shanghai at a moment (Unix milliseconds).
pub fn date(wall_ms: i64) -> Option<Date> {
    Some(Timestamp::from_millisecond(wall_ms).ok()?.to_zoned(TimeZone::fixed(SHANGHAI)).date())
}

/// `MMDD` in Shanghai at a moment.
pub fn month_day(wall_ms: i64) -> Option<String> {
    date(wall_ms).map(|date| format!("{:02}{:02}", date.month(), date.day()))
}

/// `YYYY-MM-DD hh:mm:ss` from fields 13 (`MMDD`) and 12 (`hhmmss`), with the year that brings it nearest to the moment of
/// the request.
pub fn full(wall_ms: i64, month_day: &str, time: &str) -> Option<String> {
    let today = date(wall_ms)?;
    let pair = |text: &str, at: usize| text.get(at..at + 2)?.parse::<i8>().ok();
    let (month, day) = (pair(month_day, 0)?, pair(month_day, 2)?);
    let time = Time::new(pair(time, 0)?, pair(time, 2)?, pair(time, 4)?, 0).ok()?;
    let nearest = [-1, 0, 1]
        .into_iter()
        .filter_map(|years| Date::new(today.year() + years, month, day).ok())
        .min_by_key(|date| today.until((Unit::Day, *date)).map_or(i32::MAX, |span| span.get_days().abs()))?;
    Some(format!("{nearest} {time}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    /// 2026-01-01 00:30:00 in Shanghai, still 2025 in UTC.
    const NEW_YEAR: i64 = 1_767_198_600_000;

    #[test]
    fn the_year_is_the_nearest_one() {
        assert_eq!(full(NEW_YEAR, "1231", "235959").as_deref(), Some("2025-12-31 23:59:59"));
        assert_eq!(full(NEW_YEAR, "0101", "003001").as_deref(), Some("2026-01-01 00:30:01"));
        assert_eq!(full(NEW_YEAR - DAY, "0101", "000001").as_deref(), Some("2026-01-01 00:00:01"));
    }

    #[test]
    fn the_day_is_shanghais() {
        assert_eq!(month_day(NEW_YEAR).as_deref(), Some("0101"));
        assert_eq!(month_day(NEW_YEAR - 3_600_000).as_deref(), Some("1231"));
    }

    #[test]
    fn what_is_no_time_gives_none() {
        for (date, time) in
            [("1332", "000000"), ("0101", "250000"), ("", ""), ("01", "0000"), ("0230", "000000")]
        {
            assert_eq!(full(NEW_YEAR, date, time), None, "{date} {time}");
        }
    }
}
