//! Legs that follow an approved attempt: void, refund, completion, release. They go by the channel of the attempt they
//! follow (I22), one at a time in a payment (W3), and never beyond what is left of it (I1, I10).

use till_plugin::Money;

use super::command::next_ids;
use super::{Step, find};
use crate::bounds;
use crate::effect::Effect;
use crate::input::{Context, Presented};
use crate::payment::{Attempt, AttemptState, LegKind, Payment, PaymentId, PaymentState, Purpose};
use crate::planted::planted;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::routing::{LegTerms, RouteHealth, RouteView};
use crate::till::Till;

/// What is asked for.
pub(super) struct Ask<'a> {
    pub(super) kind: LegKind,
    /// 0: the only one it can follow.
    pub(super) of: u32,
    /// None: all that is left.
    pub(super) amount: Option<Money>,
    pub(super) key: &'a str,
    pub(super) reason: &'a str,
    pub(super) operator: Option<&'a str>,
}

pub(super) fn asked(till: &Till, ctx: &Context, id: PaymentId, ask: &Ask<'_>) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    if repeated(till, p, ask)? {
        return Ok(Step::default());
    }
    if let Some(other) = till.foreground().filter(|f| f.id != id) {
        return Err(Refusal::Busy { payment: other.id, state: other.state });
    }
    let (target, left) = target(p, ask)?;
    let amount = ask.amount.unwrap_or(left);
    if !amount.is_positive() || amount.currency() != left.currency() {
        return Err(Refusal::Amount(amount));
    }
    if amount.minor() > left.minor() && !planted!(RefundPastCaptured) {
        return Err(Refusal::TooMuch { payment: id, attempt: target.ids.attempt, asked: amount, left });
    }
    create(till, ctx, p, target, amount, ask)
}

/// The same key and body is the same leg; another body is a mistake.
fn repeated(till: &Till, p: &Payment, ask: &Ask<'_>) -> Result<bool, Refusal> {
    if ask.key.len() > bounds::MAX_KEY {
        let why =
            format!("the key is longer than {} bytes: use a shorter one, such as a UUID", bounds::MAX_KEY);
        return Err(Refusal::NotPayable(why));
    }
    if ask.key.is_empty() || planted!(LegKeyForgotten) {
        return Ok(false);
    }
    let reuse = |payment| Refusal::KeyReuse { key: ask.key.into(), payment };
    match p.attempts.iter().find(|a| a.key == ask.key) {
        Some(a) => {
            let same = a.kind == ask.kind
                && (ask.of == 0 || ask.of == a.of)
                && ask.amount.is_none_or(|amount| amount == a.amount);
            if same { Ok(true) } else { Err(reuse(p.id)) }
        }
        None => till.keys(p.training).payment(ask.key).map_or(Ok(false), |known| Err(reuse(known))),
    }
}

/// The attempt that the leg follows, and what is left of it.
fn target<'a>(p: &'a Payment, ask: &Ask<'_>) -> Result<(&'a Attempt, Money), Refusal> {
    let no = |why: &str| Refusal::NoLeg { payment: p.id, why: why.into() };
    if p.open_attempt().is_some_and(|a| a.state == AttemptState::Review) {
        return Err(no("an attempt of it is in review: decide that first"));
    }
    if p.open_attempt().is_some() {
        return Err(no("something is still under way for it: wait until that has ended"));
    }
    if matches!(p.purpose, Purpose::TopUp { .. })
        && (p.loaded() || p.state == PaymentState::Delivering)
        && !planted!(LoadedRefunded)
    {
        return Err(no("its value is on the card, or on its way there: take it off the card first"));
    }
    let holds = match ask.kind {
        LegKind::Capture | LegKind::Release => true,
        LegKind::Void | LegKind::Refund => false,
        LegKind::Sale | LegKind::Hold | LegKind::Load => return Err(Refusal::Stale),
    };
    let fits = |(a, _): &(&Attempt, Money)| {
        (a.kind == LegKind::Hold) == holds && (ask.of == 0 || ask.of == a.ids.attempt)
    };
    // What was given up is given back, and never taken (I2).
    let given_up = |a: &Attempt| ask.kind == LegKind::Capture && a.abandoned;
    let mut found = p.returnable().filter(fits).filter(|(a, _)| !given_up(a));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) if p.returnable().any(|a| fits(&a)) => {
            Err(no("that hold was given up for another way to pay: release it"))
        }
        (None, _) if ask.of != 0 => {
            Err(no(&format!("nothing is left of attempt {} that could be given back", ask.of)))
        }
        (None, _) if holds => Err(no("no hold stands")),
        (None, _) => Err(no("nothing was taken that could still be given back")),
        (Some(_), Some(_)) => Err(no("it was paid in parts: say which attempt")),
    }
}

/// The terms of a leg right now, or why it cannot be done.
pub(super) fn terms<'a>(
    till: &Till,
    ctx: &'a Context,
    p: &Payment,
    channel: &str,
    kind: LegKind,
) -> Result<(&'a RouteView, &'a LegTerms), Refusal> {
    let no = |why: String| Refusal::NoLeg { payment: p.id, why };
    let view = ctx
        .routes
        .iter()
        .find(|r| r.id == channel)
        .ok_or_else(|| no(format!("its channel {channel} is not configured any more")))?;
    let Some(terms) = view.leg(kind) else {
        return Err(no(format!("{channel} does no {}", kind.as_str())));
    };
    if super::suspend::begins(kind) && !p.training {
        super::suspend::refuse(till, channel)?;
    }
    match &view.health {
        RouteHealth::Ready => {}
        RouteHealth::Starting => return Err(no(format!("{channel} is still starting: try again"))),
        RouteHealth::SignedOff => return Err(no(format!("{channel} is not signed in: sign it in first"))),
        RouteHealth::Failed { reason } => {
            return Err(no(format!("{channel} is not working: {}", bounds::cut(reason, 120))));
        }
    }
    if view.needs_clock && !ctx.clock_trusted {
        return Err(no(format!("the clock is not set, and {channel} signs with it")));
    }
    if terms.resolve.single_slot && till.slots_taken().iter().any(|c| c == channel) {
        return Err(no(format!("an earlier payment on {channel} is not resolved yet: try again")));
    }
    if super::settle::batch_is_full(till, ctx, channel) {
        return Err(no(format!("the batch of {channel} is full, a new one opens in a moment: try again")));
    }
    Ok((view, terms))
}

/// Creates the leg.
pub(super) fn create(
    till: &Till,
    ctx: &Context,
    p: &Payment,
    target: &Attempt,
    amount: Money,
    ask: &Ask<'_>,
) -> Result<Step, Refusal> {
    let no = |why: String| Refusal::NoLeg { payment: p.id, why };
    let (_, terms) = terms(till, ctx, p, &target.channel, ask.kind)?;
    let whole = amount == target.amount;
    match ask.kind {
        LegKind::Void if target.batch != till.open_batch() && !planted!(VoidOfClosedBatch) => {
            return Err(no("the batch of that payment is closed: refund it".into()));
        }
        LegKind::Void if !whole || p.returned_of(target.ids.attempt).is_positive() => {
            return Err(no("a void takes back the whole: refund a part".into()));
        }
        _ if !whole && !terms.partial => {
            let text = format!("{} does a {} over the whole amount only", target.channel, ask.kind.as_str());
            return Err(no(text));
        }
        _ => {}
    }
    if terms.instrument {
        if ask.operator.is_none() && p.parked {
            return Err(no(format!("{} wants the card again, and the customer has left", target.channel)));
        }
        if let Some(other) = till.foreground().filter(|f| f.id != p.id) {
            return Err(Refusal::Busy { payment: other.id, state: other.state });
        }
    }
    let ids = next_ids(till, ctx, p, &target.channel);
    let record = Record::LegCreated {
        payment: p.id,
        ids: ids.clone(),
        kind: ask.kind,
        of: target.ids.attempt,
        amount,
        batch: till.open_batch(),
        channel: target.channel.clone(),
        resolve: terms.resolve.clone(),
        key: ask.key.into(),
        reason: bounds::cut(ask.reason, bounds::PERSON),
        operator: bounds::person(ask.operator),
        wants_instrument: terms.instrument,
    };
    let next = if terms.instrument {
        Effect::Arm { payment: p.id, amount }
    } else {
        prepare(p, target, ids, ask.kind, amount)
    };
    Ok(Step::new(record, [Effect::PaymentChanged(p.id), next]))
}

fn prepare(
    p: &Payment,
    target: &Attempt,
    ids: till_plugin::channel::AttemptIds,
    kind: LegKind,
    amount: Money,
) -> Effect {
    Effect::Prepare {
        payment: p.id,
        kind,
        channel: target.channel.clone(),
        ids,
        amount,
        subject: p.subject.clone(),
        operator: p.operator.clone(),
        family: target.family.clone(),
    }
}

/// The card came again for a leg that wants it: it must be the one that paid.
pub(super) fn presented(p: &Payment, leg: &Attempt, presented: &Presented) -> Result<Step, Refusal> {
    let Some(original) = p.attempt(leg.of) else { return Err(Refusal::Stale) };
    if !original.token.is_empty() && original.token != presented.token {
        return Err(Refusal::OtherCard(p.id));
    }
    let record = Record::LegPresented {
        payment: p.id,
        masked: bounds::masked(&presented.masked),
        token: bounds::cut(&presented.token, 64),
    };
    let prepare = prepare(p, original, leg.ids.clone(), leg.kind, leg.amount);
    Ok(Step::new(record, [Effect::Disarm, Effect::PaymentChanged(p.id), prepare]))
}

/// The value of a paid top-up goes onto its card.
pub(super) fn load(till: &Till, ctx: &Context, p: &Payment) -> Result<Step, Refusal> {
    let Purpose::TopUp { channel, .. } = &p.purpose else { return Err(Refusal::Stale) };
    let (_, terms) = terms(till, ctx, p, channel, LegKind::Load)?;
    let ids = next_ids(till, ctx, p, channel);
    let record = Record::LegCreated {
        payment: p.id,
        ids: ids.clone(),
        kind: LegKind::Load,
        of: 0,
        amount: p.amount,
        batch: till.open_batch(),
        channel: channel.clone(),
        resolve: terms.resolve.clone(),
        key: String::new(),
        reason: String::new(),
        operator: p.operator.clone(),
        wants_instrument: false,
    };
    let prepare = Effect::Prepare {
        payment: p.id,
        kind: LegKind::Load,
        channel: channel.clone(),
        ids,
        amount: p.amount,
        subject: p.subject.clone(),
        operator: p.operator.clone(),
        family: till_plugin::Family::new("prepaid"),
    };
    Ok(Step::new(record, [Effect::PaymentChanged(p.id), prepare]))
}
