//! What a network counts in one batch: the till closes a batch that comes near to it by itself.

use till_plugin::Money;

use super::{again, day};
use crate::batch::{Batch, Part, PartId};
use crate::effect::Effect;
use crate::input::Context;
use crate::limits::{Instrument, LimitHit, Scope, Use, check_one};
use crate::machine::Step;
use crate::payment::Attempt;
use crate::planted::planted;
use crate::routing::RouteView;
use crate::till::Till;

/// A batch that comes near to what a network counts in one is closed by the till itself; the next one is of the same day.
pub(super) fn roll(till: &Till, ctx: &Context) -> Step {
    let book = till.batches();
    let fuller = |(id, part): &(PartId, &Part)| {
        if planted!(FullKept) {
            return false;
        }
        let rule = ctx.rules.channel(&id.channel);
        !id.is_carried() && rule.roll_at().is_some_and(|at| part.side_count() >= at)
    };
    let Some((id, part)) = book.open().into_iter().flat_map(Batch::parts).find(fuller) else {
        return Step::default();
    };
    let text = format!(
        "batch {} is closed early: {} counts {} items in it, its network takes no more in one batch",
        book.open_number(),
        id.channel,
        part.side_count()
    );
    let mut step = day::freeze(till, ctx, book.date(), false, None);
    step.effects.push(Effect::Alarm { code: "batch-full", payment: None, text });
    step
}

/// Whether an item more would be more than the channel's network counts in the open batch.
pub(in crate::machine) fn batch_is_full(till: &Till, ctx: &Context, channel: &str) -> bool {
    let Some(limit) = ctx.rules.batch_limit(channel) else { return false };
    counted(till, channel, till.batch(channel)) >= limit.max(1)
}

/// Whether this item, which is under way in the open batch, is more than its network counts: something that was over by the
/// time it was let in is under way again.
pub(in crate::machine) fn is_one_too_many(till: &Till, ctx: &Context, a: &Attempt) -> bool {
    let Some(limit) = ctx.rules.batch_limit(&a.channel) else { return false };
    counted(till, &a.channel, a.ids.batch) > limit.max(1)
}

/// What the network of a channel may come to count under a number of the open batch.
fn counted(till: &Till, channel: &str, network: u32) -> u32 {
    if planted!(FullIgnored) {
        return 0;
    }
    let id = PartId { channel: channel.into(), network };
    till.batches().open().and_then(|b| b.part(&id)).map_or(0, Part::side_count)
}

/// Looks at once, and not at the next tick, whether the batch that an item was just counted in is full.
pub(in crate::machine) fn look_whether_full(till: &Till, ctx: &Context, channel: &str) -> Option<Effect> {
    ctx.rules.batch_limit(channel)?;
    let id = PartId { channel: channel.into(), network: till.batch(channel) };
    let part = till.batches().open()?.part(&id)?;
    let at = ctx.rules.channel(channel).roll_at()?;
    (part.side_count() >= at).then(|| again(till.open_batch(), None, 0))
}

/// What a payment counts against limits with what is under way; used by the choice of a channel.
pub(crate) fn limits_hit(
    till: &Till,
    ctx: &Context,
    token: &str,
    operator: Option<&str>,
    amount: Money,
) -> Vec<(String, LimitHit)> {
    let counted = ctx.rules.channels.values().any(|rule| rule.batch_limit.is_some());
    let full = |r: &RouteView| {
        (counted && batch_is_full(till, ctx, &r.id))
            .then(|| (r.id.clone(), LimitHit { scope: Scope::Batch, left: Money::zero(amount.currency()) }))
    };
    if ctx.rules.limits.is_empty() {
        return ctx.routes.iter().filter_map(full).collect();
    }
    let under_way: Vec<Use<'_>> = till.uses_under_way().collect();
    let operator = operator.unwrap_or_default();
    let instrument = Instrument::of(&Use { channel: "", operator, token, amount });
    let hit = |r: &RouteView| {
        let wanted = Use { channel: &r.id, operator, token, amount };
        let hit = check_one(&ctx.rules.limits, till.limit_counters(), &under_way, &wanted, &instrument);
        hit.map(|hit| (r.id.clone(), hit))
    };
    ctx.routes.iter().filter_map(|r| full(r).or_else(|| hit(r))).collect()
}
