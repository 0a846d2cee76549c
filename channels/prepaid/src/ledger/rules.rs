//! What may be booked: (card, request, settings, clock) → entry or refusal. Pure.

use till_plugin::{Currency, Money};

use super::card::{Card, Class, Clock, Medium};
use super::entry::{Entry, Event};
use super::error::Refusal;
use super::request::{Action, Found, Request};

/// Longest reason, bytes.
pub const MAX_REASON: usize = 200;
/// Longest name of an operator, bytes.
pub const MAX_OPERATOR: usize = 64;
/// Longest key.
pub const MAX_KEY: usize = 64;

/// What cards may hold, and what is allowed with them; settings. Amounts in minor units of the ledger's currency.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most a bearer card holds (PBoC, channels.md §5: 1000.00 CNY).
    pub bearer_cap: i64,
    /// Most a registered card holds (5000.00 CNY).
    pub registered_cap: i64,
    /// Most a card holds whose number can be read or scanned, whatever its class.
    pub number_cap: i64,
    /// Most a card holds that is known by its UID only, whatever its class.
    pub uid_cap: i64,
    /// Bearer cards are paid out too.
    pub redeem_bearer: bool,
}

impl Limits {
    /// Most that a card of a class holds.
    pub fn cap(&self, class: Class) -> i64 {
        let by_holder = if class.registered { self.registered_cap } else { self.bearer_cap };
        match class.medium {
            Medium::Authenticated => by_holder,
            Medium::Number => by_holder.min(self.number_cap),
            Medium::Uid => by_holder.min(self.uid_cap),
        }
    }
}

/// Shape of a request: what is refused whatever the ledger holds.
pub(super) fn shape(request: &Request, currency: Currency) -> Result<(), Refusal> {
    let long = |what, text: &str, longest| {
        if text.len() > longest { Err(Refusal::TooLong { what, longest }) } else { Ok(()) }
    };
    let key = |key: &str| {
        let fits = (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric());
        if fits { Ok(()) } else { Err(Refusal::Key) }
    };
    match &request.action {
        Action::Undo { of } => key(of)?,
        _ => key(&request.key)?,
    }
    let operator = request.operator.as_deref().unwrap_or_default();
    long("operator's name", operator, MAX_OPERATOR)?;
    if request.action.needs_operator() && operator.is_empty() {
        return Err(Refusal::NoOperator);
    }
    match &request.action {
        Action::Block { reason, .. } | Action::Unblock { reason, .. } | Action::Adjust { reason, .. } => {
            long("reason", reason, MAX_REASON)?;
        }
        _ => {}
    }
    if let Some(amount) = request.action.amount() {
        if amount.currency() != currency {
            return Err(Refusal::Currency { ours: currency, theirs: amount.currency() });
        }
        let fits = match &request.action {
            Action::Issue { .. } => amount.minor() >= 0,
            Action::Adjust { reason, .. } => {
                amount.minor() != 0 && amount.minor() != i64::MIN && !reason.is_empty()
            }
            _ => amount.is_positive(),
        };
        if !fits {
            return Err(Refusal::Amount);
        }
    }
    Ok(())
}

/// The event of a request about a card, or why not.
pub(super) fn event(
    request: &Request,
    card: Option<&Card>,
    limits: &Limits,
    now: Clock,
    currency: Currency,
) -> Result<Event, Refusal> {
    let money = |minor| Money::new(minor, currency);
    if let Action::Issue { class, last4, expires_ms, amount, .. } = &request.action {
        if let Some(card) = card {
            return Err(Refusal::IssuedAlready { masked: card.masked() });
        }
        let cap = limits.cap(*class);
        if amount.minor() > cap {
            return Err(Refusal::OverCap { cap: money(cap), balance: money(0), room: money(cap) });
        }
        return Ok(Event::Issue {
            class: *class,
            last4: *last4,
            expires_ms: *expires_ms,
            amount: amount.minor(),
        });
    }
    let card = card.ok_or(Refusal::UnknownCard)?;
    if let Some(expected) = request.expected
        && expected != card.seq
    {
        return Err(Refusal::Moved { expected, found: card.seq });
    }
    let masked = || card.masked();
    let balance = money(card.balance);
    if card.closed {
        return Err(Refusal::CardClosed { masked: masked() });
    }
    let usable = || {
        if card.blocked {
            Err(Refusal::Blocked { masked: masked() })
        } else if card.is_expired(now) {
            Err(Refusal::Expired { masked: masked(), balance })
        } else {
            Ok(())
        }
    };
    let under_cap = |change: i64| {
        let cap = limits.cap(card.class);
        match card.balance.checked_add(change) {
            Some(sum) if sum <= cap => Ok(()),
            _ => {
                let room = money(cap.saturating_sub(card.balance).max(0));
                Err(Refusal::OverCap { cap: money(cap), balance, room })
            }
        }
    };
    Ok(match &request.action {
        Action::Debit { amount, .. } => {
            usable()?;
            holds(card, amount.minor(), currency)?;
            Event::Debit { amount: amount.minor() }
        }
        Action::Load { amount, .. } => {
            usable()?;
            under_cap(amount.minor())?;
            Event::Load { amount: amount.minor() }
        }
        Action::Redeem { .. } => {
            if card.blocked {
                return Err(Refusal::Blocked { masked: masked() });
            }
            if !card.class.registered && !limits.redeem_bearer {
                return Err(Refusal::NotRedeemable);
            }
            Event::Redeem { amount: card.balance }
        }
        // By a clock that somebody keeps, and only after the end that was promised.
        Action::Expire { .. } if !card.expired && card.is_expired(now) => Event::Expire,
        Action::Reactivate { expires_ms, .. } if card.is_expired(now) => {
            Event::Reactivate { expires_ms: *expires_ms }
        }
        Action::Expire { .. } | Action::Reactivate { .. } => {
            return Err(Refusal::NotExpired { masked: masked() });
        }
        Action::Block { .. } if card.blocked => return Err(Refusal::Blocked { masked: masked() }),
        Action::Block { reason, .. } => Event::Block { reason: reason.clone() },
        Action::Unblock { .. } if !card.blocked => return Err(Refusal::NotBlocked { masked: masked() }),
        Action::Unblock { reason, .. } => Event::Unblock { reason: reason.clone() },
        Action::Adjust { change, reason, .. } => {
            if change.is_positive() {
                under_cap(change.minor())?;
            } else {
                holds(card, change.minor().saturating_neg(), currency)?;
            }
            Event::Adjust { change: change.minor(), reason: reason.clone() }
        }
        Action::Issue { .. } | Action::Refund { .. } | Action::Void { .. } | Action::Undo { .. } => {
            return Err(Refusal::NoOriginal { of: request.action.of().unwrap_or_default().into() });
        }
    })
}

/// The event of a request that follows an entry, or why not. Money that goes back to its holder's card is held up by no
/// block, no expiry and no cap: it would be swallowed.
pub(super) fn follow(
    request: &Request,
    original: &Found,
    card: &Card,
    currency: Currency,
) -> Result<Event, Refusal> {
    let money = |minor| Money::new(minor, currency);
    let entry: &Entry = &original.entry;
    if request.action.card().is_some() && request.action.card() != entry.card {
        return Err(Refusal::OtherCard);
    }
    if let Some(expected) = request.expected
        && expected != card.seq
    {
        return Err(Refusal::Moved { expected, found: card.seq });
    }
    if card.closed {
        return Err(Refusal::CardClosed { masked: card.masked() });
    }
    let (of, returned) = (entry.key.clone(), original.returned.minor());
    if let Action::Undo { .. } = &request.action {
        let amount = entry.event.amount();
        let change = match &entry.event {
            Event::Debit { .. } => amount - returned,
            Event::Load { .. } | Event::Refund { .. } | Event::Void { .. } => -amount,
            other => return Err(Refusal::NotUndoable { kind: other.name() }),
        };
        if original.undone || change == 0 {
            return Err(Refusal::ReturnedAlready { returned: money(amount) });
        }
        if change < 0 {
            holds(card, change.saturating_neg(), currency)?;
        }
        return Ok(Event::Undo { of, change });
    }
    let Event::Debit { amount } = entry.event else {
        return Err(Refusal::NoOriginal { of });
    };
    if original.undone {
        return Err(Refusal::ReturnedAlready { returned: money(amount) });
    }
    match &request.action {
        Action::Refund { amount: asked, .. } => {
            let left = amount - returned;
            if asked.minor() > left {
                return Err(Refusal::OverRefund { left: money(left), asked: *asked });
            }
            Ok(Event::Refund { of, amount: asked.minor() })
        }
        Action::Void { .. } if returned == 0 => Ok(Event::Void { of, amount }),
        _ => Err(Refusal::ReturnedAlready { returned: original.returned }),
    }
}

fn holds(card: &Card, amount: i64, currency: Currency) -> Result<(), Refusal> {
    if amount <= card.balance {
        return Ok(());
    }
    Err(Refusal::Insufficient {
        balance: Money::new(card.balance, currency),
        short: Money::new(amount.saturating_sub(card.balance), currency),
    })
}
