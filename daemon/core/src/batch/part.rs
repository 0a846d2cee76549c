//! A channel's part of a batch, and how far its settlement is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use till_plugin::channel::{AttemptIds, Decline, UnknownReason};

use super::entry::{Entry, Exception, Item, Why};
use super::totals::{Kinds, Totals};
use crate::payment::LegKind;
use crate::planted::planted;
use till_plugin::Money;

/// Where a part stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartState {
    /// New items join.
    Open,
    /// No new items; waiting for those that are under way, then for its turn.
    Frozen,
    /// Its totals left for the network; they do not change any more.
    TotalsSent,
    /// The network counts the same.
    Matched,
    /// It does not: details follow.
    Mismatched,
    /// Details are going up; entries before `next` are there.
    Uploading {
        /// First entry that is not known to be there.
        next: u32,
    },
    /// Compared again after the details.
    Recompared {
        /// Whether the network agrees now.
        agreed: bool,
    },
    /// Done.
    Closed,
    /// Done, and people have something left to do.
    ClosedWithExceptions,
}

impl PartState {
    /// Lower-kebab name, as on D-Bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Frozen => "frozen",
            Self::TotalsSent => "totals-sent",
            Self::Matched => "matched",
            Self::Mismatched => "mismatched",
            Self::Uploading { .. } => "uploading",
            Self::Recompared { .. } => "recompared",
            Self::Closed => "closed",
            Self::ClosedWithExceptions => "closed-with-exceptions",
        }
    }

    /// Nothing of it is left to do by itself.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Closed | Self::ClosedWithExceptions)
    }

    /// Items that become certain still join: its totals are not struck yet.
    pub const fn takes_entries(self) -> bool {
        matches!(self, Self::Open | Self::Frozen)
    }
}

/// What the network is asked in a settlement.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Compare totals.
    Compare,
    /// Take detail records.
    Upload {
        /// First entry, from 0.
        from: u32,
        /// How many.
        count: u32,
    },
    /// Compare totals again, after the details.
    CompareAgain,
    /// Close the batch.
    End,
}

/// What it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Totals agree.
    Balanced,
    /// They do not.
    Unbalanced,
    /// Records taken, or batch closed.
    Taken,
    /// A definite no.
    Refused(Decline),
    /// The request did not leave.
    NotSent(Decline),
    /// This channel has no such request.
    Unsupported,
    /// Nobody knows.
    Unknown {
        /// Why.
        reason: UnknownReason,
        /// One line.
        text: String,
    },
}

/// An exchange with the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What is asked.
    pub ask: Ask,
    /// Its numbers: the same for every try until a definite answer.
    pub ids: AttemptIds,
    /// Tries begun.
    pub tries: u32,
    /// The last one is not answered yet.
    pub waiting: bool,
    /// Refused for good: another try is another request, with new numbers.
    pub refused: bool,
}

/// The machine gave up for now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GaveUp {
    /// Why, one line.
    pub text: String,
    /// Batch that was open then: when another one is, it is tried again.
    pub open: u32,
}

/// The first of two people wants a part closed without the network's answer (W8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseProposal {
    /// Who.
    pub operator: String,
    /// Why.
    pub reason: String,
}

/// A channel's part of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where it stands.
    pub state: PartState,
    /// Items under way; `true`: in review.
    open: BTreeMap<Item, bool>,
    entries: Vec<Entry>,
    /// Entries ever, also when they have left memory.
    count: u32,
    totals: Totals,
    kinds: Kinds,
    exceptions: Vec<Exception>,
    /// The exchange begun last, until it is answered for good.
    pub exchange: Option<Exchange>,
    /// Exchanges with numbers of their own so far.
    pub exchanges: u32,
    /// Waits for items under way so far.
    pub waits: u32,
    /// Entries before this one go up one by one: a packet with them was refused.
    pub single_until: u32,
    /// Whether the network agreed; None: not compared with anybody.
    pub agreed: Option<bool>,
    /// The network closed it, or has nothing to close.
    pub ended: bool,
    /// Its channel went on under the next batch number of its network when it was frozen: it settles, or might.
    pub moved: bool,
    /// The machine gave up for now, and why: people, or the close of the next batch, let it go on.
    pub gave_up: Option<GaveUp>,
    /// One person wants it closed as it is; another one has to say the same.
    pub proposal: Option<CloseProposal>,
    /// What closing it said of fees and payout.
    pub payout: Option<super::payout::Payout>,
}

impl Part {
    pub(super) fn new() -> Self {
        Self {
            state: PartState::Open,
            open: BTreeMap::new(),
            entries: Vec::new(),
            count: 0,
            totals: Totals::default(),
            kinds: Kinds::default(),
            exceptions: Vec::new(),
            exchange: None,
            exchanges: 0,
            waits: 0,
            single_until: 0,
            agreed: None,
            ended: false,
            moved: false,
            gave_up: None,
            proposal: None,
            payout: None,
        }
    }

    /// Money in it, oldest first; none any more once its batch is closed (the journal has them).
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Entries ever.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Sums of the entries.
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Sums by kind, holds and loads too.
    pub const fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// What is left to people.
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// Items under way, and whether they are in review.
    pub fn open_items(&self) -> impl Iterator<Item = (Item, bool)> + '_ {
        self.open.iter().map(|(item, review)| (*item, *review))
    }

    /// Items on the fuller side of its totals, with all that is under way: what the network may come to count.
    pub fn side_count(&self) -> u32 {
        let fuller = |(_, line): (_, super::totals::Line)| line.debits.count.max(line.credits.count);
        let counted = self.totals.lines().map(fuller).fold(0, u32::saturating_add);
        if planted!(FullOfBooked) {
            return counted;
        }
        counted.saturating_add(u32::try_from(self.open.len()).unwrap_or(u32::MAX))
    }

    /// Something was sent in it that its network may have counted.
    pub fn matters(&self) -> bool {
        self.count > 0 || !self.open.is_empty() || self.kinds.iter().next().is_some()
    }

    /// An item is under way.
    pub(super) fn begin(&mut self, item: Item, review: bool) {
        self.resolve(item);
        self.open.insert(item, review);
    }

    /// An item is under way no more.
    pub(super) fn end(&mut self, item: Item) {
        self.resolve(item);
        self.open.remove(&item);
    }

    /// What was an exception for want of an answer has one: none any more, as long as totals are not struck.
    fn resolve(&mut self, item: Item) {
        if self.state.takes_entries() {
            self.exceptions.retain(|e| e.item != Some(item));
        }
    }

    /// An approved item joins.
    pub(super) fn enter(&mut self, item: Item, kind: LegKind, amount: Money, seq: u64) {
        let fits = self.kinds.add(kind, amount).and_then(|()| self.totals.add(kind, amount));
        if planted!(TotalsTwice) {
            let _ = self.totals.add(kind, amount);
        }
        if fits.is_err() {
            // Never a wrong sum in silence: the entry stands, the part says that its totals do not.
            self.except(Exception { item: Some(item), why: Why::Overflow });
        }
        if super::totals::side(kind).is_some() {
            self.entries.push(Entry { item, kind, amount, seq });
            self.count = self.count.saturating_add(1);
            if planted!(EnteredTwice) {
                self.entries.push(Entry { item, kind, amount, seq });
                self.count = self.count.saturating_add(1);
                let _ = self.totals.add(kind, amount);
            }
        }
    }

    /// Named for people; an item under way is waited for no more.
    pub(super) fn except(&mut self, exception: Exception) {
        if let Some(item) = exception.item {
            self.open.remove(&item);
            if planted!(ItemDropped) {
                return;
            }
        }
        if !self.exceptions.contains(&exception) {
            self.exceptions.push(exception);
        }
    }

    /// An item that had ended is under way again, and the totals were struck without it.
    pub(super) fn reopened(&mut self, item: Item) {
        if !self.exceptions.iter().any(|e| e.item == Some(item)) {
            self.except(Exception { item: Some(item), why: Why::Unfinished });
        }
    }

    /// An exchange begins, or begins again; true when its numbers are new.
    pub(super) fn started(&mut self, ask: Ask, ids: &AttemptIds) -> bool {
        let again = self.exchange.as_ref().filter(|e| e.ids == *ids && e.ask == ask).map(|e| e.tries);
        // A new request after a refusal spends the same budget.
        let spent = self.exchange.as_ref().filter(|e| e.ask == ask).map_or(0, |e| e.tries);
        let tries = again.unwrap_or(spent).saturating_add(1);
        self.exchange = Some(Exchange { ask, ids: ids.clone(), tries, waiting: true, refused: false });
        if ask == Ask::Compare {
            self.state = PartState::TotalsSent;
        }
        self.exchanges = self.exchanges.saturating_add(u32::from(again.is_none()));
        again.is_none()
    }

    /// It is answered.
    pub(super) fn answered(&mut self, answer: &Answer) {
        let Some(mut exchange) = self.exchange.take() else { return };
        match (exchange.ask, answer) {
            (Ask::Compare, Answer::Balanced) => {
                self.state = PartState::Matched;
                self.agreed = Some(true);
            }
            (Ask::Compare, Answer::Unbalanced) => {
                self.state = PartState::Mismatched;
                self.agreed = Some(false);
            }
            // It compares nothing after all; or the network has closed it, or has no such thing as closing.
            (Ask::Compare, Answer::Unsupported) | (Ask::End, Answer::Taken | Answer::Unsupported) => {
                self.ended = true;
            }
            (Ask::CompareAgain, Answer::Balanced) => {
                self.state = PartState::Recompared { agreed: true };
                self.agreed = Some(true);
            }
            (Ask::CompareAgain, Answer::Unbalanced | Answer::Refused(_) | Answer::Unsupported) => {
                self.state = PartState::Recompared { agreed: false };
                self.except(Exception { item: None, why: Why::TotalsDiffer });
            }
            (Ask::Upload { from, count }, Answer::Taken) => {
                let next = from.saturating_add(count).saturating_add(u32::from(planted!(DetailSkipped)));
                self.state = PartState::Uploading { next };
            }
            // Which of them it is, only one at a time can tell.
            (Ask::Upload { from, count }, Answer::Refused(_)) if count > 1 => {
                self.state = PartState::Uploading { next: from };
                self.single_until = from.saturating_add(count);
            }
            (Ask::Upload { from, .. }, Answer::Refused(decline)) => {
                let item = usize::try_from(from).ok().and_then(|i| self.entries.get(i)).map(|e| e.item);
                self.except(Exception { item, why: Why::Refused(decline.code.clone()) });
                self.state = PartState::Uploading { next: from.saturating_add(1) };
            }
            // No uploads here: on with what is known.
            (Ask::Upload { .. }, Answer::Unsupported) => {
                self.state = PartState::Uploading { next: self.count };
            }
            (Ask::End, Answer::Refused(decline)) => {
                self.except(Exception { item: None, why: Why::NotClosed(decline.code.clone()) });
                self.ended = true;
            }
            // Not known, or nonsense: the same again later.
            (_, answer) => {
                exchange.waiting = false;
                exchange.refused = matches!(answer, Answer::Refused(_));
                self.exchange = Some(exchange);
            }
        }
    }

    /// Everything is said; entries leave memory with their batch.
    pub(super) fn close(&mut self, payout: super::payout::Payout, by_hand: bool) {
        for (item, review) in std::mem::take(&mut self.open) {
            let why = if review { Why::Review } else { Why::Unfinished };
            self.except(Exception { item: Some(item), why });
        }
        if by_hand {
            self.except(Exception { item: None, why: Why::NoAnswer });
        }
        self.payout = Some(payout);
        self.exchange = None;
        self.gave_up = None;
        self.proposal = None;
        self.state =
            if self.exceptions.is_empty() { PartState::Closed } else { PartState::ClosedWithExceptions };
    }

    pub(super) fn forget_entries(&mut self) {
        self.entries = Vec::new();
        self.open = BTreeMap::new();
    }
}
