//! Parts and batches are closed: by the way they went, or by two people.

use super::{again, resumed, step};
use crate::batch::{Batch, BatchEvent, BatchState, Part, PartId, expect_payout};
use crate::bounds;
use crate::effect::Effect;
use crate::input::Context;
use crate::machine::Step;
use crate::refusal::Refusal;
use crate::till::{Till, slip_job};

/// Currencies of the totals that one record holds; the fold has them all.
const CURRENCIES: usize = 24;

pub(super) fn close_part(
    ctx: &Context,
    batch: &Batch,
    id: &PartId,
    part: &Part,
    by_hand: Option<(String, String)>,
) -> Step {
    let rule = ctx.rules.channel(&id.channel);
    let mut payout =
        expect_payout(part.entries(), batch.date, rule.payout, &ctx.rules.calendar, rule.fee.as_ref());
    payout.expected.truncate(CURRENCIES);
    // As many as there will be when this record is taken in.
    let left = part.exceptions().len() + part.open_items().count() + usize::from(by_hand.is_some());
    let alarm = (left > 0).then(|| Effect::Alarm {
        code: "batch-exceptions",
        payment: None,
        text: format!(
            "batch {}: {} is closed with {left} exceptions; `tillctl day show {}` names them",
            batch.number, id.channel, batch.number
        ),
    });
    let event = BatchEvent::PartClosed {
        batch: batch.number,
        part: id.clone(),
        totals: part.totals().first(CURRENCIES),
        count: part.count(),
        exceptions: u32::try_from(left).unwrap_or(u32::MAX),
        agreed: part.agreed,
        payout,
        by_hand,
    };
    step(event, std::iter::once(again(batch.number, None, 0)).chain(alarm))
}

/// The batch is closed once all its parts are; what was sealed for them alone can be shredded then.
pub(super) fn close_batch(till: &Till, ctx: &Context, batch: &Batch) -> Result<Step, Refusal> {
    if batch.parts().any(|(_, part)| !part.state.is_closed()) {
        return Err(Refusal::Stale);
    }
    let event = BatchEvent::Closed {
        batch: batch.number,
        date: batch.date,
        totals: batch.totals().first(CURRENCIES),
        count: batch.count(),
        exceptions: u32::try_from(batch.exceptions().count()).unwrap_or(u32::MAX),
        print: ctx.printer.is_some() && batch.count() > 0,
    };
    let print = matches!(event, BatchEvent::Closed { print: true, .. });
    let slip = print.then(|| Effect::QueueJob { job: slip_job(batch.number) });
    let shred = Effect::Shred { below: till.needed_from(Some(batch.number)) };
    Ok(step(event, std::iter::once(shred).chain(slip)))
}

/// People decide about a part that was given up: try again.
pub(in crate::machine) fn settle_again(
    till: &Till,
    number: u32,
    id: &PartId,
    operator: Option<&str>,
) -> Result<Step, Refusal> {
    let part = open_part(till, number, id)?;
    if part.gave_up.is_none() {
        let why = format!("the settlement of {} was not given up: it goes on by itself", id.channel);
        return Err(Refusal::Batch { batch: number, why });
    }
    Ok(resumed(number, id, bounds::person(operator)))
}

/// People decide about a part that does not come to an end: one says so, another one agrees (W8), and it is closed as it
/// is, for ever marked so.
pub(in crate::machine) fn close_anyway(
    till: &Till,
    ctx: &Context,
    number: u32,
    id: &PartId,
    reason: &str,
    operator: &str,
) -> Result<Step, Refusal> {
    let part = open_part(till, number, id)?;
    let no = |why: &str| Refusal::Batch { batch: number, why: why.into() };
    if reason.trim().is_empty() || operator.trim().is_empty() {
        return Err(no("closing without the network's answer needs a name and a reason"));
    }
    if part.exchange.as_ref().is_some_and(|e| e.waiting) {
        return Err(no("an answer of the network is on its way: wait for it"));
    }
    let batch = till.batches().get(number).ok_or(Refusal::Stale)?;
    let operator = bounds::cut(operator.trim(), bounds::PERSON);
    match &part.proposal {
        None => {
            let reason = bounds::cut(reason, bounds::LINE);
            let part = id.clone();
            Ok(step(BatchEvent::CloseProposed { batch: number, part, reason, operator }, []))
        }
        // Said twice by one is said once.
        Some(first) if first.operator.eq_ignore_ascii_case(&operator) => Ok(Step::default()),
        Some(_) => {
            let by_hand = (operator, bounds::cut(reason, bounds::LINE));
            Ok(close_part(ctx, batch, id, part, Some(by_hand)))
        }
    }
}

fn open_part<'a>(till: &'a Till, number: u32, id: &PartId) -> Result<&'a Part, Refusal> {
    let no = |why: String| Refusal::Batch { batch: number, why };
    let batch = till.batches().get(number).ok_or_else(|| no("there is no such batch in memory".into()))?;
    if batch.state != BatchState::Frozen {
        return Err(no(format!("it is {}: only a frozen batch is settled", batch.state.as_str())));
    }
    let part = batch.part(id).ok_or_else(|| no(format!("{} has no part of it", id.channel)))?;
    if part.state.is_closed() { Err(no(format!("{} is closed already", id.channel))) } else { Ok(part) }
}
