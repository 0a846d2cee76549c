//! The cards this host knows: public test PANs and what each one does.
//!
//! | PAN | answer | why it is in the set |
//! |---|---|---|
//! | 6200000000000005 | 00, PIN 123456, balance 1,000,000.00 | UnionPay test card, the everyday one |
//! | 6200000000000047 | 00, PIN 888888 | UnionPay debit test card: PIN 123456 is answered 55, the third time 75 |
//! | 6205500000000000004 | 00 | UnionPay test card with 19 digits |
//! | 4111111111111111, 4242424242424242 | 00 | Visa test cards (foreign card, magstripe) |
//! | 5555555555554444 | 00, at most 1,000.00 a payment, above 61 | Mastercard test card with a limit |
//! | 4761739001010119 | 00 | EMV test card |
//! | 4000000000009995 | 51 | test card "insufficient funds" |
//! | 4000000000000002 | 05 | test card "generic decline" |
//! | 4000000000009987 | 41 | test card "lost" |
//! | 4000000000009979 | 43 | test card "stolen" |
//! | 4000000000000069 | 54 | test card "expired" |
//! | 4000000000000127 | 55 | test card "incorrect code" |
//! | 4000000000000119 | 96 | test card "processing error" |
//! | 4000000000000341 | 91 | issuer does not answer |
//! | 4000000000003220 | 00 with 20.00 left; answers 10 (partial) where field 60.6 allows it, else 51 | prepaid remainder |
//! | any other | 14 | unknown card |
//!
//! A payment code carried over 8583 (field 22 = 032, field 59 TLV A3) that starts with 62 is an account with a balance
//! of 1,000,000.00. Scripts add or change cards with the `card` control command.

use super::money::Fen;
use serde::Deserialize;
use std::collections::HashMap;
use std::fmt;

/// A card number or payment code. Shown with first six and last four characters only.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct Instrument(String);

impl Instrument {
    /// Wraps a card number or code.
    pub fn new(number: impl Into<String>) -> Self {
        Self(number.into())
    }

    pub(super) fn clear(&self) -> &str {
        &self.0
    }

    /// `620000******0005`.
    pub fn masked(&self) -> String {
        let chars: Vec<char> = self.0.chars().collect();
        if chars.len() < 13 {
            return "*".repeat(chars.len());
        }
        let hidden = chars.len() - 10;
        chars[..6]
            .iter()
            .copied()
            .chain("*".repeat(hidden).chars())
            .chain(chars[chars.len() - 4..].to_vec())
            .collect()
    }
}

impl fmt::Debug for Instrument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// What a card does when it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Answer code before any other check; `00` goes on to PIN, limit and balance.
    pub answer: String,
    /// The right PIN; `None` takes no PIN check.
    pub pin: Option<String>,
    /// Money on it.
    pub balance: Fen,
    /// Most for one payment (above: 61).
    pub limit: Option<Fen>,
    /// Answers 10 with what is left where the terminal allows partial approval.
    pub partial: bool,
    /// What field 54 of a balance inquiry says instead of the balance, right or not.
    pub field54: Option<String>,
    /// Wrong PINs in a row; three lock it (75).
    pub wrong_pins: u8,
}

impl Default for Card {
    fn default() -> Self {
        Self {
            answer: "00".into(),
            pin: Some("123456".into()),
            balance: Fen::new(100_000_000),
            limit: None,
            partial: false,
            field54: None,
            wrong_pins: 0,
        }
    }
}

/// All cards by number.
#[derive(Debug, Clone)]
pub struct Cards(HashMap<Instrument, Card>);

impl Default for Cards {
    fn default() -> Self {
        let mut cards = HashMap::new();
        let good = [
            "6200000000000005",
            "6205500000000000004",
            "4111111111111111",
            "4242424242424242",
            "4761739001010119",
        ];
        for pan in good {
            cards.insert(Instrument::new(pan), Card::default());
        }
        let fixed = [
            ("4000000000009995", "51"),
            ("4000000000000002", "05"),
            ("4000000000009987", "41"),
            ("4000000000009979", "43"),
            ("4000000000000069", "54"),
            ("4000000000000127", "55"),
            ("4000000000000119", "96"),
            ("4000000000000341", "91"),
        ];
        for (pan, code) in fixed {
            cards.insert(Instrument::new(pan), Card { answer: code.into(), ..Card::default() });
        }
        let special = [
            ("6200000000000047", Card { pin: Some("888888".into()), ..Card::default() }),
            ("5555555555554444", Card { limit: Some(Fen::new(100_000)), ..Card::default() }),
            ("4000000000003220", Card { balance: Fen::new(2_000), partial: true, ..Card::default() }),
        ];
        for (pan, card) in special {
            cards.insert(Instrument::new(pan), card);
        }
        Self(cards)
    }
}

impl Cards {
    /// Adds or replaces a card.
    pub fn set(&mut self, number: Instrument, card: Card) {
        self.0.insert(number, card);
    }

    /// The card with this number. A payment code of the UnionPay range opens an account at its first use.
    pub(super) fn find(&mut self, number: &Instrument, is_code: bool) -> Option<&mut Card> {
        if is_code && number.clear().starts_with("62") && !self.0.contains_key(number) {
            self.0.insert(number.clone(), Card { pin: None, ..Card::default() });
        }
        self.0.get_mut(number)
    }

    /// What is left on a card.
    pub fn balance(&self, number: &Instrument) -> Option<Fen> {
        self.0.get(number).map(|card| card.balance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_shown_whole() {
        assert_eq!(Instrument::new("6200000000000005").masked(), "620000******0005");
        assert_eq!(format!("{:?}", Instrument::new("411111")), "******");
    }
}
