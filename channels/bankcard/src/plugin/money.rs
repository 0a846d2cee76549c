//! Sales and holds, and how every request that moves money leaves.

use super::{Bankcard, numbers, unknown_of};
use crate::answers::Answer;
use crate::card::{CardData, PinBlock, PinRule};
use crate::dialect::Action;
use crate::exchange::Exchanged;
use crate::message::Message;
use crate::outcome;
use crate::recovery::Kept;
use till_plugin::Sensitive;
use till_plugin::channel::{AttemptIds, Authorise, Decline, Outcome, Prepared, Unknown, UnknownReason, pin};

/// A request that can leave.
pub(super) struct Ready {
    pub(super) card: CardData,
    pub(super) message: Message,
}

impl Bankcard {
    /// Whether there is a pad whose blocks this acquirer takes.
    pub(super) fn has_pad(&self, request: &Authorise) -> bool {
        request.extra.contains_key(pin::PAD) && self.config.dialect.request.takes_derived_keys()
    }

    /// The card of a request with its PIN block, or why it is refused here.
    pub(super) fn card(&self, request: &Authorise, rule: impl Into<PinRule>) -> Result<CardData, Decline> {
        let dialect = &self.config.dialect;
        let ksn = request.extra.get(pin::KSN).map(String::as_str);
        let block = request.pin_block.as_ref().map(|block| PinBlock::read(dialect, block, ksn)).transpose();
        block
            .and_then(|block| CardData::read(dialect, &request.instrument, block, rule))
            .map_err(outcome::card_refused)
    }

    /// A sale or hold as card data and request, or why it is refused here.
    fn sale(&self, request: &Authorise) -> Result<Ready, Decline> {
        let rule =
            PinRule { no_pin: self.config.no_pin, pad: self.has_pad(request), small: self.is_small(request) };
        let mut card = self.card(request, rule)?;
        card.cvm = self.receipt_cvm(request, &card);
        let (requests, numbers) = (self.requests(), numbers(&request.ids));
        let message = if request.hold {
            requests.hold(numbers, request.amount, &card)
        } else {
            requests.sale(numbers, request.amount, &card)
        };
        message.map(|message| Ready { card, message }).map_err(|error| outcome::request_refused(&error))
    }

    pub(super) fn do_prepare(&mut self, request: &Authorise) -> Result<Prepared, Decline> {
        self.may_send()?;
        let ready = self.sale(request)?;
        self.keep(&ready)
    }

    pub(super) fn do_authorise(&mut self, request: &Authorise, prepared: &Prepared) -> Outcome {
        let ready = match self.sale(request) {
            Ok(ready) => ready,
            Err(decline) => return Outcome::NotSent(decline),
        };
        self.dispatch(&request.ids, &ready, prepared, |answer| {
            outcome::of_sale(answer, &request.ids, request.amount, &ready.card)
        })
    }

    /// Whether a financial request may go out now: signed in, no reversal before it, no settlement that shuts sales out.
    pub(super) fn may_send(&mut self) -> Result<(), Decline> {
        let now = self.now_ms();
        if self.session.for_request(now).is_none() {
            self.tell_signed_in(false);
            return Err(outcome::not_signed_in());
        }
        if self.slot.is_taken(now) {
            return Err(outcome::reversal_pending());
        }
        if self.config.settle_blocks_sales && self.settling.is_some() {
            return Err(outcome::settling());
        }
        Ok(())
    }

    /// What must be durable before the request leaves.
    pub(super) fn keep(&self, ready: &Ready) -> Result<Prepared, Decline> {
        let recovery = Kept::of(&self.config.dialect, &ready.message)
            .and_then(|kept| kept.to_bytes())
            .map_err(|error| outcome::not_sent(error.to_string()))?;
        Ok(Prepared { recovery: Sensitive::new(recovery.to_vec()), masked: ready.card.masked.clone() })
    }

    /// Sends a request whose recovery data is durable, once, and judges what comes back.
    pub(super) fn dispatch(
        &mut self,
        ids: &AttemptIds,
        ready: &Ready,
        prepared: &Prepared,
        judged: impl FnOnce(&Answer) -> Outcome,
    ) -> Outcome {
        // What is in the journal must be kept of exactly this request, or nothing leaves.
        let kept = Kept::of(&self.config.dialect, &ready.message).ok();
        let Some(kept) =
            kept.filter(|kept| Kept::from_bytes(prepared.recovery.expose()).as_ref() == Ok(kept))
        else {
            return Outcome::NotSent(outcome::not_sent("the prepared reversal is not of this request"));
        };
        let this = (ids.batch, ids.trace);
        if self.last_sent == Some(this) {
            let text = "this trace was sent before and is never sent twice";
            return Outcome::Unknown(Unknown::new(UnknownReason::NoAnswer, text));
        }
        if let Err(decline) = self.may_send() {
            return Outcome::NotSent(decline);
        }
        let now = self.now_ms();
        let Some(keys) = self.session.for_request(now).cloned() else {
            return Outcome::NotSent(outcome::not_signed_in());
        };
        self.last_batch = ids.batch;
        let exchanged = self.exchange(&ready.message, Some(&keys));
        if !matches!(exchanged, Exchanged::NotSent(_)) {
            self.last_sent = Some(this);
            self.counts.sent += 1;
        }
        let outcome = match &exchanged {
            Exchanged::NotSent(why) => Outcome::NotSent(outcome::not_sent(why.clone())),
            Exchanged::Answer(answer) => {
                if answer.rule.action == Action::SignInAgain {
                    self.lose_keys_trust();
                }
                judged(answer)
            }
            Exchanged::BadSeal => {
                self.counts.bad_macs += 1;
                self.lose_keys_trust();
                Outcome::Unknown(unknown_of(&exchanged))
            }
            _ => Outcome::Unknown(unknown_of(&exchanged)),
        };
        match &outcome {
            Outcome::Approved(_) => self.counts.approved += 1,
            Outcome::Declined(_) => self.counts.declined += 1,
            Outcome::Unknown(_) => {
                self.counts.unknown += 1;
                if matches!(kept, Kept::Reversal(_)) {
                    let now = self.now_ms();
                    self.slot.take(ids.batch, ids.trace, now);
                }
            }
            Outcome::NotSent(_) => {}
        }
        outcome
    }
}
