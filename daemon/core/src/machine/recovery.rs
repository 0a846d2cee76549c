//! What a restart finds, and what is done about it (pos.md §3.6).

use till_plugin::channel::{Decline, DeclineClass, QueryOutcome, UndoOutcome, Unknown, UnknownReason};

use super::attempt::became_unknown;
use super::resolve::settle;
use super::{Step, of};
use crate::bounds;
use crate::effect::Effect;
use crate::payment::{Attempt, AttemptState, Payment, PaymentId, PaymentState, Purpose};
use crate::planted::planted;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::till::Till;

/// The steps of a restart, one for each attempt, payment or job that was under way. Run them before anything else.
pub fn recover(till: &Till) -> Vec<Step> {
    let payments = till.open_payments().flat_map(payment);
    let jobs = till.jobs().keys().map(|job| Step::effects([Effect::QueueJob { job: *job }]));
    let training = super::training::recover(till);
    let suspended = super::suspend::recover(till);
    payments.chain(jobs).chain(super::settle::recover(till)).chain(training).chain(suspended).collect()
}

/// What an unfinished payment needs of a closed batch is sealed under a key of now, so that the batch's own can go
/// (decision 0020).
pub(super) fn resealed(till: &Till, id: PaymentId, attempt: u32, recovery: &[u8]) -> Result<Step, Refusal> {
    let p = till.open_payments().find(|p| p.id == id).ok_or(Refusal::Stale)?;
    let sealed = match attempt {
        0 => matches!(p.purpose, Purpose::TopUp { .. }),
        n => p.attempt(n).is_some_and(|a| a.recovery.is_some()),
    };
    if !sealed || recovery.len() > bounds::MAX_RECOVERY {
        return Err(Refusal::Stale);
    }
    let recovery = recovery.to_vec();
    Ok(Step::new(Record::Resealed { payment: id, attempt, batch: till.open_batch(), recovery }, []))
}

fn payment(p: &Payment) -> Vec<Step> {
    let mut steps: Vec<Step> = p.attempts.iter().filter_map(|a| attempt(p, a)).collect();
    let under_way = p.open_attempt().is_some();
    let money =
        matches!(p.state, PaymentState::PartPaid | PaymentState::Returning | PaymentState::Delivering)
            || (p.state == PaymentState::Tendering && p.kept().is_positive());
    if money && !p.parked {
        steps.push(Step::new(Record::Parked { payment: p.id }, [Effect::PaymentChanged(p.id)]));
    }
    match p.state {
        // No attempt was under way: no money moved, and the customer of before the restart is not the next one.
        PaymentState::Draft | PaymentState::Ready if !under_way => {
            let record = Record::Cancelled { payment: p.id, reason: "restarted".into(), operator: None };
            steps.push(Step::new(record, [Effect::PaymentChanged(p.id)]));
        }
        // What is given back or delivered goes on with its next leg.
        PaymentState::Returning | PaymentState::Delivering if !under_way && !planted!(ReturnForgotten) => {
            steps.push(Step::effects([Effect::GoOn { payment: p.id, after_ms: 0 }]));
        }
        PaymentState::Paid | PaymentState::PartPaid if p.cancel_requested && !under_way => {
            steps.push(Step::effects([Effect::GoOn { payment: p.id, after_ms: 0 }]));
        }
        PaymentState::PartPaid if !under_way => {
            let text =
                format!("{} of {} are paid of payment {}: resume or cancel it", p.kept(), p.amount, p.id);
            let alarm = Effect::Alarm { code: "part-paid", payment: Some(p.id), text };
            steps.push(Step::effects([Effect::PaymentChanged(p.id), alarm]));
        }
        PaymentState::Paid if p.acknowledged == Some(false) => {
            // Its time begins again: nobody could answer while the till was off.
            steps.push(Step::effects([Effect::GoOn { payment: p.id, after_ms: 0 }]));
        }
        _ => {}
    }
    steps
}

fn attempt(p: &Payment, a: &Attempt) -> Option<Step> {
    let restarted = |text: &str| Unknown::new(UnknownReason::Restarted, text);
    let again = |after_ms| {
        [
            Effect::PaymentChanged(p.id),
            Effect::ResolveAfter { payment: p.id, attempt: a.ids.attempt, after_ms },
        ]
    };
    match a.state {
        // Nothing left, and the customer of before the restart is not the next one.
        AttemptState::Created if a.kind.is_tender() && !p.kept().is_positive() => Some(Step::new(
            Record::Cancelled { payment: p.id, reason: "restarted".into(), operator: None },
            [Effect::PaymentChanged(p.id)],
        )),
        AttemptState::Created => {
            let mut decline =
                Decline::local(DeclineClass::Device, "restarted", "not sent: the till restarted");
            decline.text_zh = "未发送：终端已重启".into();
            let record = Record::NotSent { payment: p.id, decline };
            let go_on = Effect::GoOn { payment: p.id, after_ms: 0 };
            Some(Step::new(record, [Effect::PaymentChanged(p.id), go_on]))
        }
        // Bytes may have left: nobody can know (never "declined").
        AttemptState::Sent => {
            Some(became_unknown(p, a, &restarted("the till restarted while the request was on its way")))
        }
        // Whatever was on its way is not heard of again; the same numbers and the rest of the budget go on.
        AttemptState::Querying => {
            let outcome = QueryOutcome::Unknown(restarted("the till restarted"));
            Some(Step::new(of(a, Record::QueryOpen { payment: p.id, outcome }), again(0)))
        }
        AttemptState::Reversing if planted!(ReversalForgotten) => None,
        AttemptState::Reversing => {
            let outcome = UndoOutcome::Unknown(restarted("the till restarted"));
            let after_ms = if a.never_existed > 0 {
                settle(a)
            } else if a.undos == 0 {
                a.resolve.undo.as_ref().map_or(0, |u| u64::from(u.not_before_ms))
            } else {
                0
            };
            Some(Step::new(of(a, Record::UndoAnswered { payment: p.id, outcome }), again(after_ms)))
        }
        _ => None,
    }
}
