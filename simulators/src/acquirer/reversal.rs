//! Reversals (channels.md §1.6).

use super::booking::Code;
use super::host::{Host, Now};
use super::ledger::{Key, Kind, State};
use super::message::Message;
use super::money::Fen;

impl Host {
    /// 0400. Done: 00 (undone, or already undone), 12 (there is nothing to undo), 25 (never arrived). 64: other amount.
    pub(super) fn reverse(&mut self, request: &Message, key: &Key, now: &Now) -> Message {
        let code = self.reversal_code(request, key);
        let mut message = Self::reply(request, now);
        let (rrn, _) = self.references(now);
        message.copy(request, &[2, 3, 4, 25, 49]).set(32, Self::acquirer()).set(37, rrn).set(39, code);
        message
    }

    fn reversal_code(&mut self, request: &Message, key: &Key) -> Code {
        let open = self.sessions.get(&key.tid).is_some_and(|session| session.batches.is_open(&key.batch));
        let Some(entry) = self.ledger.get_mut(key) else {
            self.ledger.remember_early_reversal(key.clone());
            return "25";
        };
        let amount = Fen::from_field(request.text(4));
        if amount != Some(entry.asked) && amount != Some(entry.amount) {
            return "64";
        }
        match entry.state {
            State::Reversed => return "00",
            State::Declined | State::Voided | State::Completed => return "12",
            State::Approved => {}
        }
        // A hold that was partly completed, a sale that was partly refunded and a closed batch stay as they are.
        let kept = entry.refunded != Fen::ZERO || (entry.kind == Kind::PreAuth && entry.held != entry.amount);
        if entry.kind.is_notice() || kept || !open {
            return "12";
        }
        entry.state = State::Reversed;
        entry.reversal_reason = Some(request.text(39).to_owned());
        self.take_back(key);
        "00"
    }

    /// A booking this host answered and lost: gone, with all it did.
    pub(super) fn lose(&mut self, key: &Key) -> bool {
        if self.ledger.get(key).is_none_or(|entry| entry.state != State::Approved) {
            return false;
        }
        self.take_back(key);
        self.ledger.remove(key).is_some()
    }

    /// Takes back what an entry moved, and what it did to its original.
    fn take_back(&mut self, key: &Key) {
        let Some(entry) = self.ledger.get_mut(key) else { return };
        entry.held = Fen::ZERO;
        let (moved, kind, drew, amount) = (entry.moved, entry.kind, entry.drew, entry.amount);
        let (instrument, original) = (entry.instrument.clone(), entry.original.clone());
        if let Some(card) = self.cards.find(&instrument, false) {
            card.balance = card.balance.minus(moved);
        }
        let Some(original) = original.and_then(|key| self.ledger.get_mut(&key)) else { return };
        if kind == Kind::Refund {
            original.refunded = original.refunded.minus(amount);
            return;
        }
        original.state = State::Approved;
        if kind != Kind::CompletionVoid {
            original.draw(Fen::ZERO.minus(drew));
        } else if let Some(hold) = original.original.clone()
            && let Some(hold) = self.ledger.get_mut(&hold)
        {
            hold.draw(Fen::ZERO.minus(drew));
        }
    }
}
