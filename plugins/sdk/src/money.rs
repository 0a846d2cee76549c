//! Money: whole minor units with their currency. There is no other way to name an amount across an interface.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A currency of ISO 4217, by its three-letter code.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// Chinese yuan; minor unit fen.
    pub const CNY: Self = Self(iso_currency::Currency::CNY);

    /// The three-letter code, `CNY`.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// The three-digit number of ISO 4217, 156 for CNY.
    pub fn numeric(self) -> u16 {
        self.0.numeric()
    }

    /// Digits after the point, 2 for CNY, 0 for JPY. Currencies without a minor unit count as 0.
    pub fn exponent(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

/// A currency code that ISO 4217 does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a currency code of ISO 4217; write three capital letters such as CNY")]
pub struct CurrencyError(pub String);

impl FromStr for Currency {
    type Err = CurrencyError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        // The list is long, and nearly every amount is in its home currency.
        if s == "CNY" {
            return Ok(Self::CNY);
        }
        iso_currency::Currency::from_code(s)
            .map(Self)
            .ok_or_else(|| CurrencyError(s.chars().take(8).collect()))
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_str(Code)
    }
}

/// Reads the code where it lies: amounts are in every record, and none of them needs a text of its own.
struct Code;

impl Visitor<'_> for Code {
    type Value = Currency;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a currency code of ISO 4217")
    }

    fn visit_str<E: serde::de::Error>(self, code: &str) -> Result<Currency, E> {
        code.parse().map_err(E::custom)
    }
}

/// An amount: minor units (fen, cent) of one currency. Signed, because a difference may be.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// Two amounts that cannot be reckoned together, a text that is no amount, or a sum that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Currencies differ.
    #[error("cannot reckon {0} with {1}: the currencies differ")]
    Currency(Currency, Currency),
    /// Result outside i64.
    #[error("the amount does not fit into 64 bits of minor units")]
    Overflow,
    /// Not a decimal amount.
    #[error(
        "{text:?} is not an amount of {currency}: write digits with at most {digits} after the point, such as 128.50"
    )]
    Text {
        /// What was given (cut to 32 characters).
        text: String,
        /// The currency it was read for.
        currency: Currency,
        /// Digits after the point the currency has.
        digits: u32,
    },
}

impl Money {
    /// `minor` units of `currency`.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing of `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Greater than zero.
    pub const fn is_positive(self) -> bool {
        self.minor > 0
    }

    /// Sum, refused when currencies differ or it does not fit.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// Difference, refused when currencies differ or it does not fit.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same(other)?;
        let minor = self.minor.checked_sub(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    fn same(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::Currency(self.currency, other.currency))
        }
    }

    /// The decimal text without a currency, `128.50`, exact (integers only).
    pub fn decimal(self) -> String {
        let exponent = self.currency.exponent();
        let sign = if self.minor < 0 { "-" } else { "" };
        let magnitude = self.minor.unsigned_abs();
        if exponent == 0 {
            return format!("{sign}{magnitude}");
        }
        let scale = 10_u64.pow(exponent);
        let width = exponent as usize;
        format!("{sign}{}.{:0width$}", magnitude / scale, magnitude % scale)
    }

    /// Reads `128`, `128.5` or `128.50`; refuses signs, spaces, exponents, separators and more digits than the
    /// currency has.
    pub fn from_decimal(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let digits = currency.exponent();
        let bad = || MoneyError::Text { text: text.chars().take(32).collect(), currency, digits };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty()
            || !all_digits(whole)
            || !all_digits(fraction)
            || fraction.len() > digits as usize
            || (text.contains('.') && fraction.is_empty())
        {
            return Err(bad());
        }
        let joined = format!("{whole}{fraction:0<width$}", width = digits as usize);
        let minor = joined.parse().map_err(|_| MoneyError::Overflow)?;
        Ok(Self { minor, currency })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency, self.decimal())
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cny(minor: i64) -> Money {
        Money::new(minor, Currency::CNY)
    }

    #[test]
    fn reads_and_writes_exactly() {
        assert_eq!(Money::from_decimal("128.50", Currency::CNY), Ok(cny(12_850)));
        assert_eq!(Money::from_decimal("128.5", Currency::CNY), Ok(cny(12_850)));
        assert_eq!(Money::from_decimal("0.07", Currency::CNY), Ok(cny(7)));
        assert_eq!(cny(-5).decimal(), "-0.05");
        assert_eq!(cny(i64::MIN).decimal(), "-92233720368547758.08");
        let yen: Currency = "JPY".parse().unwrap();
        assert_eq!(Money::from_decimal("128", yen).unwrap().to_string(), "JPY 128");
        assert!(Money::from_decimal("1.0", yen).is_err());
    }

    #[test]
    fn refuses_what_is_not_an_amount() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1.234",
            "1e3",
            "1 000",
            "1,00",
            "١",
            "99999999999999999999",
            "NaN",
        ] {
            assert!(Money::from_decimal(text, Currency::CNY).is_err(), "{text}");
        }
    }

    #[test]
    fn never_mixes_currencies_or_wraps() {
        let yen = Money::new(1, "JPY".parse().unwrap());
        assert!(matches!(cny(1).checked_add(yen), Err(MoneyError::Currency(..))));
        assert_eq!(cny(i64::MAX).checked_add(cny(1)), Err(MoneyError::Overflow));
        assert_eq!(cny(i64::MIN).checked_sub(cny(1)), Err(MoneyError::Overflow));
    }

    proptest! {
        #[test]
        fn decimal_text_round_trips(minor in 0_i64..) {
            let m = cny(minor);
            prop_assert_eq!(Money::from_decimal(&m.decimal(), Currency::CNY), Ok(m));
        }
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = Money::from_decimal(&text, Currency::CNY);
        }
    }
}
