//! What the network itself gets wrong, by its simulator's script.

use till_plugin::channel::{Outcome, QueryOutcome};

use super::{SHORT, send_struck};
use crate::adapter::{Adapter, Step};
use crate::till::{OWED, Till};

pub(super) fn one<A: Adapter>() {
    let faults = Till::<A>::new().net.faults(Step::Sale);
    for fault in faults {
        let mut till = Till::<A>::new();
        let sale = till.sale(OWED);
        let outcome = send_struck(&mut till, &sale, &fault);
        till.net.calm(&till.bench);
        let said_no = matches!(outcome, Outcome::Declined(_) | Outcome::NotSent(_));
        if said_no {
            till.books(0, &fault);
        }
        let settled = till.settle(&sale, outcome, |_, _| {});
        till.agree(&settled, &fault);
        // And the till goes on.
        let before = till.net.kept(&till.bench).unwrap_or(0);
        till.paid(700);
        till.books(before + 700, &fault);
    }
}

pub(super) fn two<A: Adapter>() {
    let net = Till::<A>::new();
    let first = net.net.faults(Step::Sale);
    let query = net.said.resolve.query.as_ref().map(|_| net.net.faults(Step::Query));
    let undo = net.said.resolve.undo.as_ref().map(|_| net.net.faults(Step::Undo));
    drop(net);
    let rests = query.as_ref().or(undo.as_ref()).map_or(0, Vec::len).max(undo.as_ref().map_or(0, Vec::len));
    for sale_fault in first {
        for rest in 0..rests {
            let mut till = Till::<A>::new();
            let sale = till.sale(OWED);
            let outcome = send_struck(&mut till, &sale, &sale_fault);
            let mut struck = (0, 0);
            let settled = till.settle(&sale, outcome, |till, step| {
                till.net.calm(&till.bench);
                till.bench.set_remaining(None);
                let (faults, times, most) = match step {
                    Step::Query => (&query, &mut struck.0, 2),
                    _ => (&undo, &mut struck.1, 2),
                };
                let fault = faults.as_ref().and_then(|faults| faults.get(rest % faults.len().max(1)));
                if let Some(fault) = fault.filter(|_| *times < most) {
                    *times += 1;
                    till.net.strike(&till.bench, step, fault);
                    till.bench.set_remaining(A::waits(fault).then_some(SHORT));
                }
            });
            till.bench.set_remaining(None);
            till.net.calm(&till.bench);
            let rest =
                (query.as_ref().map(|f| &f[rest % f.len()]), undo.as_ref().map(|f| &f[rest % f.len()]));
            till.agree(&settled, &(&sale_fault, rest));
        }
    }
}

pub(super) fn lies<A: Adapter>() {
    let lies = Till::<A>::new().net.lies();
    assert!(lies.len() >= 3, "{}: name the lies", A::NAME);
    for lie in lies {
        let mut till = Till::<A>::new();
        let sale = till.sale(OWED);
        let outcome = send_struck(&mut till, &sale, &lie);
        super::unknown::<A>(outcome, &lie);
        let Some(rule) = till.said.resolve.query.clone() else { continue };
        // The same lie told to a question: it is not paid by that.
        till.net.calm(&till.bench);
        till.pass(rule.first_ms);
        till.net.strike(&till.bench, Step::Query, &lie);
        let told = till.query(&sale);
        assert!(matches!(told, QueryOutcome::Unknown(_)), "{}: {lie:?} to a question: {told:?}", A::NAME);
    }
}
