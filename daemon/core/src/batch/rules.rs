//! What the configuration says of batches and limits.

use std::collections::BTreeMap;

use super::clock::{CloseAt, Now};
use super::payout::FeePlan;
use crate::limits::Limit;

/// Rules of the till that batches and limits follow; part of [`Context`](crate::Context).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Local time, minutes east of UTC (daylight saving included).
    pub utc_offset_min: i32,
    /// When a business day ends by itself; None: people close it.
    pub close_at: Option<CloseAt>,
    /// Channels that differ from [`SettleRule::default`].
    pub channels: BTreeMap<String, SettleRule>,
    /// Payment limits.
    pub limits: Vec<Limit>,
}

impl Rules {
    /// The rule of a channel.
    pub fn channel(&self, id: &str) -> SettleRule {
        self.channels.get(id).cloned().unwrap_or_default()
    }

    /// The clock of a place with these rules.
    pub const fn now(&self, wall_ms: i64, trusted: bool) -> Now {
        Now { wall_ms, trusted, utc_offset_min: self.utc_offset_min }
    }
}

/// How a channel is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettleRule {
    /// Tries of one request before people decide; at least 1.
    pub tries: u32,
    /// Pause after the first try that was not answered, ms; doubles each time.
    pub pause_ms: u32,
    /// Longest pause, ms.
    pub pause_max_ms: u32,
    /// Detail records in one request; at least 1.
    pub chunk: u32,
    /// The money comes so many days after the business date (T+n); None: no cycle (cash).
    pub payout_days: Option<u16>,
    /// What the channel takes of a sale; None: not known, counted as nothing.
    pub fee: Option<FeePlan>,
}

impl Default for SettleRule {
    fn default() -> Self {
        Self { tries: 5, pause_ms: 2_000, pause_max_ms: 60_000, chunk: 8, payout_days: None, fee: None }
    }
}
