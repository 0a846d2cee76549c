//! Balance inquiries: asked once, told to whoever asked, and never reversed, for no money moves (channels.md §1.3).

use super::{Bankcard, numbers};
use crate::balance;
use crate::card::NoPin;
use crate::exchange::Exchanged;
use crate::message::Message;
use crate::outcome;
use till_plugin::Money;
use till_plugin::channel::{Authorise, Decline};

impl Bankcard {
    pub(super) fn do_balance(&mut self, request: &Authorise) -> Result<Money, Decline> {
        if !self.config.dialect.tells_balances() {
            return Err(balance::not_offered());
        }
        self.may_ask()?;
        let message = self.inquiry(request)?;
        let this = (request.ids.batch, request.ids.trace);
        if self.last_sent == Some(this) {
            return Err(outcome::not_sent("this trace was sent before and is never sent twice"));
        }
        let now = self.now_ms();
        let keys = self.session.for_request(now).cloned().ok_or_else(outcome::not_signed_in)?;
        let exchanged = self.exchange(&message, Some(&keys));
        if !matches!(exchanged, Exchanged::NotSent(_)) {
            self.last_sent = Some(this);
            self.counts.inquiries += 1;
        }
        self.note_keys(&exchanged);
        match (&exchanged, balance::untold(&exchanged)) {
            (Exchanged::Answer(answer), _) => balance::of_answer(&self.config.dialect, answer),
            (_, Some(decline)) => Err(decline),
            (_, None) => Err(outcome::not_sent("no usable answer")),
        }
    }

    /// As before a payment, and never while a batch is being settled: nothing but its own messages goes out then (channels.md §1.7).
    fn may_ask(&mut self) -> Result<(), Decline> {
        self.may_send()?;
        if self.settling.is_some() { Err(outcome::settling()) } else { Ok(()) }
    }

    /// The request, or why it is refused here. What is small owes no PIN; a balance is not small: with a pad it always takes the
    /// PIN, without one only the acquirer's contract lets it go.
    fn inquiry(&self, request: &Authorise) -> Result<Message, Decline> {
        let pad = self.has_pad(request);
        let card = self.card(request, NoPin::Accept)?;
        if card.pin_block.is_none() && (pad || !self.config.balance_without_pin) {
            return Err(balance::pin_owed(pad));
        }
        self.requests()
            .balance(numbers(&request.ids), &card)
            .map_err(|error| outcome::request_refused(&error))
    }
}
