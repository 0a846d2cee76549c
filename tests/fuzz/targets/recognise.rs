//! What a customer's code is recognised as: never quoted back, and never a payment code without its shape.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_core::emvco::{CustomerCode, MerchantCode};
use till_core::recognise::{CardRule, Recognised, Table, recognise};
use till_plugin::instrument::ScannedCode;
use till_plugin::{Family, Instrument, Sensitive};

fn table() -> Table {
    let card = |prefix: &str, min_length, max_length| CardRule {
        family: Family::new(Family::PREPAID),
        prefix: prefix.into(),
        min_length,
        max_length,
    };
    Table { cards: vec![card("8600", 16, 16), card("VIP", 8, 12), card("28", 18, 18)], ..Table::default() }
}

pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let code = ScannedCode { text: Sensitive::new(text.clone().into_owned()), symbology: None };
    let found = recognise(&Instrument::Code(code), &table());
    let trimmed = text.trim_matches([' ', '\r', '\n', '\t']);
    if let Recognised::Instrument { family, evidence } = &found {
        let digits = trimmed.bytes().all(|b| b.is_ascii_digit());
        match evidence.as_str() {
            "code-prefix" => assert!(digits && (16..=24).contains(&trimmed.len())),
            "card-prefix" => assert!(
                family.as_str() == Family::PREPAID && trimmed.bytes().all(|b| b.is_ascii_alphanumeric())
            ),
            "emv-cpm" => assert!(CustomerCode::parse(trimmed).is_ok()),
            other => panic!("a code is known by {other}"),
        }
    }
    // Twelve digits are no words of ours.
    if trimmed.bytes().filter(u8::is_ascii_digit).count() >= 12 {
        assert!(!format!("{found:?}").contains(trimmed), "the code is quoted back");
    }
    if let Ok(code) = MerchantCode::parse(&text) {
        let written = |(id, value): &(u8, &str)| format!("{id:02}{:02}{value}", value.chars().count());
        assert_eq!(code.fields().iter().map(written).collect::<String>(), *text);
    }
    if let Ok(code) = CustomerCode::parse(&text) {
        assert!(code.aids.iter().all(|aid| (5..=16).contains(&aid.len())));
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
