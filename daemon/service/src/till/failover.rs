//! What one channel did not take goes to the next one by itself (decision 0037); a card whose PIN was wrong is asked again
//! (decision 0052).

use till_core::Payment;
use till_core::recognise::{Recognised, Table, recognise};

use super::Presentation;
use super::vault::Held;

/// What one channel did not take, once more: as it was presented and for as much.
pub(super) fn again(payment: &Payment, held: Held, codes: &Table) -> Option<Presentation> {
    same(payment, held, codes).map(|same| Presentation { again: true, ..same })
}

/// What was presented for a PIN that was wrong, once more: the same card is asked for its PIN anew.
pub(super) fn with_pin(payment: &Payment, held: Held, codes: &Table) -> Option<Presentation> {
    same(payment, held, codes).map(|same| Presentation { owes_pin: true, ..same })
}

fn same(payment: &Payment, held: Held, codes: &Table) -> Option<Presentation> {
    let last = payment.attempts.last()?;
    let instrument = held.instrument?;
    let found = recognise(&instrument, codes);
    let known = matches!(found, Recognised::Instrument { family, .. } if family == last.family);
    Some(Presentation {
        payment: payment.id,
        instrument,
        device: None,
        // As the operator said, when it is not what it looks like.
        family: (!known).then(|| last.family.to_string()),
        channel: held.named,
        amount: Some(last.amount),
        duplicate_reason: held.duplicate_reason,
        again: false,
        // Elsewhere too: what is owed to one acquirer is not let go by another one that asks for less.
        owes_pin: held.owes_pin,
        reply: None,
    })
}
