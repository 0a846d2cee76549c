//! TLV and DOL against the `emv` crate, an independent implementation.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;

use common::hex;
use emv::core::dol::{Dol, ValueFormat};
use emv::core::tlv::{Tlv, Value};
use proptest::prelude::*;
use till_driver_nfc::emv::dol::{self, Format};
use till_driver_nfc::emv::tlv::{self, Tag, TlvError, objects};

/// The same objects at every level.
fn same(ours: &[u8], theirs: &[Tlv]) {
    let ours: Vec<_> = objects(ours).map(Result::unwrap).collect();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours.tag.0, theirs.tag().0);
        match theirs.value() {
            Value::Primitive(bytes) => assert_eq!(ours.value, bytes.as_slice()),
            Value::Constructed(children) => same(ours.value, children),
        }
    }
}

fn compare(bytes: &[u8]) {
    match (tlv::check(bytes), Tlv::parse_all(bytes)) {
        (Ok(()), Ok(theirs)) => same(bytes, &theirs),
        // Ours alone: a bound. Theirs alone: tags of four bytes, which EMV has none of and PBOC a few.
        (Ok(()), Err(_)) => {
            assert!(has_long_tag(bytes), "we take what they refuse: {}", ::hex::encode(bytes));
        }
        (Err(TlvError::Deep | TlvError::Large | TlvError::LongTag), _) | (Err(_), Err(_)) => {}
        (Err(error), Ok(_)) => panic!("we refuse ({error}) what they take: {}", ::hex::encode(bytes)),
    }
}

fn has_long_tag(bytes: &[u8]) -> bool {
    objects(bytes).flatten().any(|o| o.tag.0 > 0xFF_FFFF || (o.tag.constructed() && has_long_tag(o.value)))
}

fn tree() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop_oneof![Just(0x5Au32), Just(0x9F02), Just(0x57), Just(0x00DF_8129), Just(0x9F37)];
    let leaf = (tag, proptest::collection::vec(any::<u8>(), 0..200)).prop_map(|(tag, value)| {
        let mut out = Vec::new();
        tlv::write(&mut out, Tag(tag), &value);
        out
    });
    let pad = Just(vec![0u8; 2]);
    prop_oneof![6 => leaf, 1 => pad].prop_recursive(4, 24, 4, |inner| {
        (
            prop_oneof![Just(0x6Fu32), Just(0xA5), Just(0xBF0C), Just(0x70)],
            proptest::collection::vec(inner, 0..4),
        )
            .prop_map(|(tag, parts)| {
                let mut out = Vec::new();
                tlv::write(&mut out, Tag(tag), &parts.concat());
                out
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn tlv_of_cards(bytes in tree()) {
        prop_assert!(bytes.len() > tlv::MOST || tlv::check(&bytes).is_ok());
        compare(&bytes);
    }

    #[test]
    fn tlv_of_cards_with_damage(mut bytes in tree(), at in any::<prop::sample::Index>(), by in 1u8.., cut in any::<prop::sample::Index>()) {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            compare(&bytes);
            bytes.truncate(cut.index(bytes.len()));
        }
        compare(&bytes);
    }

    #[test]
    fn tlv_of_anything(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        compare(&bytes);
    }

    #[test]
    fn lists_are_answered_alike(
        entries in proptest::collection::vec(
            (prop_oneof![Just(0x9F02u32), Just(0x9A), Just(0x5A), Just(0x9F1E), Just(0x9F20), Just(0x9F1A), Just(0x8A), Just(0x9F4E)], 0u8..20),
            0..12,
        ),
        value in proptest::collection::vec(any::<u8>(), 0..16),
    ) {
        let mut list = Vec::new();
        for (tag, length) in &entries {
            Tag(*tag).write(&mut list);
            list.push(*length);
        }
        let known = |tag: u32| tag != 0x9F4E;
        let ours = dol::build(&list, |tag| known(tag).then_some(value.as_slice())).unwrap();
        let theirs = Dol::parse(&list).unwrap().build(|tag| {
            let format = match dol::format(tag.0) {
                Format::Numeric => ValueFormat::Numeric,
                Format::Compressed => ValueFormat::CompressedNumeric,
                Format::Other => ValueFormat::Other,
            };
            known(tag.0).then(|| (format, value.clone()))
        });
        prop_assert_eq!(ours.as_slice(), theirs.as_slice());
    }
}

#[test]
fn tlv_length_of_four_billion_indefinite_endless_tag_and_5000_templates() {
    assert_eq!(tlv::check(&hex("5A84FFFFFFFF00")), Err(TlvError::Value));
    assert_eq!(tlv::check(&hex("6F8084010000")), Err(TlvError::Indefinite));
    assert_eq!(tlv::check(&[0x9F; 3000]), Err(TlvError::LongTag));
    assert_eq!(tlv::check(&hex("5A85010000000000")), Err(TlvError::Length));
    let mut nested = Vec::new();
    for _ in 0..5000 {
        let mut outer = Vec::new();
        tlv::write(&mut outer, Tag(0x61), &nested);
        nested = outer;
    }
    assert_eq!(tlv::check(&nested), Err(TlvError::Large));
    // As deep as an answer can be long.
    let mut nested = Vec::new();
    while nested.len() < 4000 {
        let mut outer = Vec::new();
        tlv::write(&mut outer, Tag(0x61), &nested);
        nested = outer;
    }
    assert_eq!(tlv::check(&nested), Err(TlvError::Deep));
}
