//! Balance inquiries (channels.md §1.3): told, never booked.
//!
//! Answer codes given here: 00 · 12 wrong processing or condition code · 14 card · 30 an amount, another currency, no card ·
//! 55 75 99 PIN · 90 a batch is being settled (§1.7: nothing but the settlement's own messages then) · 94 the trace number
//! is that of a payment · whatever the card is set to.

use super::booking::{Code, instrument};
use super::cards::Card;
use super::host::{Field60, Host, Now};
use super::ledger::Key;
use super::message::Message;

impl Host {
    pub(super) fn balance(&mut self, request: &Message, key: &Key, now: &Now) -> Message {
        let (code, told) = match self.inquiry(request, key) {
            Ok(card) if card.answer == "00" => ("00".to_owned(), Some(field54(card))),
            Ok(card) => (card.answer.clone(), None),
            Err(code) => (code.to_owned(), None),
        };
        let mut message = self.coded(request, now, &code);
        if let Some(told) = told {
            message.set(54, told);
        }
        message
    }

    /// Whether this is an inquiry that may be answered, and about which card.
    fn inquiry(&mut self, request: &Message, key: &Key) -> Result<&Card, Code> {
        if self.sessions.get(&key.tid).ok_or("97")?.batches.is_settling() {
            return Err("90");
        }
        if self.ledger.get(key).is_some() || self.ledger.was_reversed_early(key) {
            return Err("94");
        }
        if (request.text(3), request.text(25)) != ("310000", "00") {
            return Err("12");
        }
        let field60 = Field60::of(request);
        let whole = request.text(22).len() == 3 && key.trace.len() == 6 && field60.net() == "000";
        if request.get(4).is_some() || request.text(49) != "156" || !whole {
            return Err("30");
        }
        let (instrument, is_code) = instrument(request).ok_or("30")?;
        self.cards.find(&instrument, is_code).ok_or("14")?;
        if self.balance_wants_pin && request.get(52).is_none() {
            return Err("55");
        }
        self.check_pin(request, &instrument, is_code)?;
        self.cards.find(&instrument, is_code).map(|card| &*card).ok_or("14")
    }
}

/// Account type 10, available amount, CNY, credit or debit; or what the card is set to.
fn field54(card: &Card) -> String {
    if let Some(other) = &card.field54 {
        return other.clone();
    }
    let minor = card.balance.minor();
    let sign = if minor < 0 { 'D' } else { 'C' };
    format!("1002156{sign}{:012}", minor.unsigned_abs().min(999_999_999_999))
}
