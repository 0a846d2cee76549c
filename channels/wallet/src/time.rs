//! Host time: Asia/Shanghai whatever the machine's zone is (channels §0.5). China has had no daylight saving since 1991,
//! so a fixed +08:00 needs no zone database.

use jiff::Timestamp;
use jiff::tz::Offset;

/// `yyyy-MM-dd HH:mm:ss` at +08:00 of a Unix time in milliseconds; nothing outside the years 1 to 9999.
pub fn host_time(wall_ms: i64) -> Option<String> {
    let t = Offset::constant(8).to_datetime(Timestamp::from_millisecond(wall_ms).ok()?);
    (1..=9999).contains(&t.year()).then(|| {
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        )
    })
}

/// The same moment as `yyyyMMddHHmmss`.
pub fn host_stamp(wall_ms: i64) -> Option<String> {
    Some(host_time(wall_ms)?.chars().filter(char::is_ascii_digit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shop_s_day_begins_at_sixteen_hours_universal_time() {
        assert_eq!(host_time(0).unwrap(), "1970-01-01 08:00:00");
        assert_eq!(host_time(1_788_192_000_000).unwrap(), "2026-09-01 00:00:00");
        assert_eq!(host_time(1_788_191_999_999).unwrap(), "2026-08-31 23:59:59");
        assert_eq!(host_stamp(1_788_191_999_999).unwrap(), "20260831235959");
        assert_eq!(host_time(i64::MAX), None);
        assert_eq!(host_time(i64::MIN), None);
    }
}
