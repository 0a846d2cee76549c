//! The end of a day: by the clock, or because somebody closes it.

use super::{again, is_known, route, step};
use crate::batch::clock::{Due, after_manual_close, due};
use crate::batch::{Batch, BatchEvent, BusinessDate, PartId};
use crate::bounds;
use crate::effect::Effect;
use crate::input::Context;
use crate::machine::Step;
use crate::planted::planted;
use crate::till::{MAX_NUMBER, Till};
use till_plugin::channel::Operation;

/// Channels whose numbers one record can move on.
const CHANNELS: usize = 64;

/// Time has passed: the clock may give the open batch a date, or end its day.
pub(in crate::machine) fn tick(till: &Till, ctx: &Context) -> Step {
    let now = ctx.rules.now(ctx.wall_ms, ctx.clock_trusted);
    let book = till.batches();
    match due(book.date(), book.auto_closed(), now, ctx.rules.close_at) {
        Due::Nothing => super::full::roll(till, ctx),
        Due::Date(to) => {
            let event = BatchEvent::Dated { batch: book.open_number(), from: book.date(), to };
            let ahead = book.date().map(|from| Effect::Alarm {
                code: "business-date-corrected",
                payment: None,
                text: format!(
                    "batch {} had business date {from}, the clock says {to} now",
                    book.open_number()
                ),
            });
            step(event, ahead)
        }
        Due::Close { next } => freeze(till, ctx, Some(next), true, None),
    }
}

/// Somebody closes the day. An empty batch of today stays open: there is nothing to close.
pub(in crate::machine) fn close(till: &Till, ctx: &Context, operator: Option<&str>) -> Step {
    let now = ctx.rules.now(ctx.wall_ms, ctx.clock_trusted);
    let book = till.batches();
    let next = after_manual_close(book.date(), book.auto_closed(), now, ctx.rules.close_at);
    let empty = book.open().is_none_or(|b| !b.parts().any(|(_, p)| p.matters()));
    if empty && next == book.date() {
        return Step::default();
    }
    freeze(till, ctx, next, false, operator)
}

pub(super) fn freeze(
    till: &Till,
    ctx: &Context,
    next_date: Option<BusinessDate>,
    automatic: bool,
    operator: Option<&str>,
) -> Step {
    let book = till.batches();
    let number = book.open_number();
    let open = book.open();
    let moved = open.into_iter().flat_map(Batch::parts).filter(|(id, part)| {
        part.matters() && id.network == till.batch(&id.channel) && might_settle(ctx, &id.channel)
    });
    let most = if planted!(NetworkNumberReused) { 0 } else { CHANNELS };
    let moved = moved.map(|(id, _)| (id.channel.clone(), next_number(till, &id))).take(most).collect();
    let event = BatchEvent::Frozen {
        batch: number,
        date: book.date(),
        next_date,
        moved,
        automatic,
        operator: bounds::person(operator),
    };
    // Parts that were given up get another chance with every close.
    let others = book.frozen().flat_map(|b| {
        let stalled = b.parts().filter(|(_, p)| !p.state.is_closed() && p.gave_up.is_some());
        stalled.map(|(id, _)| again(b.number, Some(&id), 0)).collect::<Vec<_>>()
    });
    let own = open.into_iter().flat_map(Batch::parts).map(|(id, _)| again(number, Some(&id), 0));
    let changed = Effect::BatchChanged { batch: number + 1 };
    let effects: Vec<_> =
        std::iter::once(changed).chain(own).chain([again(number, None, 0)]).chain(others).collect();
    step(event, effects)
}

/// The network's number after this one. Its network may have gone back to an older number while this batch was open: then
/// the numbers that follow are taken, by this batch or by one before it.
fn next_number(till: &Till, id: &PartId) -> u32 {
    let after = |n: &u32| Some(n % MAX_NUMBER + 1);
    let mut all = std::iter::successors(after(&id.network), after).take(MAX_NUMBER as usize);
    all.find(|n| !till.batches().has_used(&id.channel, *n)).unwrap_or(id.network)
}

/// The channel settles, or nobody knows right now whether it does.
fn might_settle(ctx: &Context, channel: &str) -> bool {
    route(ctx, channel).is_some_and(|r| r.operations.contains(&Operation::Settle) || !is_known(r))
}
