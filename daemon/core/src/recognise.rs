//! What did the customer present? Anything unsure goes to the operator; there is never a guess (S6).
//!
//! Rules of channels.md §4.6; the prefix table is configuration ([`Table`]), its default is what the networks publish.
//! Numbers of the shop's own cards have rules of their own, which hold for stripes too.

use serde::{Deserialize, Serialize};
use till_plugin::{Family, Instrument};

use crate::emvco::{CustomerCode, MerchantCode};

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

/// The numbers of one kind of card that is not a bank's, as they stand on a stripe or in a code: letters and digits, a
/// length range and their beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CardRule {
    /// Family of such cards.
    pub family: Family,
    /// How their numbers begin, 2 to 12 letters and digits; capitals or not is the same.
    pub prefix: String,
    /// Shortest number.
    pub min_length: usize,
    /// Longest number.
    pub max_length: usize,
}

impl CardRule {
    fn fits(&self, text: &str) -> bool {
        (self.min_length..=self.max_length).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric())
            && text.get(..self.prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(&self.prefix))
    }
}

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Payment codes.
    pub codes: Vec<CodeRule>,
    /// Cards of the shop's own, and others that are no bank's.
    pub cards: Vec<CardRule>,
}

impl Default for Table {
    fn default() -> Self {
        let rule = |family: &str, min_length, max_length, first, last| CodeRule {
            family: Family::new(family),
            min_length,
            max_length,
            first,
            last,
        };
        let codes = vec![
            rule(Family::QR_WECHAT, 18, 18, 10, 15),
            rule(Family::QR_ALIPAY, 16, 24, 25, 30),
            rule(Family::QR_UNIONPAY, 19, 19, 62, 62),
        ];
        Self { codes, cards: Vec::new() }
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

/// Start of a customer-presented EMV code: base64 of `85 05 "CPV0"`.
const EMV_CPM: &str = "hQVDUFYwM";
/// Start of a merchant-presented EMV code: its format indicator.
const EMV_MPM: &str = "000201";
/// Registered application provider of UnionPay (ISO/IEC 7816-5).
const RID_UNIONPAY: [u8; 5] = [0xA0, 0, 0, 0x03, 0x33];

/// Names what was presented.
pub fn recognise(instrument: &Instrument, table: &Table) -> Recognised {
    let family = |family: &str, evidence: &str| Recognised::Instrument {
        family: Family::new(family),
        evidence: evidence.into(),
    };
    match instrument {
        Instrument::Code(code) => code_text(code.text.expose(), table),
        Instrument::Stripe(card) => {
            let ours = cards(card.pan.expose(), table);
            one_of(ours).unwrap_or_else(|| family(Family::CARD_STRIPE, "stripe"))
        }
        // Its number is not known here, so a card of the shop's own is not either. Its chip is asked for here, where a clear
        // card's is by the channel: a till that takes chips may have no channel for ciphertext.
        Instrument::Encrypted(card) => has_chip(card.service_code.as_deref())
            .unwrap_or_else(|| family(Family::CARD_ENCRYPTED, "encrypted-stripe")),
        Instrument::Chip(card) if card.contactless => family(Family::CARD_CONTACTLESS, "aid"),
        Instrument::Chip(_) => family(Family::CARD_CHIP, "aid"),
        Instrument::StoredValue(_) => family(Family::PREPAID, "stored-value"),
        Instrument::ShowCode => family(Family::QR_SHOWN, "operator"),
        Instrument::Cash { .. } => family(Family::CASH, "operator"),
        _ => Recognised::Unknown { text: "this kind of instrument is not known to this tilld".into() },
    }
}

/// The service code says that the card has a chip (ISO/IEC 7813, first digit 2 or 6): the stripe is no way to pay with it.
fn has_chip(service_code: Option<&str>) -> Option<Recognised> {
    service_code.is_some_and(|code| code.starts_with(['2', '6'])).then(|| Recognised::Refused {
        reason: "use-chip".into(),
        text: "this card has a chip: insert or tap it, or take another way to pay".into(),
    })
}

/// A customer's EMV code by the applications that it names.
fn customer_code(text: &str) -> Recognised {
    match CustomerCode::parse(text) {
        Ok(code) if code.aids.iter().any(|aid| aid.starts_with(&RID_UNIONPAY)) => {
            Recognised::Instrument { family: Family::new(Family::QR_UNIONPAY), evidence: "emv-cpm".into() }
        }
        Ok(_) => Recognised::Refused {
            reason: "other-network".into(),
            text:
                "this is the payment code of a network that this till does not know: take another way to pay"
                    .into(),
        },
        Err(fault) => Recognised::Refused {
            reason: "damaged-code".into(),
            text: format!("the payment code was not read well ({fault}): scan again"),
        },
    }
}

/// A shop's own EMV code: never paid with, and told apart from one that was misread.
fn merchant_code(text: &str) -> Recognised {
    match MerchantCode::parse(text) {
        Ok(_) => shops_own(),
        Err(fault) => Recognised::Refused {
            reason: "damaged-code".into(),
            text: format!(
                "this looks like a shop's own code that was not read well ({fault}): ask the customer to open their payment code"
            ),
        },
    }
}

fn shops_own() -> Recognised {
    Recognised::Refused {
        reason: "merchant-code".into(),
        text: "this is a shop's own code: ask the customer to open their payment code".into(),
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
    if let Some(found) = one_of(cards(text, table)) {
        return found;
    }
    if text.starts_with(EMV_CPM) {
        return customer_code(text);
    }
    if text.starts_with(EMV_MPM) {
        return merchant_code(text);
    }
    let lower = text.get(..8).map(str::to_ascii_lowercase).unwrap_or_default();
    if lower.starts_with("http://") || lower.starts_with("https://") || lower.starts_with("wxp://") {
        return shops_own();
    }
    Recognised::Unknown {
        text: format!("{} characters that are no payment code this till knows", text.chars().count()),
    }
}

/// Families of cards whose numbers look like this.
fn cards(number: &str, table: &Table) -> Vec<Family> {
    let mut families: Vec<Family> =
        table.cards.iter().filter(|r| r.fits(number)).map(|r| r.family.clone()).collect();
    families.dedup();
    families
}

/// One family is certain, several are the operator's choice, none is no answer.
fn one_of(families: Vec<Family>) -> Option<Recognised> {
    match families.as_slice() {
        [] => None,
        [family] => Some(Recognised::Instrument { family: family.clone(), evidence: "card-prefix".into() }),
        _ => Some(Recognised::Ambiguous { families }),
    }
}

fn digits(text: &str, table: &Table) -> Recognised {
    let first_two: Option<u8> = text.get(..2).and_then(|t| t.parse().ok());
    let ours = cards(text, table);
    let mut families: Vec<Family> = table
        .codes
        .iter()
        .filter(|r| (r.min_length..=r.max_length).contains(&text.len()))
        .filter(|r| first_two.is_some_and(|f| (r.first..=r.last).contains(&f)))
        .map(|r| r.family.clone())
        .collect();
    if families.is_empty()
        && let Some(found) = one_of(ours.clone())
    {
        return found;
    }
    families.extend(ours);
    families.dedup();
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
        assert_eq!(family("hQVDUFYwMWETTwigAAADMwEBAlcHEjRWeJASNA==").as_deref(), Some("qr-unionpay"));
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

    fn reason(found: &Recognised) -> &str {
        match found {
            Recognised::Refused { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn emv_codes_are_told_apart_and_a_misread_one_is_not_taken_for_another_kind() {
        // Another network's application, a code cut short, base64 that is none.
        assert_eq!(reason(&code("hQVDUFYwMWEJTwegAAAAVVVV")), "other-network");
        assert_eq!(reason(&code("hQVDUFYwMWETTwigAAADMwEB")), "damaged-code");
        assert_eq!(reason(&code("hQVDUFYwMWET???")), "damaged-code");
        // A shop's code with its checksum, without, and with a wrong one.
        assert_eq!(reason(&code("00020153031565802CN63043E05")), "merchant-code");
        assert_eq!(reason(&code("00020153031565802CN63043E06")), "damaged-code");
        assert_eq!(reason(&code("00020153031565802CN")), "damaged-code");
    }

    #[test]
    fn ciphertext_is_a_family_of_its_own_and_a_chip_behind_it_is_asked_for() {
        let sealed = |service: Option<&str>| {
            let card = till_plugin::instrument::EncryptedSwipe {
                scheme: "dukpt-tdes-data".into(),
                ksn: vec![1; 10],
                tracks: Vec::new(),
                masked: String::new(),
                expiry: None,
                service_code: service.map(str::to_owned),
            };
            recognise(&Instrument::Encrypted(card), &Table::default())
        };
        for chip in ["201", "220", "601"] {
            assert_eq!(reason(&sealed(Some(chip))), "use-chip");
        }
        for stripe in [Some("101"), Some("520"), None] {
            let Recognised::Instrument { family, .. } = sealed(stripe) else { panic!("{stripe:?}") };
            assert_eq!(family.as_str(), "card-encrypted", "only a channel that says so is given ciphertext");
        }
    }

    #[test]
    fn two_rules_that_match_are_left_to_the_operator() {
        let mut table = Table::default();
        table.codes.push(CodeRule {
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

    #[test]
    fn a_card_of_the_shop_is_known_by_its_number_from_stripe_or_code_and_a_bank_card_is_not() {
        let rule = |family: &str, prefix: &str, min_length, max_length| CardRule {
            family: Family::new(family),
            prefix: prefix.into(),
            min_length,
            max_length,
        };
        let mut table = Table { cards: vec![rule("prepaid", "8600", 16, 16)], ..Table::default() };
        table.cards.push(rule("prepaid", "VIP", 8, 12));
        let scan = |text: &str, table: &Table| {
            let code = ScannedCode { text: Sensitive::new(text.into()), symbology: None };
            recognise(&Instrument::Code(code), table)
        };
        let swipe = |pan: &str, table: &Table| {
            let pan = Sensitive::new(String::from(pan));
            let masked = pan.masked_pan();
            let card = till_plugin::instrument::StripeCard {
                track1: None,
                track2: None,
                track3: None,
                pan,
                expiry: None,
                service_code: None,
                masked,
                luhn: true,
            };
            recognise(&Instrument::Stripe(card), table)
        };
        let is = |family: &str, evidence: &str| Recognised::Instrument {
            family: Family::new(family),
            evidence: evidence.into(),
        };
        assert_eq!(swipe("8600000000000005", &table), is("prepaid", "card-prefix"));
        assert_eq!(scan("8600000000000005", &table), is("prepaid", "card-prefix"));
        assert_eq!(scan("vip00012345\r", &table), is("prepaid", "card-prefix"));
        assert_eq!(swipe("6200000000000005", &table), is("card-stripe", "stripe"));
        assert_eq!(swipe("86000000000000051", &table), is("card-stripe", "stripe"), "too long");
        assert_eq!(scan("281234567890123456", &table), is("qr-alipay", "code-prefix"));
        for unsure in ["86000000000000051", "VIP1234", "VIP-12345678"] {
            assert!(matches!(scan(unsure, &table), Recognised::Unknown { .. }), "{unsure}");
        }
        // A number that a wallet's code could have too is the operator's to say.
        table.cards.push(rule("prepaid", "28", 18, 18));
        assert!(
            matches!(scan("281234567890123456", &table), Recognised::Ambiguous { families } if families.len() == 2)
        );
        assert_eq!(swipe("281234567890123456", &table), is("prepaid", "card-prefix"));
        table.cards.push(rule("gift", "8600", 16, 16));
        assert!(matches!(swipe("8600000000000005", &table), Recognised::Ambiguous { .. }));
    }

    proptest! {
        #[test]
        fn no_text_is_ever_quoted_back(text in "\\PC{12,60}") {
            let shown = format!("{:?}", code(&text));
            prop_assert!(!shown.contains(&text));
        }
    }
}
