//! What is done at the desk: channels are signed in, papers are printed once more, customers dispute what they paid.

use till_core::dispute::DisputeEvent;
use till_core::{Input, PaymentId, Refusal};
use till_plugin::{Currency, Money};

use super::refused;
use crate::profile::{self, CHANNELS};
use crate::world::World;

/// A channel whose network keeps batches is signed in; it may say which batch number it wants.
pub(super) fn sign_in(w: &mut World) {
    let channels: Vec<usize> = (0..CHANNELS.len()).filter(|c| profile::settles(*c)).collect();
    let channel = CHANNELS[w.rng.pick(&channels)].0.to_owned();
    let told = w.asked(&Input::TakeTrace { channel });
    assert!(!matches!(told, Ok(Err(_))), "a channel cannot be signed in: {told:?}");
}

/// A receipt or a settlement slip once more.
pub(super) fn reprint(w: &mut World) {
    let operator = Some("op".to_owned());
    let closed: Vec<u32> = w.till().batches().closed().map(|b| b.number).collect();
    if !closed.is_empty() && w.rng.chance(50) {
        let batch = w.rng.pick(&closed);
        let told = w.asked(&Input::ReprintSlip { batch, operator, forgotten: None });
        assert!(!matches!(told, Ok(Err(_))), "the slip of a closed batch is not printed again: {told:?}");
        return;
    }
    let Some(payment) = one_of(w) else { return };
    let told = w.asked(&Input::Reprint { payment, receipt: 0, operator });
    if let Ok(Err(e)) = &told {
        // It has none.
        assert!(
            matches!(e, Refusal::NoLeg { .. } | Refusal::NoPayment(_)),
            "a receipt is not printed again: {e}"
        );
    }
}

/// Somebody says that money is not the shop's, or that is gone on with. No money moves by it (pos.md S52).
pub(super) fn dispute(w: &mut World) {
    let cases = w.till().disputes().all().count();
    if cases > 0 && w.rng.chance(60) {
        let at = w.rng.index(cases);
        return go_on(w, at);
    }
    // Now and then about what is disputed already.
    let again = w.rng.chance(40).then(|| w.till().disputes().all().last().map(|d| d.payment)).flatten();
    let Some(payment) = again.or_else(|| one_of(w)) else { return };
    let Some(p) = super::after::seen(w, payment) else { return };
    let Some(a) = p.attempts.iter().find(|a| a.kind.takes() && a.stands()) else { return };
    let (attempt, taken, training) = (a.ids.attempt, a.amount.minor(), p.training);
    let same = |d: &&till_core::dispute::Dispute| d.payment == payment && d.attempt == attempt;
    let disputed = w.till().disputes().all().any(|d| same(&d) && !d.state.is_closed());
    let more = w.rng.chance(15);
    let minor = if more { taken + 1 } else { 1 + w.rng.minor(taken) };
    let event = DisputeEvent::Opened {
        attempt,
        amount: Money::new(minor, Currency::CNY),
        reason: "never came".into(),
        reference: "CB-1".into(),
        answer_by_ms: 0,
    };
    let number = w.till().disputes().next();
    let told = w.asked(&Input::Dispute { payment, number, event, operator: "op".into() });
    if training || more || disputed {
        refused(&told, "S52: a case about training, about more than was taken, or a second one", |r| {
            matches!(r, Refusal::Dispute { .. } | Refusal::TooMuch { .. })
        });
    } else {
        assert!(!matches!(told, Ok(Err(_))), "what was paid cannot be disputed: {told:?}");
    }
}

/// A case is noted, answered or closed; a closed one stays closed.
fn go_on(w: &mut World, at: usize) {
    let Some(case) = w.till().disputes().all().nth(at).cloned() else { return };
    let text = || "as the bank says".to_owned();
    let event = match w.rng.below(4) {
        0 => DisputeEvent::Noted { text: text() },
        1 | 2 => DisputeEvent::Answered { evidence: [7; 32], text: text() },
        _ => DisputeEvent::Closed { won: w.rng.chance(50), text: text() },
    };
    let (payment, number) = (case.payment, case.number);
    let told = w.asked(&Input::Dispute { payment, number, event, operator: "op".into() });
    if case.state.is_closed() {
        refused(&told, "S52: a closed case went on", |r| matches!(r, Refusal::Dispute { .. }));
    } else {
        assert!(!matches!(told, Ok(Err(_))), "a case does not go on: {told:?}");
    }
}

fn one_of(w: &mut World) -> Option<PaymentId> {
    let known = w.operator.known.len();
    w.operator.known.get(w.rng.index(known.max(1))).copied()
}
