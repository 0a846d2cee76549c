//! Batches: the close of a day, and the settlement of each channel's part with its network.
//!
//! A frozen batch goes on in small steps, each one record: what is under way is waited for, what people must decide is
//! named, totals are compared, details go up where they differ, and the part is closed. Every step finds in the journal
//! where the one before it ended, so a restart goes on at the first record that is not known to be there (pos.md §3.6).
//!
//! * `day`: the clock or somebody ends a day; `full`: a network takes no more in one batch;
//! * `exchange`: requests to a network and their answers; `close`: a part and its batch are closed.

mod close;
mod day;
mod exchange;
mod full;

use till_plugin::channel::{Operation, UnknownReason};

use super::Step;
use crate::batch::{Batch, BatchEvent, BatchState, Part, PartId, PartState, Why};
use crate::effect::Effect;
use crate::input::Context;
use crate::payment::AttemptState;
use crate::planted::planted;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::routing::{RouteHealth, RouteView};
use crate::till::{MAX_NUMBER, Till};

pub(super) use close::{close_anyway, settle_again};
pub(super) use day::{close, tick};
pub(super) use exchange::{settled, uploaded};
pub(crate) use full::limits_hit;
pub(super) use full::{batch_is_full, is_one_too_many, look_whether_full};

/// Waits for items under way, or for a channel that does not work, before people hear of it: 35 minutes in all.
const WAITS: u32 = 12;
/// First wait, ms; doubles each time.
const WAIT_MS: u64 = 5_000;
/// Longest wait, ms.
const WAIT_MAX_MS: u64 = 300_000;

fn step(event: BatchEvent, effects: impl IntoIterator<Item = Effect>) -> Step {
    let changed = Effect::BatchChanged { batch: event.batch() };
    Step::new(Record::Batch(event), std::iter::once(changed).chain(effects))
}

fn again(batch: u32, part: Option<&PartId>, after_ms: u64) -> Effect {
    Effect::SettleAfter { batch, part: part.cloned(), after_ms }
}

fn route<'a>(ctx: &'a Context, channel: &str) -> Option<&'a RouteView> {
    ctx.routes.iter().find(|r| r.id == channel)
}

/// It runs, so that what it says of itself is known.
const fn is_known(r: &RouteView) -> bool {
    r.enabled && matches!(r.health, RouteHealth::Ready | RouteHealth::SignedOff)
}

/// A settlement goes on: one part, or the batch as a whole.
pub(in crate::machine) fn go_on(
    till: &Till,
    ctx: &Context,
    number: u32,
    id: Option<&PartId>,
) -> Result<Step, Refusal> {
    if number == till.open_batch() && id.is_none() {
        return Ok(full::roll(till, ctx));
    }
    let batch = till.batches().get(number).filter(|b| b.state == BatchState::Frozen).ok_or(Refusal::Stale)?;
    let Some(id) = id else { return close::close_batch(till, ctx, batch) };
    let part = batch.part(id).filter(|p| !p.state.is_closed()).ok_or(Refusal::Stale)?;
    if part.exchange.as_ref().is_some_and(|e| e.waiting) {
        return Err(Refusal::Stale);
    }
    if let Some(gave_up) = &part.gave_up {
        if gave_up.open == till.open_batch() {
            return Err(Refusal::Stale);
        }
        return Ok(resumed(number, id, None));
    }
    if part.state == PartState::Frozen
        && !planted!(ClosedOverOpen)
        && let Some(step) = under_way(number, id, part)
    {
        return Ok(step);
    }
    if id.is_carried() || !part.matters() || part.ended {
        return Ok(close::close_part(ctx, batch, id, part, None));
    }
    let Some(route) = route(ctx, &id.channel) else {
        let named = part.exceptions().iter().any(|e| e.why == Why::ChannelGone);
        if !part.moved || named {
            return Ok(close::close_part(ctx, batch, id, part, None));
        }
        return Ok(excepted(number, id, None, Why::ChannelGone));
    };
    let settles = route.operations.contains(&Operation::Settle);
    if !settles && (is_known(route) || !part.moved) {
        return Ok(close::close_part(ctx, batch, id, part, None));
    }
    // A pending reversal goes before the settlement where only one can be pending (channels.md §1.6 rule 5).
    let reversing = route.resolve.single_slot
        && till
            .open_payments()
            .flat_map(|p| &p.attempts)
            .any(|a| a.channel == id.channel && a.state == AttemptState::Reversing);
    if route.health != RouteHealth::Ready || !route.enabled || reversing {
        return Ok(wait(number, id, part));
    }
    Ok(exchange::exchange(till, ctx, batch, id, part))
}

/// What is under way is waited for a while; what people decide on, and what took too long, is named and left to them.
fn under_way(number: u32, id: &PartId, part: &Part) -> Option<Step> {
    if let Some((item, _)) = part.open_items().find(|(_, review)| *review) {
        return Some(excepted(number, id, Some(item), Why::Review));
    }
    let (item, _) = part.open_items().next()?;
    if part.waits < WAITS {
        return Some(wait(number, id, part));
    }
    Some(excepted(number, id, Some(item), Why::Unfinished))
}

fn excepted(number: u32, id: &PartId, item: Option<crate::batch::Item>, why: Why) -> Step {
    let event = BatchEvent::Excepted { batch: number, part: id.clone(), item, why };
    step(event, [again(number, Some(id), 0)])
}

/// Waits and counts it, so that a restart does not wait for ever; after the last one people are told, once.
fn wait(number: u32, id: &PartId, part: &Part) -> Step {
    let pause = (WAIT_MS << part.waits.min(16)).min(WAIT_MAX_MS);
    let go_on = again(number, Some(id), pause);
    if part.waits >= WAITS {
        return Step::effects([go_on]);
    }
    let told = (part.waits + 1 == WAITS).then(|| Effect::Alarm {
        code: "settlement-waits",
        payment: None,
        text: format!(
            "batch {number}: the settlement of {} waits for its channel or for open payments",
            id.channel
        ),
    });
    let event = BatchEvent::Waited { batch: number, part: id.clone() };
    step(event, std::iter::once(go_on).chain(told))
}

fn resumed(number: u32, id: &PartId, operator: Option<String>) -> Step {
    let event = BatchEvent::Resumed { batch: number, part: id.clone(), operator };
    step(event, [again(number, Some(id), 0)])
}

fn stalled(number: u32, id: &PartId, text: &str) -> String {
    format!(
        "batch {number}, {} (network batch {:06}): {text}; settle it again or close it by hand",
        id.channel, id.network
    )
}

/// A channel signed in. The network may want another batch number: taken for what comes, never for what is frozen.
pub(in crate::machine) fn signed_in(till: &Till, channel: &str, wanted: Option<u32>) -> Step {
    // A batch number is 1–999999; anything else is not one (Q/CUP 009.1 field 60.2).
    let wanted = wanted.filter(|b| (1..=MAX_NUMBER).contains(b));
    let ours = till.batch(channel);
    // The network has not seen the settlement of that one yet: our next number is right, and stays.
    let taken = |b: u32| till.batches().unsettled(channel, b) && !planted!(UnsettledReused);
    let wanted = wanted.filter(|b| *b == ours || !taken(*b));
    // Asked before that batch was settled, answered after it: what is over takes no more.
    let over = |b: u32| till.batches().is_over(channel, b) && !planted!(SettledReused);
    let late = wanted.filter(|b| *b != ours && over(*b));
    let wanted = wanted.filter(|_| late.is_none());
    let kept = late.map(|b| Effect::Alarm {
        code: "network-batch-settled",
        payment: None,
        text: format!(
            "{channel} wants batch {b:06}, which was settled already: this till goes on in {ours:06}"
        ),
    });
    let used =
        |b: &Batch| b.part(&PartId { channel: channel.into(), network: ours }).is_some_and(Part::matters);
    let alarm = wanted.filter(|b| *b != ours && till.batches().open().is_some_and(used)).map(|b| Effect::Alarm {
        code: "network-batch-moved",
        payment: None,
        text: format!(
            "{channel} wants batch {b:06}, this till sold in {ours:06}: both are settled with the batch that is open now"
        ),
    });
    Step::new(Record::SignedIn { channel: channel.into(), batch: wanted }, alarm.into_iter().chain(kept))
}

/// The steps of a restart: an exchange that was on its way is not heard of again, everything goes on where it stood.
pub(in crate::machine) fn recover(till: &Till) -> Vec<Step> {
    let mut steps = Vec::new();
    if planted!(SettlementForgotten) {
        return steps;
    }
    for batch in till.batches().frozen() {
        let number = batch.number;
        for (id, part) in batch.parts().filter(|(_, p)| !p.state.is_closed()) {
            if let Some(e) = part.exchange.as_ref().filter(|e| e.waiting) {
                let answer = exchange::unknown(UnknownReason::Restarted, "the till restarted");
                let event = BatchEvent::Answered { batch: number, part: id.clone(), ask: e.ask, answer };
                steps.push(step(event, [again(number, Some(&id), 0)]));
            } else {
                let told = part.gave_up.as_ref().map(|g| Effect::Alarm {
                    code: "settlement-stalled",
                    payment: None,
                    text: stalled(number, &id, &g.text),
                });
                steps.push(Step::effects(std::iter::once(again(number, Some(&id), 0)).chain(told)));
            }
        }
        steps.push(Step::effects([again(number, None, 0)]));
    }
    // The last close may not have come so far.
    let below = till.needed_from(None);
    if below > 1 {
        steps.push(Step::effects([Effect::Shred { below }]));
    }
    steps
}
