//! One contract for every payment channel (channels.md §0), stated once.
//!
//! A channel is described by a small [`Adapter`]: how its customers pay, how it is pointed at its network, how the network is
//! made to go wrong, what the network's books say. The [`Case`]s are the contract; [`conformance!`](crate::conformance) makes
//! a test of each. A case that does not apply is named by the adapter with its reason, and the suite checks that list against
//! what the channel says of itself.
//!
//! Between a channel and its network stands the suite's [`Road`](road::Road), which cuts, doubles, slows, holds and changes
//! what passes, in the same way for every protocol; what only the network itself can get wrong is scripted in its simulator.
//! The daemon's part ([`Till`](till::Till)) is played as the daemon plays it: prepare, send, and where the outcome is unknown
//! ask and undo by the channel's own rules until it is known.

// A kit of tests: what fails here fails the test that uses it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod adapter;
mod case;
mod cases;
pub mod hidden;
pub mod road;
pub mod script;
pub mod till;
pub mod tls;
pub mod wire;

pub use adapter::{Adapter, Step, Way};
pub use case::Case;
pub use cases::{claims, run};

/// A test of every case, for one adapter.
#[macro_export]
macro_rules! conformance {
    ($adapter:ty) => {
        $crate::conformance!(@ $adapter:
            what_is_taken_is_in_both_books = Taken,
            what_is_refused_is_in_no_book = Refused,
            what_may_not_be_sent_leaves_no_byte = NotSendable,
            the_same_request_twice_is_one_charge = Twice,
            a_restart_between_each_pair_of_steps_changes_nothing = Restarted,
            a_probe_moves_nothing = Probe,
            c23_without_a_trusted_clock_nothing_is_sent = Clock,
            whatever_the_network_does_to_one_step_the_books_agree = OneFault,
            whatever_the_network_does_to_two_steps_the_books_agree = TwoFaults,
            c12_lies_are_not_believed = Lies,
            the_answer_to_another_request_is_not_believed = AnotherAnswer,
            c12_no_changed_bit_is_approved = EveryBit,
            a_refused_connection_is_not_sent = Unreachable,
            a_connection_that_ends_at_any_stage_is_told_as_it_is = Stages,
            an_answer_may_be_slow_or_in_pieces = Slow,
            an_answer_that_comes_twice_counts_once = Doubled,
            an_answer_that_is_cut_is_none = CutShort,
            an_endless_answer_ends_the_wait = Endless,
            a_silent_network_is_left_at_the_deadline = Silent,
            not_found_and_then_found = FoundLater,
            what_was_taken_is_undone_once = Undone,
            what_never_arrived_can_be_undone = UndoneNothing,
            an_undo_that_is_refused_is_not_done = UndoRefused,
            a_refund_happens_once_and_never_goes_beyond = Refunds,
            whatever_happens_to_a_refund_the_books_agree = RefundFaults,
            a_void_happens_once = Voids,
            c13_only_the_pinned_authority_and_name_are_spoken_to = Tls,
            c13_a_network_that_asks_for_the_tills_certificate_gets_it = MutualTls,
        );

        #[test]
        fn the_cases_left_out_are_those_that_do_not_apply() {
            $crate::claims::<$adapter>();
        }
    };
    (@ $adapter:ty: $($name:ident = $case:ident,)*) => {
        $(
            #[test]
            fn $name() {
                $crate::run::<$adapter>($crate::Case::$case);
            }
        )*

        #[test]
        fn every_case_of_the_contract_is_a_test_here() {
            assert_eq!($crate::Case::ALL, &[$($crate::Case::$case),*]);
        }
    };
}
