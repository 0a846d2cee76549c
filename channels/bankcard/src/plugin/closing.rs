//! The end of a batch: totals, details, end mark.

use super::{Bankcard, numbers, unknown_of};
use crate::answers::Answer;
use crate::closing;
use crate::dialect::Action;
use crate::exchange::Exchanged;
use crate::message::Message;
use crate::messages::{Detail, Numbers, RECORDS, RequestError, Totals};
use crate::outcome;
use crate::recovery::Kept;
use till_plugin::Money;
use till_plugin::channel::{
    Decline, Outcome, Settle, SettleOutcome, Unknown, UnknownReason, Upload, UploadRecord,
};

impl Bankcard {
    pub(super) fn do_settle(&mut self, request: &Settle) -> SettleOutcome {
        let now = self.now_ms();
        if self.slot.is_taken(now) {
            return SettleOutcome::Refused(outcome::reversal_pending());
        }
        let totals = Totals { debit: request.debits, credit: request.credits };
        let numbers = Numbers { trace: request.ids.trace, batch: request.batch };
        let message = match self.requests().settlement(numbers, totals, None, request.operator.as_deref()) {
            Ok(message) => message,
            Err(error) => return SettleOutcome::Refused(outcome::request_refused(&error)),
        };
        let exchanged = match self.managed(&message) {
            Ok(exchanged) => exchanged,
            Err(decline) => return SettleOutcome::Refused(decline),
        };
        if !matches!(exchanged, Exchanged::NotSent(_)) {
            self.settling = Some(request.batch);
        }
        let outcome = match &exchanged {
            Exchanged::Answer(answer) => closing::of_settlement(&message, answer),
            Exchanged::NotSent(why) => {
                SettleOutcome::Unknown(Unknown::new(UnknownReason::NoAnswer, format!("not sent: {why}")))
            }
            _ => SettleOutcome::Unknown(unknown_of(&exchanged)),
        };
        if matches!(outcome, SettleOutcome::Refused(_)) {
            self.settling = None;
        }
        outcome
    }

    pub(super) fn do_upload(&mut self, request: &Upload) -> Outcome {
        let messages = match self.uploads(request) {
            Ok(messages) => messages,
            Err(decline) => return Outcome::Declined(decline),
        };
        let mut last = None;
        for message in messages {
            let exchanged = match self.managed(&message) {
                Ok(exchanged) => exchanged,
                Err(decline) => return Outcome::NotSent(decline),
            };
            match exchanged {
                Exchanged::Answer(answer) if answer.rule.action == Action::Approved => last = Some(answer),
                Exchanged::Answer(answer) => return self.upload_refused(request, &answer),
                // What went before is repeated with this one; the host knows it again by its trace.
                Exchanged::NotSent(why) => return Outcome::NotSent(outcome::not_sent(why)),
                other => return Outcome::Unknown(unknown_of(&other)),
            }
        }
        if request.records.is_empty() {
            self.settling = None;
        }
        match last {
            Some(answer) => {
                let nothing = Money::zero(self.config.dialect.request.currency);
                Outcome::Approved(outcome::taken(&answer, &request.ids, nothing))
            }
            None => Outcome::Declined(outcome::nothing_to_upload()),
        }
    }

    fn upload_refused(&mut self, request: &Upload, answer: &Answer) -> Outcome {
        if answer.rule.action == Action::RetryLater {
            let text = format!("the host takes no details now: {} ({})", answer.rule.text, answer.code);
            return Outcome::Unknown(Unknown::new(UnknownReason::HostFault, text));
        }
        if request.records.is_empty() {
            self.settling = None;
        }
        Outcome::Declined(outcome::declined(&answer.code, &answer.rule))
    }

    /// A settlement message, signed only where the dialect signs its type.
    fn managed(&mut self, message: &Message) -> Result<Exchanged, Decline> {
        let now = self.now_ms();
        let keys = self.session.for_reversal(now).cloned();
        if keys.is_none() && self.config.dialect.signs_request(message.mti()) {
            self.tell_signed_in(false);
            return Err(outcome::not_signed_in());
        }
        let exchanged = self.exchange(message, keys.as_ref());
        self.note_keys(&exchanged);
        Ok(exchanged)
    }

    /// Online payments up to eight a message, each notice in a message of its own, in the order given.
    fn uploads(&self, request: &Upload) -> Result<Vec<Message>, Decline> {
        let requests = self.requests();
        let refused = |error: RequestError| outcome::request_refused(&error);
        let numbers = Numbers { batch: request.batch, ..numbers(&request.ids) };
        if request.records.is_empty() {
            let end = requests.upload_end(
                numbers,
                request.balanced,
                if request.balanced { 0 } else { request.count },
            );
            return Ok(vec![end.map_err(refused)?]);
        }
        let mut messages = Vec::new();
        let mut details: Vec<Detail> = Vec::new();
        for record in &request.records {
            let kept = kept_of(record)?;
            if let Kept::Notice(notice) = &kept {
                messages.push(requests.late_notice(notice).map_err(refused)?);
                continue;
            }
            let pan = kept.pan().ok_or_else(|| outcome::no_detail(record.reference.ids.trace))?;
            let amount = record.reference.approval.amount;
            details.push(Detail { trace: record.reference.ids.trace, pan, amount });
        }
        for some in details.chunks(RECORDS) {
            messages.push(requests.records(numbers, some).map_err(refused)?);
        }
        Ok(messages)
    }
}

/// What was kept of a record, if it is of that record and counts in a settlement.
fn kept_of(record: &UploadRecord) -> Result<Kept, Decline> {
    let ids = &record.reference.ids;
    let kept = Kept::from_bytes(record.recovery.expose()).ok();
    let kept = kept.filter(|kept| kept.is_of(ids.trace, ids.batch));
    // 10 and 11 are holds and releases: no money moved, and no host counts them.
    kept.filter(|kept| !matches!(kept.business(), "10" | "11")).ok_or_else(|| outcome::no_detail(ids.trace))
}
