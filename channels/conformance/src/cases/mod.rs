//! The contract, case by case.

mod bits;
mod faults;
mod follow;
mod local;
mod roads;
mod undo;

use std::time::Duration;

use till_plugin::channel::{Channel as _, Outcome, Unknown};

use crate::adapter::{Adapter, Step};
use crate::case::{Case, Facts};
use crate::till::{Sale, Till};
use crate::tls;

/// Runs a case, or says why it does not apply.
pub fn run<A: Adapter>(case: Case) {
    if let Some((_, why)) = A::WITHOUT.iter().find(|(without, _)| *without == case) {
        println!("{}: {case:?} does not apply: {why}", A::NAME);
        return;
    }
    match case {
        Case::Taken => local::taken::<A>(),
        Case::Refused => local::refused::<A>(),
        Case::NotSendable => local::not_sendable::<A>(),
        Case::Twice => local::twice::<A>(),
        Case::Restarted => local::restarted::<A>(),
        Case::Probe => local::probe::<A>(),
        Case::Clock => local::clock::<A>(),
        Case::OneFault => faults::one::<A>(),
        Case::TwoFaults => faults::two::<A>(),
        Case::Lies => faults::lies::<A>(),
        Case::AnotherAnswer => bits::another_answer::<A>(),
        Case::EveryBit => bits::every_bit::<A>(),
        Case::Unreachable => roads::unreachable::<A>(),
        Case::Stages => roads::stages::<A>(),
        Case::Slow => roads::slow::<A>(),
        Case::Doubled => roads::doubled::<A>(),
        Case::CutShort => roads::cut_short::<A>(),
        Case::Endless => roads::endless::<A>(),
        Case::Silent => roads::silent::<A>(),
        Case::FoundLater => undo::found_later::<A>(),
        Case::Undone => undo::undone::<A>(),
        Case::UndoneNothing => undo::undone_nothing::<A>(),
        Case::UndoRefused => undo::refused::<A>(),
        Case::Refunds => follow::refunds::<A>(),
        Case::RefundFaults => follow::refund_faults::<A>(),
        Case::Voids => follow::voids::<A>(),
        Case::Tls => tls::pinned::<A>(),
        Case::MutualTls => tls::mutual::<A>(),
    }
}

/// The cases that the adapter leaves out are exactly those that do not apply to what the channel says of itself, and each
/// has a reason.
pub fn claims<A: Adapter>() {
    let mut till = Till::<A>::new();
    let rules = till.call(|c| c.leg_rules());
    let facts = Facts {
        network: till.road.is_some(),
        mutual: A::MUTUAL,
        faults: !till.net.faults(Step::Sale).is_empty(),
        ..Facts::of(&till.said, &rules)
    };
    let mut claimed: Vec<Case> = A::WITHOUT.iter().map(|(case, _)| *case).collect();
    claimed.sort();
    let without: Vec<Case> = Case::ALL.iter().copied().filter(|case| !case.applies(facts)).collect();
    assert_eq!(claimed, without, "{} leaves out what applies, or claims what does not: {facts:?}", A::NAME);
    assert!(A::WITHOUT.iter().all(|(_, why)| why.len() > 10), "{}: a reason is missing", A::NAME);
}

/// Not longer than this is waited for an answer that does not come.
const SHORT: Duration = Duration::from_millis(900);

/// Sends while this strikes.
fn send_struck<A: Adapter>(till: &mut Till<A>, sale: &Sale, fault: &A::Fault) -> Outcome {
    till.net.strike(&till.bench, Step::Sale, fault);
    let waits = A::waits(fault);
    till.bench.set_remaining(waits.then_some(SHORT));
    let outcome = till.send(sale);
    till.bench.set_remaining(None);
    outcome
}

fn unknown<A: Adapter>(outcome: Outcome, why: &dyn std::fmt::Debug) -> Unknown {
    match outcome {
        Outcome::Unknown(unknown) => unknown,
        other => panic!("{}: not unknown after {why:?}: {other:?}", A::NAME),
    }
}
