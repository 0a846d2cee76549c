//! The till's money in a small world: the real machine, router and journal frames with simulated clock, disk, network,
//! hosts, people and acquirers, all driven by one seed. The same seed gives the same world, byte for byte.
//!
//! * `rng`, `clock`: chance and time; `lookup`: sets; `disk`: the journal's file, torn and full; `host`: networks with their own ledgers;
//! * `profile`: the channels as the till sees them; `faults`: what goes wrong; `operator`: the people;
//! * `world`: the daemon's shell around till-core's; `exchange`, `settlement`: what effects do; `check`: what must hold.
//!
//! `./simulate` runs it; docs/reliability.md says what it proves.

// A program whose findings are panics, caught with their seed.
#![allow(clippy::panic)]

mod check;
mod clock;
mod disk;
mod exchange;
mod faults;
mod host;
mod operator;
#[cfg(feature = "planted")]
pub mod planted;
mod profile;
mod rng;
mod run;
mod settlement;
mod standing;
mod tally;
mod world;

pub use run::{Clock, Failure, Options, Outcome, Plan, live, many};
pub use tally::Tally;
