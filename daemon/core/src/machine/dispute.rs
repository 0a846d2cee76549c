//! Cases of disputed payments: opened, noted, answered, closed by people. None of it moves money.

use super::{Step, find};
use crate::bounds;
use crate::dispute::{DisputeEvent, MAX_OPEN};
use crate::effect::Effect;
use crate::payment::PaymentId;
use crate::planted::planted;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::till::Till;

/// What is asked for.
pub(super) fn asked(
    till: &Till,
    id: PaymentId,
    number: u32,
    event: &DisputeEvent,
    operator: &str,
) -> Result<Step, Refusal> {
    let p = find(till, id)?;
    let no = |why: String| Refusal::Dispute { number, why };
    if p.training {
        return Err(no(format!("payment {id} is training: no money moved by it")));
    }
    let Some(operator) = bounds::person(Some(operator)).filter(|o| !o.trim().is_empty()) else {
        return Err(no("somebody must say so: a name is wanted".into()));
    };
    let mut effects = vec![Effect::PaymentChanged(id)];
    if let DisputeEvent::Opened { attempt, amount, .. } = event {
        let taken = p.attempt(*attempt).filter(|a| a.kind.takes() && a.stands());
        let Some(taken) = taken else {
            return Err(no(format!(
                "attempt {attempt} of payment {id} took no money that could be disputed"
            )));
        };
        if amount.currency() != taken.amount.currency() || !amount.is_positive() {
            return Err(Refusal::Amount(*amount));
        }
        if amount.minor() > taken.amount.minor() {
            let (asked, left) = (*amount, taken.amount);
            return Err(Refusal::TooMuch { payment: id, attempt: *attempt, asked, left });
        }
        if number != till.disputes().next() {
            return Err(Refusal::Stale);
        }
        let same = |d: &&crate::dispute::Dispute| d.payment == id && d.attempt == *attempt;
        let open = till.disputes().all().find(|d| same(d) && !d.state.is_closed());
        if let Some(open) = open.filter(|_| !planted!(DisputedTwice)) {
            return Err(no(format!("that attempt has the open case {} already: note it there", open.number)));
        }
        if till.disputes().all().filter(|d| !d.state.is_closed()).count() >= MAX_OPEN {
            return Err(no(format!("{MAX_OPEN} cases are open: close some first")));
        }
        let text = format!("case {number}: {amount} of payment {id} are disputed");
        effects.push(Effect::Alarm { code: "dispute", payment: Some(id), text });
    } else {
        let case = till.disputes().get(number).filter(|d| d.payment == id);
        match case {
            None => return Err(no(format!("payment {id} has no such case"))),
            Some(case) if case.state.is_closed() => {
                return Err(no(format!("it is {}: open another one if it comes again", case.state.as_str())));
            }
            Some(_) => {}
        }
    }
    let record = Record::Dispute { payment: id, number, event: bounded(event), operator };
    Ok(Step::new(record, effects))
}

fn bounded(event: &DisputeEvent) -> DisputeEvent {
    let mut event = event.clone();
    match &mut event {
        DisputeEvent::Opened { reason, reference, .. } => {
            *reason = bounds::cut(reason, bounds::LINE);
            *reference = bounds::cut(reference, 64);
        }
        DisputeEvent::Noted { text }
        | DisputeEvent::Answered { text, .. }
        | DisputeEvent::Closed { text, .. } => *text = bounds::cut(text, bounds::LINE * 2),
    }
    event
}
