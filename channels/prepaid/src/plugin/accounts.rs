//! Operations on cards: issue, load, block, unblock, reactivate, redeem, history.

use till_plugin::channel::{
    Account, AccountEntry, AccountOperation, AccountOutcome, AccountReport, AccountStanding, Decline,
    DeclineClass, Prepared,
};
use till_plugin::{Extra, Money};

use super::{Prepaid, asked, unknown};
use crate::ledger::{Action, Card, Class, Entry, Failure, Line, Refusal, Request, Token, masked};
use crate::recovery::Known;
use crate::{validity, words};

/// Most lines of one answer.
const LONGEST_HISTORY: u32 = 200;

impl Prepaid {
    /// Checks a request; keeps the card's token, so that a load may be booked when the card is gone.
    pub(super) fn check_account(&mut self, request: &Account) -> Result<Prepared, Decline> {
        let known = self.account_card(request)?;
        let now = self.now();
        match self.account_request(request, &known)? {
            Some(asked) => self.ledger.check(&asked, now).map_err(|e| words::not_done(&e))?,
            None => drop(self.ledger.card(&known.token).map_err(|e| words::not_done(&e))?),
        }
        Ok(Prepared { recovery: known.to_recovery(), masked: masked(known.last4) })
    }

    /// Does it, once for its order number.
    pub(super) fn do_account(&mut self, request: &Account) -> AccountOutcome {
        let (known, asked) = match self.account_card(request).and_then(|known| {
            let asked = self.account_request(request, &known)?;
            Ok((known, asked))
        }) {
            Ok(both) => both,
            Err(refused) => return AccountOutcome::NotSent(refused),
        };
        let Some(asked) = asked else { return self.told(&known.token, request) };
        match self.book(&asked) {
            Ok(entry) => AccountOutcome::Done(self.report(&known.token, Some(&entry), Vec::new())),
            Err(why) => why.into(),
        }
    }

    fn told(&mut self, token: &Token, request: &Account) -> AccountOutcome {
        let before = (request.before > 0).then_some(request.before);
        let limit = usize::try_from(request.limit.min(LONGEST_HISTORY)).unwrap_or(0);
        match self.ledger.history(token, before, limit) {
            Ok(lines) => {
                let entries = lines.iter().map(entry_told).collect();
                AccountOutcome::Done(self.report(token, None, entries))
            }
            Err(failure @ Failure::Refused(_)) => AccountOutcome::Declined(words::not_done(&failure)),
            Err(failure) => AccountOutcome::Unknown(unknown(&failure)),
        }
    }

    /// The card as presented; else as kept when it was prepared. Both there: they must be the same.
    fn account_card(&self, request: &Account) -> Result<Known, Decline> {
        let kept = Known::from_recovery(request.recovery.expose());
        match (&request.instrument, kept) {
            (Some(instrument), kept) => {
                let known = self.known(instrument)?;
                if kept.is_some_and(|kept| kept.token != known.token) {
                    return Err(words::refused(&Refusal::OtherCard));
                }
                Ok(known)
            }
            (None, Some(kept)) => Ok(kept),
            (None, None) => Err(words::local(
                DeclineClass::Device,
                "no-card",
                "present the card that this is about",
                "请出示卡",
            )),
        }
    }

    /// What it means for the ledger; none: it only looks.
    fn account_request(&self, request: &Account, known: &Known) -> Result<Option<Request>, Decline> {
        let card = known.token;
        let zero = Money::zero(self.config.currency);
        let class = || Class { registered: is_registered(&request.extra), medium: known.medium };
        let expires = |registered: bool| {
            if registered { None } else { validity::end(self.now(), self.config.validity_years) }
        };
        let reason = request.reason.clone();
        let action = match request.operation {
            AccountOperation::Issue => Action::Issue {
                card,
                class: class(),
                last4: known.last4,
                expires_ms: expires(class().registered),
                amount: request.amount.unwrap_or(zero),
            },
            AccountOperation::Load => Action::Load { card, amount: request.amount.unwrap_or(zero) },
            AccountOperation::Block => Action::Block { card, reason },
            AccountOperation::Unblock => Action::Unblock { card, reason },
            AccountOperation::Reactivate => {
                let registered = self.ledger.state().card(&card).is_some_and(|c| c.class.registered);
                Action::Reactivate { card, expires_ms: expires(registered) }
            }
            AccountOperation::Redeem => Action::Redeem { card },
            AccountOperation::History => return Ok(None),
            other => {
                let text = format!("this channel does not do {}", other.as_str());
                return Err(Decline::local(DeclineClass::Channel, "unsupported", text));
            }
        };
        Ok(Some(asked(&request.ids.order, action, request.operator.as_ref())))
    }

    /// The card as it stands. Of an entry: the balance as it was after it, so that a repeat says the same.
    fn report(&self, token: &Token, entry: Option<&Entry>, entries: Vec<AccountEntry>) -> AccountReport {
        let card = self.ledger.state().card(token);
        let balance = entry.map_or(card.map_or(0, |c| c.balance), |e| e.balance);
        let mut extra = Extra::new();
        if let Some(card) = card {
            extra.insert("class".into(), card.class.name().into());
            extra.insert("card-entry".into(), card.seq.to_string());
        }
        // Also of a repeat: the balance does not tell it any more.
        if let Some(crate::ledger::Event::Redeem { amount }) = entry.map(|e| &e.event) {
            extra.insert("paid-out".into(), amount.to_string());
        }
        AccountReport {
            approval: entry.filter(|e| e.event.amount() > 0).map(|e| self.approval(e, &e.key)),
            account: card.map(Card::masked).unwrap_or_default(),
            standing: card.map_or(AccountStanding::Active, |c| self.standing(c)),
            balance: self.ledger.money(balance),
            expires: card.and_then(|c| c.expires_ms).and_then(validity::last_day),
            entries,
            extra,
        }
    }

    fn standing(&self, card: &Card) -> AccountStanding {
        if card.closed {
            AccountStanding::Closed
        } else if card.blocked {
            AccountStanding::Blocked
        } else if card.is_expired(self.now()) {
            AccountStanding::Expired
        } else {
            AccountStanding::Active
        }
    }
}

/// `registered = "true"` in the request's extras: the holder's name and papers are the shop's matter, not the ledger's.
fn is_registered(extra: &Extra) -> bool {
    extra.get("registered").is_some_and(|v| v == "true")
}

fn entry_told(line: &Line) -> AccountEntry {
    AccountEntry {
        number: line.entry.number,
        wall_ms: line.entry.wall_ms,
        operation: line.entry.event.name().into(),
        amount: line.change,
        balance: line.balance,
        order: line.entry.key.trim_end_matches("~undo").into(),
    }
}
