//! The payment machine: what an input means in a state. Pure.
//!
//! * [`open`](self) commands of callers: open, confirm, present, cancel, select;
//! * `attempt`: prepare, answer, approval checks (W4);
//! * `leg`: voids, refunds, completions, releases; `returns`: giving back and delivering by itself; `review`: two people;
//! * `resolve`: what happens to an outcome that nobody knows;
//! * `settle`: the close of a day, and settlements with networks;
//! * `outbox`: receipts and the drawer;
//! * `announce`: maintenance;
//! * `merchant`: who may let a channel sell;
//! * `inquiry`: a card's balance is asked for; `suspend`: channels that take nothing new; `pin`: answers beside what was agreed;
//! * `training`: payments by which no money moves;
//! * `recovery`: what a restart finds.

mod announce;
mod attempt;
mod command;
mod dispute;
mod inquiry;
mod leg;
mod merchant;
mod outbox;
mod pin;
mod recovery;
mod resolve;
mod returns;
mod review;
mod settle;
mod suspend;
mod training;

pub use recovery::recover;
pub(crate) use settle::limits_hit;

use crate::effect::Effect;
use crate::input::{Context, Input};
use crate::payment::{Attempt, AttemptState, Payment, PaymentId, Purpose};
use crate::planted::planted;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::till::Till;

/// What an input leads to: at most one record, and effects for when it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// To append; None: nothing changes.
    pub record: Option<Record>,
    /// To run afterwards, in order.
    pub effects: Vec<Effect>,
}

impl Step {
    fn new(record: Record, effects: impl IntoIterator<Item = Effect>) -> Self {
        Self { record: Some(record), effects: effects.into_iter().collect() }
    }

    fn effects(effects: impl IntoIterator<Item = Effect>) -> Self {
        Self { record: None, effects: effects.into_iter().collect() }
    }
}

/// Decides. An error changes nothing.
pub fn decide(till: &Till, input: &Input, ctx: &Context) -> Result<Step, Refusal> {
    training::kept_apart(till, input)?;
    match training::payment(till, input) {
        None => decided(till, input, ctx),
        // It sees a till that has the training host and nothing else.
        Some(p) => Ok(training::divert(p, decided(till, input, &training::context(ctx, p, input))?)),
    }
}

fn decided(till: &Till, input: &Input, ctx: &Context) -> Result<Step, Refusal> {
    match input {
        Input::Open { payment, purpose, key, amount, subject, operator, training } => {
            let by = (operator.as_deref(), *training);
            command::open(till, ctx, *payment, purpose, key, *amount, subject, by)
        }
        Input::SetTraining { on, operator } => training::set(till, *on, operator),
        Input::Confirm { payment, amount } => command::confirm(till, *payment, *amount),
        Input::Present { payment, presented } => command::present(till, ctx, *payment, presented),
        Input::FailOver { payment, presented } => command::fail_over(till, ctx, *payment, presented),
        Input::Cancel { payment, operator } => command::cancel(till, *payment, operator.as_deref()),
        Input::Select { channel, operator } => {
            command::select(till, ctx, channel.as_deref(), operator.as_deref())
        }
        Input::Prepared { payment, attempt, result } => {
            attempt::prepared(till, ctx, *payment, *attempt, result)
        }
        Input::Answered { payment, attempt, outcome } => {
            attempt::answered(till, ctx, *payment, *attempt, outcome)
        }
        Input::Resolve { payment, attempt } => resolve::go_on(till, *payment, *attempt),
        Input::Queried { payment, attempt, outcome } => {
            resolve::queried(till, ctx, *payment, *attempt, outcome)
        }
        Input::Undone { payment, attempt, outcome } => resolve::undone(till, *payment, *attempt, outcome),
        Input::Leg { payment, kind, of, amount, key, reason, operator } => {
            let ask = leg::Ask {
                kind: *kind,
                of: *of,
                amount: *amount,
                key,
                reason,
                operator: operator.as_deref(),
            };
            leg::asked(till, ctx, *payment, &ask)
        }
        Input::GoOn { payment } => returns::go_on(till, ctx, *payment),
        Input::Abandon { payment, reason, operator } => {
            review::abandon(till, *payment, reason, operator.as_deref())
        }
        Input::ProposeReview { payment, attempt, verdict, reason, operator } => {
            review::propose(till, *payment, *attempt, *verdict, reason, operator)
        }
        Input::ConfirmReview { payment, attempt, verdict, operator } => {
            review::confirm(till, ctx, *payment, *attempt, *verdict, operator)
        }
        Input::Acknowledge { payment, operator } => returns::acknowledge(till, *payment, operator.as_deref()),
        Input::NotAcknowledged { payment } => returns::not_acknowledged(till, *payment),
        Input::ExpireHold { payment } => returns::expire_hold(till, ctx, *payment),
        Input::Resume { payment, operator } => command::resume(till, *payment, operator.as_deref()),
        Input::Suspend { channel, reason, operator } => {
            suspend::suspend(till, ctx, channel, reason, operator)
        }
        Input::ResumeChannel { channel, reason, operator } => {
            suspend::resume(till, ctx, channel, reason, operator)
        }
        Input::Inquire { channel, number, operator } => inquiry::begin(till, ctx, channel, *number, operator),
        Input::TakeTrace { channel } => command::take_trace(till, ctx, channel),
        Input::SignedIn { channel, batch } => Ok(settle::signed_in(till, channel, *batch)),
        Input::Tick => Ok(settle::tick(till, ctx)),
        Input::CloseBatch { operator } => Ok(settle::close(till, ctx, operator.as_deref())),
        Input::GoOnSettling { batch, part } => settle::go_on(till, ctx, *batch, part.as_ref()),
        Input::Settled { batch, part, trace, outcome } => {
            settle::settled(till, ctx, *batch, part, *trace, outcome)
        }
        Input::Uploaded { batch, part, trace, outcome } => {
            settle::uploaded(till, ctx, *batch, part, *trace, outcome)
        }
        Input::SettleAgain { batch, part, operator } => {
            settle::settle_again(till, *batch, part, operator.as_deref())
        }
        Input::CloseAnyway { batch, part, reason, operator } => {
            settle::close_anyway(till, ctx, *batch, part, reason, operator)
        }
        Input::SendJob { job } => outbox::send(till, ctx, *job),
        Input::Printed { job, state } => outbox::printed(till, *job, state),
        Input::Reprint { payment, receipt, operator } => {
            outbox::reprint(till, ctx, *payment, *receipt, operator.as_deref())
        }
        Input::ReprintSlip { batch, forgotten, operator } => {
            outbox::reprint_slip(till, ctx, *batch, *forgotten, operator.as_deref())
        }
        Input::Resealed { payment, attempt, recovery } => {
            recovery::resealed(till, *payment, *attempt, recovery)
        }
        Input::CancelJob { job } => outbox::cancel(till, *job),
        Input::ExpireJob { job } => outbox::expire(till, ctx, *job),
        Input::TakeNotices { sink, seq } => outbox::take_notices(till, sink, *seq),
        Input::Dispute { payment, number, event, operator } => {
            dispute::asked(till, *payment, *number, event, operator)
        }
        Input::Announce { id, announcement, operator } => {
            announce::announced(till, ctx, id, announcement, operator.as_deref())
        }
        Input::Withdraw { id, source, operator } => {
            announce::withdrawn(till, id, *source, operator.as_deref())
        }
        Input::TryMerchant { channel, operator } => merchant::tried(till, ctx, channel, operator.as_deref()),
        Input::MerchantPassed { channel, operator } => {
            merchant::passed(till, ctx, channel, operator.as_deref())
        }
        Input::SignOutMerchant { channel, operator } => {
            merchant::signed_out(ctx, channel, operator.as_deref())
        }
        Input::UnlockMerchant { channel, operator } => merchant::unlocked(till, ctx, channel, operator),
        Input::NoSale { reason, operator } => outbox::no_sale(reason, operator.as_deref()),
    }
}

fn find(till: &Till, id: PaymentId) -> Result<&Payment, Refusal> {
    till.payment(id).ok_or(Refusal::NoPayment(id))
}

/// The payment's attempt `number` when it is in one of `states`.
fn expect<'a>(
    till: &'a Till,
    id: PaymentId,
    number: u32,
    states: &[AttemptState],
) -> Result<(&'a Payment, &'a Attempt), Refusal> {
    let payment = find(till, id)?;
    match payment.attempt(number) {
        Some(a) if states.contains(&a.state) => Ok((payment, a)),
        _ => Err(Refusal::Stale),
    }
}

/// Nobody wants the attempt to succeed any more.
fn unwanted(p: &Payment, a: &Attempt) -> bool {
    (a.abandoned && !planted!(AbandonedKept)) || (p.cancel_requested && a.kind.is_tender())
}

/// The record as one of this attempt: marked with its number when it is not the one under way.
fn of(a: &Attempt, record: Record) -> Record {
    if a.abandoned { Record::On { attempt: a.ids.attempt, event: Box::new(record) } } else { record }
}

/// Whether something follows by itself once an attempt of this payment has ended.
fn goes_on(p: &Payment) -> bool {
    p.returning.is_some() || p.cancel_requested || p.recovered || matches!(p.purpose, Purpose::TopUp { .. })
}
