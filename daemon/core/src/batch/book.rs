//! All batches that are not closed, and the newest that are: a fold of records, like everything in the till.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::clock::AutoClosed;
use super::date::BusinessDate;
use super::day::{Batch, BatchState};
use super::entry::{Exception, Item, PartId};
use super::event::BatchEvent;
use super::part::{CloseProposal, GaveUp, Part};
use crate::payment::{Attempt, AttemptState, Payment, PaymentId, Purpose};
use crate::planted::planted;

/// Closed batches kept in memory, without their entries.
pub const RECENT: usize = 32;

/// The batches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batches {
    open: u32,
    live: BTreeMap<u32, Batch>,
    closed: VecDeque<Batch>,
    auto_closed: AutoClosed,
    /// Open payments whose sealed data is older than their first attempt may be (top-ups), and the batch it is of.
    sealed: BTreeMap<PaymentId, u32>,
}

impl Default for Batches {
    fn default() -> Self {
        Self {
            open: 1,
            live: BTreeMap::from([(1, Batch::new(1, None))]),
            closed: VecDeque::new(),
            auto_closed: AutoClosed::default(),
            sealed: BTreeMap::new(),
        }
    }
}

/// What an event means for the numbers of a channel, which the till keeps.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects<'a> {
    /// Channels with their next network batch number.
    pub(crate) moved: &'a [(String, u32)],
    /// A trace and an order number were given out.
    pub(crate) trace: Option<(&'a str, u32)>,
    /// Another business day has begun.
    pub(crate) new_day: bool,
}

impl Batches {
    /// Number of the open batch: every new attempt belongs to it.
    pub const fn open_number(&self) -> u32 {
        self.open
    }

    /// The open batch; None never, but for a journal that is not one.
    pub fn open(&self) -> Option<&Batch> {
        self.live.get(&self.open)
    }

    /// Batches that are being settled, oldest first.
    pub fn frozen(&self) -> impl Iterator<Item = &Batch> {
        self.live.values().filter(|b| b.state == BatchState::Frozen)
    }

    /// Closed batches still in memory, newest first.
    pub fn closed(&self) -> impl Iterator<Item = &Batch> {
        self.closed.iter().rev()
    }

    /// A batch in memory.
    pub fn get(&self, number: u32) -> Option<&Batch> {
        self.live.get(&number).or_else(|| self.closed.iter().rev().find(|b| b.number == number))
    }

    /// The oldest batch that is not closed, but for one that is about to be, or that an open payment's own sealed data
    /// is of.
    pub(crate) fn oldest_needed(&self, closing: Option<u32>) -> u32 {
        let live = self.live.keys().copied().filter(|n| Some(*n) != closing);
        live.chain(self.sealed.values().copied()).min().unwrap_or(self.open)
    }

    /// A payment was opened.
    pub(crate) fn opened(&mut self, p: &Payment) {
        if matches!(p.purpose, Purpose::TopUp { .. }) {
            self.sealed.insert(p.id, self.open);
        }
    }

    /// A payment is finished.
    pub(crate) fn settled(&mut self, id: PaymentId) {
        self.sealed.remove(&id);
    }

    /// Dates that the clock has closed.
    pub const fn auto_closed(&self) -> &AutoClosed {
        &self.auto_closed
    }

    /// Business date of the open batch.
    pub fn date(&self) -> Option<BusinessDate> {
        self.open().and_then(|b| b.date)
    }

    /// Whether a part of a frozen batch still uses this batch number of the channel's network.
    pub fn unsettled(&self, channel: &str, network: u32) -> bool {
        self.frozen().any(|b| {
            b.part(&PartId { channel: channel.into(), network }).is_some_and(|p| !p.state.is_closed())
        })
    }

    /// Whether a part under this batch number of the channel's network was closed with money in it, or was compared with
    /// the network, as far as memory goes: it is over, whatever a late answer says.
    pub fn is_over(&self, channel: &str, network: u32) -> bool {
        let id = PartId { channel: channel.into(), network };
        self.frozen()
            .chain(self.closed())
            .filter_map(|b| b.part(&id))
            .any(|p| p.state.is_closed() && (p.agreed.is_some() || p.count() > 0))
    }

    /// Whether this batch number of the channel's network is a batch's already: of the open one, of one that is being settled,
    /// or of one that is over.
    pub fn has_used(&self, channel: &str, network: u32) -> bool {
        let id = PartId { channel: channel.into(), network };
        let open = self.open().and_then(|b| b.part(&id)).is_some_and(Part::matters);
        open || self.unsettled(channel, network) || self.is_over(channel, network)
    }

    /// An attempt of a payment is where it was not before.
    pub(crate) fn attempt_changed(&mut self, p: &Payment, a: &Attempt, seq: u64) {
        let item = Item { payment: p.id, attempt: a.ids.attempt };
        if a.state.is_open() {
            if let Some(batch) = self.live.get_mut(&a.batch) {
                let begin = |part: &mut Part| {
                    if part.state.takes_entries() {
                        part.begin(item, a.state == AttemptState::Review);
                    } else if !part.state.is_closed() {
                        // Approved after all, once the totals had left: it is named, and counted in the batch that is
                        // open when it is decided.
                        part.reopened(item);
                    }
                };
                match batch.part_at(&a.channel, a.ids.batch) {
                    Some(part) => begin(part),
                    None => begin(batch.part_of(&a.channel, a.ids.batch)),
                }
            }
            return;
        }
        if let Some(part) = self.live.get_mut(&a.batch).and_then(|b| b.part_at(&a.channel, a.ids.batch)) {
            part.end(item);
        }
        if a.state == AttemptState::Approved {
            self.enter(p, a, item, seq);
        }
    }

    /// Money that is certain joins the batch it was made in, or, when that one's totals are struck, the open one.
    fn enter(&mut self, p: &Payment, a: &Attempt, item: Item, seq: u64) {
        let own = self.live.get_mut(&a.batch).filter(|b| {
            b.part_in(&a.channel, a.ids.batch)
                .is_none_or(|part| part.state.takes_entries() || planted!(EnteredIntoStruck))
        });
        let (batch, network) = match own {
            Some(_) => (self.live.get_mut(&a.batch), a.ids.batch),
            None => (self.live.get_mut(&self.open), 0),
        };
        let Some(batch) = batch else { return };
        match batch.part_at(&a.channel, network) {
            Some(part) => part.enter(item, a.kind, a.amount, seq),
            None => batch.part_of(&a.channel, network).enter(item, a.kind, a.amount, seq),
        }
        let operator = a.operator.as_deref().or(p.operator.as_deref()).unwrap_or_default();
        batch.count_operator(operator, a.kind, a.amount);
    }

    /// Takes an event in. Total: what fits nothing changes nothing.
    pub(crate) fn apply<'a>(&mut self, event: &'a BatchEvent, wall_ms: i64) -> Effects<'a> {
        let mut effects = Effects::default();
        match event {
            BatchEvent::Dated { batch, to, .. } if *batch == self.open => {
                if let Some(open) = self.live.get_mut(batch) {
                    open.date = Some(*to);
                }
            }
            BatchEvent::Frozen { batch, date, next_date, moved, .. } => {
                if *batch == self.open && self.freeze(event) {
                    effects.moved = moved;
                    effects.new_day = date != next_date;
                }
            }
            BatchEvent::Started { batch, part, ask, ids } => {
                if let Some(p) = self.settling(*batch, part)
                    && p.started(*ask, ids)
                {
                    effects.trace = Some((&part.channel, ids.trace));
                }
            }
            BatchEvent::Closed { batch, .. } => self.close(*batch, wall_ms),
            BatchEvent::SlipRequested { batch, copy, .. } => {
                if let Some(closed) = self.closed.iter_mut().find(|b| b.number == *batch) {
                    closed.copies = if planted!(CopyUnnumbered) { 0 } else { *copy };
                }
            }
            BatchEvent::Waited { batch, part, .. }
            | BatchEvent::Excepted { batch, part, .. }
            | BatchEvent::Answered { batch, part, .. }
            | BatchEvent::GaveUp { batch, part, .. }
            | BatchEvent::Resumed { batch, part, .. }
            | BatchEvent::CloseProposed { batch, part, .. }
            | BatchEvent::PartClosed { batch, part, .. } => {
                let open = self.open;
                if let Some(p) = self.settling(*batch, part) {
                    go_on(p, event, open);
                }
            }
            BatchEvent::Dated { .. } => {}
        }
        effects
    }

    /// A part of a frozen batch that is not closed.
    fn settling(&mut self, batch: u32, id: &PartId) -> Option<&mut Part> {
        let batch = self.live.get_mut(&batch).filter(|b| b.state == BatchState::Frozen)?;
        batch.part_mut(id).filter(|p| !p.state.is_closed())
    }

    fn freeze(&mut self, event: &BatchEvent) -> bool {
        let BatchEvent::Frozen { date, next_date, moved, automatic, operator, .. } = event else {
            return false;
        };
        let (Some(batch), Some(next)) = (self.live.get_mut(&self.open), self.open.checked_add(1)) else {
            return false;
        };
        batch.state = BatchState::Frozen;
        batch.automatic = *automatic;
        batch.operator.clone_from(operator);
        batch.freeze_parts(moved);
        if *automatic
            && let Some(date) = date
            && !planted!(AutoCloseForgotten)
        {
            self.auto_closed.add(*date);
        }
        self.open = next;
        self.live.insert(next, Batch::new(next, *next_date));
        true
    }

    fn close(&mut self, number: u32, wall_ms: i64) {
        if number == self.open {
            return;
        }
        let Some(mut batch) = self.live.remove(&number) else { return };
        batch.state = BatchState::Closed;
        batch.closed_wall_ms = wall_ms;
        batch.parts_mut().for_each(Part::forget_entries);
        self.closed.push_back(batch);
        if self.closed.len() > RECENT {
            self.closed.pop_front();
        }
    }
}

/// An event of one part.
fn go_on(p: &mut Part, event: &BatchEvent, open: u32) {
    match event {
        BatchEvent::Waited { .. } => p.waits = p.waits.saturating_add(1),
        BatchEvent::Excepted { item, why, .. } => p.except(Exception { item: *item, why: why.clone() }),
        BatchEvent::Answered { ask, answer, .. }
            if p.exchange.as_ref().is_some_and(|e| e.ask == *ask && e.waiting) =>
        {
            p.answered(answer);
        }
        BatchEvent::GaveUp { text, .. } => p.gave_up = Some(GaveUp { text: text.clone(), open }),
        BatchEvent::CloseProposed { reason, operator, .. } => {
            p.proposal = Some(CloseProposal { operator: operator.clone(), reason: reason.clone() });
        }
        BatchEvent::Resumed { .. } => {
            p.gave_up = None;
            // It was wanted closed because nothing more came of it.
            p.proposal = None;
            if let Some(exchange) = &mut p.exchange {
                exchange.tries = 0;
            }
        }
        BatchEvent::PartClosed { payout, by_hand, .. } => p.close(payout.clone(), by_hand.is_some()),
        _ => {}
    }
}
