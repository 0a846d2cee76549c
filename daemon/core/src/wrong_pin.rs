//! A PIN that was wrong: asked for again with the same card, a few times.

use till_plugin::Family;

use crate::payment::{Attempt, AttemptState, Payment, PaymentState};

/// Most entries in a row for one card of one payment. Issuers lock a card after three.
pub const TRIES: usize = 3;

/// Whether the newest attempt of a payment is to be followed by another one with the same card: it was declined because its
/// PIN was wrong, the payment waits and is wanted, and there were not too many. A chip's cryptogram is good for one request:
/// only a stripe can go out again, other cards are presented again. `wrong` knows the network's codes.
pub fn asks_again(p: &Payment, wrong: impl Fn(&str) -> bool) -> bool {
    let waits = matches!(p.state, PaymentState::Ready | PaymentState::PartPaid) && !p.parked;
    let wanted = !p.cancel_requested && !p.training && p.returning.is_none();
    if !waits || !wanted || p.open_attempt().is_some() {
        return false;
    }
    let was_wrong = |a: &Attempt| {
        let declined = a.state == AttemptState::Declined && a.unknown.is_none() && !a.abandoned;
        let code = a.decline.as_ref().is_some_and(|d| wrong(&d.code));
        a.kind.is_tender() && declined && code && a.family.as_str() == Family::CARD_STRIPE
    };
    let Some(last) = p.attempts.last().filter(|a| was_wrong(a) && !a.token.is_empty()) else { return false };
    let tries = p.attempts.iter().rev().take_while(|a| was_wrong(a) && a.token == last.token);
    tries.count() < TRIES
}
