//! What a payment does by itself once money has moved: a paid top-up is loaded or given back (both or neither), a
//! cancelled one is given back tender by tender, a sale that only a restart found stands when somebody says so.

use till_plugin::Money;

use super::leg::{Ask, create, load};
use super::{Step, find};
use crate::bounds;
use crate::effect::Effect;
use crate::input::Context;
use crate::payment::{Attempt, AttemptState, LegKind, Payment, PaymentId, PaymentState, Purpose};
use crate::record::Record;
use crate::refusal::Refusal;
use crate::routing::{RouteHealth, RouteView};
use crate::till::Till;

/// Tries of one leg that did not leave, or that the channel could not take, before people must help.
const TRIES: usize = 6;

/// Pause before a leg is tried that the channel cannot take right now, ms.
const PAUSE_MS: u64 = 5_000;

/// Before this no clock of a till can be right: the year 2020.
const EARLIEST_MS: i64 = 1_577_836_800_000;

/// The next step of a payment that gives back or delivers.
pub(super) fn go_on(till: &Till, ctx: &Context, id: PaymentId) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    if p.open_attempt().is_some() || p.state == PaymentState::Review || p.accepted {
        return Err(Refusal::Stale);
    }
    if p.returning.is_some() {
        return if p.state == PaymentState::Returning {
            give_back(till, ctx, p)
        } else {
            Err(Refusal::Stale)
        };
    }
    if p.cancel_requested
        && p.kept().is_positive()
        && (p.state == PaymentState::PartPaid || can_give_back(ctx, p))
    {
        if !p.parked && till.foreground().is_some_and(|other| other.id != id) {
            // Somebody else is at the till by now (W3): it gives back beside.
            let go_on = Effect::GoOn { payment: id, after_ms: 0 };
            return Ok(Step::new(Record::Parked { payment: id }, [Effect::PaymentChanged(id), go_on]));
        }
        return Ok(decided(p, "cancelled"));
    }
    match p.state {
        PaymentState::Delivering => deliver(till, ctx, p),
        PaymentState::Paid if p.recovered && p.acknowledged != Some(true) => {
            let after_ms = ctx.undo_after_ms.ok_or(Refusal::Stale)?;
            let ask = Effect::AskAcknowledgement { payment: id, after_ms };
            if p.acknowledged == Some(false) {
                return Ok(Step::effects([ask]));
            }
            let newest = p.attempts.last().ok_or(Refusal::Stale)?;
            if !newest.kind.is_tender() {
                return Err(Refusal::Stale);
            }
            Ok(Step::new(Record::AcknowledgementAsked { payment: id }, [Effect::PaymentChanged(id), ask]))
        }
        _ => Err(Refusal::Stale),
    }
}

/// Some channel that took money of it can give it back.
fn can_give_back(ctx: &Context, p: &Payment) -> bool {
    let does = |channel: &str, kind| may_do(ctx, channel, kind);
    p.returnable().any(|(a, _)| does(&a.channel, LegKind::Void) || does(&a.channel, LegKind::Refund))
}

fn decided(p: &Payment, reason: &str) -> Step {
    let record = Record::ReturnDecided { payment: p.id, reason: reason.into(), operator: None };
    Step::new(record, [Effect::PaymentChanged(p.id), Effect::GoOn { payment: p.id, after_ms: 0 }])
}

/// The value of a paid top-up goes onto the card; what surely cannot go there goes back to the customer.
fn deliver(till: &Till, ctx: &Context, p: &Payment) -> Result<Step, Refusal> {
    let tries = p.attempts.iter().filter(|a| a.kind == LegKind::Load);
    let refused = tries.clone().any(|a| matches!(a.state, AttemptState::Declined | AttemptState::Reversed));
    if refused || tries.count() >= TRIES {
        return Ok(decided(p, "not-loaded"));
    }
    match load(till, ctx, p) {
        Err(Refusal::NoLeg { .. }) if channel_is_there(ctx, p) => Ok(later(p)),
        Err(Refusal::NoLeg { .. }) => Ok(decided(p, "not-loaded")),
        other => other,
    }
}

fn channel_is_there(ctx: &Context, p: &Payment) -> bool {
    matches!(&p.purpose, Purpose::TopUp { channel, .. } if may_do(ctx, channel, LegKind::Load))
}

/// The channel does it, or has not yet said what it does: after a restart its process comes later than the till.
fn may_do(ctx: &Context, channel: &str, kind: LegKind) -> bool {
    ctx.routes.iter().any(|r| r.id == channel && (r.leg(kind).is_some() || is_silent(r)))
}

fn is_silent(r: &RouteView) -> bool {
    r.enabled && r.legs.is_empty() && r.health != RouteHealth::Ready
}

fn later(p: &Payment) -> Step {
    Step::effects([Effect::GoOn { payment: p.id, after_ms: PAUSE_MS }])
}

/// The next tender goes back: by a void where that is possible, else by a refund, else people must.
fn give_back(till: &Till, ctx: &Context, p: &Payment) -> Result<Step, Refusal> {
    let Some((a, left)) = p.returnable().next() else { return Err(Refusal::Stale) };
    let kinds: &[LegKind] =
        if a.kind == LegKind::Hold { &[LegKind::Release] } else { &[LegKind::Void, LegKind::Refund] };
    let mut wait = false;
    for kind in kinds {
        if !still_possible(p, a, *kind) || never_over(ctx, a, left, *kind) {
            continue;
        }
        let reason = p.returning.clone().unwrap_or_default();
        let ask =
            Ask { kind: *kind, of: a.ids.attempt, amount: None, key: "", reason: &reason, operator: None };
        match create(till, ctx, p, a, left, &ask) {
            Ok(step) => return Ok(step),
            // The channel does it, only not right now; without the card it never will.
            Err(Refusal::NoLeg { .. }) if p.parked && wants_card(ctx, a, *kind) => {}
            Err(Refusal::Busy { .. }) => wait = true,
            Err(Refusal::NoLeg { .. }) => {
                wait |= may_do(ctx, &a.channel, *kind)
                    && (*kind != LegKind::Void || a.batch == till.open_batch());
            }
            Err(other) => return Err(other),
        }
    }
    if wait {
        // The till is free for others meanwhile.
        return Ok(if p.parked {
            later(p)
        } else {
            let go_on = Effect::GoOn { payment: p.id, after_ms: PAUSE_MS };
            Step::new(Record::Parked { payment: p.id }, [Effect::PaymentChanged(p.id), go_on])
        });
    }
    let text = format!(
        "{left} of attempt {} must be given back, and {} cannot: give it back by hand",
        a.ids.attempt, a.channel
    );
    let alarm = Effect::Alarm {
        code: "review",
        payment: Some(p.id),
        text: format!("payment {} needs a decision: {text}", p.id),
    };
    let record = Record::PaymentToReview { payment: p.id, text: bounds::cut(&text, bounds::LINE) };
    Ok(Step::new(record, [Effect::PaymentChanged(p.id), alarm]))
}

/// The channel does not do it over a part, and a part is what is left.
fn never_over(ctx: &Context, a: &Attempt, left: Money, kind: LegKind) -> bool {
    let mut routes = ctx.routes.iter();
    let partial =
        routes.any(|r| r.id == a.channel && (is_silent(r) || r.leg(kind).is_some_and(|t| t.partial)));
    left != a.amount && (kind == LegKind::Void || !partial)
}

fn wants_card(ctx: &Context, a: &Attempt, kind: LegKind) -> bool {
    ctx.routes.iter().any(|r| r.id == a.channel && r.leg(kind).is_some_and(|t| t.instrument))
}

/// The leg was not refused yet, and not tried too often.
fn still_possible(p: &Payment, a: &Attempt, kind: LegKind) -> bool {
    let tries = p.attempts.iter().filter(|l| l.kind == kind && l.of == a.ids.attempt);
    let refused = tries.clone().any(|l| matches!(l.state, AttemptState::Declined | AttemptState::Reversed));
    !refused && tries.count() < TRIES
}

/// Somebody says that a sale found after a restart stands.
pub(super) fn acknowledge(till: &Till, id: PaymentId, operator: Option<&str>) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    match p.acknowledged {
        Some(false) => Ok(Step::new(
            Record::Acknowledged { payment: id, operator: bounds::person(operator) },
            [Effect::PaymentChanged(id)],
        )),
        Some(true) => Ok(Step::default()),
        None => Err(Refusal::State { payment: id, state: p.state, what: "be acknowledged" }),
    }
}

/// Nobody said so in time: the customer who left without goods gets the money back (confirm or void).
pub(super) fn not_acknowledged(till: &Till, id: PaymentId) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    if p.acknowledged == Some(false) && p.state == PaymentState::Paid && p.open_attempt().is_none() {
        Ok(decided(p, "not-acknowledged"))
    } else {
        Err(Refusal::Stale)
    }
}

/// A hold runs out when its time has passed by a clock that can be believed.
pub(super) fn expire_hold(till: &Till, ctx: &Context, id: PaymentId) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    match p.hold() {
        Some(a)
            if p.open_attempt().is_none()
                && ctx.clock_trusted
                && a.sent_wall_ms > EARLIEST_MS
                && ctx.wall_ms.saturating_sub(a.sent_wall_ms) >= ctx.hold_valid_ms =>
        {
            let alarm = Effect::Alarm {
                code: "hold-expired",
                payment: Some(id),
                text: format!("the hold of {} of payment {id} ran out without a completion", a.amount),
            };
            let record = Record::HoldExpired { payment: id, attempt: a.ids.attempt };
            Ok(Step::new(record, [Effect::PaymentChanged(id), alarm]))
        }
        _ => Err(Refusal::Stale),
    }
}
