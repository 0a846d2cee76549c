//! What the configuration says of batches, limits and routing.

use std::collections::BTreeMap;

use super::clock::{CloseAt, Now};
use super::payout::{Calendar, PayoutCycle};
use crate::fees::FeePlan;
use crate::limits::Limit;
use crate::pinning::Agreed;
use crate::routing::Routing;

/// Rules of the till that batches, limits and routing follow; part of [`Context`](crate::Context).
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
    /// Days on which payouts come.
    pub calendar: Calendar,
    /// What routing goes by.
    pub routing: Routing,
}

impl Rules {
    /// The rule of a channel.
    pub fn channel(&self, id: &str) -> SettleRule {
        self.channels.get(id).cloned().unwrap_or_default()
    }

    /// How many items of one side the network of a channel counts in one batch; None: any number.
    pub fn batch_limit(&self, id: &str) -> Option<u32> {
        // A channel without a rule has no limit, as the default has none.
        self.channels.get(id)?.batch_limit
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
    /// When the money comes; None: no cycle (cash).
    pub payout: Option<PayoutCycle>,
    /// What the channel takes of a sale; None: not known, counted as nothing.
    pub fee: Option<FeePlan>,
    /// Most items that the network counts on a side of one batch; None: any number. A batch that comes near is closed
    /// by the till itself, and a new one is opened for the same day.
    pub batch_limit: Option<u32>,
    /// What was agreed with its network, to compare answers with.
    pub agreed: Agreed,
}

impl SettleRule {
    /// Items on one side after which the batch is closed: some places are left for what is under way meanwhile.
    pub fn roll_at(&self) -> Option<u32> {
        self.batch_limit.map(|limit| limit.saturating_sub((limit / 10).min(20)).max(1))
    }
}

impl Default for SettleRule {
    fn default() -> Self {
        Self {
            tries: 5,
            pause_ms: 2_000,
            pause_max_ms: 60_000,
            chunk: 8,
            payout: None,
            fee: None,
            batch_limit: None,
            agreed: Agreed::default(),
        }
    }
}
