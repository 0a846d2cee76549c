//! A simulation that catches nothing proves nothing: every planted fault is noticed, and how soon is stated.
//!
//! `cargo test -p till-simulation --features planted --test planted`

use till_core::planted::Fault;
use till_simulation::planted::{WITHIN, caught};

#[test]
fn every_planted_fault_is_noticed_within_its_stated_number_of_payments() {
    let mut missed = Vec::new();
    for (fault, within) in WITHIN {
        for first in [1, 500_000, 1_000_000] {
            if caught(*fault, first, *within).is_none() {
                missed.push((fault.name(), first));
            }
        }
    }
    assert!(missed.is_empty(), "holes in the simulation: {missed:?}");
}

#[test]
fn each_fault_states_a_number_once() {
    for fault in Fault::ALL {
        let times = WITHIN.iter().filter(|(f, _)| f == fault).count();
        assert_eq!(times, 1, "{}: {}", fault.name(), fault.what());
    }
    assert!(Fault::ALL.len() >= 15);
}
