//! An attempt from its preparation to its answer.

use till_plugin::channel::{
    Approval, Decline, DeclineClass, NextStep, Outcome, UndoReason, Unknown, UnknownReason,
};

use super::{Step, expect, goes_on, of, unwanted};
use crate::bounds;
use crate::effect::Effect;
use crate::fold::query_pause;
use crate::input::Context;
use crate::payment::{Attempt, AttemptState, LegKind, Payment, PaymentId, PaymentState, Purpose};
use crate::planted::planted;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::till::Till;
use crate::windows::{self, Standing};

pub(super) fn prepared(
    till: &Till,
    ctx: &Context,
    id: PaymentId,
    number: u32,
    result: &Result<(Vec<u8>, String), Decline>,
) -> Result<Step, Refusal> {
    let (p, a) = expect(till, id, number, &[AttemptState::Created])?;
    let decline = match result {
        Ok(_) if unwanted(p, a) => cancelled_before_sending(),
        Ok((recovery, _)) if recovery.len() > bounds::MAX_RECOVERY => too_large(recovery.len()),
        // It was suspended while this one was being prepared.
        Ok(_) if let Some(decline) = suspended(till, p, a) => decline,
        // Its maintenance was announced, or began, while this one was being prepared.
        Ok(_) if let Some(decline) = in_maintenance(ctx, p, a) => decline,
        // Another payment took the channel's reversal slot while this one was being prepared.
        Ok(_)
            if a.resolve.single_slot
                && !planted!(SlotNotChecked)
                && till.slots_taken().contains(&a.channel) =>
        {
            slot_taken(&a.channel)
        }
        // So late an answer came to another one that the batch has no room for both.
        Ok(_) if super::settle::is_one_too_many(till, ctx, a) => batch_full(&a.channel),
        Ok((recovery, masked)) => {
            let timeout_ms =
                ctx.routes.iter().find(|r| r.id == a.channel).map_or(60_000, |r| r.authorise_timeout_ms);
            let record =
                Record::Sent { payment: id, recovery: recovery.clone(), masked: bounds::masked(masked) };
            let (channel, kind) = (a.channel.clone(), a.kind);
            let authorise = Effect::Authorise { payment: id, kind, attempt: number, channel, timeout_ms };
            return Ok(Step::new(record, [Effect::PaymentChanged(id), authorise]));
        }
        Err(decline) => bounds::decline(decline),
    };
    Ok(ended(p, a, Record::NotSent { payment: id, decline }))
}

pub(super) fn cancelled_before_sending() -> Decline {
    Decline {
        class: DeclineClass::Device,
        code: "cancelled".into(),
        text: "cancelled before anything was sent".into(),
        text_zh: "发送前已取消".into(),
        next: NextStep::PresentAgain,
    }
}

/// S11: nothing new goes to a suspended channel.
fn suspended(till: &Till, p: &Payment, a: &Attempt) -> Option<Decline> {
    if !super::suspend::begins(a.kind) || p.training || planted!(SuspendedSent) {
        return None;
    }
    till.suspended(&a.channel).map(super::suspend::decline)
}

/// S9: nothing new goes into maintenance. What only drains was let in before, and has its time.
fn in_maintenance(ctx: &Context, p: &Payment, a: &Attempt) -> Option<Decline> {
    let windows = &ctx.rules.routing.policy.windows;
    if windows.is_empty() || !a.kind.is_tender() || p.training || planted!(WindowIgnored) {
        return None;
    }
    let now = ctx.rules.now(ctx.wall_ms, ctx.clock_trusted);
    let Standing::Closed { until_ms } = windows::outlook(windows, &a.channel, now, 0).standing else {
        return None;
    };
    let until = windows::local_text(until_ms, now.utc_offset_min);
    let text = format!("not sent: {} is in maintenance until {until}", a.channel);
    let mut decline = Decline::local(DeclineClass::Channel, "maintenance", text);
    decline.text_zh = format!("未发送：该通道维护中，至 {until}");
    decline.next = NextStep::OtherMethod;
    Some(decline)
}

fn slot_taken(channel: &str) -> Decline {
    let text = format!("not sent: an earlier payment on {channel} is not resolved yet");
    let mut decline = Decline::local(DeclineClass::Channel, "unresolved", text);
    decline.text_zh = "未发送：上一笔交易尚未处理完毕".into();
    decline
}

fn batch_full(channel: &str) -> Decline {
    let text = format!("not sent: the batch of {channel} is full, a new one opens in a moment");
    let mut decline = Decline::local(DeclineClass::Channel, "batch-full", text);
    decline.text_zh = "未发送：该通道批次已满，新批次即将开启".into();
    decline
}

/// What cannot be made durable must not be sent.
fn too_large(bytes: usize) -> Decline {
    let text = format!(
        "the channel wants {bytes} bytes kept for the reversal, {} are allowed: report it to the plugin's author",
        bounds::MAX_RECOVERY
    );
    Decline::local(DeclineClass::Channel, "recovery-too-large", text)
}

/// A record that ends the attempt without money, and what follows from it.
pub(super) fn ended(p: &Payment, a: &Attempt, record: Record) -> Step {
    // A leg is tried again after a pause; a tender never is by itself, and what follows a cancelled one follows at once.
    let again = match record {
        Record::NotSent { .. } if !a.kind.is_tender() => pause_after(p, a),
        _ => 0,
    };
    let mut effects = vec![
        Effect::ForgetInstrument { payment: p.id, attempt: a.ids.attempt },
        Effect::PaymentChanged(p.id),
    ];
    // The customer is still there and may try again.
    if (a.kind.is_tender() || waits_for_more(p)) && !unwanted(p, a) && !p.parked {
        effects.push(Effect::Arm { payment: p.id, amount: p.remaining() });
    }
    if goes_on(p) {
        effects.push(Effect::GoOn { payment: p.id, after_ms: again });
    }
    Step::new(of(a, record), effects)
}

/// Part paid, and the customer is there to pay the rest once a leg of it has ended.
fn waits_for_more(p: &Payment) -> bool {
    p.state == PaymentState::PartPaid && p.returning.is_none()
}

/// Pause before a leg that did not leave is tried again, ms: doubles, so that a line that is down is not hammered.
fn pause_after(p: &Payment, a: &Attempt) -> u64 {
    let before = p.attempts.iter().filter(|b| b.kind == a.kind && b.of == a.of && !b.stands()).count();
    2_000_u64 << before.saturating_sub(1).min(10)
}

pub(super) fn answered(
    till: &Till,
    ctx: &Context,
    id: PaymentId,
    number: u32,
    outcome: &Outcome,
) -> Result<Step, Refusal> {
    let (p, a) = match expect(till, id, number, &[AttemptState::Sent]) {
        Ok(found) => found,
        Err(e) => {
            // The verified answer came after all while the channel was being asked (pos.md §3.4).
            if let Outcome::Approved(approval) = outcome
                && let Ok((p, a)) = expect(till, id, number, &[AttemptState::Querying])
                && mismatch(ctx, a, approval).is_none()
            {
                return Ok(approved(till, ctx, p, a, approval));
            }
            return late(till, ctx, id, number, outcome).ok_or(e);
        }
    };
    Ok(match outcome {
        Outcome::Approved(approval) => approved(till, ctx, p, a, approval),
        Outcome::Declined(decline) => {
            ended(p, a, Record::Declined { payment: id, decline: bounds::decline(decline) })
        }
        Outcome::NotSent(decline) => {
            ended(p, a, Record::NotSent { payment: id, decline: bounds::decline(decline) })
        }
        Outcome::Unknown(_) if planted!(TimeoutIsDeclined) => {
            let decline = Decline::local(DeclineClass::Channel, "no-answer", "planted");
            ended(p, a, Record::Declined { payment: id, decline })
        }
        Outcome::Unknown(unknown) => became_unknown(p, a, unknown),
    })
}

/// A channel says yes: believed only when everything it repeats is what was asked (W4).
pub(super) fn approved(till: &Till, ctx: &Context, p: &Payment, a: &Attempt, approval: &Approval) -> Step {
    if let Some(wrong) = mismatch(ctx, a, approval) {
        let unknown = Unknown::new(UnknownReason::Mismatch, wrong.clone());
        let mut step = became_unknown(p, a, &unknown);
        step.effects.push(Effect::Alarm { code: "answer-mismatch", payment: Some(p.id), text: wrong });
        return step;
    }
    if unwanted(p, a) && planted!(CancelledPaidSwallowed) {
        let decline = Decline::local(DeclineClass::Channel, "cancelled", "planted");
        return ended(p, a, Record::Declined { payment: p.id, decline });
    }
    if unwanted(p, a) && a.resolve.undo.is_some() {
        // Cancelled while the request was on its way: the yes is kept as evidence and undone.
        let (kept, told) = super::pin::pinned(ctx, p, a, approval);
        let record =
            Record::UndoDecided { payment: p.id, reason: UndoReason::Abandoned, approval: Some(kept) };
        let effects = [
            Effect::ForgetInstrument { payment: p.id, attempt: a.ids.attempt },
            Effect::PaymentChanged(p.id),
            Effect::ResolveAfter { payment: p.id, attempt: a.ids.attempt, after_ms: 0 },
        ];
        return Step::new(of(a, record), effects.into_iter().chain(told));
    }
    let (receipt_number, print) = numbered(till, ctx, p, a);
    let mut effects = vec![
        Effect::ForgetInstrument { payment: p.id, attempt: a.ids.attempt },
        Effect::PaymentChanged(p.id),
    ];
    if approval.open_drawer {
        effects.push(Effect::OpenDrawer { reason: p.id.to_string() });
    }
    if print {
        effects.push(Effect::QueueJob { job: receipt_number });
    }
    effects.extend(super::settle::look_whether_full(till, ctx, &a.channel));
    let left = p.remaining().minor() - a.amount.minor();
    if a.kind == LegKind::Sale && left > 0 && !unwanted(p, a) && !p.parked {
        // Paid in part: the next tender.
        let amount = till_plugin::Money::new(left, p.amount.currency());
        effects.push(Effect::Arm { payment: p.id, amount });
    } else if a.kind.gives_back() && waits_for_more(p) && !p.parked && p.kept().minor() > a.amount.minor() {
        let amount = till_plugin::Money::new(p.remaining().minor() + a.amount.minor(), p.amount.currency());
        effects.push(Effect::Arm { payment: p.id, amount });
    }
    if p.recovered && a.kind.is_tender() {
        effects.push(Effect::Alarm {
            code: "recovered-approval",
            payment: Some(p.id),
            text: format!("payment {} over {} was found paid after a restart", p.id, p.amount),
        });
    }
    let gives_back = |kind| ctx.routes.iter().any(|r| r.id == a.channel && r.leg(kind).is_some());
    if unwanted(p, a) && !gives_back(LegKind::Void) && !gives_back(LegKind::Refund) {
        // The money is taken and this channel cannot give it back by itself: paid is the truth, people refund.
        effects.push(Effect::Alarm {
            code: "cancelled-but-paid",
            payment: Some(p.id),
            text: format!(
                "payment {} over {} was cancelled while {} took it, and {} cannot undo: refund it",
                p.id, p.amount, a.channel, a.channel
            ),
        });
    }
    if goes_on(p) {
        effects.push(Effect::GoOn { payment: p.id, after_ms: 0 });
    }
    let (approval, told) = super::pin::pinned(ctx, p, a, approval);
    effects.extend(told);
    Step::new(of(a, Record::Approved { payment: p.id, approval, receipt_number, print }), effects)
}

/// Number of the receipt or slip, and whether it is printed. A tender that leaves a rest has none yet, nor has the
/// tender of a top-up: its receipt comes when the value is on the card.
pub(super) fn numbered(till: &Till, ctx: &Context, p: &Payment, a: &Attempt) -> (u64, bool) {
    let none = match a.kind {
        LegKind::Sale => {
            p.remaining().minor() > a.amount.minor() || matches!(p.purpose, Purpose::TopUp { .. })
        }
        _ => false,
    };
    if none { (0, false) } else { (till.next_numbers(p.training).1, ctx.printer.is_some()) }
}

fn mismatch(ctx: &Context, a: &Attempt, approval: &Approval) -> Option<String> {
    if planted!(EchoNotChecked) {
        return None;
    }
    if approval.amount != a.amount {
        return Some(format!("{} answered for {}, asked was {}", a.channel, approval.amount, a.amount));
    }
    if let Some(order) = &approval.echo.order
        && *order != a.ids.order
        && *order != format!("{:06}", a.ids.trace)
    {
        return Some(format!("{} answered for another order number", a.channel));
    }
    let view = ctx.routes.iter().find(|r| r.id == a.channel);
    let differs =
        |echo: &Option<String>, ours: Option<&String>| matches!((echo, ours), (Some(e), Some(o)) if e != o);
    if differs(&approval.echo.merchant, view.and_then(|v| v.merchant.as_ref())) {
        return Some(format!("{} answered for another merchant", a.channel));
    }
    if differs(&approval.echo.terminal, view.and_then(|v| v.terminal.as_ref())) {
        return Some(format!("{} answered for another terminal", a.channel));
    }
    None
}

/// Nobody knows: ask if the channel can be asked, else undo, else people.
pub(super) fn became_unknown(p: &Payment, a: &Attempt, unknown: &Unknown) -> Step {
    let goal = undo_reason(unknown.reason);
    let unwanted = unwanted(p, a);
    let undo = match (&a.resolve.query, unwanted) {
        (Some(_), false) => None,
        _ => a.resolve.undo.as_ref().map(|_| if unwanted { UndoReason::Abandoned } else { goal }),
    };
    let after_ms = match (&undo, &a.resolve.query) {
        (None, Some(_)) if unknown.reason != UnknownReason::Restarted => query_pause(a),
        // How long ago it was sent is not known after a restart: the whole time once more.
        (Some(_), _) => a.resolve.undo.as_ref().map_or(0, |u| u64::from(u.not_before_ms)),
        _ => 0,
    };
    let record = Record::BecameUnknown {
        payment: p.id,
        reason: unknown.reason,
        text: bounds::cut(&unknown.text, bounds::LINE),
        undo,
    };
    let mut effects = vec![
        Effect::ForgetInstrument { payment: p.id, attempt: a.ids.attempt },
        Effect::PaymentChanged(p.id),
        Effect::ResolveAfter { payment: p.id, attempt: a.ids.attempt, after_ms },
    ];
    if let Some(code) = &unknown.show_code
        && undo.is_none()
    {
        effects.push(Effect::ShowCode { payment: p.id, code: code.clone() });
    }
    Step::new(of(a, record), effects)
}

/// Reason that an undo of such an unknown gives to the network (channels.md §1.6 rule 3).
pub(super) const fn undo_reason(reason: UnknownReason) -> UndoReason {
    match reason {
        UnknownReason::BadSeal => UndoReason::BadSeal,
        UnknownReason::Mismatch | UnknownReason::Garbage => UndoReason::Mismatch,
        _ => UndoReason::NoAnswer,
    }
}

/// An answer that nobody waits for: kept for ever, believed by nobody.
fn late(till: &Till, ctx: &Context, id: PaymentId, number: u32, outcome: &Outcome) -> Option<Step> {
    match outcome {
        Outcome::Approved(approval) => late_approval(till, ctx, id, number, approval),
        Outcome::Declined(d) => {
            let a = till.payment(id)?.attempts.iter().find(|a| a.ids.attempt == number)?;
            let again = a.decline.as_ref().is_some_and(|known| known.code == d.code);
            let text = format!("late decline {}", bounds::cut(&d.code, 128));
            let record = Record::LateAnswer { payment: id, attempt: number, text, money: false };
            (!again).then(|| Step::new(record, []))
        }
        Outcome::NotSent(_) | Outcome::Unknown(_) => None,
    }
}

/// An approval that comes too late to be believed. The same one twice says nothing new (L4); one after the attempt was
/// undone is undone again, which is safe to repeat (L1); what cannot be undone is for people.
pub(super) fn late_approval(
    till: &Till,
    ctx: &Context,
    id: PaymentId,
    number: u32,
    approval: &Approval,
) -> Option<Step> {
    let p = till.payment(id)?;
    let a = p.attempt(number)?;
    if planted!(LateApprovalIgnored) {
        return None;
    }
    let (approval, told) = super::pin::pinned(ctx, p, a, approval);
    let known = a.approval.as_ref().filter(|_| a.stands());
    if known.is_some_and(|k| k.amount == approval.amount && k.reference == approval.reference) {
        return None;
    }
    let which = if known.is_some() { "second approval" } else { "late approval" };
    let text =
        format!("{which} over {}, reference {}", approval.amount, bounds::cut(&approval.reference, 128));
    let code = if known.is_some() { "double-charge" } else { "late-approval" };
    let alarm = Effect::Alarm { code, payment: Some(id), text: text.clone() };
    let over = matches!(a.state, AttemptState::Reversed | AttemptState::Declined | AttemptState::NotSent);
    if over && a.resolve.undo.is_some() && a.recovery.is_some() {
        let effects = [
            Effect::PaymentChanged(id),
            alarm,
            Effect::ResolveAfter { payment: id, attempt: number, after_ms: 0 },
        ];
        let record = Record::Reopened { payment: id, attempt: number, approval };
        return Some(Step::new(record, effects.into_iter().chain(told)));
    }
    Some(Step::new(Record::LateAnswer { payment: id, attempt: number, text, money: true }, [alarm]))
}
