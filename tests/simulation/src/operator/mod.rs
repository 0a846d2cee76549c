//! The people at the till: sell, hold, top up, give back, change their minds, press things twice, and in the evening
//! look at what nobody could find out.

mod after;
mod close;
mod desk;
mod maintenance;
mod office;
mod sell;
mod suspend;
mod train;

pub(crate) use close::stalled;
use till_core::input::Presented;
use till_core::{AttemptState, Input, Payment, PaymentId, PaymentState, Refusal};
use till_plugin::{Family, Money};

use crate::world::{Told, World};

/// What the people know.
pub(crate) struct Operator {
    pub(crate) payments: u64,
    pub(crate) done: bool,
    opened: u64,
    fresh: u64,
    /// Requests to open. The last one may not have been answered.
    asked: Vec<Asked>,
    refused_in_a_row: u32,
    /// Payments that somebody has in mind, oldest first.
    pub(crate) known: Vec<PaymentId>,
    /// Keys of legs.
    legs: u64,
    /// Turns left after the last sale, to clear up.
    evening: u32,
    /// The day is closed before everybody goes.
    closes: bool,
    /// Somebody new is shown the till.
    pub(crate) trains: bool,
    /// A supervisor comes by who suspends channels and resumes them.
    pub(crate) suspends: bool,
    /// Somebody is in the office.
    pub(crate) office: bool,
}

/// A request to open a payment.
#[derive(Clone)]
struct Asked {
    key: String,
    minor: i64,
    purpose: till_core::Purpose,
    training: bool,
}

/// What somebody sees of the payment before them.
#[derive(Copy, Clone)]
struct Sight {
    id: PaymentId,
    amount: Money,
    remaining: Money,
    state: PaymentState,
    attempts: usize,
    newest: u32,
    waiting: bool,
    open: bool,
    parked: bool,
    cancelled: bool,
    /// Nobody knows its outcome.
    unknown: bool,
    /// A leg waits for the card.
    wants_card: bool,
    part_possible: bool,
}

impl Sight {
    fn of(p: &Payment) -> Self {
        let open = p.open_attempt();
        Self {
            id: p.id,
            amount: p.amount,
            remaining: p.remaining(),
            state: p.state,
            attempts: p.attempts.len(),
            newest: p.attempts.iter().map(|a| a.ids.attempt).max().unwrap_or(0),
            waiting: open.is_some_and(|a| a.waiting),
            open: open.is_some(),
            parked: p.parked,
            cancelled: p.cancel_requested,
            unknown: open
                .is_some_and(|a| matches!(a.state, AttemptState::Querying | AttemptState::Reversing)),
            wants_card: open.is_some_and(|a| a.wants_instrument && a.state == AttemptState::Created),
            part_possible: p.purpose == till_core::Purpose::Sale,
        }
    }
}

impl Operator {
    pub(crate) const fn new(payments: u64, evening: u32, closes: bool, trains: bool, suspends: bool) -> Self {
        Self {
            payments,
            done: false,
            opened: 0,
            fresh: 0,
            asked: Vec::new(),
            refused_in_a_row: 0,
            known: Vec::new(),
            legs: 0,
            evening,
            closes,
            trains,
            suspends,
            office: false,
        }
    }

    /// It goes on by itself, and may not be able to before people have decided something.
    pub(crate) fn waits_for_people(p: &Payment) -> bool {
        matches!(p.state, PaymentState::Returning | PaymentState::Delivering) || p.acknowledged == Some(false)
    }

    /// Selling is over: what is left is clearing up.
    pub(crate) const fn is_evening(&self) -> bool {
        self.opened >= self.payments
    }

    pub(crate) fn act(w: &mut World) {
        if w.operator.suspends && suspend::turn(w) {
            return;
        }
        if (w.operator.office && office::turn(w)) || maintenance::turn(w) {
            return;
        }
        let Some(p) = w.till().foreground().map(Sight::of) else { return Self::free(w) };
        match p.state {
            _ if p.wants_card => after::bring_card(w, p),
            PaymentState::Draft => sell::draft(w, p),
            // Under way is one of its legs; the customer was there before a restart.
            PaymentState::PartPaid if p.parked || p.open => sell::under_way(w, p),
            PaymentState::Ready | PaymentState::PartPaid => sell::ready(w, p),
            _ => sell::under_way(w, p),
        }
    }

    fn free(w: &mut World) {
        if w.operator.trains && train::turn(w) {
            return;
        }
        if w.operator.is_evening() {
            // What waits for a review to be decided would wait for ever.
            if w.till().open_payments().any(Self::waits_for_people) {
                return after::clear_up(w);
            }
            if stalled(w.till()).is_some() {
                return close::settle_by_hand(w);
            }
            // Nothing is left to clear up.
            if w.till().open_payments().next().is_none() {
                w.operator.evening = 0;
            }
            if w.operator.evening == 0 {
                if std::mem::take(&mut w.operator.closes) {
                    return close::close_day(w);
                }
                w.operator.done = true;
                return;
            }
            w.operator.evening -= 1;
            return after::clear_up(w);
        }
        match w.rng.below(100) {
            0..20 => after::look_back(w),
            20..26 => after::clear_up(w),
            26 | 27 => close::close_day(w),
            28 | 29 => close::night(w),
            30 | 31 => close::settle_by_hand(w),
            32 => desk::sign_in(w),
            33 => desk::reprint(w),
            34 => desk::dispute(w),
            _ => sell::open(w),
        }
    }

    /// Counted into the first half, so that checks find what belongs to it at once.
    fn fresh_id(w: &mut World) -> PaymentId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&w.operator.fresh.to_be_bytes());
        id[8..].copy_from_slice(&w.rng.next().to_be_bytes());
        w.operator.fresh += 1;
        PaymentId(id)
    }
}

/// It must be refused in this way.
fn refused(told: &Told, wrong: &str, right: impl Fn(&Refusal) -> bool) {
    assert!(matches!(told, Ok(Err(r)) if right(r)), "{wrong}: {told:?}");
}

fn presented(family: &str, token: String, channel: Option<String>) -> Presented {
    Presented {
        family: Family::new(family),
        evidence: "test".into(),
        masked: "620000******0005".into(),
        token,
        tendered: None,
        channel,
        amount: None,
        duplicate_reason: String::new(),
    }
}

fn cancel(w: &mut World, payment: PaymentId) -> Told {
    let operator = w.rng.chance(50).then(|| "op".to_owned());
    w.asked(&Input::Cancel { payment, operator })
}
