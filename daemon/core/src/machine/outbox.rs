//! Receipts and the drawer: jobs that can fail without touching money (W6).

use till_plugin::driver::PrintState;

use super::Step;
use crate::bounds;
use crate::effect::Effect;
use crate::input::Context;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::till::Till;

/// A job may go to the printer; that it goes is durable before it does, so that a restart knows that paper may hold it.
pub(super) fn send(till: &Till, ctx: &Context, job: u64) -> Result<Step, Refusal> {
    let waiting = till.jobs().get(&job).ok_or(Refusal::NoJob(job))?;
    let printer = ctx.printer.clone().ok_or(Refusal::NoJob(job))?;
    let print =
        Effect::Print { job, payment: waiting.payment, printer: printer.clone(), restarted: waiting.sent };
    Ok(Step::new(Record::JobSent { job, printer }, [print]))
}

/// The printer told of a job.
pub(super) fn printed(till: &Till, job: u64, state: &PrintState) -> Result<Step, Refusal> {
    let waiting = till.jobs().get(&job).ok_or(Refusal::Stale)?;
    let changed = Effect::PaymentChanged(waiting.payment);
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

/// Opening the drawer without a sale is always somebody's act with a reason (S23).
pub(super) fn no_sale(reason: &str, operator: Option<&str>) -> Result<Step, Refusal> {
    if reason.trim().is_empty() {
        return Err(Refusal::NotPayable("opening the drawer without a sale needs a reason".into()));
    }
    let reason = bounds::cut(reason, bounds::LINE);
    let record = Record::DrawerOpened { reason: reason.clone(), operator: bounds::person(operator) };
    Ok(Step::new(record, [Effect::OpenDrawer { reason }]))
}
