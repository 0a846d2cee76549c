//! UnionPay's clearing day: from 23:00 to 23:00, Asia/Shanghai (channels §4.3). A reversal and a void are taken within the
//! payment's own day only.

const DAY_MS: i64 = 86_400_000;
/// From 23:00 at +08:00 to midnight UTC: 8 hours later in the east, one hour before the day's end.
const SHIFT_MS: i64 = 9 * 3_600_000;

/// The number of the clearing day of a moment (Unix milliseconds).
pub const fn clearing_day(wall_ms: i64) -> i64 {
    wall_ms.saturating_add(SHIFT_MS).div_euclid(DAY_MS)
}

/// The first moment of the clearing day after that of `wall_ms`.
pub const fn next_day_ms(wall_ms: i64) -> i64 {
    (clearing_day(wall_ms) + 1).saturating_mul(DAY_MS).saturating_sub(SHIFT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use till_wallet::time::host_time;

    #[test]
    fn the_day_ends_at_twenty_three_hours_in_shanghai() {
        let midnight = 1_788_192_000_000; // 2026-09-01 00:00:00 +08:00
        let (before, cut) = (midnight + 82_799_000, midnight + 82_800_000);
        assert_eq!(host_time(before).unwrap(), "2026-09-01 22:59:59");
        assert_eq!(clearing_day(midnight), clearing_day(before));
        assert_eq!(clearing_day(before) + 1, clearing_day(cut));
        assert_eq!(host_time(next_day_ms(before)).unwrap(), "2026-09-01 23:00:00");
        assert_eq!(host_time(next_day_ms(cut)).unwrap(), "2026-09-02 23:00:00");
    }

    proptest! {
        #[test]
        fn every_moment_lies_in_its_day(wall_ms in 0..4_000_000_000_000_i64) {
            let next = next_day_ms(wall_ms);
            prop_assert!(wall_ms < next && next - wall_ms <= DAY_MS);
            prop_assert_eq!(clearing_day(next - 1), clearing_day(wall_ms));
            prop_assert_eq!(clearing_day(next), clearing_day(wall_ms) + 1);
        }
    }
}
