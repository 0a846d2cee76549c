//! When a window is.

use serde::{Deserialize, Serialize};

use crate::batch::local_ms;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// 1970-01-01 was a Thursday; weeks begin on Monday.
const THURSDAY: i64 = 3;

/// From a time until another, the second not included; Unix ms.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First ms.
    pub from_ms: i64,
    /// First ms after it.
    pub until_ms: i64,
}

/// When a window is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// Once.
    Once(Span),
    /// Every day by the place's clock.
    Daily {
        /// Minutes after local midnight.
        at_min: u16,
        /// How long, minutes.
        length_min: u32,
    },
    /// Every week by the place's clock.
    Weekly {
        /// 0 Monday to 6 Sunday.
        day: u8,
        /// Minutes after local midnight.
        at_min: u16,
        /// How long, minutes.
        length_min: u32,
    },
}

impl When {
    /// The occurrence that a time lies in.
    pub fn covering(self, at_ms: i64, utc_offset_min: i32) -> Option<Span> {
        let span = match self {
            Self::Once(span) => span,
            _ => self.begun(at_ms, utc_offset_min, 0),
        };
        (span.from_ms <= at_ms && at_ms < span.until_ms).then_some(span)
    }

    /// The first occurrence that begins after a time.
    pub fn after(self, at_ms: i64, utc_offset_min: i32) -> Option<Span> {
        let span = match self {
            Self::Once(span) => span,
            _ => self.begun(at_ms, utc_offset_min, 1),
        };
        (span.from_ms > at_ms && span.until_ms > span.from_ms).then_some(span)
    }

    /// Of one that comes again: the occurrence that began last before a time (or just then), or so many later.
    fn begun(self, at_ms: i64, utc_offset_min: i32, later: i64) -> Span {
        let (period, first, length_min) = match self {
            Self::Once(span) => return span,
            Self::Daily { at_min, length_min } => (DAY_MS, i64::from(at_min) * MINUTE_MS, length_min),
            Self::Weekly { day, at_min, length_min } => {
                let first = (i64::from(day) - THURSDAY) * DAY_MS + i64::from(at_min) * MINUTE_MS;
                (7 * DAY_MS, first, length_min)
            }
        };
        let passed = local_ms(at_ms, utc_offset_min).saturating_sub(first).rem_euclid(period);
        let from_ms = at_ms.saturating_sub(passed).saturating_add(later * period);
        Span { from_ms, until_ms: from_ms.saturating_add(i64::from(length_min) * MINUTE_MS) }
    }
}
