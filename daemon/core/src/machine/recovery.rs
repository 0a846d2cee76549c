//! What a restart finds, and what is done about it (pos.md §3.6).

use till_plugin::channel::{QueryOutcome, UndoOutcome, Unknown, UnknownReason};

use super::Step;
use super::attempt::became_unknown;
use super::resolve::settle;
use crate::effect::Effect;
use crate::payment::{AttemptState, Payment};
use crate::record::Record;
use crate::till::Till;

/// The steps of a restart, one for each payment or job that was under way. Run them before anything else.
pub fn recover(till: &Till) -> Vec<Step> {
    let payments = till.open_payments().filter_map(payment);
    let jobs = till.jobs().keys().map(|job| Step::effects([Effect::QueueJob { job: *job }]));
    payments.chain(jobs).collect()
}

fn payment(p: &Payment) -> Option<Step> {
    let Some(a) = p.open_attempt() else {
        // No attempt was under way: no money moved, and the customer of before the restart is not the next one.
        let reason = "restarted".to_owned();
        return Some(Step::new(
            Record::Cancelled { payment: p.id, reason, operator: None },
            [Effect::PaymentChanged(p.id)],
        ));
    };
    let restarted = |text: &str| Unknown::new(UnknownReason::Restarted, text);
    let again = |after_ms| {
        [
            Effect::PaymentChanged(p.id),
            Effect::ResolveAfter { payment: p.id, attempt: a.ids.attempt, after_ms },
        ]
    };
    match a.state {
        // Nothing left: the same as no attempt.
        AttemptState::Created => Some(Step::new(
            Record::Cancelled { payment: p.id, reason: "restarted".into(), operator: None },
            [Effect::PaymentChanged(p.id)],
        )),
        // Bytes may have left: nobody can know (never "declined").
        AttemptState::Sent => {
            Some(became_unknown(p, a, &restarted("the till restarted while the request was on its way")))
        }
        // Whatever was on its way is not heard of again; the same numbers and the rest of the budget go on.
        AttemptState::Querying => {
            let outcome = QueryOutcome::Unknown(restarted("the till restarted"));
            Some(Step::new(Record::QueryOpen { payment: p.id, outcome }, again(0)))
        }
        AttemptState::Reversing => {
            let outcome = UndoOutcome::Unknown(restarted("the till restarted"));
            let after_ms = if a.never_existed > 0 {
                settle(a)
            } else if a.undos == 0 {
                a.resolve.undo.as_ref().map_or(0, |u| u64::from(u.not_before_ms))
            } else {
                0
            };
            Some(Step::new(Record::UndoAnswered { payment: p.id, outcome }, again(after_ms)))
        }
        _ => None,
    }
}
