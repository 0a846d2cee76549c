//! Fen to yuan text and back.
//!
//! Alipay carries amounts as yuan with exactly two decimals in text, WeChat Pay in whole fen (channels §0.4). Text to integer and
//! back stays text and integer: a binary fraction cannot hold 0.10, so none is ever involved.

use thiserror::Error;

/// The largest amount one trade may carry: 100,000,000.00 yuan, in fen.
pub const LARGEST_FEN: i64 = 10_000_000_000;

/// An amount of money in Chinese fen (1/100 yuan), always between 0.01 and 100,000,000.00 yuan.
///
/// Zero, negative and oversized amounts cannot be held, so no request can be built from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fen(i64);

/// Why a number or a text is not an amount a wallet could carry.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Zero or negative, or above [`LARGEST_FEN`].
    #[error("{0} fen is outside what one trade may carry (1 to {LARGEST_FEN} fen); change the amount")]
    OutOfRange(i64),
    /// Not of the form `digits.two digits`.
    #[error("an amount in the answer is not yuan with exactly two decimals")]
    NotYuan,
}

impl Fen {
    /// An amount from minor units.
    pub const fn new(fen: i64) -> Result<Self, AmountError> {
        if fen >= 1 && fen <= LARGEST_FEN { Ok(Self(fen)) } else { Err(AmountError::OutOfRange(fen)) }
    }

    /// The amount in fen.
    pub const fn fen(self) -> i64 {
        self.0
    }

    /// The amount as the gateway writes it: yuan, a point, exactly two decimals.
    pub fn to_yuan(self) -> String {
        format!("{}.{:02}", self.0 / 100, self.0 % 100)
    }

    /// Reads what the gateway wrote. Only `digits.dd` is an amount: no sign, no spaces, no exponent, no
    /// leading zeros beyond one, so that two different texts are never the same amount.
    pub fn from_yuan(text: &str) -> Result<Self, AmountError> {
        Self::new(parse_yuan(text)?)
    }
}

/// Like [`Fen::from_yuan`], for fields that may be zero (a refunded total, for instance). Never negative.
pub fn parse_yuan(text: &str) -> Result<i64, AmountError> {
    let (yuan, fen) = text.split_once('.').ok_or(AmountError::NotYuan)?;
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if yuan.is_empty() || yuan.len() > 15 || fen.len() != 2 || !digits(yuan) || !digits(fen) {
        return Err(AmountError::NotYuan);
    }
    if yuan.len() > 1 && yuan.starts_with('0') {
        return Err(AmountError::NotYuan);
    }
    // At most 17 digits: below i64::MAX, so neither parse nor product can overflow.
    let yuan: i64 = yuan.parse().map_err(|_| AmountError::NotYuan)?;
    let fen: i64 = fen.parse().map_err(|_| AmountError::NotYuan)?;
    Ok(yuan * 100 + fen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_issue_s_sale_is_written_to_the_fen() {
        assert_eq!(Fen::new(12_850).unwrap().to_yuan(), "128.50");
        assert_eq!(Fen::new(1).unwrap().to_yuan(), "0.01");
        assert_eq!(Fen::new(10).unwrap().to_yuan(), "0.10");
        assert_eq!(Fen::new(LARGEST_FEN).unwrap().to_yuan(), "100000000.00");
    }

    #[test]
    fn amounts_no_trade_may_carry_cannot_exist() {
        for fen in [0, -1, i64::MIN, LARGEST_FEN + 1, i64::MAX] {
            assert_eq!(Fen::new(fen), Err(AmountError::OutOfRange(fen)));
        }
    }

    #[test]
    fn only_one_spelling_of_an_amount_is_read() {
        for bad in [
            "",
            ".",
            "1",
            "1.",
            ".50",
            "1.5",
            "1.500",
            "01.50",
            "00.50",
            "+1.50",
            "-1.50",
            " 1.50",
            "1.50 ",
            "1,000.00",
            "1e3.00",
            "1.5e",
            "１.50",
            "0x1.00",
            "1.-5",
            "1.+5",
            "9999999999999999.00",
        ] {
            assert_eq!(Fen::from_yuan(bad), Err(AmountError::NotYuan), "{bad:?}");
        }
        assert!(matches!(Fen::from_yuan("0.00"), Err(AmountError::OutOfRange(0))));
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(fen in 1..=LARGEST_FEN) {
            let amount = Fen::new(fen).unwrap();
            prop_assert_eq!(Fen::from_yuan(&amount.to_yuan()), Ok(amount));
        }

        #[test]
        fn any_text_is_read_without_a_crash_and_spelled_back_the_same(text in "\\PC{0,24}|[0-9]{0,18}\\.[0-9]{0,3}") {
            if let Ok(amount) = Fen::from_yuan(&text) {
                prop_assert_eq!(amount.to_yuan(), text);
            }
        }
    }
}
