//! Answers that were changed on the way, and true answers to other requests (channels.md C12).

use till_plugin::channel::{Approval, Echo, Outcome};

use super::unknown;
use crate::adapter::Adapter;
use crate::road::{Act, Road};
use crate::till::{OWED, Sale, Settled, Till};

fn road<A: Adapter>(till: &Till<A>) -> &Road {
    till.road.as_ref().expect("a network")
}

/// A payment that was approved, and the answers that said so, in order.
fn recorded<A: Adapter>(till: &mut Till<A>, minor: i64) -> (Sale, Approval, Vec<Vec<u8>>) {
    let sale = till.sale(minor);
    road(till).answers();
    let outcome = till.send(&sale);
    let Outcome::Approved(approval) = outcome else { panic!("{}: {outcome:?}", A::NAME) };
    (sale, approval, road(till).answers())
}

pub(super) fn another_answer<A: Adapter>() {
    let mut till = Till::<A>::new();
    let (_, _, answers) = recorded(&mut till, OWED);
    // Of the same amount, and of another.
    for minor in [OWED, 700] {
        let sale = till.sale(minor);
        let before = till.net.kept(&till.bench).unwrap_or(0);
        road(&till).plan(answers.iter().cloned().map(Act::Say));
        till.bench.set_remaining(Some(super::SHORT));
        let outcome = till.send(&sale);
        till.bench.set_remaining(None);
        road(&till).plan([]);
        unknown::<A>(outcome.clone(), &"the answer to another payment");
        let settled = till.settle(&sale, outcome, |_, _| {});
        assert_eq!(settled, Settled::Nothing, "{}", A::NAME);
        till.books(before, &"the answer to another payment");
    }
}

/// What a changed answer may come to.
fn judge<A: Adapter>(outcome: &Outcome, truth: &Approval, answer: &[u8], bit: usize) {
    let Outcome::Approved(approval) = outcome else { return };
    let mut changed = answer.to_vec();
    changed[bit / 8] ^= 1 << (bit % 8);
    let sealed = A::sealed(answer).contains(&(bit / 8)) && !A::same(answer, &changed);
    let around =
        String::from_utf8_lossy(&answer[(bit / 8).saturating_sub(12)..(bit / 8 + 12).min(answer.len())]);
    assert!(!sealed, "{}: bit {bit} changed, near {around:?}, and it is approved", A::NAME);
    // Outside the seal a bit may be lost, but nothing may be said that was not.
    assert_eq!((approval.amount, &approval.echo), (truth.amount, &truth.echo), "bit {bit}, near {around:?}");
}

pub(super) fn every_bit<A: Adapter>() {
    if A::REPLAYS { replayed::<A>() } else { live::<A>() }
}

/// One answer, each of its bits changed in turn, each time as the answer to the very request it was given to.
fn replayed<A: Adapter>() {
    let mut till = Till::<A>::new();
    let (sale, truth, answers) = recorded(&mut till, OWED);
    let number = answers.len();
    assert!(number > 0, "an answer");
    for at in 0..number {
        let whole = answers[at].clone();
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let before = answers[..at].iter().cloned();
            // Nothing true comes behind it that could make up for it.
            let plan = before.chain([changed]).map(Act::Say).chain([Act::Slam(crate::road::End::Close)]);
            road(&till).plan(plan);
            let outcome = till.send_quietly(&sale);
            judge::<A>(&outcome, &truth, &whole, bit);
        }
    }
}

/// A payment for each bit, with a network that books it: what is unknown is undone before the next.
fn live<A: Adapter>() {
    let mut till = Till::<A>::new();
    let (_, truth, answers) = recorded(&mut till, 1);
    let whole = answers[0].clone();
    let mut kept = 1;
    for bit in 0..whole.len() * 8 {
        let sale = till.sale(1);
        road(&till).plan([Act::Flip(bit)]);
        let outcome = till.send(&sale);
        road(&till).plan([]);
        let truth = Approval {
            echo: Echo { order: Some(format!("{:06}", sale.request.ids.trace)), ..truth.echo.clone() },
            ..truth.clone()
        };
        judge::<A>(&outcome, &truth, &whole, bit);
        match till.settle(&sale, outcome, |_, _| {}) {
            Settled::Taken(minor) => kept += minor,
            Settled::Nothing => {}
            Settled::Person => panic!("{}: bit {bit} was never settled", A::NAME),
        }
        till.books(kept, &bit);
    }
}
