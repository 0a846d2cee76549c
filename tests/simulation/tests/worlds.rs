//! A few thousand payments with every build; the long runs are commands (docs/reliability.md).

use till_simulation::{Clock, Options, Plan, live, many};

#[test]
fn books_agree_whatever_happens() {
    let plan = Plan { first_seed: 1, payments: Some(6_000), time: None, threads: 2 };
    let (tally, worlds, failure) = many(plan, Options::default(), |_, _, _| {});
    if let Some(failure) = failure {
        panic!(
            "the world of seed {0} failed, see it: ./simulate --seed {0}\n{1}",
            failure.seed, failure.text
        );
    }
    println!("{worlds} worlds, {tally:#?}");
    // A world without these would prove nothing.
    for record in [
        "batch-closed",
        "batch-exception",
        "batch-frozen",
        "business-date",
        "part-closed",
        "settlement-answered",
        "settlement-gave-up",
        "settlement-waited",
        "upload-answered",
        "abandoned",
        "acknowledged",
        "approved",
        "became-unknown",
        "cancel-requested",
        "declined",
        "hold-expired",
        "late-answer",
        "leg-created",
        "leg-presented",
        "not-sent",
        "on",
        "opened-for",
        "payment-to-review",
        "query-open",
        "reopened",
        "resumed",
        "return-decided",
        "review-decided",
        "undo-answered",
        "undo-decided",
        "went-to-review",
    ] {
        assert!(
            tally.record.get(record).is_some_and(|n| *n >= 3),
            "{record} hardly happens: {:?}",
            tally.record
        );
    }
    for state in ["authorised", "cancelled", "paid", "part-paid", "returned", "review"] {
        assert!(
            tally.payment.get(state).is_some_and(|n| *n >= 3),
            "nothing ends {state}: {:?}",
            tally.payment
        );
    }
    for alarm in [
        "answer-mismatch",
        "batch-full",
        "cancelled-but-paid",
        "late-approval",
        "recovered-approval",
        "review",
    ] {
        assert!(tally.alarm.get(alarm).is_some_and(|n| *n >= 3), "no alarm {alarm}: {:?}", tally.alarm);
    }
    for what in [
        "batches ended",
        "booked after never-existed",
        "closed without the network",
        "days closed by hand",
        "days closed by the clock",
        "details sent",
        "nights",
        "parts agreed",
        "settled again by hand",
        "time zone changed",
        "totals compared again",
        "no route",
        "payments brought back to memory",
        "refunds asked",
        "reviews decided",
        "storage-full",
        "sync-failed",
        "used already",
        "voids asked",
    ] {
        assert!(tally.seen.get(what).is_some_and(|n| *n >= 1), "{what} does not happen: {:?}", tally.seen);
    }
    assert!(tally.died.len() >= 6, "the till dies in few ways: {:?}", tally.died);
}

#[test]
fn a_seed_is_the_same_world_byte_for_byte() {
    for seed in 1..30 {
        let options = Options { trace: true, ..Options::default() };
        let (one, two) = (live(seed, options), live(seed, options));
        assert!(!one.trace.is_empty());
        assert_eq!(one.trace, two.trace, "seed {seed}");
        assert_eq!(one.tally, two.tally, "seed {seed}");
    }
}

/// I19: with the same faults and people, a clock that jumps by years changes no money.
#[test]
fn i19_clock_steps_change_no_money() {
    for seed in 1..150 {
        let of = |clock| {
            let outcome = live(seed, Options { clock, ..Options::default() });
            assert!(outcome.failure.is_none(), "{:?}", outcome.failure);
            (outcome.tally.payment, outcome.tally.record)
        };
        assert_eq!(of(Clock::Steady), of(Clock::Jumping), "seed {seed}");
    }
}
