//! Somebody new is shown the till: it goes over to training and back, and what is practised is practised like the rest.

use till_core::{Input, LegKind, PaymentId, Refusal};

use super::{Operator, after, refused, sell};
use crate::world::World;

/// A turn of the people in a world with training; false: they do what they do on other days.
pub(super) fn turn(w: &mut World) -> bool {
    let on = w.till().is_training();
    if !on {
        return !w.operator.is_evening() && w.rng.chance(6) && set(w, true);
    }
    // Nothing real is cleared up meanwhile.
    if w.operator.is_evening() {
        return set(w, false);
    }
    match w.rng.below(20) {
        0 => set(w, false),
        1 => real_is_left_alone(w),
        2..6 => {
            after::look_back(w);
            true
        }
        6 | 7 => false,
        _ => {
            sell::open(w);
            true
        }
    }
}

fn set(w: &mut World, on: bool) -> bool {
    let nobody = Input::SetTraining { on, operator: " ".into() };
    if w.rng.chance(10) {
        refused(&w.asked(&nobody), "I17: nobody put the till into training", |r| {
            matches!(r, Refusal::Training(_))
        });
    }
    let told = w.asked(&Input::SetTraining { on, operator: "first".into() });
    assert!(!matches!(told, Ok(Err(_))), "a free till does not go over to training, or back: {told:?}");
    if matches!(told, Ok(Ok(_))) {
        w.tally.see(if on { "training begun" } else { "training ended" });
    }
    true
}

/// No money of a real payment is moved while everybody takes what happens for practice.
fn real_is_left_alone(w: &mut World) -> bool {
    let real: Vec<PaymentId> = w
        .operator
        .known
        .iter()
        .copied()
        .filter(|id| w.till().payment(*id).is_some_and(|p| !p.training))
        .collect();
    if real.is_empty() {
        return true;
    }
    let leg = Input::Leg {
        payment: w.rng.pick(&real),
        kind: LegKind::Refund,
        of: 0,
        amount: None,
        key: String::new(),
        reason: "to see how it is done".into(),
        operator: Some("new".into()),
    };
    refused(&w.asked(&leg), "I17: a real payment was refunded in training", |r| {
        matches!(r, Refusal::Training(_))
    });
    true
}

/// The payment that somebody has in mind is of the kind that can be touched now.
pub(super) fn fits(w: &World, payment: PaymentId) -> bool {
    let training = w.till().is_training();
    !w.operator.trains
        || w.till()
            .payment(payment)
            .map(|p| p.training)
            .or_else(|| w.disk.payment(payment, u64::MAX).map(|p| p.training))
            .is_none_or(|its| its == training)
}

impl Operator {
    /// Training has keys of its own: some are those of real payments. None means two things, even if the till died before it
    /// had heard of the first.
    pub(super) fn training_key(w: &mut World) -> String {
        let n = w.operator.asked.len();
        let old = w.rng.index(n + 1);
        match w.operator.asked.get(old) {
            Some(real) if !real.training && w.rng.chance(20) && !w.operator.practised(&real.key) => {
                real.key.clone()
            }
            _ => format!("key-{n}"),
        }
    }

    fn practised(&self, key: &str) -> bool {
        self.asked.iter().any(|asked| asked.training && asked.key == key)
    }
}
