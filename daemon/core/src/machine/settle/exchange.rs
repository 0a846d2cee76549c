//! Requests to a channel's network, and what it answers: totals, details, the end.

use till_plugin::channel::{AttemptIds, Outcome, SettleOutcome, UnknownReason};

use super::{again, route, stalled, step};
use crate::batch::{Answer, Ask, Batch, BatchEvent, Part, PartId, PartState};
use crate::bounds;
use crate::effect::Effect;
use crate::input::Context;
use crate::machine::Step;
use crate::machine::command::order_number;
use crate::planted::planted;
use crate::refusal::Refusal;
use crate::till::Till;

/// What the network is asked next.
fn next_ask(rule_chunk: u32, part: &Part) -> Ask {
    let upload = |next: u32| {
        let left = part.count().saturating_sub(next);
        let most = if next < part.single_until { 1 } else { rule_chunk.max(1) };
        if left == 0 { Ask::CompareAgain } else { Ask::Upload { from: next, count: left.min(most) } }
    };
    match part.state {
        PartState::Mismatched => upload(0),
        PartState::Uploading { next } => upload(next),
        PartState::Matched
        | PartState::Recompared { .. }
        | PartState::Closed
        | PartState::ClosedWithExceptions => Ask::End,
        PartState::Open | PartState::Frozen | PartState::TotalsSent => Ask::Compare,
    }
}

/// The next request leaves, or again the last one that was not answered: with the same numbers.
pub(super) fn exchange(till: &Till, ctx: &Context, batch: &Batch, id: &PartId, part: &Part) -> Step {
    let rule = ctx.rules.channel(&id.channel);
    let (ask, ids) = match &part.exchange {
        Some(e) if e.tries >= rule.tries.max(1) => return gave_up(batch.number, id, e.tries),
        Some(e) if !e.refused => (e.ask, e.ids.clone()),
        Some(e) => (e.ask, numbers(till, ctx, id, part)),
        None => (next_ask(rule.chunk, part), numbers(till, ctx, id, part)),
    };
    let effect = request(ctx, batch, id, part, ask, &ids);
    let event = BatchEvent::Started { batch: batch.number, part: id.clone(), ask, ids };
    step(event, [effect])
}

fn numbers(till: &Till, ctx: &Context, id: &PartId, part: &Part) -> AttemptIds {
    AttemptIds {
        // No payment: a settlement is about none.
        payment: [0; 16],
        attempt: part.exchanges.saturating_add(1),
        trace: till.next_trace(&id.channel),
        batch: id.network,
        order: order_number(&ctx.terminal, ctx.wall_ms, till.next_order()),
        wall_ms: ctx.wall_ms,
    }
}

fn request(ctx: &Context, batch: &Batch, id: &PartId, part: &Part, ask: Ask, ids: &AttemptIds) -> Effect {
    match ask {
        Ask::Compare | Ask::CompareAgain => Effect::Settle {
            batch: batch.number,
            part: id.clone(),
            ids: ids.clone(),
            again: ask == Ask::CompareAgain,
            totals: part.totals().clone(),
            currency: currency(ctx, id, part),
            operator: batch.operator.clone(),
        },
        Ask::Upload { .. } | Ask::End => {
            let (from, count) =
                if let Ask::Upload { from, count } = ask { (from, count) } else { (part.count(), 0) };
            let skip = usize::try_from(from).unwrap_or(usize::MAX);
            let take = usize::try_from(count).unwrap_or(0);
            Effect::UploadRecords {
                batch: batch.number,
                part: id.clone(),
                ids: ids.clone(),
                entries: part.entries().iter().skip(skip).take(take).copied().collect(),
                from,
                total: part.count(),
                end: ask == Ask::End,
                balanced: part.agreed == Some(true),
            }
        }
    }
}

/// The currency that a settlement is about first: that of its money, else the channel's own.
fn currency(ctx: &Context, id: &PartId, part: &Part) -> till_plugin::Currency {
    let own = part.totals().lines().next().map(|(currency, _)| currency);
    let channels = || route(ctx, &id.channel)?.currencies.first()?.parse().ok();
    own.or_else(channels).unwrap_or(till_plugin::Currency::CNY)
}

fn gave_up(number: u32, id: &PartId, tries: u32) -> Step {
    let text = format!("no usable answer to {tries} tries");
    let alarm = Effect::Alarm { code: "settlement-stalled", payment: None, text: stalled(number, id, &text) };
    step(BatchEvent::GaveUp { batch: number, part: id.clone(), text }, [alarm])
}

/// A channel answered the comparison of totals.
pub(in crate::machine) fn settled(
    till: &Till,
    ctx: &Context,
    number: u32,
    id: &PartId,
    trace: u32,
    outcome: &SettleOutcome,
) -> Result<Step, Refusal> {
    let answer = match outcome {
        SettleOutcome::Balanced => Answer::Balanced,
        SettleOutcome::Unbalanced if planted!(UnbalancedBelieved) => Answer::Balanced,
        SettleOutcome::Unbalanced => Answer::Unbalanced,
        SettleOutcome::Refused(d) => Answer::Refused(bounds::decline(d)),
        SettleOutcome::Unknown(u) if u.reason == UnknownReason::Unsupported => Answer::Unsupported,
        SettleOutcome::Unknown(u) => unknown(u.reason, &u.text),
    };
    answered(till, ctx, number, id, trace, answer, |ask| matches!(ask, Ask::Compare | Ask::CompareAgain))
}

/// A channel answered an upload or the end of one.
pub(in crate::machine) fn uploaded(
    till: &Till,
    ctx: &Context,
    number: u32,
    id: &PartId,
    trace: u32,
    outcome: &Outcome,
) -> Result<Step, Refusal> {
    let answer = match outcome {
        Outcome::Approved(_) => Answer::Taken,
        Outcome::Declined(d) => Answer::Refused(bounds::decline(d)),
        Outcome::NotSent(d) if d.code == "unsupported" => Answer::Unsupported,
        Outcome::NotSent(d) => Answer::NotSent(bounds::decline(d)),
        Outcome::Unknown(u) => unknown(u.reason, &u.text),
    };
    answered(till, ctx, number, id, trace, answer, |ask| matches!(ask, Ask::Upload { .. } | Ask::End))
}

pub(super) fn unknown(reason: UnknownReason, text: &str) -> Answer {
    Answer::Unknown { reason, text: bounds::cut(text, bounds::LINE) }
}

fn answered(
    till: &Till,
    ctx: &Context,
    number: u32,
    id: &PartId,
    trace: u32,
    answer: Answer,
    fits: impl Fn(Ask) -> bool,
) -> Result<Step, Refusal> {
    let part = till.batches().get(number).and_then(|b| b.part(id)).ok_or(Refusal::Stale)?;
    // An answer to an earlier request, or the same one twice, says nothing about this one.
    let exchange = part.exchange.as_ref().filter(|e| e.waiting && e.ids.trace == trace && fits(e.ask));
    let exchange = exchange.ok_or(Refusal::Stale)?;
    let ask = exchange.ask;
    let open = matches!(
        (ask, &answer),
        (_, Answer::Unknown { .. } | Answer::NotSent(_)) | (Ask::Compare, Answer::Refused(_))
    );
    let after_ms = if open { pause(ctx, id, exchange.tries) } else { 0 };
    let differ = (ask == Ask::Compare && answer == Answer::Unbalanced).then(|| Effect::Alarm {
        code: "totals-differ",
        payment: None,
        text: format!(
            "batch {number}: {} counts other totals than this till; the details are sent",
            id.channel
        ),
    });
    let event = BatchEvent::Answered { batch: number, part: id.clone(), ask, answer };
    Ok(step(event, std::iter::once(again(number, Some(id), after_ms)).chain(differ)))
}

/// Pause after the n-th try that brought no answer: doubles up to the rule's longest.
fn pause(ctx: &Context, id: &PartId, tries: u32) -> u64 {
    let rule = ctx.rules.channel(&id.channel);
    let doublings = tries.saturating_sub(1).min(20);
    (u64::from(rule.pause_ms) << doublings).min(u64::from(rule.pause_max_ms))
}
