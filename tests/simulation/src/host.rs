//! A payment network with its own ledger. It never lies in its book, only in what it answers. It does not look whether a
//! refund or completion goes beyond what was taken: that is the till's to see, and money lost here if it does not.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};
use till_core::LegKind;
use till_plugin::Money;
use till_plugin::channel::{
    Approval, AttemptIds, Decline, DeclineClass, Echo, Outcome, QueryOutcome, UndoOutcome, Unknown,
    UnknownReason, answered,
};

use crate::faults::{Pay, PayFate, QueryFate, UndoFate, Wrong};

use crate::profile;
use crate::rng::Rng;
use crate::settlement::NetworkBatch;

/// What travels to a host.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) channel: usize,
    pub(crate) kind: LegKind,
    pub(crate) ids: AttemptIds,
    /// Order number of the attempt that a leg follows.
    pub(crate) original: Option<String>,
    pub(crate) amount: Money,
    pub(crate) what: What,
    /// Which life of the process sent it: an answer to an earlier one reaches nobody, its connection is gone.
    pub(crate) life: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Pay(Pay, PayFate),
    Query(QueryFate),
    Undo(UndoFate),
}

/// A line of the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: LegKind,
    pub(crate) amount: Money,
    pub(crate) state: Book,
    /// The network's batch that it was sent under.
    pub(crate) batch: u32,
    /// Queries see nothing of it until then: a replica that lags behind.
    seen_from: u64,
    /// Times that it was done; more than one is a double charge (or refund, or load).
    pub(crate) charges: u32,
    /// The host will not undo it.
    refuses: bool,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Book {
    /// The customer has not agreed yet; becomes done by a query after so many, or never.
    Pending(Option<u32>),
    Done,
    Declined,
    /// Closed or given back.
    Undone,
}

#[derive(Default)]
pub(crate) struct Host {
    pub(crate) book: FxHashMap<String, Entry>,
    /// Reversed before it came: a bank's line keeps order, so such a request is refused.
    tombs: FxHashSet<String>,
    keeps_order: bool,
    /// Bookings that came after the host had said "never existed".
    pub(crate) booked_late: u64,
    said_never: FxHashSet<String>,
    pub(crate) channel: usize,
    /// Its batches, by its own numbers.
    pub(crate) batches: BTreeMap<u32, NetworkBatch>,
    /// Batches that the till closed without it.
    pub(crate) left: BTreeSet<u32>,
    /// Most that it counts on a side of one batch: its message has so many digits.
    pub(crate) limit: Option<u32>,
}

/// A no, of the channel's own fault or for a reason of the customer's.
pub(crate) fn no(code: &str) -> Decline {
    let class = match code {
        "no-line" | "not-prepared" | "91" => DeclineClass::Channel,
        _ => DeclineClass::Customer,
    };
    Decline::local(class, code, "the world says no")
}

pub(crate) fn doubt(reason: UnknownReason) -> Unknown {
    Unknown::new(reason, "the world does not say")
}

impl Host {
    pub(crate) fn new(channel: usize, batch_limit: Option<u32>) -> Self {
        let limit = batch_limit.filter(|_| profile::settles(channel));
        Self { keeps_order: profile::keeps_order(channel), channel, limit, ..Self::default() }
    }

    /// How often what an order asked for was done and stands.
    pub(crate) fn kept(&self, order: &str) -> u32 {
        self.book.get(order).map_or(0, |e| if e.state == Book::Done { e.charges } else { 0 })
    }

    /// The batch number that it wants used, asked at a sign-in: none, the one that is open in its own books, or a new one.
    pub(crate) fn wants(&self, rng: &mut Rng, ours: u32) -> Option<u32> {
        let newest = self.book.values().map(|e| e.batch).max().unwrap_or(1);
        // What was closed without it, it closes by itself at night.
        let over = self.has_ended(newest) || self.left.contains(&newest);
        match rng.below(20) {
            0..9 => None,
            9..15 => Some(if over { newest.max(ours) + u32::from(newest >= ours) } else { newest }),
            15..19 => Some(newest.max(ours) + 1 + u32::try_from(rng.below(3)).unwrap_or(0)),
            // No number of a batch.
            _ => Some(rng.pick(&[0, 1_000_000])),
        }
    }

    fn has_ended(&self, network: u32) -> bool {
        self.batches.get(&network).is_some_and(|b| b.ended)
    }

    pub(crate) fn pay(&mut self, m: &Message, pay: Pay, lag: u64, now: u64) -> Outcome {
        let order = &m.ids.order;
        assert!(
            !self.has_ended(m.ids.batch),
            "I13: {} {order} comes under batch {}, which is closed at the network",
            m.kind.as_str(),
            m.ids.batch
        );
        if self.tombs.contains(order) {
            return Outcome::Declined(no("reversed-before"));
        }
        if let Some(known) = self.book.get_mut(order) {
            // A second request under the same number would take money twice: the daemon must never send it.
            known.charges += 1;
            return Outcome::Approved(approval(m.channel, &m.ids, m.amount));
        }
        let gone = m.original.as_ref().is_some_and(|original| self.kept(original) == 0);
        let (state, outcome) = match pay {
            _ if gone => (Book::Declined, Outcome::Declined(no("no-original"))),
            Pay::Yes => (Book::Done, Outcome::Approved(approval(m.channel, &m.ids, m.amount))),
            // Its issuer cannot be reached: another network may.
            Pay::No if m.ids.trace.is_multiple_of(3) => (Book::Declined, Outcome::Declined(no("91"))),
            Pay::No => (Book::Declined, Outcome::Declined(no("51"))),
            Pay::Pending(n) => {
                let show =
                    Unknown { show_code: Some("SHOW-ME".into()), ..doubt(UnknownReason::AwaitingCustomer) };
                (Book::Pending(n), Outcome::Unknown(show))
            }
        };
        if self.said_never.contains(order) && state != Book::Declined {
            self.booked_late += 1;
        }
        let charges = u32::from(state == Book::Done);
        let entry = Entry {
            kind: m.kind,
            amount: m.amount,
            state,
            batch: m.ids.batch,
            seen_from: now + lag,
            charges,
            refuses: false,
        };
        self.book.insert(order.clone(), entry);
        outcome
    }

    pub(crate) fn customer_agrees(&mut self, order: &str) {
        if let Some(e) = self.book.get_mut(order).filter(|e| matches!(e.state, Book::Pending(_))) {
            e.state = Book::Done;
            e.charges += 1;
        }
    }

    pub(crate) fn query(&mut self, m: &Message, fate: QueryFate, now: u64) -> QueryOutcome {
        let Some(e) = self.book.get_mut(&m.ids.order).filter(|e| e.seen_from <= now) else {
            return QueryOutcome::NotFound;
        };
        if let Book::Pending(Some(n)) = e.state {
            e.state = if n == 0 { Book::Done } else { Book::Pending(Some(n - 1)) };
            e.charges += u32::from(n == 0);
        }
        match e.state {
            Book::Done => {
                let right = approval(m.channel, &m.ids, e.amount);
                QueryOutcome::Paid(if let QueryFate::Wrong(w) = fate { wrong(right, w) } else { right })
            }
            Book::Pending(_) => QueryOutcome::InProgress,
            Book::Declined | Book::Undone => QueryOutcome::NotPaid(no("TRADE_CLOSED")),
        }
    }

    pub(crate) fn undo(&mut self, m: &Message, fate: UndoFate, now: u64) -> UndoOutcome {
        let order = &m.ids.order;
        let keeps_order = self.keeps_order;
        let settled = self.has_ended(m.ids.batch);
        let Some(e) = self.book.get_mut(order).filter(|e| keeps_order || e.seen_from <= now) else {
            if keeps_order {
                self.tombs.insert(order.clone());
            }
            self.said_never.insert(order.clone());
            return UndoOutcome::NeverExisted;
        };
        if e.refuses
            || (settled && e.state == Book::Done)
            || (fate == UndoFate::Refuse && e.state == Book::Done)
        {
            e.refuses = true;
            return UndoOutcome::Refused(no("settled"));
        }
        let money_moved = e.state == Book::Done;
        if e.state == Book::Declined && keeps_order {
            return UndoOutcome::NeverExisted;
        }
        e.state = Book::Undone;
        UndoOutcome::Undone { money_moved, reference: Some(format!("U{order}")) }
    }

    /// Somebody of the shop calls: what still waits for the customer is closed, and what was done is said. Nothing that
    /// comes later under this number is booked any more.
    pub(crate) fn asked_by_hand(&mut self, order: &str) -> bool {
        self.tombs.insert(order.to_owned());
        if let Some(e) = self.book.get_mut(order).filter(|e| matches!(e.state, Book::Pending(_))) {
            e.state = Book::Undone;
        }
        self.kept(order) > 0
    }
}

/// A bank's answer repeats the trace number, a wallet's the order number.
fn echoed_order(channel: usize, ids: &AttemptIds) -> Cow<'_, str> {
    if profile::keeps_order(channel) { format!("{:06}", ids.trace).into() } else { ids.order.as_str().into() }
}

/// Whether it repeats what was asked, as [`approval`] does.
pub(crate) fn echoes(echo: &Echo, channel: usize, ids: &AttemptIds) -> bool {
    let Echo { order, merchant, terminal } = echo;
    order.as_deref() == Some(&*echoed_order(channel, ids))
        && merchant.as_deref() == Some(profile::merchant(channel))
        && terminal.as_deref() == Some(profile::TERMINAL)
}

pub(crate) fn approval(channel: usize, ids: &AttemptIds, amount: Money) -> Approval {
    let echo = Echo {
        order: Some(echoed_order(channel, ids).into_owned()),
        merchant: Some(profile::merchant(channel).into()),
        terminal: Some(profile::TERMINAL.into()),
    };
    let bare = Approval::bare(amount, ["R", &ids.order].concat());
    let mut extra = till_plugin::Extra::new();
    if profile::keeps_order(channel) {
        // A network that files the shop under another category now and then (a jump code).
        let mcc = if ids.trace % 37 == 36 { profile::OTHER_MCC } else { profile::MCC };
        answered::say(&mut extra, answered::MCC, Some(mcc));
    }
    Approval { echo, open_drawer: profile::opens_drawer(channel), extra, ..bare }
}

pub(crate) fn wrong(mut a: Approval, what: Wrong) -> Approval {
    match what {
        Wrong::Amount => a.amount = Money::new(a.amount.minor() + 1, a.amount.currency()),
        Wrong::Order => a.echo.order = Some("OTHER-ORDER".into()),
        Wrong::Merchant => a.echo.merchant = Some("OTHER-SHOP".into()),
        Wrong::Terminal => a.echo.terminal = Some("T9999999".into()),
    }
    a
}
