//! What a channel takes of a sale, as agreed in the contract: forecast of payouts (S67), and the cost by which routing
//! chooses (S12). One function for both, so that what was chosen as cheap is what is forecast.
//!
//! Everything is whole minor units and integers: a rate is in millionths, and what is not whole is rounded once, as the
//! contract says. No sum of 64-bit amounts and 32-bit rates leaves 128 bits.

mod charged;

pub use charged::{Fee, FeeLine, FeeReport, ROUNDING};
use till_plugin::Money;

/// Millionths in one.
const MILLION: i128 = 1_000_000;

/// Most tiers of a plan.
pub const MAX_TIERS: usize = 16;

/// What a channel takes of each sale: a rate and a fixed part, between a least and a most; larger amounts may have terms of
/// their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeePlan {
    /// Millionths of the amount (0.6 % is 6000).
    pub rate_ppm: u32,
    /// Added to it, minor units of the sale's currency.
    pub fixed: u32,
    /// At least this, minor units.
    pub min: u32,
    /// At most this, minor units; None: no cap.
    pub max: Option<u32>,
    /// Other terms for larger amounts, by ascending `from`. The whole amount has the terms of the last tier that it reaches.
    pub tiers: Vec<Tier>,
    /// What becomes of a part of a minor unit.
    pub rounding: Rounding,
}

/// Terms of amounts from a size on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Smallest amount that has them, minor units.
    pub from: u64,
    /// Millionths of the whole amount.
    pub rate_ppm: u32,
    /// Added to it, minor units.
    pub fixed: u32,
}

/// What becomes of a part of a minor unit of the rate.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest whole one, a half upwards.
    #[default]
    HalfUp,
    /// To the nearest whole one, a half to the even one.
    HalfEven,
    /// Upwards.
    Up,
    /// It is left out.
    Down,
}

impl Rounding {
    /// `numerator / denominator` as a whole number; both are not negative, the second not zero.
    const fn divide(self, numerator: i128, denominator: i128) -> i128 {
        let (whole, rest) = (numerator / denominator, numerator % denominator);
        let up = match self {
            Self::HalfUp => 2 * rest >= denominator,
            Self::HalfEven => 2 * rest > denominator || (2 * rest == denominator && whole % 2 == 1),
            Self::Up => rest > 0,
            Self::Down => false,
        };
        if up { whole + 1 } else { whole }
    }
}

/// A plan that nobody can have meant.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeePlanError {
    /// More than everything.
    #[error("a rate of {0} millionths is more than the whole amount; 0.6 % is 6000")]
    Rate(u32),
    /// The most is less than the least.
    #[error("max, {max}, is less than min, {min}")]
    Max {
        /// Most.
        max: u32,
        /// Least.
        min: u32,
    },
    /// Too many tiers.
    #[error("{0} tiers: at most {MAX_TIERS}")]
    Tiers(usize),
    /// Tiers out of order.
    #[error("tiers go upwards from more than 0, each `from` larger than the one before: {0} is not")]
    Order(u64),
}

impl FeePlan {
    /// Whether anybody can have meant it.
    pub fn check(&self) -> Result<(), FeePlanError> {
        let rates = std::iter::once(self.rate_ppm).chain(self.tiers.iter().map(|t| t.rate_ppm));
        if let Some(rate) = rates.into_iter().find(|rate| i128::from(*rate) > MILLION) {
            return Err(FeePlanError::Rate(rate));
        }
        if let Some(max) = self.max.filter(|max| *max < self.min) {
            return Err(FeePlanError::Max { max, min: self.min });
        }
        if self.tiers.len() > MAX_TIERS {
            return Err(FeePlanError::Tiers(self.tiers.len()));
        }
        let mut before = 0;
        for tier in &self.tiers {
            if tier.from <= before {
                return Err(FeePlanError::Order(tier.from));
            }
            before = tier.from;
        }
        Ok(())
    }

    /// Fee of one sale in whole minor units: never below nothing, never more than the amount.
    pub fn of(&self, amount: Money) -> Money {
        let minor = i128::from(amount.minor().max(0));
        let tier = self.tiers.iter().rev().find(|t| i128::from(t.from) <= minor);
        let (rate, fixed) = tier.map_or((self.rate_ppm, self.fixed), |t| (t.rate_ppm, t.fixed));
        // One sum, rounded once: which whole number is even depends on the fixed part too.
        let exact = minor * i128::from(rate) + i128::from(fixed) * MILLION;
        let mut fee = self.rounding.divide(exact, MILLION).max(i128::from(self.min));
        if let Some(max) = self.max {
            fee = fee.min(i128::from(max));
        }
        // At most the amount, which is 64 bits.
        Money::new(i64::try_from(fee.min(minor)).unwrap_or(0), amount.currency())
    }
}
