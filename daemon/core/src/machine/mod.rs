//! The payment machine: what an input means in a state. Pure.
//!
//! * [`open`](self) commands of callers: open, confirm, present, cancel, select;
//! * `attempt`: prepare, answer, approval checks (W4);
//! * `resolve`: what happens to an outcome that nobody knows;
//! * `outbox`: receipts and the drawer;
//! * `recovery`: what a restart finds.

mod attempt;
mod command;
mod outbox;
mod recovery;
mod resolve;

pub use recovery::recover;

use crate::effect::Effect;
use crate::input::{Context, Input};
use crate::payment::{Attempt, AttemptState, Payment, PaymentId};
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
    match input {
        Input::Open { payment, key, amount, subject, operator } => {
            command::open(till, ctx, *payment, key, *amount, subject, operator.as_deref())
        }
        Input::Confirm { payment, amount } => command::confirm(till, *payment, *amount),
        Input::Present { payment, presented } => command::present(till, ctx, *payment, presented),
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
        Input::TakeTrace { channel } => command::take_trace(till, ctx, channel),
        Input::SignedIn { channel, batch } => {
            // A batch number is 1–999999; anything else is not one (Q/CUP 009.1 field 60.2).
            let batch = batch.filter(|b| (1..=crate::till::MAX_NUMBER).contains(b));
            Ok(Step::new(Record::SignedIn { channel: channel.clone(), batch }, []))
        }
        Input::SendJob { job } => outbox::send(till, ctx, *job),
        Input::Printed { job, state } => outbox::printed(till, *job, state),
        Input::NoSale { reason, operator } => outbox::no_sale(reason, operator.as_deref()),
    }
}

fn find(till: &Till, id: PaymentId) -> Result<&Payment, Refusal> {
    till.payment(id).ok_or(Refusal::NoPayment(id))
}

/// The payment's attempt `number` when it is its last one and in one of `states`.
fn expect<'a>(
    till: &'a Till,
    id: PaymentId,
    number: u32,
    states: &[AttemptState],
) -> Result<(&'a Payment, &'a Attempt), Refusal> {
    let payment = find(till, id)?;
    match payment.attempts.last() {
        Some(a) if a.ids.attempt == number && states.contains(&a.state) => Ok((payment, a)),
        _ => Err(Refusal::Stale),
    }
}
