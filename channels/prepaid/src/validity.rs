//! How long a card is valid, in days of the shop's time (UTC+8, as on its receipts).

use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};

use crate::ledger::Clock;

const SHOP: Offset = Offset::constant(8);

/// End of a validity that begins now: the start of the day after the same date so many years later, Unix ms. None while
/// nobody keeps the clock: a card whose date is not known does not expire.
pub fn end(now: Clock, years: u8) -> Option<i64> {
    if !now.trusted {
        return None;
    }
    let today = SHOP.to_datetime(Timestamp::from_millisecond(now.wall_ms).ok()?).date();
    let after = today.checked_add(i64::from(years).years()).ok()?.tomorrow().ok()?;
    Some(SHOP.to_timestamp(after.to_datetime(jiff::civil::Time::midnight())).ok()?.as_millisecond())
}

/// The last day before an end, `YYYY-MM-DD`.
pub fn last_day(end_ms: i64) -> Option<String> {
    let last = Timestamp::from_millisecond(end_ms.checked_sub(1)?).ok()?;
    Some(SHOP.to_datetime(last).date().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_valid_through_the_whole_of_its_last_day_in_the_shop() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        for (now, last, end_at) in [
            ("2026-01-02T03:04:05Z", "2029-01-02", "2029-01-02T16:00:00Z"),
            // In the shop it is the next day already.
            ("2026-01-02T16:00:00Z", "2029-01-03", "2029-01-03T16:00:00Z"),
            ("2028-02-29T00:00:00Z", "2031-02-28", "2031-02-28T16:00:00Z"),
        ] {
            let end = end(Clock { wall_ms: at(now), trusted: true }, 3).unwrap();
            assert_eq!((end, last_day(end).as_deref()), (at(end_at), Some(last)), "{now}");
        }
        assert_eq!(end(Clock { wall_ms: at("2026-01-02T03:04:05Z"), trusted: false }, 3), None);
        assert_eq!(end(Clock { wall_ms: i64::MAX, trusted: true }, 3), None);
        assert_eq!(last_day(i64::MIN), None);
    }
}
