//! Commands of callers.

use std::fmt::Write as _;

use till_plugin::Money;
use till_plugin::channel::AttemptIds;

use super::attempt::{cancelled_before_sending, ended};
use super::{Step, find};
use crate::batch::BusinessDate;
use crate::bounds;
use crate::effect::Effect;
use crate::input::{Context, Presented};
use crate::payment::{AttemptState, LegKind, Payment, PaymentId, PaymentState, Purpose};
use crate::planted::planted;
use crate::record::Record;
use crate::refusal::{MAX_MINOR, Refusal};
use crate::routing::{self, Ask, RouteView};
use crate::till::Till;

#[allow(clippy::too_many_arguments)] // they are the input's fields
pub(super) fn open(
    till: &Till,
    ctx: &Context,
    id: PaymentId,
    purpose: &Purpose,
    key: &str,
    amount: Money,
    subject: &str,
    (operator, training): (Option<&str>, bool),
) -> Result<Step, Refusal> {
    if key.len() > bounds::MAX_KEY {
        let text =
            format!("the key is longer than {} bytes: use a shorter one, such as a UUID", bounds::MAX_KEY);
        return Err(Refusal::NotPayable(text));
    }
    let subject = bounds::cut(subject, bounds::SUBJECT);
    // The same key and body is the same payment: nothing new happens, the caller finds it by its key.
    match till.keys(training).repeat(key, amount, &subject) {
        Some((_, true)) => return Ok(Step::default()),
        Some((known, false)) => return Err(Refusal::KeyReuse { key: key.into(), payment: known }),
        None => {}
    }
    super::training::may_open(till, training, purpose)?;
    // An identity is given once.
    if till.payment(id).is_some() {
        return Err(Refusal::Stale);
    }
    if !amount.is_positive() || amount.minor() > MAX_MINOR {
        return Err(Refusal::Amount(amount));
    }
    let code = amount.currency().code();
    if !ctx.routes.iter().any(|r| r.enabled && r.currencies.iter().any(|c| c == code)) {
        return Err(Refusal::Currency(amount.currency()));
    }
    if let Some(p) = till.foreground() {
        return Err(Refusal::Busy { payment: p.id, state: p.state });
    }
    let (key, operator) = (key.into(), bounds::person(operator));
    let record = match purpose {
        _ if training => {
            let purpose = purpose.clone();
            Record::OpenedTraining { payment: id, key, amount, subject, operator, purpose }
        }
        Purpose::Sale => Record::Opened { payment: id, key, amount, subject, operator },
        Purpose::Hold => {
            let purpose = Purpose::Hold;
            Record::OpenedFor { payment: id, key, amount, subject, operator, purpose }
        }
        Purpose::TopUp { channel, recovery, masked } => {
            let view = known_channel(ctx, channel)?;
            super::suspend::refuse(till, channel)?;
            if view.leg(LegKind::Load).is_none() {
                let why = format!("{channel} has no cards that can be topped up");
                return Err(Refusal::NotPayable(why));
            }
            if recovery.len() > bounds::MAX_RECOVERY {
                return Err(Refusal::NotPayable(format!("{channel} wants too much kept for the top-up")));
            }
            let purpose = Purpose::TopUp {
                channel: channel.clone(),
                recovery: recovery.clone(),
                masked: bounds::masked(masked),
            };
            Record::OpenedFor { payment: id, key, amount, subject, operator, purpose }
        }
    };
    Ok(Step::new(record, [Effect::PaymentChanged(id)]))
}

pub(super) fn confirm(till: &Till, id: PaymentId, amount: Money) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    if p.amount != amount {
        return Err(Refusal::WrongAmount { owed: p.amount, confirmed: amount });
    }
    match p.state {
        PaymentState::Draft => Ok(Step::new(
            Record::AmountConfirmed { payment: id },
            [Effect::PaymentChanged(id), Effect::Arm { payment: id, amount }],
        )),
        // Said twice is said once.
        PaymentState::Ready => Ok(Step::default()),
        state => Err(Refusal::State { payment: id, state, what: "have its amount confirmed" }),
    }
}

pub(super) fn present(
    till: &Till,
    ctx: &Context,
    id: PaymentId,
    presented: &Presented,
) -> Result<Step, Refusal> {
    tender(till, ctx, id, presented, &[])
}

/// What one channel did not take by its own fault goes to the next one (S14).
pub(super) fn fail_over(
    till: &Till,
    ctx: &Context,
    id: PaymentId,
    presented: &Presented,
) -> Result<Step, Refusal> {
    let tried = routing::failover(find(till, id)?, ctx).ok_or(Refusal::Stale)?;
    tender(till, ctx, id, presented, &tried)
}

fn tender(
    till: &Till,
    ctx: &Context,
    id: PaymentId,
    presented: &Presented,
    tried: &[(String, u32)],
) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    if let Some(leg) = p.open_attempt().filter(|a| a.wants_instrument && a.state == AttemptState::Created) {
        return super::leg::presented(p, leg, presented);
    }
    let early = planted!(FailoverEarly) && !tried.is_empty();
    let second = (planted!(TwoAttemptsOpen) || early) && p.state == PaymentState::Tendering;
    let waits = matches!(p.state, PaymentState::Ready | PaymentState::PartPaid) && !p.parked;
    // A leg of a part-paid payment may be under way (W3).
    if (!waits || p.open_attempt().is_some()) && !second {
        return Err(Refusal::State { payment: id, state: p.state, what: "take a card, code or cash" });
    }
    // A code is used up by one use, a card is not.
    if tried.is_empty()
        && presented.family.as_str().starts_with("qr-")
        && let Some(payment) = till.token_used(&presented.token, ctx.wall_ms, ctx.reuse_window_ms)
    {
        let seconds = u64::try_from(ctx.reuse_window_ms / 1000).unwrap_or(0);
        return Err(Refusal::UsedAlready { payment, seconds });
    }
    let amount = tendered_amount(p, presented)?;
    if presented.duplicate_reason.is_empty()
        && tried.is_empty()
        && let Some(payment) =
            till.possible_duplicate(&presented.token, amount, ctx.wall_ms, ctx.duplicate_window_ms)
    {
        let seconds = u64::try_from(ctx.duplicate_window_ms / 1000).unwrap_or(0);
        return Err(Refusal::PossibleDuplicate { payment, seconds });
    }
    // Which channel people chose says nothing to the training host: it takes everything.
    let pinned = presented.channel.as_deref().or_else(|| till.current_channel()).filter(|_| !p.training);
    if let Some(asked) = presented.channel.as_deref().filter(|_| !p.training) {
        known_channel(ctx, asked)?;
    }
    let kind = p.purpose.tender();
    let asked = Ask {
        amount,
        kind,
        family: &presented.family,
        evidence: &presented.evidence,
        account: &presented.masked,
        token: &presented.token,
        operator: p.operator.as_deref(),
        pinned,
        tried,
        since_ms: Some(p.opened_wall_ms),
    };
    let decision = routing::ask(till, ctx, &asked);
    let Some(view) = decision.chosen.as_ref().and_then(|c| ctx.routes.iter().find(|r| r.id == *c)) else {
        let (mut en, mut zh) = decision.no_channel_text();
        if let Some((other, other_zh)) = routing::instead(&routing::suggest(till, ctx, &asked)) {
            en = format!("{en}; {other}");
            zh = format!("{zh}；{other_zh}");
        }
        return Err(Refusal::NoRoute { en, zh });
    };
    if matches!(&p.purpose, Purpose::TopUp { channel, .. } if *channel == view.id) {
        let why = format!("a top-up is not paid with a card of {}: take another way to pay", view.id);
        return Err(Refusal::NotPayable(why));
    }
    let ids = next_ids(till, ctx, p, &view.id);
    let effects = [
        Effect::Disarm,
        Effect::PaymentChanged(id),
        Effect::Prepare {
            payment: id,
            kind,
            channel: view.id.clone(),
            ids: ids.clone(),
            amount,
            subject: p.subject.clone(),
            operator: p.operator.clone(),
            family: presented.family.clone(),
        },
    ];
    let record = Record::Tendered {
        payment: id,
        ids,
        kind,
        amount,
        batch: till.open_batch(),
        resolve: view.resolve.clone(),
        family: bounds::family(&presented.family),
        masked: bounds::masked(&presented.masked),
        token: bounds::cut(&presented.token, 64),
        decision: bounds::decision(decision),
        duplicate_reason: bounds::cut(&presented.duplicate_reason, bounds::PERSON),
    };
    Ok(Step::new(record, effects))
}

/// How much of what is owed this tender is for.
fn tendered_amount(p: &Payment, presented: &Presented) -> Result<Money, Refusal> {
    let left = if planted!(SplitNotReduced) { p.amount } else { p.remaining() };
    let amount = presented.amount.unwrap_or(left);
    if amount.currency() != left.currency() || !amount.is_positive() {
        return Err(Refusal::Amount(amount));
    }
    if amount.minor() > left.minor() {
        return Err(Refusal::TooMuch { payment: p.id, attempt: 0, asked: amount, left });
    }
    if amount != p.amount && !matches!(p.purpose, Purpose::Sale) {
        let why = "only a sale can be paid in parts: present the whole amount".into();
        return Err(Refusal::NoLeg { payment: p.id, why });
    }
    if let Some(tendered) = presented.tendered
        && (tendered.currency() != amount.currency() || tendered.minor() < amount.minor())
    {
        return Err(Refusal::TooLittle { tendered, owed: amount });
    }
    Ok(amount)
}

/// Fresh numbers for an attempt on a channel.
pub(super) fn next_ids(till: &Till, ctx: &Context, p: &Payment, channel: &str) -> AttemptIds {
    let newest = p.attempts.iter().map(|a| a.ids.attempt).max().unwrap_or(0);
    AttemptIds {
        payment: p.id.0,
        attempt: newest.saturating_add(1),
        trace: till.next_trace(channel),
        batch: till.batch(channel),
        order: order_number(&ctx.terminal, ctx.wall_ms, till.next_numbers(p.training).0),
        wall_ms: ctx.wall_ms,
    }
}

/// The host's date is that of UTC+8.
const CHINA_MIN: i32 = 8 * 60;

/// `<terminal><yyyymmdd><sequence>`: letters and digits only, 8–32 long, never repeated (the sequence alone sees to
/// that; the date is for people and may be wrong). Host date: UTC+8, whatever zone the machine is in.
pub(super) fn order_number(terminal: &str, wall_ms: i64, sequence: u64) -> String {
    let epoch = BusinessDate::from_day(0);
    let (year, month, day) = BusinessDate::at(wall_ms, CHINA_MIN).max(epoch).civil();
    let mut order = String::with_capacity(32);
    order.extend(terminal.chars().filter(char::is_ascii_alphanumeric).take(8));
    // A String takes all that memory holds.
    let _ = write!(order, "{year:04}{month:02}{day:02}{sequence:08}");
    order
}

pub(super) fn cancel(till: &Till, id: PaymentId, operator: Option<&str>) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    let operator = bounds::person(operator);
    if let Some(leg) = p.open_attempt().filter(|a| a.wants_instrument && a.state == AttemptState::Created) {
        // The card does not come: the leg ends before anything left.
        let record = Record::NotSent { payment: id, decline: cancelled_before_sending() };
        let mut step = ended(p, leg, record);
        if !step.effects.iter().any(|e| matches!(e, Effect::Arm { .. })) {
            step.effects.push(Effect::Disarm);
        }
        return Ok(step);
    }
    match p.state {
        PaymentState::Draft | PaymentState::Ready => Ok(Step::new(
            Record::Cancelled { payment: id, reason: "cancelled".into(), operator },
            [Effect::Disarm, Effect::PaymentChanged(id)],
        )),
        PaymentState::Tendering if p.cancel_requested => Ok(Step::default()),
        PaymentState::Tendering => {
            let mut effects = vec![Effect::PaymentChanged(id)];
            if let Some(a) =
                p.open_attempt().filter(|a| a.state == AttemptState::Querying && a.resolve.undo.is_some())
            {
                // Nobody wants to know any more: the undo need not wait for the next query's turn.
                effects.push(Effect::ResolveAfter { payment: id, attempt: a.ids.attempt, after_ms: 0 });
            }
            if p.open_attempt().is_some_and(|a| a.state == AttemptState::Created) {
                effects.push(Effect::StopWaiting { payment: id });
            }
            Ok(Step::new(Record::CancelRequested { payment: id, operator }, effects))
        }
        // Money was taken or is held: it goes back.
        PaymentState::PartPaid | PaymentState::Authorised if p.open_attempt().is_none() => {
            if let Some(other) = till.foreground().filter(|f| f.id != id) {
                return Err(Refusal::Busy { payment: other.id, state: other.state });
            }
            let record = Record::ReturnDecided { payment: id, reason: "cancelled".into(), operator };
            let go_on = Effect::GoOn { payment: id, after_ms: 0 };
            Ok(Step::new(record, [Effect::Disarm, Effect::PaymentChanged(id), go_on]))
        }
        PaymentState::Cancelled | PaymentState::Returned => Ok(Step::default()),
        state => Err(Refusal::State { payment: id, state, what: "be cancelled" }),
    }
}

/// A part-paid payment of before a restart goes on at this till.
pub(super) fn resume(till: &Till, id: PaymentId, operator: Option<&str>) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    if p.state != PaymentState::PartPaid || p.open_attempt().is_some() {
        return Err(Refusal::State { payment: id, state: p.state, what: "be resumed" });
    }
    if !p.parked {
        return Ok(Step::default());
    }
    if let Some(other) = till.foreground() {
        return Err(Refusal::Busy { payment: other.id, state: other.state });
    }
    let record = Record::Resumed { payment: id, operator: bounds::person(operator) };
    Ok(Step::new(record, [Effect::PaymentChanged(id), Effect::Arm { payment: id, amount: p.remaining() }]))
}

pub(super) fn select(
    till: &Till,
    ctx: &Context,
    channel: Option<&str>,
    operator: Option<&str>,
) -> Result<Step, Refusal> {
    if let Some(asked) = channel {
        known_channel(ctx, asked)?;
    }
    if let Some(p) = till.foreground().filter(|p| p.state == PaymentState::Tendering) {
        return Err(Refusal::Busy { payment: p.id, state: p.state });
    }
    if till.current_channel() == channel {
        return Ok(Step::default());
    }
    let record =
        Record::ChannelSelected { channel: channel.map(Into::into), operator: bounds::person(operator) };
    Ok(Step::new(record, [Effect::ChannelChanged]))
}

pub(super) fn take_trace(till: &Till, ctx: &Context, channel: &str) -> Result<Step, Refusal> {
    known_channel(ctx, channel)?;
    let trace = till.next_trace(channel);
    let effect = Effect::SignIn { channel: channel.into(), trace, batch: till.batch(channel) };
    Ok(Step::new(Record::TraceTaken { channel: channel.into(), trace }, [effect]))
}

pub(super) fn known_channel<'a>(ctx: &'a Context, asked: &str) -> Result<&'a RouteView, Refusal> {
    if let Some(view) = ctx.routes.iter().find(|r| r.id == asked && r.enabled) {
        return Ok(view);
    }
    let known = ctx.routes.iter().filter(|r| r.enabled).map(|r| r.id.as_str()).collect::<Vec<_>>().join(", ");
    Err(Refusal::NoChannel { asked: asked.chars().take(64).collect(), known })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(wall_ms: i64) -> String {
        order_number("", wall_ms, 0)[..8].to_owned()
    }

    #[test]
    fn dates_are_those_of_the_host_and_survive_wild_clocks() {
        assert_eq!(date(0), "19700101");
        assert_eq!(date(1_767_323_045_000), "20260102");
        assert_eq!(date(1_767_200_399_000), "20260101", "16:59:59 UTC is already the next day in China");
        assert_eq!(date(1_709_164_800_000), "20240229");
        assert_eq!(date(i64::MIN), "19700101");
        assert_eq!(date(i64::MAX), "99991231");
    }

    #[test]
    fn order_numbers_suit_every_network() {
        let order = order_number("T-0 0!1", 1_767_323_045_000, 42);
        assert_eq!(order, "T0012026010200000042");
        assert_eq!(order_number("", 0, 123_456_789), "19700101123456789", "it grows, and is never cut");
        assert_eq!(order_number("", 0, u64::MAX), "1970010118446744073709551615");
        assert!((8..=32).contains(&order_number("ABCDEFGHIJ", i64::MAX, 99_999_999).len()));
    }
}
