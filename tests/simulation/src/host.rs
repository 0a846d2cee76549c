//! A payment network with its own ledger. It never lies in its book, only in what it answers.

use std::collections::{BTreeMap, BTreeSet};

use till_plugin::channel::{
    Approval, AttemptIds, Decline, DeclineClass, Echo, Outcome, QueryOutcome, UndoOutcome, Unknown,
    UnknownReason,
};
use till_plugin::instrument::Cvm;
use till_plugin::{Extra, Money};

use crate::faults::{Pay, PayFate, QueryFate, UndoFate, Wrong};
use crate::profile;

/// What travels to a host.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) channel: usize,
    pub(crate) ids: AttemptIds,
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
    pub(crate) amount: Money,
    pub(crate) state: Book,
    /// Queries see nothing of it until then: a replica that lags behind.
    seen_from: u64,
    /// Times that money was taken; more than one is a double charge.
    pub(crate) charges: u32,
    /// The host will not undo it.
    refuses: bool,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Book {
    /// The customer has not agreed yet; becomes paid by a query after so many, or never.
    Pending(Option<u32>),
    Paid,
    Declined,
    /// Closed or given back.
    Undone,
}

#[derive(Default)]
pub(crate) struct Host {
    pub(crate) book: BTreeMap<String, Entry>,
    /// Reversed before it came: a bank's line keeps order, so such a request is refused.
    tombs: BTreeSet<String>,
    keeps_order: bool,
    /// Bookings that came after the host had said "never existed".
    pub(crate) booked_late: u64,
    said_never: BTreeSet<String>,
}

pub(crate) fn no(code: &str) -> Decline {
    Decline::local(DeclineClass::Customer, code, "the world says no")
}

pub(crate) fn doubt(reason: UnknownReason) -> Unknown {
    Unknown::new(reason, "the world does not say")
}

impl Host {
    pub(crate) fn new(channel: usize) -> Self {
        Self { keeps_order: profile::keeps_order(channel), ..Self::default() }
    }

    /// Money that stands on an order.
    pub(crate) fn kept(&self, order: &str) -> u32 {
        self.book.get(order).map_or(0, |e| if e.state == Book::Paid { e.charges } else { 0 })
    }

    pub(crate) fn pay(&mut self, m: &Message, pay: Pay, lag: u64, now: u64) -> Outcome {
        let order = &m.ids.order;
        if self.tombs.contains(order) {
            return Outcome::Declined(no("reversed-before"));
        }
        if let Some(known) = self.book.get_mut(order) {
            // A second request under the same number would take money twice: the daemon must never send it.
            known.charges += 1;
            return Outcome::Approved(approval(m.channel, &m.ids, m.amount));
        }
        let (state, outcome) = match pay {
            Pay::Yes => (Book::Paid, Outcome::Approved(approval(m.channel, &m.ids, m.amount))),
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
        let charges = u32::from(state == Book::Paid);
        let entry = Entry { amount: m.amount, state, seen_from: now + lag, charges, refuses: false };
        self.book.insert(order.clone(), entry);
        outcome
    }

    pub(crate) fn customer_agrees(&mut self, order: &str) {
        if let Some(e) = self.book.get_mut(order).filter(|e| matches!(e.state, Book::Pending(_))) {
            e.state = Book::Paid;
            e.charges += 1;
        }
    }

    pub(crate) fn query(&mut self, m: &Message, fate: QueryFate, now: u64) -> QueryOutcome {
        let Some(e) = self.book.get_mut(&m.ids.order).filter(|e| e.seen_from <= now) else {
            return QueryOutcome::NotFound;
        };
        if let Book::Pending(Some(n)) = e.state {
            e.state = if n == 0 { Book::Paid } else { Book::Pending(Some(n - 1)) };
            e.charges += u32::from(n == 0);
        }
        match e.state {
            Book::Paid => {
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
        let Some(e) = self.book.get_mut(order).filter(|e| keeps_order || e.seen_from <= now) else {
            if keeps_order {
                self.tombs.insert(order.clone());
            }
            self.said_never.insert(order.clone());
            return UndoOutcome::NeverExisted;
        };
        if e.refuses || (fate == UndoFate::Refuse && e.state == Book::Paid) {
            e.refuses = true;
            return UndoOutcome::Refused(no("settled"));
        }
        let money_moved = e.state == Book::Paid;
        if e.state == Book::Declined && keeps_order {
            return UndoOutcome::NeverExisted;
        }
        e.state = Book::Undone;
        UndoOutcome::Undone { money_moved, reference: Some(format!("U{order}")) }
    }
}

pub(crate) fn approval(channel: usize, ids: &AttemptIds, amount: Money) -> Approval {
    // A bank's answer repeats the trace number, a wallet's the order number.
    let order = if profile::keeps_order(channel) { format!("{:06}", ids.trace) } else { ids.order.clone() };
    Approval {
        amount,
        echo: Echo {
            order: Some(order),
            merchant: Some(profile::merchant(channel)),
            terminal: Some(profile::TERMINAL.into()),
        },
        reference: format!("R{}", ids.order),
        authorisation_code: None,
        account: None,
        scheme: None,
        host_time: None,
        cvm: Cvm::None,
        change: None,
        open_drawer: profile::opens_drawer(channel),
        receipt: Vec::new(),
        extra: Extra::new(),
    }
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
