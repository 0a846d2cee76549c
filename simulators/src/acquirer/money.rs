//! Amounts on this host: minor units of the one currency it books.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// An amount in CNY fen (field 49 = 156). The host refuses every other currency, so the type carries none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug, Hash, Deserialize)]
#[serde(transparent)]
pub struct Fen(i64);

impl Fen {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// An amount of this many fen.
    pub const fn new(minor: i64) -> Self {
        Self(minor)
    }

    /// Minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// Reads field 4: twelve digits.
    pub fn from_field(text: &str) -> Option<Self> {
        let digits = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Self)
    }

    /// Field 4 for this amount; negative amounts and amounts above twelve digits have none.
    pub fn to_field(self) -> Option<String> {
        (0..1_000_000_000_000).contains(&self.0).then(|| format!("{:012}", self.0))
    }

    /// The sum, held at the ends of the range: a simulator's ledger has no use for a wrapped total.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, held at the ends of the range.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether this amount is at most `percent` per cent of `whole` (channels.md §1.3: completions, 115).
    #[must_use]
    pub const fn within_percent(self, whole: Self, percent: i64) -> bool {
        self.0.saturating_mul(100) <= whole.0.saturating_mul(percent)
    }
}

impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let minor = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02} CNY", minor / 100, minor % 100)
    }
}

impl Serialize for Fen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut amount = serializer.serialize_struct("Amount", 2)?;
        amount.serialize_field("minor", &self.0)?;
        amount.serialize_field("currency", "CNY")?;
        amount.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_4_is_twelve_digits_and_nothing_else() {
        assert_eq!(Fen::from_field("000000012850"), Some(Fen::new(12_850)));
        for bad in ["12850", "00000001285x", "-00000012850", "0000000128500", ""] {
            assert_eq!(Fen::from_field(bad), None, "{bad}");
        }
        assert_eq!(Fen::new(12_850).to_field().as_deref(), Some("000000012850"));
        assert_eq!(Fen::new(-1).to_field(), None);
        assert_eq!(Fen::new(1_000_000_000_000).to_field(), None);
        assert_eq!(Fen::new(-5).to_string(), "-0.05 CNY");
    }
}
