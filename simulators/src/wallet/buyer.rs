//! How the customer at the other end behaves: chosen by the wallet code itself, or by the test.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the customer does with a payment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Buyer {
    /// Pays at once, no password asked.
    #[default]
    Pays,
    /// Is asked for the password and types it after so many seconds.
    Types {
        /// Seconds from the payment request.
        seconds: u64,
    },
    /// Is asked for the password and never types it.
    Ignores,
    /// Is asked for the password and closes the cashier after so many seconds.
    GivesUp {
        /// Seconds from the payment request.
        seconds: u64,
    },
    /// The account is refused.
    Refused {
        /// Why.
        why: Account,
    },
}

/// Why an account cannot pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Account {
    /// Balance too low.
    BalanceShort,
    /// The bank card behind it has too little.
    BankcardShort,
    /// Paying from the balance is switched off.
    BalanceDisabled,
    /// The month's limit is used up.
    MonthLimit,
    /// Risk control says no.
    Risk,
    /// It failed, no more said.
    Fail,
    /// The phone did not open its cashier.
    CashierFail,
    /// The customer is the merchant.
    IsSeller,
    /// The code has expired on the phone.
    Expired,
}

impl Buyer {
    /// The behaviour written in a wallet code, in its last six digits: `7700NN` types after NN seconds, `770100` never
    /// does, `7702NN` gives up after NN seconds, `77030N` is refused for the Nth reason of [`Account`] (1 is
    /// `balance-short`). Every other code pays at once.
    pub fn of_code(code: &str) -> Self {
        let Some(script) = code.len().checked_sub(6).and_then(|at| code.get(at..)) else { return Self::Pays };
        let (kind, number) = script.split_at(4);
        let Ok(number) = number.parse::<u64>() else { return Self::Pays };
        match (kind, number) {
            ("7700", seconds) => Self::Types { seconds },
            ("7701", 0) => Self::Ignores,
            ("7702", seconds) => Self::GivesUp { seconds },
            ("7703", number) => {
                use Account::{
                    BalanceDisabled, BalanceShort, BankcardShort, CashierFail, Expired, Fail, IsSeller,
                    MonthLimit, Risk,
                };
                let accounts = [
                    BalanceShort,
                    BankcardShort,
                    BalanceDisabled,
                    MonthLimit,
                    Risk,
                    Fail,
                    CashierFail,
                    IsSeller,
                    Expired,
                ];
                let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
                at.and_then(|at| accounts.get(at)).map_or(Self::Pays, |why| Self::Refused { why: *why })
            }
            _ => Self::Pays,
        }
    }

    /// When the customer acts, counted from the request, and whether by paying; nothing if never.
    pub(crate) fn act(self) -> Option<(Duration, bool)> {
        match self {
            Self::Pays => Some((Duration::ZERO, true)),
            Self::Types { seconds } => Some((Duration::from_secs(seconds), true)),
            Self::GivesUp { seconds } => Some((Duration::from_secs(seconds), false)),
            Self::Ignores | Self::Refused { .. } => None,
        }
    }
}

/// A wallet code for people's eyes: its first two and last two digits.
pub fn masked(code: &str) -> String {
    match (code.get(..2), code.len().checked_sub(2).and_then(|at| code.get(at..))) {
        (Some(head), Some(tail)) if code.len() >= 8 => format!("{head}{}{tail}", "*".repeat(code.len() - 4)),
        _ => "*".repeat(code.chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_tells_how_its_owner_behaves() {
        let of = |tail: &str| Buyer::of_code(&format!("280000000000{tail}"));
        assert_eq!(of("000001"), Buyer::Pays);
        assert_eq!(of("770005"), Buyer::Types { seconds: 5 });
        assert_eq!(of("770100"), Buyer::Ignores);
        assert_eq!(of("770230"), Buyer::GivesUp { seconds: 30 });
        assert_eq!(of("770301"), Buyer::Refused { why: Account::BalanceShort });
        assert_eq!(of("770309"), Buyer::Refused { why: Account::Expired });
        assert_eq!(of("770399"), Buyer::Pays);
        assert_eq!(Buyer::of_code("12"), Buyer::Pays);
    }

    #[test]
    fn a_code_is_never_shown_whole() {
        assert_eq!(masked("280000000000000001"), "28**************01");
        assert_eq!(masked("123"), "***");
    }
}
