//! Training: kept apart from selling at the one place where every input passes.

use super::Step;
use crate::batch::Rules;
use crate::bounds;
use crate::effect::Effect;
use crate::input::{Context, Input};
use crate::payment::{Payment, PaymentState, Purpose};
use crate::planted::planted;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::till::Till;
use crate::training::{Ask, Train, route};

/// The training payment that an input is about.
pub(super) fn payment<'a>(till: &'a Till, input: &Input) -> Option<&'a Payment> {
    till.payment(input.payment()?).filter(|p| p.training)
}

/// The world as a training payment sees it: the training host is the only channel, nothing limits it, nothing that was
/// presented before counts.
pub(super) fn context(ctx: &Context, p: &Payment, input: &Input) -> Context {
    let family = match input {
        Input::Present { presented, .. } => presented.family.clone(),
        _ => till_plugin::Family::new(""),
    };
    Context {
        wall_ms: ctx.wall_ms,
        clock_trusted: ctx.clock_trusted,
        routes: vec![route(family, p.amount.currency().code())],
        terminal: "TRAINING".into(),
        config: ctx.config.clone(),
        printer: ctx.printer.clone(),
        reuse_window_ms: i64::MIN,
        duplicate_window_ms: 0,
        undo_after_ms: None,
        hold_valid_ms: ctx.hold_valid_ms,
        job_valid_ms: ctx.job_valid_ms,
        rules: Rules::default(),
    }
}

/// What would go to a channel goes to the training host.
pub(super) fn divert(p: &Payment, mut step: Step) -> Step {
    if planted!(TrainingSent) {
        return step;
    }
    for effect in &mut step.effects {
        let (attempt, ask) = match effect {
            Effect::Prepare { ids, kind, amount, .. } => {
                let (attempt, kind, amount) = (ids.attempt, *kind, *amount);
                *effect = Effect::Train(Train { payment: p.id, attempt, kind, amount, ask: Ask::Prepare });
                continue;
            }
            Effect::Authorise { attempt, .. } => (*attempt, Ask::Authorise),
            Effect::Query { attempt, .. } => (*attempt, Ask::Query),
            Effect::Undo { attempt, .. } => (*attempt, Ask::Undo),
            _ => continue,
        };
        let Some(a) = p.attempt(attempt) else { continue };
        let (kind, amount) = (a.kind, a.amount);
        *effect = Effect::Train(Train { payment: p.id, attempt, kind, amount, ask });
    }
    step
}

/// While the till is in training nothing is begun that moves real money.
pub(super) fn kept_apart(till: &Till, input: &Input) -> Result<(), Refusal> {
    if !till.is_training() {
        return Ok(());
    }
    let real = |id| till.payment(id).filter(|p| !p.training);
    let begins = match input {
        Input::Leg { payment, .. } | Input::Resume { payment, .. } => real(*payment).is_some(),
        Input::Cancel { payment, .. } => real(*payment)
            .is_some_and(|p| matches!(p.state, PaymentState::PartPaid | PaymentState::Authorised)),
        _ => false,
    };
    if begins {
        Err(Refusal::Training("the till is in training, and this payment is a real one: end training first"))
    } else {
        Ok(())
    }
}

/// Both must say so, the till and whoever opens the payment: then nobody takes the one for the other.
pub(super) const fn may_open(till: &Till, training: bool, purpose: &Purpose) -> Result<(), Refusal> {
    match (till.is_training(), training) {
        (true, false) => Err(Refusal::Training(
            "the till is in training: end training to sell, or open the payment as training",
        )),
        (false, true) => {
            Err(Refusal::Training("the till is not in training: put it into training first, or sell"))
        }
        (true, true) if matches!(purpose, Purpose::TopUp { .. }) => {
            Err(Refusal::Training("a top-up cannot be practised: its card is a real one"))
        }
        _ => Ok(()),
    }
}

/// Somebody puts the till into training, or takes it out of it. Not while a customer is there.
pub(super) fn set(till: &Till, on: bool, operator: &str) -> Result<Step, Refusal> {
    if till.is_training() == on {
        return Ok(Step::default());
    }
    let Some(operator) = bounds::person(Some(operator)).filter(|o| !o.trim().is_empty()) else {
        return Err(Refusal::Training("training is begun and ended by somebody: a name is wanted"));
    };
    if let Some(p) = till.foreground() {
        return Err(Refusal::Busy { payment: p.id, state: p.state });
    }
    let told = on.then(|| alarm(&format!("{operator} put the till into training")));
    let record = Record::TrainingSet { on, operator };
    Ok(Step::new(record, std::iter::once(Effect::TrainingChanged).chain(told)))
}

/// A till that was in training still is.
pub(super) fn recover(till: &Till) -> Option<Step> {
    till.is_training().then(|| Step::effects([alarm("the till is in training since before its restart")]))
}

fn alarm(why: &str) -> Effect {
    let text = format!("{why}: no money moves by what is sold now");
    Effect::Alarm { code: "training", payment: None, text }
}
