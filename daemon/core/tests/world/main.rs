//! Random payments through the real machine in a small world of hosts with their own ledgers, faults, crashes and
//! people. Every run is a seed; a failure prints it, and the same seed gives the same run:
//!
//! `TILL_WORLD_SEED=<seed> cargo test -p till-core --test world one_seed -- --nocapture`
//!
//! `TILL_WORLD_PAYMENTS=1000000` makes it longer.
//!
//! * `rng`, `clock`: chance and time, both replayable;
//! * `profile`: the channels as the till sees them; `host`: the networks with their ledgers; `faults`: what goes wrong;
//! * `operator`: the people; `world`: the daemon's shell; `check`: what must hold.

#![allow(clippy::expect_used)] // a test's helpers

mod check;
mod clock;
mod faults;
mod host;
mod operator;
mod profile;
mod rng;
mod world;

use std::time::Instant;

use world::{Tally, World};

const PAYMENTS_PER_WORLD: u64 = 10;

/// Says which seed it was when a check fails.
struct Telltale(u64);

impl Drop for Telltale {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "the world of seed {0} failed; see it happen:\n  TILL_WORLD_SEED={0} cargo test -p till-core --test world one_seed -- --nocapture",
                self.0
            );
        }
    }
}

fn live(seed: u64, trace: bool) -> Tally {
    let _telltale = Telltale(seed);
    let mut world = World::new(seed, PAYMENTS_PER_WORLD, trace);
    world.run();
    world.tally
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|v| v.parse().ok())
}

#[test]
fn books_agree_whatever_happens() {
    let wanted = number("TILL_WORLD_PAYMENTS").unwrap_or(20_000);
    let first = number("TILL_WORLD_SEED").unwrap_or(1);
    let start = Instant::now();
    let mut all = Tally::default();
    let mut seed = first;
    while all.get("payments") < wanted {
        for (what, n) in live(seed, false).0 {
            all.many(&what, n);
        }
        seed += 1;
    }
    let took = start.elapsed();
    println!("{} worlds, {:#?}", seed - first, all.0);
    println!(
        "{} payments in {took:?}: {} a second",
        all.get("payments"),
        u128::from(all.get("payments")) * 1_000_000 / took.as_micros().max(1)
    );
    // A world without these would prove nothing.
    for what in [
        "payment paid",
        "payment cancelled",
        "payment review",
        "approved",
        "declined",
        "not-sent",
        "became-unknown",
        "query-started",
        "query-open",
        "undo-decided",
        "undo-answered",
        "late-answer",
        "cancel-requested",
        "channel-selected",
        "died before the record",
        "died after the record",
        "booked after never-existed",
        "alarm recovered-approval",
        "alarm answer-mismatch",
        "alarm cancelled-but-paid",
        "charges left to review",
        "no route",
        "used already",
    ] {
        assert!(wanted < 10_000 || all.get(what) >= 10, "{what:?} happened {} times only", all.get(what));
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 1..20 {
        assert_eq!(live(seed, false).0, live(seed, false).0);
    }
}

#[test]
fn one_seed() {
    match number("TILL_WORLD_SEED") {
        Some(seed) => println!("{:#?}", live(seed, true)),
        None => println!("skipped: set TILL_WORLD_SEED to see one world happen"),
    }
}
