//! What is due in cash, and what goes back. Whole minor units only.

use serde::Deserialize;
use thiserror::Error;

/// How an amount between two steps is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// To the nearer step; half goes up.
    Nearest,
    /// Down: the customer pays less.
    Down,
    /// Up: the customer pays more.
    Up,
}

/// The steps that change hands: a shop without the smallest coins rounds the total, not the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    step: i64,
    rounding: Rounding,
}

/// A cash payment that does not work out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// Not a step any currency's coins have.
    #[error("rounding_step {0} is not 1, 5, 10, 50 or 100 minor units")]
    Step(i64),
    /// Zero or less.
    #[error("the amount is not greater than zero")]
    Amount,
    /// The amount is below half a step.
    #[error("the amount rounds to nothing in cash; use another way to pay, or set rounding_step smaller")]
    RoundsToNothing,
    /// Less was given than is due.
    #[error("{missing} minor units are missing: ask the customer for more, or enter what was really given")]
    TooLittle {
        /// How much is missing, minor units.
        missing: i64,
    },
    /// More change than a person would ever be given.
    #[error(
        "the change would be {change} minor units, above largest_change {largest}; check what was entered as given"
    )]
    TooMuch {
        /// The change it would be, minor units.
        change: i64,
        /// The setting.
        largest: i64,
    },
    /// Beyond 64 bits.
    #[error("the amount is too large for cash")]
    Overflow,
}

/// A cash payment that works out. All in minor units of one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worked {
    /// What is due in cash, after rounding.
    pub due: i64,
    /// `due` less the amount owed: negative when the customer pays less.
    pub rounded_by: i64,
    /// What goes back to the customer.
    pub change: i64,
}

impl Steps {
    /// Rounding to a step, in minor units.
    pub const fn new(step: i64, rounding: Rounding) -> Result<Self, ChangeError> {
        match step {
            1 | 5 | 10 | 50 | 100 => Ok(Self { step, rounding }),
            _ => Err(ChangeError::Step(step)),
        }
    }

    /// What changes hands for an amount owed.
    pub fn due(self, owed: i64) -> Result<i64, ChangeError> {
        if owed <= 0 {
            return Err(ChangeError::Amount);
        }
        let over = owed % self.step;
        let below = owed - over;
        let up = match self.rounding {
            Rounding::Nearest => over * 2 >= self.step,
            Rounding::Down => false,
            Rounding::Up => over > 0,
        };
        let due =
            if up && over > 0 { below.checked_add(self.step).ok_or(ChangeError::Overflow)? } else { below };
        if due == 0 { Err(ChangeError::RoundsToNothing) } else { Ok(due) }
    }

    /// Works a payment out: what is due of `owed`, and what of `tendered` goes back.
    pub fn work_out(self, owed: i64, tendered: i64, largest: i64) -> Result<Worked, ChangeError> {
        let due = self.due(owed)?;
        // `due` is positive, so only a negative `tendered` could overflow here.
        let change = tendered.checked_sub(due).ok_or(ChangeError::Overflow)?;
        if change < 0 {
            return Err(ChangeError::TooLittle {
                missing: due.checked_sub(tendered).ok_or(ChangeError::Overflow)?,
            });
        }
        if change > largest {
            return Err(ChangeError::TooMuch { change, largest });
        }
        Ok(Worked { due, rounded_by: due - owed, change })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn steps(step: i64, rounding: Rounding) -> Steps {
        Steps::new(step, rounding).unwrap()
    }

    #[test]
    fn two_hundred_for_128_50_gives_71_50_back() {
        let got = steps(1, Rounding::Nearest).work_out(12_850, 20_000, 100_000).unwrap();
        assert_eq!(got, Worked { due: 12_850, rounded_by: 0, change: 7_150 });
    }

    #[test]
    fn an_exact_payment_gives_nothing_back_and_one_fen_less_is_refused() {
        let all = steps(1, Rounding::Nearest);
        assert_eq!(all.work_out(12_850, 12_850, 0).unwrap().change, 0);
        assert_eq!(all.work_out(12_850, 12_849, 0), Err(ChangeError::TooLittle { missing: 1 }));
        assert_eq!(all.work_out(12_850, i64::MIN, 0), Err(ChangeError::Overflow));
    }

    #[test]
    fn rounding_to_the_jiao_follows_the_setting() {
        for (rounding, owed, due) in [
            (Rounding::Nearest, 1_234, 1_230),
            (Rounding::Nearest, 1_235, 1_240),
            (Rounding::Nearest, 1_230, 1_230),
            (Rounding::Down, 1_239, 1_230),
            (Rounding::Up, 1_231, 1_240),
            (Rounding::Up, 1_230, 1_230),
        ] {
            assert_eq!(steps(10, rounding).due(owed), Ok(due), "{rounding:?} {owed}");
        }
        assert_eq!(steps(10, Rounding::Nearest).due(4), Err(ChangeError::RoundsToNothing));
        assert_eq!(steps(100, Rounding::Up).due(i64::MAX), Err(ChangeError::Overflow));
    }

    #[test]
    fn a_barcode_in_the_tendered_field_is_not_a_banknote() {
        let got = steps(1, Rounding::Nearest).work_out(12_850, 6_901_234_567_892, 100_000);
        assert!(matches!(got, Err(ChangeError::TooMuch { .. })));
    }

    #[test]
    fn steps_no_coin_has_are_refused() {
        for step in [0, -1, 2, 3, 1000, i64::MIN] {
            assert_eq!(Steps::new(step, Rounding::Nearest), Err(ChangeError::Step(step)));
        }
    }

    proptest! {
        #[test]
        fn no_money_appears_or_vanishes(owed in any::<i64>(), tendered in any::<i64>(), step in prop::sample::select(vec![1_i64, 5, 10, 50, 100]), rounding in prop::sample::select(vec![Rounding::Nearest, Rounding::Down, Rounding::Up])) {
            if let Ok(w) = steps(step, rounding).work_out(owed, tendered, i64::MAX) {
                prop_assert_eq!(w.due + w.change, tendered);
                prop_assert_eq!(w.due, owed + w.rounded_by);
                prop_assert!(w.due > 0 && w.change >= 0 && w.due % step == 0 && w.rounded_by.abs() < step);
                match rounding {
                    Rounding::Nearest => prop_assert!(w.rounded_by.abs() * 2 <= step),
                    Rounding::Down => prop_assert!(w.rounded_by <= 0),
                    Rounding::Up => prop_assert!(w.rounded_by >= 0),
                }
            }
        }
    }
}
