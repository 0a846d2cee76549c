//! One batch: usually a business day.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use till_plugin::Money;

use super::date::BusinessDate;
use super::entry::{Exception, PartId};
use super::part::{Part, PartState};
use super::totals::Totals;
use crate::payment::LegKind;

/// Where a batch stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BatchState {
    /// Sales go into it.
    Open,
    /// It is being settled; sales go into a later one.
    Frozen,
    /// All its parts are closed.
    Closed,
}

impl BatchState {
    /// Lower-kebab name, as on D-Bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Frozen => "frozen",
            Self::Closed => "closed",
        }
    }
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its number: 1, 2, 3 … without a gap (I13).
    pub number: u32,
    /// Its business date; None: no trusted clock has told it yet.
    pub date: Option<BusinessDate>,
    /// Where it stands.
    pub state: BatchState,
    /// Frozen by the clock.
    pub automatic: bool,
    /// Who froze it.
    pub operator: Option<String>,
    /// Wall clock when it was closed, Unix ms; 0: it is not.
    pub closed_wall_ms: i64,
    /// Copies of its settlement slip so far.
    pub copies: u32,
    /// Channel, then batch number of its network.
    parts: BTreeMap<String, BTreeMap<u32, Part>>,
    operators: BTreeMap<String, Totals>,
}

impl Batch {
    pub(super) const fn new(number: u32, date: Option<BusinessDate>) -> Self {
        Self {
            number,
            date,
            state: BatchState::Open,
            automatic: false,
            operator: None,
            closed_wall_ms: 0,
            copies: 0,
            parts: BTreeMap::new(),
            operators: BTreeMap::new(),
        }
    }

    /// Its parts, by channel and network batch number.
    pub fn parts(&self) -> impl Iterator<Item = (PartId, &Part)> + '_ {
        self.parts.iter().flat_map(|(channel, parts)| {
            parts.iter().map(|(network, part)| (PartId { channel: channel.clone(), network: *network }, part))
        })
    }

    /// A part.
    pub fn part(&self, id: &PartId) -> Option<&Part> {
        self.part_in(&id.channel, id.network)
    }

    pub(super) fn part_in(&self, channel: &str, network: u32) -> Option<&Part> {
        self.parts.get(channel)?.get(&network)
    }

    /// Sums by operator; the empty name is nobody.
    pub const fn operators(&self) -> &BTreeMap<String, Totals> {
        &self.operators
    }

    /// Sums of one channel.
    pub fn channel_totals(&self, channel: &str) -> Totals {
        sum(self.parts.get(channel).into_iter().flat_map(BTreeMap::values))
    }

    /// Sums of all channels.
    pub fn totals(&self) -> Totals {
        sum(self.parts.values().flat_map(BTreeMap::values))
    }

    /// Channels in it.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.parts.keys().map(String::as_str)
    }

    /// Entries in it.
    pub fn count(&self) -> u32 {
        self.parts.values().flat_map(BTreeMap::values).map(Part::count).fold(0, u32::saturating_add)
    }

    /// What it leaves to people.
    pub fn exceptions(&self) -> impl Iterator<Item = (PartId, &Exception)> + '_ {
        self.parts().flat_map(|(id, part)| part.exceptions().iter().map(move |e| (id.clone(), e)))
    }

    pub(super) fn part_mut(&mut self, id: &PartId) -> Option<&mut Part> {
        self.parts.get_mut(&id.channel)?.get_mut(&id.network)
    }

    /// The part of a channel under a network batch number, made when it is not there.
    pub(super) fn part_of(&mut self, channel: &str, network: u32) -> &mut Part {
        if !self.parts.contains_key(channel) {
            self.parts.insert(channel.into(), BTreeMap::new());
        }
        self.parts.entry(channel.into()).or_default().entry(network).or_insert_with(Part::new)
    }

    pub(super) fn part_at(&mut self, channel: &str, network: u32) -> Option<&mut Part> {
        self.parts.get_mut(channel)?.get_mut(&network)
    }

    pub(super) fn freeze_parts(&mut self, moved: &[(String, u32)]) {
        for (channel, parts) in &mut self.parts {
            let moves = moved.iter().any(|(c, _)| c == channel);
            for (network, part) in parts {
                part.state = PartState::Frozen;
                part.moved = moves && *network != 0;
            }
        }
    }

    pub(super) fn parts_mut(&mut self) -> impl Iterator<Item = &mut Part> {
        self.parts.values_mut().flat_map(BTreeMap::values_mut)
    }

    /// Counts for an operator. A sum that does not fit is named by the part.
    pub(super) fn count_operator(&mut self, operator: &str, kind: LegKind, amount: Money) {
        let _ = match self.operators.get_mut(operator) {
            Some(totals) => totals.add(kind, amount),
            None => self.operators.entry(operator.into()).or_default().add(kind, amount),
        };
    }
}

/// Sums that do not fit leave the part out that made them so; such a part names it (`Why::Overflow`).
fn sum<'a>(parts: impl Iterator<Item = &'a Part>) -> Totals {
    let mut all = Totals::default();
    for part in parts {
        // An overflow changes nothing.
        let _ = all.merge(part.totals());
    }
    all
}
