//! What did the customer present? Anything unsure goes to the operator; there is never a guess (S6).
//!
//! Rules of channels.md §4.6; the prefix table is configuration ([`Table`]), its default is what the networks publish.

use serde::{Deserialize, Serialize};
use till_plugin::{Family, Instrument};

/// A payment code's shape: digits only, a length range and a range of its first digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CodeRule {
    /// Family of such codes.
    pub family: Family,
    /// Shortest, digits.
    pub min_length: usize,
    /// Longest, digits.
    pub max_length: usize,
    /// Lowest value of the first two digits.
    pub first: u8,
    /// Highest value of the first two digits.
    pub last: u8,
}

/// The code rules in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Table(pub Vec<CodeRule>);

impl Default for Table {
    fn default() -> Self {
        let rule = |family: &str, min_length, max_length, first, last| CodeRule {
            family: Family::new(family),
            min_length,
            max_length,
            first,
            last,
        };
        Self(vec![
            rule(Family::QR_WECHAT, 18, 18, 10, 15),
            rule(Family::QR_ALIPAY, 16, 24, 25, 30),
            rule(Family::QR_UNIONPAY, 19, 19, 62, 62),
        ])
    }
}

/// What was recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recognised {
    /// An instrument of one family.
    Instrument {
        /// Family.
        family: Family,
        /// How it is known, lower-kebab (`code-prefix`, `stripe`, `aid` …).
        evidence: String,
    },
    /// Looks like one of several: the operator says which.
    Ambiguous {
        /// The families.
        families: Vec<Family>,
    },
    /// An article number, not a payment.
    Goods,
    /// Something that must not be paid with, and why.
    Refused {
        /// Lower-kebab.
        reason: String,
        /// One line.
        text: String,
    },
    /// Not known: the operator decides.
    Unknown {
        /// One line, without the data.
        text: String,
    },
}

/// Start of a customer-presented EMV code: base64 of `85 05 "CPV01"`.
const EMV_CPM: &str = "hQVDUFYwM";

/// Names what was presented.
pub fn recognise(instrument: &Instrument, table: &Table) -> Recognised {
    let family = |family: &str, evidence: &str| Recognised::Instrument {
        family: Family::new(family),
        evidence: evidence.into(),
    };
    match instrument {
        Instrument::Code(code) => code_text(code.text.expose(), table),
        Instrument::Stripe(_) | Instrument::Encrypted(_) => family(Family::CARD_STRIPE, "stripe"),
        Instrument::Chip(card) if card.contactless => family(Family::CARD_CONTACTLESS, "aid"),
        Instrument::Chip(_) => family(Family::CARD_CHIP, "aid"),
        Instrument::StoredValue(_) => family(Family::PREPAID, "stored-value"),
        Instrument::ShowCode => family(Family::QR_SHOWN, "operator"),
        Instrument::Cash { .. } => family(Family::CASH, "operator"),
        _ => Recognised::Unknown { text: "this kind of instrument is not known to this tilld".into() },
    }
}

fn code_text(raw: &str, table: &Table) -> Recognised {
    let text = raw.trim_matches([' ', '\r', '\n', '\t']);
    if text.is_empty() {
        return Recognised::Unknown { text: "the scan is empty".into() };
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return digits(text, table);
    }
    if text.starts_with(EMV_CPM) {
        // UnionPay is the only scheme here that uses it; its AID inside is checked by the channel.
        return Recognised::Instrument {
            family: Family::new(Family::QR_UNIONPAY),
            evidence: "emv-cpm".into(),
        };
    }
    let lower = text.get(..8).map(str::to_ascii_lowercase).unwrap_or_default();
    if lower.starts_with("http://")
        || lower.starts_with("https://")
        || text.starts_with("000201")
        || lower.starts_with("wxp://")
    {
        return Recognised::Refused {
            reason: "merchant-code".into(),
            text: "this is a shop's own code: ask the customer to open their payment code".into(),
        };
    }
    Recognised::Unknown {
        text: format!("{} characters that are no payment code this till knows", text.chars().count()),
    }
}

fn digits(text: &str, table: &Table) -> Recognised {
    let first_two: Option<u8> = text.get(..2).and_then(|t| t.parse().ok());
    let families: Vec<Family> = table
        .0
        .iter()
        .filter(|r| (r.min_length..=r.max_length).contains(&text.len()))
        .filter(|r| first_two.is_some_and(|f| (r.first..=r.last).contains(&f)))
        .map(|r| r.family.clone())
        .collect();
    match families.as_slice() {
        [family] => Recognised::Instrument { family: family.clone(), evidence: "code-prefix".into() },
        [] if matches!(text.len(), 8 | 12 | 13) && ean_check(text) => Recognised::Goods,
        [] => Recognised::Unknown {
            text: format!("{} digits that are no payment code this till knows", text.len()),
        },
        _ => Recognised::Ambiguous { families },
    }
}

/// Check digit of EAN-8, UPC-A and EAN-13 (GS1 General Specifications §7.9).
fn ean_check(text: &str) -> bool {
    let sum: u32 = text
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, b)| u32::from(b - b'0') * if i % 2 == 1 { 3 } else { 1 })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use till_plugin::Sensitive;
    use till_plugin::instrument::ScannedCode;

    fn code(text: &str) -> Recognised {
        let code = ScannedCode { text: Sensitive::new(text.into()), symbology: None };
        recognise(&Instrument::Code(code), &Table::default())
    }

    fn family(text: &str) -> Option<String> {
        match code(text) {
            Recognised::Instrument { family, .. } => Some(family.as_str().into()),
            _ => None,
        }
    }

    #[test]
    fn payment_codes_find_their_family() {
        assert_eq!(family("281234567890123456").as_deref(), Some("qr-alipay"));
        assert_eq!(family(" 281234567890123456\r\n").as_deref(), Some("qr-alipay"));
        assert_eq!(family("134567890123456789").as_deref(), Some("qr-wechat"));
        assert_eq!(family("6212345678901234567").as_deref(), Some("qr-unionpay"));
        assert_eq!(family("hQVDUFYwMWEbTwegAAADMwEBAQ==").as_deref(), Some("qr-unionpay"));
    }

    #[test]
    fn what_is_not_sure_goes_to_a_person() {
        assert!(matches!(code("6901234567892"), Recognised::Goods));
        assert!(matches!(code("6901234567890"), Recognised::Unknown { .. }), "wrong check digit");
        assert!(matches!(code("https://qr.example/shop"), Recognised::Refused { .. }));
        assert!(matches!(code("00020101021129"), Recognised::Unknown { .. } | Recognised::Refused { .. }));
        for unsure in [
            "",
            " ",
            "9",
            "13456789012345678",
            "1345678901234567890",
            "311234567890123456",
            "２８１２３４５６７８９０１２３４５６",
        ] {
            assert!(matches!(code(unsure), Recognised::Unknown { .. }), "{unsure}");
        }
        assert!(matches!(code(&"1".repeat(10_000)), Recognised::Unknown { .. }));
    }

    #[test]
    fn two_rules_that_match_are_left_to_the_operator() {
        let mut table = Table::default();
        table.0.push(CodeRule {
            family: Family::new("qr-house"),
            min_length: 18,
            max_length: 18,
            first: 28,
            last: 28,
        });
        let both = ScannedCode { text: Sensitive::new("281234567890123456".into()), symbology: None };
        assert!(
            matches!(recognise(&Instrument::Code(both), &table), Recognised::Ambiguous { families } if families.len() == 2)
        );
    }

    proptest! {
        #[test]
        fn no_text_is_ever_quoted_back(text in "\\PC{12,60}") {
            let shown = format!("{:?}", code(&text));
            prop_assert!(!shown.contains(&text));
        }
    }
}
