//! A choice with its reasons, as it is journalled with the attempt.
//!
//! Variants are only ever added, at the end of their enum: a record of any earlier tilld reads and replays.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use till_plugin::Family;

use crate::breaker::Tripped;
use crate::limits::LimitHit;
use crate::merchant::Bar;
use crate::suspension::By;

/// A choice with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What was presented.
    pub family: Family,
    /// How that is known.
    pub evidence: String,
    /// The operator's current channel then.
    pub pinned: Option<String>,
    /// Every channel, in order of preference, excluded ones last, those that do not take the family behind them; a record
    /// holds the first 16.
    pub candidates: Vec<Candidate>,
    /// The channel, if any can take it.
    pub chosen: Option<String>,
    /// Version of the configuration it was made with; `+` and the profile that was in force, if one was.
    pub config: String,
}

/// One channel in a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Channel instance.
    pub channel: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Takes the payment; in records before weights were kept: by priority and id.
    Chosen,
    /// Could take it too; in records before weights were kept.
    Eligible,
    /// Cannot, for this one reason.
    Excluded(Exclusion),
    /// Takes the payment.
    Best(Weights),
    /// Could take it too.
    Fits(Weights),
}

/// What a channel that can take the payment is put in order by, the first difference first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// It works badly until then (Unix ms), as was announced: later.
    pub degraded_until_ms: Option<i64>,
    /// The rule that names it.
    pub rule: Option<RuleWeight>,
    /// The same card went there before in this batch.
    pub sticky: bool,
    /// Its fee, minor units, if its plan is known.
    pub fee: Option<i64>,
    /// Fees were compared: all that were left had one.
    pub by_cost: bool,
    /// Its share, where shares decided among the first.
    pub share: Option<ShareWeight>,
    /// Smaller comes first.
    pub priority: u32,
}

/// A rule that puts a channel first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleWeight {
    /// Rule.
    pub id: String,
    /// Place in its list, from 0; none: it is not in it.
    pub place: Option<u32>,
}

/// A channel's agreed share.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareWeight {
    /// Its share …
    pub share: u32,
    /// … of this sum.
    pub of: u64,
    /// Its sales of this business day until now …
    pub taken: u64,
    /// … of so many.
    pub all: u64,
    /// Its turn, from 0.
    pub turn: u32,
}

/// Why a channel cannot take a payment; one variant a stage and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exclusion {
    /// Switched off in the configuration.
    Disabled,
    /// Does not take this family.
    Family,
    /// Does not do this operation.
    Operation,
    /// Does not take this currency.
    Currency,
    /// The operator chose another one that takes this.
    NotTheCurrentChannel,
    /// Still starting.
    Starting,
    /// Not signed in.
    SignedOff,
    /// Not working.
    Failed(String),
    /// The clock is not trusted and it signs with it.
    Clock,
    /// An unresolved attempt holds its single reversal slot.
    Unresolved,
    /// The payment would break a limit.
    Limit(LimitHit),
    /// Maintenance, now or so soon that a sale could run into it.
    Window(WindowHit),
    /// Its breaker is open.
    Breaker(Tripped),
    /// A rule keeps the payment from it.
    Rule(String),
    /// It was tried for the same presented instrument: the number of the attempt that it did not take.
    Tried(u32),
    /// It asks for the merchant, who has not passed.
    Merchant(Bar),
    /// The profile in force (empty: none is) does not offer it.
    Profile(String),
    /// It is suspended: by whom, and why.
    Suspended(By, String),
}

/// Maintenance that keeps a payment from a channel.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowHit {
    /// Its beginning, while it is still to come (the channel drains), Unix ms.
    pub from_ms: Option<i64>,
    /// Its end, Unix ms.
    pub until_ms: i64,
    /// The place's offset from UTC then, minutes.
    pub utc_offset_min: i32,
}

impl Exclusion {
    /// Lower-kebab code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Family => "family",
            Self::Operation => "operation",
            Self::Currency => "currency",
            Self::NotTheCurrentChannel => "not-current",
            Self::Starting => "starting",
            Self::SignedOff => "signed-off",
            Self::Failed(_) => "failed",
            Self::Clock => "clock",
            Self::Unresolved => "unresolved",
            Self::Limit(_) => "limit",
            Self::Window(WindowHit { from_ms: None, .. }) => "closed",
            Self::Window(_) => "draining",
            Self::Breaker(_) => "breaker",
            Self::Rule(_) => "rule",
            Self::Tried(_) => "tried",
            Self::Profile(_) => "profile",
            Self::Merchant(Bar::Required) => "merchant",
            Self::Merchant(Bar::OtherOperator) => "merchant-other",
            Self::Merchant(Bar::Locked) => "merchant-locked",
            Self::Suspended(..) => "suspended",
        }
    }

    /// The stage that it belongs to, from 0: a reason of a later stage is only named where no earlier one hits.
    pub const fn stage(&self) -> u8 {
        match self {
            Self::Disabled | Self::Family | Self::Operation | Self::Currency | Self::Profile(_) => 0,
            Self::NotTheCurrentChannel => 1,
            Self::Suspended(..) => 2,
            Self::Window(_) => 3,
            Self::Starting
            | Self::SignedOff
            | Self::Failed(_)
            | Self::Clock
            | Self::Unresolved
            | Self::Merchant(_) => 4,
            Self::Breaker(_) => 5,
            Self::Limit(_) => 6,
            Self::Rule(_) => 7,
            Self::Tried(_) => 8,
        }
    }
}

impl Weights {
    /// Which comes first, and by what; equal only for the same weights.
    pub fn compare(&self, other: &Self) -> (Ordering, &'static str) {
        let place = |w: &Self| w.rule.as_ref().and_then(|r| r.place).unwrap_or(u32::MAX);
        let turn = |w: &Self| w.share.map_or(u32::MAX, |s| s.turn);
        let cost = |w: &Self| w.fee.filter(|_| w.by_cost);
        let stages = [
            (self.degraded_until_ms.is_some().cmp(&other.degraded_until_ms.is_some()), "maintenance"),
            (place(self).cmp(&place(other)), "rule"),
            (other.sticky.cmp(&self.sticky), "sticky"),
            (cost(self).cmp(&cost(other)), "cost"),
            (turn(self).cmp(&turn(other)), "share"),
            (self.priority.cmp(&other.priority), "priority"),
        ];
        stages.into_iter().find(|(order, _)| order.is_ne()).unwrap_or((Ordering::Equal, "id"))
    }
}

impl Verdict {
    /// Its weights, if it can take the payment and the record kept them.
    pub const fn weights(&self) -> Option<&Weights> {
        match self {
            Self::Best(weights) | Self::Fits(weights) => Some(weights),
            _ => None,
        }
    }

    /// It takes the payment.
    pub const fn is_chosen(&self) -> bool {
        matches!(self, Self::Chosen | Self::Best(_))
    }
}

impl Decision {
    /// The profile that was in force; None: none was.
    pub fn profile(&self) -> Option<&str> {
        self.config.split_once('+').map(|(_, id)| id)
    }

    /// Chooses again, from the record alone: whoever is not excluded and comes first by what the record says of it.
    pub fn replay(&self) -> Option<&str> {
        let fits = self.candidates.iter().filter(|c| !matches!(c.verdict, Verdict::Excluded(_)));
        let best = fits.min_by(|a, b| match (a.verdict.weights(), b.verdict.weights()) {
            (Some(x), Some(y)) => x.compare(y).0.then_with(|| a.channel.cmp(&b.channel)),
            // Before weights were kept, the order of the record was the order of preference.
            _ => Ordering::Equal,
        });
        best.map(|c| c.channel.as_str())
    }

    /// The channel that would have been next.
    pub fn runner_up(&self) -> Option<&Candidate> {
        self.candidates.iter().find(|c| matches!(c.verdict, Verdict::Eligible | Verdict::Fits(_)))
    }

    /// What the choice rests on: `only` where no other could take it, else the first thing in which the chosen one and the
    /// next differ (`maintenance`, `rule`, `sticky`, `cost`, `share`, `priority`, `id`), `none` where none could.
    pub fn decided_by(&self) -> &'static str {
        let Some(best) = self.candidates.iter().find(|c| c.verdict.is_chosen()) else { return "none" };
        let Some(next) = self.runner_up() else { return "only" };
        match (best.verdict.weights(), next.verdict.weights()) {
            (Some(a), Some(b)) => a.compare(b).1,
            _ => "priority",
        }
    }

    /// How much dearer the next one would have been, minor units, where both fees are known.
    pub fn margin(&self) -> Option<i64> {
        let best = self.candidates.iter().find(|c| c.verdict.is_chosen())?.verdict.weights()?.fee?;
        self.runner_up()?.verdict.weights()?.fee?.checked_sub(best)
    }

    /// Whether the chosen one is named by exactly one candidate, and is the one that the record itself chooses.
    pub fn is_consistent(&self) -> bool {
        let mut chosen = self.candidates.iter().filter(|c| c.verdict.is_chosen());
        let named = chosen.next().map(|c| c.channel.as_str());
        chosen.next().is_none() && named == self.chosen.as_deref() && named == self.replay()
    }
}
