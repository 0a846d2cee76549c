//! Measurements of the hot paths, each as a ratio to its bare counterpart within one run. `./bench` prints the table;
//! docs/performance.md says what each line means.
#![allow(clippy::float_arithmetic, clippy::cast_precision_loss)] // figures for people, never money

pub mod devices;
pub mod figures;
pub mod hosts;
pub mod journal;
pub mod machine;
pub mod memory;
pub mod payments;
pub mod rate;
pub mod reader;
pub mod ready;
pub mod routing;
pub mod settling;
pub mod size;
pub mod stock;
pub mod switch;
pub mod table;
pub mod tap;
pub mod till;

/// What a measurement gives, or why it could not be taken.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Minutes: enough for a 99th percentile.
    Full,
    /// Well under a minute: shows what is grossly wrong.
    Quick,
}

impl Effort {
    /// One of two counts.
    #[must_use]
    pub const fn pick(self, full: usize, quick: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}
