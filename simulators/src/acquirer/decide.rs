//! Whether a payment may be, and what it moves (channels.md §1.3, §1.9).

use super::booking::Code;
use super::cards::Instrument;
use super::host::{Field60, Host};
use super::ledger::{Entry, Key, Kind, State};
use super::message::Message;
use super::money::Fen;

/// What a payment comes to.
pub(super) struct Verdict {
    pub(super) code: String,
    pub(super) amount: Fen,
    /// What the card's balance gains.
    pub(super) moved: Fen,
    pub(super) original: Option<Key>,
    /// How much of a hold it uses up; negative where it gives back.
    pub(super) drew: Fen,
}

impl Verdict {
    /// Nothing moves.
    pub(super) fn refused(code: &str, asked: Fen) -> Self {
        Self { code: code.into(), amount: asked, moved: Fen::ZERO, original: None, drew: Fen::ZERO }
    }

    /// Taken or held from the card.
    pub(super) fn taken(amount: Fen) -> Self {
        Self { moved: Fen::ZERO.minus(amount), ..Self::refused("00", amount) }
    }
}

impl Host {
    /// The answer code and what moves, or the code of a refusal.
    pub(super) fn decide(
        &mut self,
        request: &Message,
        kind: Kind,
        asked: Fen,
        instrument: &Instrument,
        is_code: bool,
        key: &Key,
    ) -> Result<Verdict, Code> {
        self.check_pin(request, instrument, is_code)?;
        if matches!(kind, Kind::Sale | Kind::PreAuth) {
            return self.decide_new(request, kind, asked, instrument, is_code);
        }
        let several = self.several_completions;
        let original = self.original(request, kind, instrument, key)?;
        if original.state != State::Approved {
            return Err("12");
        }
        let mut verdict = Verdict {
            code: "00".into(),
            amount: asked,
            moved: asked,
            original: Some(original.key.clone()),
            drew: Fen::ZERO,
        };
        match kind {
            Kind::Void | Kind::CompletionVoid => {
                if original.key.batch != key.batch || original.refunded != Fen::ZERO {
                    return Err("12");
                }
                if asked != original.amount {
                    return Err("64");
                }
                verdict.moved = Fen::ZERO.minus(original.moved);
                // Undoing a completion puts back what it took of the hold.
                verdict.drew = Fen::ZERO.minus(original.drew);
            }
            Kind::PreAuthVoid => {
                if asked != original.held {
                    return Err("64");
                }
                verdict.drew = asked;
            }
            Kind::Refund if asked > original.amount.minus(original.refunded) => return Err("64"),
            Kind::Completion | Kind::CompletionNotice => {
                if !asked.within_percent(original.held, 115) {
                    return Err("64");
                }
                // The hold is given back, all of it or as much as is completed, and the real amount taken.
                verdict.drew = if several { asked.min(original.held) } else { original.held };
                verdict.moved = verdict.drew.minus(asked);
            }
            _ => {}
        }
        Ok(verdict)
    }

    fn decide_new(
        &mut self,
        request: &Message,
        kind: Kind,
        asked: Fen,
        instrument: &Instrument,
        is_code: bool,
    ) -> Result<Verdict, Code> {
        let card = self.cards.find(instrument, is_code).ok_or("14")?;
        if card.answer != "00" {
            return Ok(Verdict::refused(&card.answer, asked));
        }
        if card.limit.is_some_and(|limit| asked > limit) {
            return Err("61");
        }
        if asked <= card.balance {
            return Ok(Verdict::taken(asked));
        }
        let takes_part = Field60::of(request).partial() && kind == Kind::Sale;
        if card.partial && card.balance > Fen::ZERO && takes_part {
            return Ok(Verdict { code: "10".into(), ..Verdict::taken(card.balance) });
        }
        Err("51")
    }

    fn original(
        &self,
        request: &Message,
        kind: Kind,
        instrument: &Instrument,
        key: &Key,
    ) -> Result<&Entry, Code> {
        let field61 = request.text(61);
        let part = |from: usize, to: usize| field61.get(from..to).unwrap_or_default();
        let same_text = |field: u8, have: &str| request.get(field).is_none() || request.text(field) == have;
        let entry = match kind {
            Kind::Void | Kind::CompletionVoid => {
                let named = Key { tid: key.tid.clone(), batch: part(0, 6).into(), trace: part(6, 12).into() };
                self.ledger.get(&named).ok_or("25")?
            }
            Kind::Refund => {
                let rrn = request.text(37);
                let sale = |e: &&Entry| {
                    e.rrn == rrn
                        && e.mid == request.text(42)
                        && e.date == part(12, 16)
                        && matches!(e.kind, Kind::Sale | Kind::Completion | Kind::CompletionNotice)
                };
                self.ledger.entries().find(sale).ok_or("25")?
            }
            _ => {
                let auth = request.text(38);
                let hold = |e: &&Entry| e.kind == Kind::PreAuth && e.auth == auth && e.date == part(12, 16);
                self.ledger.entries().find(hold).ok_or("25")?
            }
        };
        let wanted = match kind {
            Kind::Void => &[Kind::Sale][..],
            Kind::CompletionVoid => &[Kind::Completion][..],
            _ => &[entry.kind][..],
        };
        if !wanted.contains(&entry.kind) {
            return Err("22");
        }
        let same = entry.instrument == *instrument && same_text(37, &entry.rrn) && same_text(38, &entry.auth);
        if same { Ok(entry) } else { Err("25") }
    }

    /// Moves the money and marks what this follows.
    pub(super) fn apply(&mut self, kind: Kind, verdict: &Verdict, instrument: &Instrument) {
        if let Some(card) = self.cards.find(instrument, false) {
            card.balance = card.balance.plus(verdict.moved);
        }
        let Some(original) = verdict.original.as_ref().and_then(|key| self.ledger.get_mut(key)) else {
            return;
        };
        match kind {
            Kind::Refund => original.refunded = original.refunded.plus(verdict.amount),
            Kind::Completion | Kind::CompletionNotice => original.draw(verdict.drew),
            Kind::PreAuthVoid => {
                original.draw(verdict.drew);
                original.state = State::Voided;
            }
            _ => original.state = State::Voided,
        }
        if kind == Kind::CompletionVoid
            && let Some(hold) = original.original.clone()
            && let Some(hold) = self.ledger.get_mut(&hold)
        {
            hold.draw(verdict.drew);
        }
    }
}
