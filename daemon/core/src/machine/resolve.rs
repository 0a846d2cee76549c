//! The resolver: an outcome that nobody knows is asked for, then undone, then given to people. Bounded, never a guess.
//!
//! Queries are counted, not timed, so that a restart goes on with what is left of the budget.

use till_plugin::channel::{QueryOutcome, QueryRule, UndoOutcome, UndoReason, UndoRule};

use super::attempt::{approved, ended, late_approval, undo_reason};
use super::{Step, expect, of, unwanted};
use crate::bounds;
use crate::effect::Effect;
use crate::fold::{SHORTEST_PAUSE_MS, never_existed_stands, query_pause};
use crate::input::Context;
use crate::payment::{Attempt, AttemptState, Payment, PaymentId};
use crate::planted::planted;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::till::Till;

/// Queries that a rule allows: the first, one every `every_ms` up to `until_ms`, and never none.
fn query_budget(rule: &QueryRule) -> u32 {
    rule.until_ms.saturating_sub(rule.first_ms) / rule.every_ms.max(SHORTEST_PAUSE_MS) + 1
}

/// The budget is spent, or "not found" came twice over the settle time: it never arrived (and is undone all the same,
/// in case it still does).
fn asked_enough(rule: &QueryRule, a: &Attempt, not_found: u32) -> bool {
    a.queries >= query_budget(rule) || (not_found >= 2 && a.asked_ms >= u64::from(rule.settle_ms))
}

/// The timer rang: the next query or undo leaves, or the machine gives up.
pub(super) fn go_on(till: &Till, id: PaymentId, number: u32) -> Result<Step, Refusal> {
    let (p, a) = expect(till, id, number, &[AttemptState::Querying, AttemptState::Reversing])?;
    if a.waiting {
        return Err(Refusal::Stale);
    }
    if a.state == AttemptState::Reversing {
        return Ok(next_undo(p, a));
    }
    let wanted = !unwanted(p, a) || a.resolve.undo.is_none();
    match &a.resolve.query {
        Some(rule) if wanted && !asked_enough(rule, a, a.not_found) => Ok(Step::new(
            of(a, Record::QueryStarted { payment: id }),
            [Effect::Query {
                payment: id,
                kind: a.kind,
                attempt: number,
                channel: a.channel.clone(),
                ids: a.ids.clone(),
                amount: a.amount,
                recovery: a.recovery.clone().unwrap_or_default(),
                number: a.queries + 1,
            }],
        )),
        _ => Ok(give_up_asking(p, a)),
    }
}

fn give_up_asking(p: &Payment, a: &Attempt) -> Step {
    if a.resolve.undo.is_none() {
        return review(p, a, "the channel does not know and cannot undo");
    }
    let reason = if unwanted(p, a) {
        UndoReason::Abandoned
    } else {
        a.unknown.map_or(UndoReason::NoAnswer, undo_reason)
    };
    let record = Record::UndoDecided { payment: p.id, reason, approval: None };
    let again = Effect::ResolveAfter { payment: p.id, attempt: a.ids.attempt, after_ms: undo_wait(a) };
    Step::new(of(a, record), [Effect::PaymentChanged(p.id), again])
}

/// How long the first undo must still wait: its earliest time less what the queries surely took.
fn undo_wait(a: &Attempt) -> u64 {
    let earliest = a.resolve.undo.as_ref().map_or(0, |u| u64::from(u.not_before_ms));
    earliest.saturating_sub(a.asked_ms)
}

fn next_undo(p: &Payment, a: &Attempt) -> Step {
    let Some(rule) = &a.resolve.undo else { return review(p, a, "the channel cannot undo") };
    // The doubt after a first "never existed" is ours: its second question is not taken from the budget.
    let reached = a.undos.saturating_sub(a.undos_unsent).saturating_sub(a.never_existed);
    if rule.tries > 0 && !planted!(UndoWithoutEnd) && reached >= rule.tries {
        return review(p, a, "no answer to any of the allowed reversals");
    }
    Step::new(
        of(a, Record::UndoStarted { payment: p.id }),
        [Effect::Undo {
            payment: p.id,
            attempt: a.ids.attempt,
            channel: a.channel.clone(),
            ids: a.ids.clone(),
            amount: a.amount,
            recovery: a.recovery.clone().unwrap_or_default(),
            reason: a.undo_reason.unwrap_or(UndoReason::NoAnswer),
            number: a.undos + 1,
        }],
    )
}

fn review(p: &Payment, a: &Attempt, text: &str) -> Step {
    Step::new(
        of(a, Record::WentToReview { payment: p.id, text: text.into() }),
        [
            Effect::PaymentChanged(p.id),
            Effect::Alarm {
                code: "review",
                payment: Some(p.id),
                text: format!(
                    "the {} over {} of payment {} needs a decision: {text}",
                    a.kind.as_str(),
                    a.amount,
                    p.id
                ),
            },
        ],
    )
}

pub(super) fn queried(
    till: &Till,
    ctx: &Context,
    id: PaymentId,
    number: u32,
    outcome: &QueryOutcome,
) -> Result<Step, Refusal> {
    let (p, a) = match (expect(till, id, number, &[AttemptState::Querying]), outcome) {
        // An answer that nobody asked for (delivered twice) says nothing new, unless it says where the money is.
        (Ok((_, a)), outcome) if !a.waiting && !matches!(outcome, QueryOutcome::Paid(_)) => {
            return Err(Refusal::Stale);
        }
        (Ok(found), _) => found,
        (Err(e), QueryOutcome::Paid(approval)) => {
            return late_approval(till, ctx, id, number, approval).ok_or(e);
        }
        (Err(e), _) => return Err(e),
    };
    Ok(match outcome {
        QueryOutcome::Paid(approval) => approved(till, ctx, p, a, approval),
        QueryOutcome::NotPaid(decline) => {
            ended(p, a, Record::Declined { payment: id, decline: bounds::decline(decline) })
        }
        QueryOutcome::NotFound if planted!(NotFoundOnce) => {
            let decline = till_plugin::channel::Decline::local(
                till_plugin::channel::DeclineClass::Channel,
                "not-found",
                "planted",
            );
            ended(p, a, Record::Declined { payment: id, decline })
        }
        QueryOutcome::InProgress | QueryOutcome::NotFound | QueryOutcome::Unknown(_) => {
            // After the last query the undo follows at once: a payer could still pay in the gap (channels.md §2.3).
            let not_found = a.not_found + u32::from(matches!(outcome, QueryOutcome::NotFound));
            let after_ms = match &a.resolve.query {
                _ if unwanted(p, a) && a.resolve.undo.is_some() => 0,
                Some(rule) if !asked_enough(rule, a, not_found) => query_pause(a),
                _ => 0,
            };
            Step::new(
                of(a, Record::QueryOpen { payment: id, outcome: bounds::query(outcome) }),
                [Effect::PaymentChanged(id), Effect::ResolveAfter { payment: id, attempt: number, after_ms }],
            )
        }
    })
}

pub(super) fn undone(
    till: &Till,
    id: PaymentId,
    number: u32,
    outcome: &UndoOutcome,
) -> Result<Step, Refusal> {
    let (p, a) = expect(till, id, number, &[AttemptState::Reversing])?;
    // The same "never existed" delivered twice is not said twice.
    if !a.waiting && !matches!(outcome, UndoOutcome::Undone { .. }) {
        return Err(Refusal::Stale);
    }
    let record = Record::UndoAnswered { payment: id, outcome: bounds::undo(outcome) };
    Ok(match outcome {
        UndoOutcome::NeverExisted if !never_existed_stands(a, a.never_existed.saturating_add(1)) => {
            Step::new(
                of(a, record),
                [
                    Effect::PaymentChanged(id),
                    Effect::ResolveAfter { payment: id, attempt: number, after_ms: settle(a) },
                ],
            )
        }
        UndoOutcome::Undone { .. } | UndoOutcome::NeverExisted => ended(p, a, record),
        UndoOutcome::Refused(d) => {
            let d = bounds::decline(d);
            review(p, a, &format!("the channel refuses to undo it ({}): {}", d.code, d.text))
        }
        UndoOutcome::NotSent(_) | UndoOutcome::Unknown(_) => {
            let mut effects = vec![
                Effect::PaymentChanged(id),
                Effect::ResolveAfter { payment: id, attempt: number, after_ms: pause(a) },
            ];
            if !p.parked && !a.abandoned {
                let text =
                    format!("the undo of payment {id} is not answered yet; it goes on in the background");
                effects.push(Effect::Alarm { code: "undo-pending", payment: Some(id), text });
            }
            Step::new(of(a, record), effects)
        }
    })
}

/// How long a request may still be on its way after the network said that it never existed, ms.
pub(super) fn settle(a: &Attempt) -> u64 {
    a.resolve.query.as_ref().map_or(0, |rule| u64::from(rule.settle_ms))
}

/// Pause after the n-th unanswered undo: doubles up to the rule's longest.
fn pause(a: &Attempt) -> u64 {
    let Some(UndoRule { pause_ms, pause_max_ms, .. }) = a.resolve.undo.as_ref() else { return 0 };
    let doublings = a.undos.saturating_sub(1).min(20);
    (u64::from(*pause_ms) << doublings).min(u64::from(*pause_max_ms)).max(u64::from(SHORTEST_PAUSE_MS))
}
