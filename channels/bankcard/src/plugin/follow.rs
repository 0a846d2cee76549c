//! What follows a payment: void, refund, capture, release.

use super::money::Ready;
use super::{Bankcard, numbers, unknown_of};
use crate::card::CardData;
use crate::exchange::Exchanged;
use crate::hosttime;
use crate::messages::Original;
use crate::outcome;
use crate::recovery::Kept;
use crate::settings::Completion;
use till_plugin::channel::{
    Decline, Follow, FollowKind, FollowUp, LegRule, Outcome, Prepared, QueryOutcome, QueryRule,
    ResolveProfile, Unknown, UnknownReason,
};

/// Which message a follow-on becomes.
#[derive(Clone, Copy)]
enum Business {
    Void,
    CompletionVoid,
    Refund,
    Completion,
    CompletionNotice,
    Release,
}

impl Bankcard {
    pub(super) fn rules(&self) -> Vec<LegRule> {
        let reversed = || ResolveProfile { query: None, undo: Some(self.undo_rule()), single_slot: true };
        let noticed = || ResolveProfile { query: self.repeat_rule(), undo: None, single_slot: false };
        let capture = match self.config.completion {
            Completion::Request => reversed(),
            Completion::Notice => noticed(),
        };
        let rule = |kind: FollowKind, resolve, partial| LegRule {
            operation: kind.operation(),
            resolve,
            instrument: self.config.card_again.contains(&kind),
            partial,
        };
        vec![
            rule(FollowKind::Void, reversed(), false),
            rule(FollowKind::Refund, noticed(), true),
            rule(FollowKind::Capture, capture, true),
            rule(FollowKind::Release, reversed(), false),
        ]
    }

    /// A notice may be asked about by repeating it, where the network books one trace once.
    fn repeat_rule(&self) -> Option<QueryRule> {
        self.config.repeat_notices.then_some(QueryRule {
            first_ms: 5_000,
            every_ms: 30_000,
            until_ms: 600_000,
            settle_ms: 0,
        })
    }

    pub(super) fn do_prepare_follow(&mut self, request: &Follow) -> Result<Prepared, Decline> {
        self.may_send()?;
        let ready = self.leg(request)?;
        self.keep(&ready)
    }

    pub(super) fn do_follow(&mut self, request: &Follow, prepared: &Prepared) -> Outcome {
        let ready = match self.leg(request) {
            Ok(ready) => ready,
            Err(decline) => return Outcome::NotSent(decline),
        };
        self.dispatch(&request.ids, &ready, prepared, |answer| {
            outcome::of_follow(answer, &request.ids, request.amount, &ready.card)
        })
    }

    /// Repeats a notice with its own trace; the host answers a trace it has booked as it did before.
    pub(super) fn do_query_follow(&mut self, request: &Follow, original: &FollowUp) -> QueryOutcome {
        let unknown = |reason, text: &str| QueryOutcome::Unknown(Unknown::new(reason, text));
        if !self.config.repeat_notices {
            return unknown(UnknownReason::Unsupported, "this network is not asked about a notice");
        }
        let kept = Kept::from_bytes(original.recovery.expose()).ok();
        let kept = kept.filter(|kept| kept.is_of(original.ids.trace, original.ids.batch));
        let Some((Kept::Notice(notice), card)) =
            kept.and_then(|kept| CardData::kept(&kept).ok().map(|card| (kept, card)))
        else {
            return unknown(UnknownReason::Unsupported, "only a notice can be asked about, by repeating it");
        };
        if let Err(decline) = self.may_send() {
            return unknown(UnknownReason::NoAnswer, &decline.text);
        }
        let now = self.now_ms();
        let keys = self.session.for_request(now).cloned();
        let exchanged = self.exchange(&notice, keys.as_ref());
        let Exchanged::Answer(answer) = &exchanged else {
            if matches!(exchanged, Exchanged::BadSeal) {
                self.counts.bad_macs += 1;
                self.lose_keys_trust();
            }
            return match &exchanged {
                Exchanged::NotSent(why) => unknown(UnknownReason::NoAnswer, why),
                _ => QueryOutcome::Unknown(unknown_of(&exchanged)),
            };
        };
        match outcome::of_follow(answer, &original.ids, request.amount, &card) {
            Outcome::Approved(approval) => QueryOutcome::Paid(approval),
            Outcome::Declined(decline) if outcome::is_final(answer) => QueryOutcome::NotPaid(decline),
            Outcome::Declined(decline) => unknown(UnknownReason::HostFault, &decline.text),
            Outcome::NotSent(decline) => unknown(UnknownReason::NoAnswer, &decline.text),
            Outcome::Unknown(why) => QueryOutcome::Unknown(why),
        }
    }

    /// A follow-on as card data and request, or why it is refused here.
    fn leg(&self, request: &Follow) -> Result<Ready, Decline> {
        let ids = &request.original.ids;
        let kept = Kept::from_bytes(request.original_recovery.expose()).ok();
        let kept = kept.filter(|kept| kept.is_of(ids.trace, ids.batch));
        let business = self.business(request, kept.as_ref())?;
        let card = self.card_of(request, kept.as_ref())?;
        let approval = &request.original.approval;
        let host_date =
            approval.host_time.as_deref().and_then(|time| Some([time.get(5..7)?, time.get(8..10)?]));
        let original = Original {
            numbers: numbers(ids),
            reference: approval.reference.clone(),
            authorisation: approval.authorisation_code.clone(),
            date: host_date
                .map(|date| date.concat())
                .or_else(|| hosttime::month_day(ids.wall_ms))
                .unwrap_or_default(),
        };
        let (requests, numbers, amount) = (self.requests(), numbers(&request.ids), request.amount);
        let message = match business {
            Business::Void => requests.void(numbers, amount, &card, &original),
            Business::CompletionVoid => requests.completion_void(numbers, amount, &card, &original),
            Business::Refund => requests.refund(numbers, amount, &card, &original),
            Business::Completion => requests.completion(numbers, amount, &card, &original),
            Business::CompletionNotice => requests.completion_notice(numbers, amount, &card, &original),
            Business::Release => requests.release(numbers, amount, &card, &original),
        };
        message.map(|message| Ready { card, message }).map_err(|error| outcome::request_refused(&error))
    }

    /// Which message it becomes. What the original was is known from what was kept of it; once that is shredded, its batch
    /// is closed and nothing of it can be voided.
    fn business(&self, request: &Follow, kept: Option<&Kept>) -> Result<Business, Decline> {
        let was = kept.map(Kept::business);
        let taken = request.original.approval.amount;
        let whole = request.amount == taken;
        match (request.kind, was) {
            (FollowKind::Void, Some("22" | "20")) if request.ids.batch != request.original.ids.batch => {
                Err(outcome::not_voidable())
            }
            (FollowKind::Void | FollowKind::Release, Some("22" | "20" | "10")) if !whole => {
                Err(outcome::amount_differs("a void or release is for the whole amount"))
            }
            (FollowKind::Void, Some("22")) => Ok(Business::Void),
            (FollowKind::Void, Some("20")) => Ok(Business::CompletionVoid),
            (FollowKind::Void, _) => Err(outcome::not_voidable()),
            (FollowKind::Refund, None | Some("22" | "20" | "24")) => {
                let within =
                    request.amount.currency() != taken.currency() || request.amount.minor() <= taken.minor();
                if within {
                    Ok(Business::Refund)
                } else {
                    Err(outcome::amount_differs("a refund is at most what was taken"))
                }
            }
            (FollowKind::Capture, None | Some("10")) => {
                // Wider than the amounts, so that no percentage overflows.
                let most =
                    i128::from(taken.minor()) * i128::from(self.config.dialect.request.completion_percent);
                if i128::from(request.amount.minor()) * 100 > most {
                    return Err(outcome::amount_differs(
                        "a completion is above what this acquirer allows for its hold",
                    ));
                }
                Ok(match self.config.completion {
                    Completion::Request => Business::Completion,
                    Completion::Notice => Business::CompletionNotice,
                })
            }
            (FollowKind::Release, None | Some("10")) if whole => Ok(Business::Release),
            _ => Err(outcome::wrong_original()),
        }
    }

    /// The card presented again, where the network wants it; else what was kept of it.
    fn card_of(&self, request: &Follow, kept: Option<&Kept>) -> Result<CardData, Decline> {
        let Some(instrument) = &request.instrument else {
            let wanted = self.config.card_again.contains(&request.kind);
            let kept = kept.filter(|_| !wanted).ok_or_else(outcome::card_needed)?;
            return CardData::kept(kept).map_err(outcome::card_refused);
        };
        let card = CardData::again(instrument).map_err(outcome::card_refused)?;
        let same = match kept.and_then(Kept::pan) {
            Some(pan) => pan.expose() == card.pan.expose(),
            None => request.original.approval.account.as_ref().is_none_or(|account| *account == card.masked),
        };
        if same { Ok(card) } else { Err(outcome::another_card()) }
    }
}
