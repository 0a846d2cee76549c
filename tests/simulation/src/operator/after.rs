//! What comes after a sale: voids, refunds, completions, releases, cards brought again; reviews by two; acknowledgements.

use std::borrow::Cow;

use till_core::{AttemptState, Input, LegKind, Payment, PaymentId, PaymentState, Refusal, Verdict};
use till_plugin::{Currency, Money};

use super::{Sight, cancel, presented, refused};
use crate::profile;
use crate::world::{Told, World};

/// How long somebody waits before asking a network what became of a request, ms.
const STATEMENT_AFTER_MS: u64 = 60_000;

/// A customer comes back, or a hotel guest leaves.
pub(super) fn look_back(w: &mut World) {
    let Some(payment) = one_of(w).filter(|id| super::train::fits(w, *id)) else { return };
    let Some(p) = seen(w, payment) else { return };
    let returnable: Vec<(u32, i64, bool, bool)> = p
        .returnable()
        .map(|(a, left)| (a.ids.attempt, left.minor(), a.kind == LegKind::Hold, a.abandoned))
        .collect();
    let settled = p.is_settled() && p.paid().is_positive();
    drop(p);
    let Some(&(of, left, holds, given_up)) = returnable.get(w.rng.index(returnable.len().max(1))) else {
        if settled {
            nothing_left(w, payment);
        }
        return;
    };
    let kind = match (holds, w.rng.below(10)) {
        (true, 0..=5) => LegKind::Capture,
        (true, _) => LegKind::Release,
        (false, 0..=3) => LegKind::Void,
        (false, _) => LegKind::Refund,
    };
    let amount = match w.rng.below(10) {
        0..=4 => None,
        5..=8 => Some(1 + w.rng.minor(left)),
        _ => Some(left + 1),
    };
    let key = if w.rng.chance(50) {
        w.operator.legs += 1;
        format!("leg-{}", w.operator.legs)
    } else {
        String::new()
    };
    let of = if w.rng.chance(70) { of } else { 0 };
    let leg = Input::Leg {
        payment,
        kind,
        of,
        amount: amount.map(|minor| Money::new(minor, Currency::CNY)),
        key: key.clone(),
        reason: "brought back".into(),
        operator: Some("op".into()),
    };
    let told = w.asked(&leg);
    if amount.is_some_and(|minor| minor > left) && of != 0 {
        refused(&told, "I10: more went back than was taken", |_| true);
    }
    if kind == LegKind::Capture && given_up && of != 0 {
        refused(&told, "I2: a hold that was given up is completed", |_| true);
    }
    match told {
        Ok(Ok(_)) => w.tally.see(match kind {
            LegKind::Void => "voids asked",
            LegKind::Refund => "refunds asked",
            LegKind::Capture => "completions asked",
            _ => "releases asked",
        }),
        Ok(Err(_)) => w.tally.see("legs refused"),
        Err(_) => {}
    }
    if !key.is_empty() && matches!(told, Ok(Ok(_))) && w.rng.chance(50) {
        // The caller lost the answer and says it again: the same leg.
        let again = w.asked(&leg);
        let same = matches!(again, Err(_) | Ok(Ok(crate::world::Done { wrote: false, .. })));
        assert!(same, "I9: a leg's key began a second leg: {again:?}");
    }
}

/// Everything went back already: another refund must be refused.
fn nothing_left(w: &mut World, payment: PaymentId) {
    if w.till().foreground().is_none() {
        let more = Input::Leg {
            payment,
            kind: LegKind::Refund,
            of: 0,
            amount: Some(Money::new(1, Currency::CNY)),
            key: String::new(),
            reason: "once more".into(),
            operator: Some("op".into()),
        };
        refused(&w.asked(&more), "I10: a refund beyond what was taken", |r| {
            matches!(r, Refusal::NoLeg { .. })
        });
    }
}

/// The card for a leg: the right one, another one, or none.
pub(super) fn bring_card(w: &mut World, p: Sight) {
    let payment = p.id;
    let token = seen(w, payment)
        .and_then(|p| {
            let leg = p.open_attempt()?;
            Some(p.attempt(leg.of)?.token.clone())
        })
        .unwrap_or_default();
    match w.rng.below(10) {
        0 => {
            let other = presented("card-stripe", format!("{token}-other"), None);
            let told = w.asked(&Input::Present { payment, presented: other });
            if !token.is_empty() {
                refused(&told, "a leg took another card", |r| matches!(r, Refusal::OtherCard(_)));
            }
        }
        1 | 2 => drop(cancel(w, payment)),
        _ => drop(w.asked(&Input::Present { payment, presented: presented("card-stripe", token, None) })),
    }
}

/// Reviews, acknowledgements, part-paid payments, holds that ran out.
pub(super) fn clear_up(w: &mut World) {
    // What is open first; else anything.
    let open: Vec<PaymentId> = w.till().open_payments().map(|p| p.id).collect();
    let payment = if open.is_empty() { one_of(w) } else { Some(w.rng.pick(&open)) };
    let Some(p) = payment.and_then(|id| seen(w, id)) else { return };
    let (payment, state, asked) = (p.id, p.state, p.acknowledged == Some(false));
    drop(p);
    if asked && w.rng.chance(60) {
        let told = w.asked(&Input::Acknowledge { payment, operator: Some("op".into()) });
        assert!(!matches!(told, Ok(Err(_))), "a sale that waits for it cannot be acknowledged: {told:?}");
        return;
    }
    match state {
        PaymentState::Review => review(w, payment),
        PaymentState::PartPaid if w.rng.chance(50) && !w.operator.is_evening() => {
            let _told = w.asked(&Input::Resume { payment, operator: Some("op".into()) });
        }
        PaymentState::Authorised => {
            let told: Told = w.asked(&Input::ExpireHold { payment });
            if matches!(told, Ok(Ok(_))) {
                w.tally.see("holds run out");
            } else if w.operator.is_evening() {
                drop(cancel(w, payment));
            }
        }
        _ => drop(cancel(w, payment)),
    }
}

/// Two people look at the network's statement and say what became of it.
fn review(w: &mut World, payment: PaymentId) {
    let now = w.clock.now;
    let in_review = seen(w, payment).and_then(|p| {
        let a = p.attempts.iter().find(|a| a.state == AttemptState::Review)?;
        Some((a.ids.attempt, profile::index(&a.channel), a.ids.order.clone()))
    });
    let (attempt, verdict) = match in_review {
        Some((attempt, channel, order)) => {
            if now < w.watch.sent_at(payment, attempt) + STATEMENT_AFTER_MS {
                return;
            }
            let happened = w.hosts[channel].asked_by_hand(&order);
            (attempt, if happened { Verdict::Happened } else { Verdict::DidNot })
        }
        None => (0, Verdict::Happened),
    };
    let propose = Input::ProposeReview {
        payment,
        attempt,
        verdict,
        reason: "the statement says so".into(),
        operator: "first".into(),
    };
    if !matches!(w.asked(&propose), Ok(Ok(_))) {
        return;
    }
    let confirm =
        |operator: &str| Input::ConfirmReview { payment, attempt, verdict, operator: operator.into() };
    if w.rng.chance(30) {
        let told = w.asked(&confirm("First "));
        refused(&told, "W8: one person alone decided a review", |r| matches!(r, Refusal::Review { .. }));
    }
    match w.asked(&confirm("second")) {
        Ok(Ok(_)) => w.tally.see("reviews decided"),
        Ok(Err(e)) => panic!("two people cannot decide a review: {e}"),
        Err(_) => {}
    }
}

fn one_of(w: &mut World) -> Option<PaymentId> {
    let known = w.operator.known.len();
    // Mostly one of the newest.
    let from = if w.rng.chance(70) { known.saturating_sub(12) } else { 0 };
    let at = from + w.rng.index(known - from);
    w.operator.known.get(at).copied()
}

/// As a caller sees it: also what has left memory.
pub(super) fn seen(w: &World, payment: PaymentId) -> Option<Cow<'_, Payment>> {
    let folded = || w.disk.payment(payment, u64::MAX).map(Cow::Owned);
    w.till().payment(payment).map(Cow::Borrowed).or_else(folded)
}
