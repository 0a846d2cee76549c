//! Batches: the close of a day, and the settlement of each channel's part with its network.
//!
//! A frozen batch goes on in small steps, each one record: what is under way is waited for, what people must decide is
//! named, totals are compared, details go up where they differ, and the part is closed. Every step finds in the journal
//! where the one before it ended, so a restart goes on at the first record that is not known to be there (pos.md §3.6).

use till_plugin::Money;
use till_plugin::channel::{AttemptIds, Operation, Outcome, SettleOutcome, UnknownReason};

use super::Step;
use super::command::order_number;
use crate::batch::clock::{Due, after_manual_close, due};
use crate::batch::{Answer, Ask, Batch, BatchEvent, BatchState, Part, PartId, PartState, Why, expect_payout};
use crate::bounds;
use crate::effect::Effect;
use crate::input::Context;
use crate::payment::AttemptState;
use crate::planted::planted;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::routing::{RouteHealth, RouteView};
use crate::till::{MAX_NUMBER, Till, slip_job};

/// Waits for items under way, or for a channel that does not work, before people hear of it: 35 minutes in all.
const WAITS: u32 = 12;
/// First wait, ms; doubles each time.
const WAIT_MS: u64 = 5_000;
/// Longest wait, ms.
const WAIT_MAX_MS: u64 = 300_000;
/// Channels whose numbers one record can move on.
const CHANNELS: usize = 64;
/// Currencies of the totals that one record holds; the fold has them all.
const CURRENCIES: usize = 24;

fn step(event: BatchEvent, effects: impl IntoIterator<Item = Effect>) -> Step {
    let changed = Effect::BatchChanged { batch: event.batch() };
    Step::new(Record::Batch(event), std::iter::once(changed).chain(effects))
}

fn again(batch: u32, part: Option<&PartId>, after_ms: u64) -> Effect {
    Effect::SettleAfter { batch, part: part.cloned(), after_ms }
}

/// Time has passed: the clock may give the open batch a date, or end its day.
pub(super) fn tick(till: &Till, ctx: &Context) -> Step {
    let now = ctx.rules.now(ctx.wall_ms, ctx.clock_trusted);
    let book = till.batches();
    match due(book.date(), book.auto_closed(), now, ctx.rules.close_at) {
        Due::Nothing => roll(till, ctx),
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

/// A batch that comes near to what a network counts in one is closed by the till itself; the next one is of the same day.
fn roll(till: &Till, ctx: &Context) -> Step {
    let book = till.batches();
    let fuller = |(id, part): &(PartId, &Part)| {
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
    let mut step = freeze(till, ctx, book.date(), false, None);
    step.effects.push(Effect::Alarm { code: "batch-full", payment: None, text });
    step
}

/// Whether an item more would be more than the channel's network counts in the open batch.
pub(super) fn batch_is_full(till: &Till, ctx: &Context, channel: &str) -> bool {
    let id = PartId { channel: channel.into(), network: till.batch(channel) };
    let part = till.batches().open().and_then(|b| b.part(&id));
    let limit = ctx.rules.channel(channel).batch_limit;
    limit.is_some_and(|limit| part.is_some_and(|part| part.side_count() >= limit.max(1)))
}

/// Looks at once, and not at the next tick, whether the batch that an item was just counted in is full.
pub(super) fn look_whether_full(till: &Till, ctx: &Context, channel: &str) -> Option<Effect> {
    let id = PartId { channel: channel.into(), network: till.batch(channel) };
    let part = till.batches().open()?.part(&id)?;
    let at = ctx.rules.channel(channel).roll_at()?;
    (part.side_count() >= at).then(|| again(till.open_batch(), None, 0))
}

/// Somebody closes the day. An empty batch of today stays open: there is nothing to close.
pub(super) fn close(till: &Till, ctx: &Context, operator: Option<&str>) -> Step {
    let now = ctx.rules.now(ctx.wall_ms, ctx.clock_trusted);
    let book = till.batches();
    let next = after_manual_close(book.date(), book.auto_closed(), now, ctx.rules.close_at);
    let empty = book.open().is_none_or(|b| !b.parts().any(|(_, p)| p.matters()));
    if empty && next == book.date() {
        return Step::default();
    }
    freeze(till, ctx, next, false, operator)
}

fn freeze(
    till: &Till,
    ctx: &Context,
    next_date: Option<crate::batch::BusinessDate>,
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
    let moved = moved.map(|(id, _)| (id.channel, id.network % MAX_NUMBER + 1)).take(most).collect();
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

fn route<'a>(ctx: &'a Context, channel: &str) -> Option<&'a RouteView> {
    ctx.routes.iter().find(|r| r.id == channel)
}

/// It runs, so that what it says of itself is known.
const fn is_known(r: &RouteView) -> bool {
    r.enabled && matches!(r.health, RouteHealth::Ready | RouteHealth::SignedOff)
}

/// The channel settles, or nobody knows right now whether it does.
fn might_settle(ctx: &Context, channel: &str) -> bool {
    route(ctx, channel).is_some_and(|r| r.operations.contains(&Operation::Settle) || !is_known(r))
}

/// A settlement goes on: one part, or the batch as a whole.
pub(super) fn go_on(till: &Till, ctx: &Context, number: u32, id: Option<&PartId>) -> Result<Step, Refusal> {
    if number == till.open_batch() && id.is_none() {
        return Ok(roll(till, ctx));
    }
    let batch = till.batches().get(number).filter(|b| b.state == BatchState::Frozen).ok_or(Refusal::Stale)?;
    let Some(id) = id else { return close_batch(till, ctx, batch) };
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
        return Ok(close_part(ctx, batch, id, part, None));
    }
    let Some(route) = route(ctx, &id.channel) else {
        let named = part.exceptions().iter().any(|e| e.why == Why::ChannelGone);
        if !part.moved || named {
            return Ok(close_part(ctx, batch, id, part, None));
        }
        return Ok(excepted(number, id, None, Why::ChannelGone));
    };
    let settles = route.operations.contains(&Operation::Settle);
    if !settles && (is_known(route) || !part.moved) {
        return Ok(close_part(ctx, batch, id, part, None));
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
    Ok(exchange(till, ctx, batch, id, part))
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
fn exchange(till: &Till, ctx: &Context, batch: &Batch, id: &PartId, part: &Part) -> Step {
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

fn stalled(number: u32, id: &PartId, text: &str) -> String {
    format!(
        "batch {number}, {} (network batch {:06}): {text}; settle it again or close it by hand",
        id.channel, id.network
    )
}

/// A channel answered the comparison of totals.
pub(super) fn settled(
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
pub(super) fn uploaded(
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

fn unknown(reason: UnknownReason, text: &str) -> Answer {
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

fn close_part(
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
fn close_batch(till: &Till, ctx: &Context, batch: &Batch) -> Result<Step, Refusal> {
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
pub(super) fn settle_again(
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
pub(super) fn close_anyway(
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

/// A channel signed in. The network may want another batch number: taken for what comes, never for what is frozen.
pub(super) fn signed_in(till: &Till, channel: &str, wanted: Option<u32>) -> Step {
    // A batch number is 1–999999; anything else is not one (Q/CUP 009.1 field 60.2).
    let wanted = wanted.filter(|b| (1..=MAX_NUMBER).contains(b));
    let ours = till.batch(channel);
    // The network has not seen the settlement of that one yet: our next number is right, and stays.
    let wanted = wanted.filter(|b| *b == ours || !till.batches().unsettled(channel, *b));
    let used =
        |b: &Batch| b.part(&PartId { channel: channel.into(), network: ours }).is_some_and(Part::matters);
    let alarm = wanted.filter(|b| *b != ours && till.batches().open().is_some_and(used)).map(|b| Effect::Alarm {
        code: "network-batch-moved",
        payment: None,
        text: format!(
            "{channel} wants batch {b:06}, this till sold in {ours:06}: both are settled with the batch that is open now"
        ),
    });
    Step::new(Record::SignedIn { channel: channel.into(), batch: wanted }, alarm)
}

/// The steps of a restart: an exchange that was on its way is not heard of again, everything goes on where it stood.
pub(super) fn recover(till: &Till) -> Vec<Step> {
    let mut steps = Vec::new();
    if planted!(SettlementForgotten) {
        return steps;
    }
    for batch in till.batches().frozen() {
        let number = batch.number;
        for (id, part) in batch.parts().filter(|(_, p)| !p.state.is_closed()) {
            if let Some(e) = part.exchange.as_ref().filter(|e| e.waiting) {
                let answer = unknown(UnknownReason::Restarted, "the till restarted");
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

/// What a payment counts against limits with what is under way; used by the choice of a channel.
pub(super) fn limits_hit(
    till: &Till,
    ctx: &Context,
    token: &str,
    operator: Option<&str>,
    amount: Money,
) -> Vec<(String, crate::limits::LimitHit)> {
    use crate::limits::{LimitHit, Scope, Use, check};
    let full = |r: &RouteView| {
        batch_is_full(till, ctx, &r.id)
            .then(|| (r.id.clone(), LimitHit { scope: Scope::Batch, left: Money::zero(amount.currency()) }))
    };
    if ctx.rules.limits.is_empty() {
        return ctx.routes.iter().filter_map(full).collect();
    }
    let under_way: Vec<Use<'_>> = till.uses_under_way().collect();
    let operator = operator.unwrap_or_default();
    let hit = |r: &RouteView| {
        let wanted = Use { channel: &r.id, operator, token, amount };
        check(&ctx.rules.limits, till.limit_counters(), &under_way, &wanted).map(|hit| (r.id.clone(), hit))
    };
    ctx.routes.iter().filter_map(|r| full(r).or_else(|| hit(r))).collect()
}
