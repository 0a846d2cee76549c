//! What people decide: an attempt is given up, or an outcome that the machine could not find out is found out by two
//! (W8: who, why, what it rests on, and a second person).

use super::attempt::numbered;
use super::{Step, find};
use crate::bounds;
use crate::effect::Effect;
use crate::input::Context;
use crate::payment::{AttemptState, Payment, PaymentId, PaymentState, Verdict};
use crate::planted::planted;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::till::Till;

/// The operator gives an attempt up, to try another: from now on it may only end undone or in review.
pub(super) fn abandon(
    till: &Till,
    id: PaymentId,
    reason: &str,
    operator: Option<&str>,
) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    let no = |why: &str| Refusal::NoLeg { payment: id, why: why.into() };
    if reason.trim().is_empty() {
        return Err(no("giving an attempt up needs a reason"));
    }
    let a = p.open_attempt().ok_or_else(|| no("no attempt of it is under way"))?;
    if !a.kind.is_tender() || !matches!(a.state, AttemptState::Querying | AttemptState::Reversing) {
        return Err(no("only a payment whose outcome nobody knows can be given up: cancel it instead"));
    }
    if p.cancel_requested {
        return Err(no("it is being cancelled already: wait until it is undone"));
    }
    if a.resolve.undo.is_none() {
        return Err(no("its channel cannot undo it: wait for the outcome"));
    }
    let (number, was_waiting) = (a.ids.attempt, a.waiting && a.state == AttemptState::Reversing);
    let record = Record::Abandoned {
        payment: id,
        attempt: number,
        reason: bounds::cut(reason, bounds::LINE),
        operator: bounds::person(operator),
    };
    let after_ms = if was_waiting || a.undos > 0 {
        // An undo may be on its way: its answer, or the next pause, goes on.
        a.resolve.undo.as_ref().map_or(0, |u| u64::from(u.pause_ms))
    } else {
        a.resolve.undo.as_ref().map_or(0, |u| u64::from(u.not_before_ms).saturating_sub(a.asked_ms))
    };
    Ok(Step::new(
        record,
        [
            Effect::PaymentChanged(id),
            Effect::ResolveAfter { payment: id, attempt: number, after_ms },
            Effect::Arm { payment: id, amount: p.remaining() },
        ],
    ))
}

fn in_review(p: &Payment, attempt: u32) -> Result<(), Refusal> {
    let why = if attempt == 0 {
        if p.state == PaymentState::Review && !p.attempts.iter().any(|a| a.state == AttemptState::Review) {
            return Ok(());
        }
        "it is not the payment that is in review: name the attempt"
    } else {
        match p.attempt(attempt) {
            Some(a) if a.state == AttemptState::Review => return Ok(()),
            _ => "that attempt is not in review",
        }
    };
    Err(Refusal::Review { payment: p.id, why })
}

/// The first of two people says what became of it. A later proposal replaces an earlier one.
pub(super) fn propose(
    till: &Till,
    id: PaymentId,
    attempt: u32,
    verdict: Verdict,
    reason: &str,
    operator: &str,
) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    in_review(p, attempt)?;
    let refuse = |why| Refusal::Review { payment: id, why };
    if operator.trim().is_empty() || reason.trim().is_empty() {
        return Err(refuse(
            "a decision needs a name and a reason: what did the channel or the statement say?",
        ));
    }
    if attempt == 0 && verdict == Verdict::DidNot {
        return Err(refuse("a payment as a whole can only be accepted as it stands"));
    }
    let record = Record::ReviewProposed {
        payment: id,
        attempt,
        verdict,
        reason: bounds::cut(reason, bounds::LINE),
        operator: bounds::cut(operator, bounds::PERSON),
    };
    Ok(Step::new(record, [Effect::PaymentChanged(id)]))
}

/// The second person agrees, and that is what became of it.
pub(super) fn confirm(
    till: &Till,
    ctx: &Context,
    id: PaymentId,
    attempt: u32,
    verdict: Verdict,
    operator: &str,
) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    in_review(p, attempt)?;
    let refuse = |why| Refusal::Review { payment: id, why };
    let operator = bounds::cut(operator, bounds::PERSON);
    let proposal = p.proposal.as_ref().ok_or_else(|| refuse("nobody proposed a decision yet"))?;
    let same = proposal.operator.trim().eq_ignore_ascii_case(operator.trim()) && !planted!(OnePersonReview);
    if operator.trim().is_empty() || same {
        return Err(refuse("a second person must confirm what the first proposed"));
    }
    if proposal.attempt != attempt || proposal.verdict != verdict {
        return Err(refuse("something else was proposed: read it again"));
    }
    let (receipt_number, print) = match (verdict, p.attempt(attempt)) {
        (Verdict::Happened, Some(a)) => numbered(till, ctx, p, a),
        _ => (0, false),
    };
    let mut effects = vec![Effect::PaymentChanged(id)];
    if print {
        effects.push(Effect::QueueJob { job: receipt_number });
    }
    effects.push(Effect::GoOn { payment: id, after_ms: 0 });
    let record = Record::ReviewDecided { payment: id, attempt, verdict, operator, receipt_number, print };
    Ok(Step::new(record, effects))
}
