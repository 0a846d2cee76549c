//! Amounts as the protocol writes them: yuan in text; and as the ledger keeps them: whole fen.

use serde::{Serialize, Serializer};

/// An amount of CNY in fen (minor units). The gateway knows no other currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fen(i64);

impl Fen {
    /// The largest single payment that the protocol admits: CNY 100,000,000.00.
    pub const LARGEST: Self = Self(10_000_000_000);
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many fen.
    pub const fn new(fen: i64) -> Self {
        Self(fen)
    }

    /// The number of fen.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Reads yuan in text: digits, at most two decimals, at least 0.01, at most [`Fen::LARGEST`]. Nothing else passes: no
    /// sign, no blank, no exponent, no leading zero before another digit.
    pub fn read(yuan: &str) -> Option<Self> {
        let (whole, decimals) = yuan.split_once('.').unwrap_or((yuan, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let led_by_zero = whole.len() > 1 && whole.starts_with('0');
        if !digits(whole) || !digits(decimals) || decimals.len() > 2 || whole.len() > 9 || led_by_zero {
            return None;
        }
        let fen = whole.parse::<i64>().ok()? * 100 + format!("{decimals:0<2}").parse::<i64>().ok()?;
        Some(Self(fen)).filter(|amount| *amount > Self::ZERO && *amount <= Self::LARGEST)
    }

    /// Yuan with exactly two decimals.
    pub fn yuan(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let fen = self.0.unsigned_abs();
        format!("{sign}{}.{:02}", fen / 100, fen % 100)
    }

    /// The sum. Amounts here are bounded by [`Fen::LARGEST`], so it saturates only when a test asks for nonsense.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Serialize for Fen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yuan_are_read_exactly_or_not_at_all() {
        for (text, fen) in
            [("128.50", 12850), ("0.01", 1), ("1", 100), ("1.5", 150), ("100000000.00", 10_000_000_000)]
        {
            assert_eq!(Fen::read(text), Some(Fen::new(fen)), "{text}");
        }
        for bad in [
            "",
            "0",
            "0.00",
            "-1",
            "+1",
            "1.",
            ".5",
            "1.234",
            "1e2",
            " 1",
            "1,00",
            "01.00",
            "100000000.01",
            "９",
            "1.0.0",
        ] {
            assert_eq!(Fen::read(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(fen in 1..=Fen::LARGEST.get()) {
            proptest::prop_assert_eq!(Fen::read(&Fen::new(fen).yuan()), Some(Fen::new(fen)));
        }
    }
}
