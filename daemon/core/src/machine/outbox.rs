//! Receipts and the drawer: jobs that can fail without touching money (W6).

use till_plugin::driver::PrintState;

use super::{Step, find};
use crate::batch::{BatchEvent, BatchState};
use crate::bounds;
use crate::effect::Effect;
use crate::input::Context;
use crate::payment::PaymentId;
use crate::planted::planted;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::till::{Job, Till};

/// A job may go to the printer; that it goes is durable before it does, so that a restart knows that paper may hold it.
pub(super) fn send(till: &Till, ctx: &Context, job: u64) -> Result<Step, Refusal> {
    let waiting = till.jobs().get(&job).ok_or(Refusal::NoJob(job))?;
    let printer = ctx.printer.clone().ok_or(Refusal::NoJob(job))?;
    let restarted = waiting.sent && !planted!(PrintedTwice);
    if let Some(batch) = waiting.batch {
        let slip = Effect::PrintSlip { job, batch, copy: waiting.copy, printer: printer.clone(), restarted };
        return Ok(Step::new(Record::JobSent { job, printer }, [slip]));
    }
    let print = Effect::Print {
        job,
        payment: waiting.payment,
        receipt: waiting.receipt,
        copy: waiting.copy,
        printer: printer.clone(),
        restarted,
    };
    Ok(Step::new(Record::JobSent { job, printer }, [print]))
}

/// Whose paper it is: clients are told.
fn changed(job: &Job) -> Effect {
    match job.batch {
        Some(batch) => Effect::BatchChanged { batch },
        None => Effect::PaymentChanged(job.payment),
    }
}

/// The printer told of a job.
pub(super) fn printed(till: &Till, job: u64, state: &PrintState) -> Result<Step, Refusal> {
    let waiting = till.jobs().get(&job).ok_or(Refusal::Stale)?;
    let changed = changed(waiting);
    let ended = |how: &str| Record::JobEnded { job, how: how.into() };
    Ok(match state {
        PrintState::Done => Step::new(ended("done"), [changed]),
        PrintState::Unconfirmed => Step::new(ended("unconfirmed"), [changed]),
        PrintState::Cancelled => Step::new(ended("cancelled"), [changed]),
        // It is owed until it is printed: again, from the top and marked, when the printer can.
        PrintState::Failed { .. } => Step::effects([Effect::QueueJob { job }]),
        _ => Step::default(),
    })
}

/// Once more, as a numbered copy (I20): the original's number stays the receipt's.
pub(super) fn reprint(
    till: &Till,
    ctx: &Context,
    id: PaymentId,
    receipt: u64,
    operator: Option<&str>,
) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    let no = |why: &str| Refusal::NoLeg { payment: id, why: why.into() };
    if ctx.printer.is_none() {
        return Err(no("no printer is configured"));
    }
    let wanted = if receipt == 0 { p.receipt_number } else { Some(receipt) };
    let a = wanted
        .and_then(|n| p.attempts.iter().find(|a| a.receipt == Some(n)))
        .ok_or_else(|| no("it has no such receipt"))?;
    let job = till.next_copy_job();
    let record = Record::CopyRequested {
        job,
        payment: id,
        receipt: wanted.unwrap_or_default(),
        copy: a.copies.saturating_add(1),
        operator: bounds::person(operator),
    };
    Ok(Step::new(record, [Effect::PaymentChanged(id), Effect::QueueJob { job }]))
}

/// The settlement slip of a closed batch once more, as a numbered copy. `forgotten`: how many copies the journal tells of a
/// closed batch that has left memory.
pub(super) fn reprint_slip(
    till: &Till,
    ctx: &Context,
    number: u32,
    forgotten: Option<u32>,
    operator: Option<&str>,
) -> Result<Step, Refusal> {
    let no = |why: &str| Refusal::Batch { batch: number, why: why.into() };
    if ctx.printer.is_none() {
        return Err(no("no printer is configured"));
    }
    let copies = match (till.batches().get(number), forgotten) {
        (Some(batch), _) if batch.state != BatchState::Closed => {
            return Err(no(&format!(
                "it is {}: its slip is printed when it is closed",
                batch.state.as_str()
            )));
        }
        (Some(batch), _) => batch.copies,
        (None, Some(copies)) if number < till.open_batch() => copies,
        (None, _) => return Err(no("it is not in memory, and the journal was not asked for it")),
    };
    let job = till.next_copy_job();
    let event = BatchEvent::SlipRequested {
        batch: number,
        job,
        copy: copies.saturating_add(1),
        operator: bounds::person(operator),
    };
    Ok(Step::new(Record::Batch(event), [Effect::BatchChanged { batch: number }, Effect::QueueJob { job }]))
}

/// Nobody wants it any more.
pub(super) fn cancel(till: &Till, job: u64) -> Result<Step, Refusal> {
    let waiting = till.jobs().get(&job).ok_or(Refusal::NoJob(job))?;
    let record = Record::JobEnded { job, how: "cancelled".into() };
    Ok(Step::new(record, [Effect::CancelPrint { job }, changed(waiting)]))
}

/// Paper that comes out days later is given to nobody: by a clock that can be believed.
pub(super) fn expire(till: &Till, ctx: &Context, job: u64) -> Result<Step, Refusal> {
    let waiting = till.jobs().get(&job).ok_or(Refusal::Stale)?;
    if !ctx.clock_trusted || ctx.wall_ms.saturating_sub(waiting.since_wall_ms) < ctx.job_valid_ms {
        return Err(Refusal::Stale);
    }
    let record = Record::JobEnded { job, how: "expired".into() };
    Ok(Step::new(record, [Effect::CancelPrint { job }, changed(waiting)]))
}

/// A receiver has its notices: those after `seq` are still owed to it, over every restart (S48).
pub(super) fn take_notices(till: &Till, sink: &str, seq: u64) -> Result<Step, Refusal> {
    let sink = bounds::cut(sink, 64);
    if sink.is_empty() || seq > till.seq() {
        return Err(Refusal::NotPayable("a receiver needs a name and a record that exists".into()));
    }
    if till.notices_taken(&sink) >= seq {
        return Ok(Step::default());
    }
    if till.notice_sinks().len() >= MAX_SINKS && !till.notice_sinks().contains_key(&sink) {
        return Err(Refusal::NotPayable(format!("there are {MAX_SINKS} receivers of notices already")));
    }
    Ok(Step::new(Record::NoticesTaken { sink, seq }, []))
}

/// Receivers of notices that are remembered.
const MAX_SINKS: usize = 16;

/// Opening the drawer without a sale is always somebody's act with a reason (S23).
pub(super) fn no_sale(reason: &str, operator: Option<&str>) -> Result<Step, Refusal> {
    if reason.trim().is_empty() {
        return Err(Refusal::NotPayable("opening the drawer without a sale needs a reason".into()));
    }
    let reason = bounds::cut(reason, bounds::LINE);
    let record = Record::DrawerOpened { reason: reason.clone(), operator: bounds::person(operator) };
    let opens = Effect::OpenDrawer { reason };
    Ok(if planted!(DrawerUnrecorded) { Step::effects([opens]) } else { Step::new(record, [opens]) })
}
