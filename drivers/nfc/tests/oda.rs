//! Offline data authentication: the shared vectors, the `emv` crate on the same input, and the simulated card's own chain.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;

use common::{cases, hex, text};
use emv::core::oda as theirs;
use serde_json::Value;
use till_driver_nfc::emv::oda::{self, Capk, OdaError, PublicKey};

fn capk(case: &Value) -> Capk {
    let key = &case["capk"];
    Capk {
        rid: hex(text(key, "rid")).try_into().unwrap(),
        index: hex(text(key, "index"))[0],
        modulus: hex(text(key, "modulus")),
        exponent: hex(text(key, "exponent")),
    }
}

/// The card's key as the other implementation keeps it.
fn theirs_card(card: &PublicKey) -> theirs::IccPublicKey {
    theirs::IccPublicKey {
        modulus: card.modulus.clone(),
        exponent: card.exponent.clone(),
        hash_algorithm_indicator: 1,
        algorithm_indicator: 1,
        application_pan: [0xFF; 10],
        expiration_mmyy: [0x12, 0x35],
        serial_number: [0; 3],
    }
}

/// The part of the issuer's key that does not fit into its certificate.
fn remainder(case: &Value) -> Vec<u8> {
    let (modulus, capk) = (hex(text(case, "issuer_modulus")), capk(case));
    modulus.get(capk.modulus.len() - 36..).unwrap_or_default().to_vec()
}

#[test]
fn whole_chains_of_the_vectors() {
    for case in cases("devices-emv_oda.json") {
        let id = text(&case, "id");
        let (capk, get) = (capk(&case), |key: &str| hex(text(&case, key)));
        let pan = text(&case, "pan_5A").trim_end_matches('F');
        let rest = remainder(&case);
        let issuer_of = |certificate: &[u8], date| {
            oda::issuer(&capk, certificate, &get("issuer_exp_9F32"), &rest, pan, date)
        };
        let issuer = issuer_of(&get("issuer_cert_90"), [22, 1, 1]).unwrap_or_else(|e| panic!("{id}: {e}"));
        assert_eq!(issuer.modulus, get("issuer_modulus"), "{id}");
        if case["expired_check"].is_string() {
            assert!(issuer_of(&get("issuer_cert_90"), [31, 12, 31]).is_ok(), "{id}: the last day");
            assert_eq!(issuer_of(&get("issuer_cert_90"), [32, 1, 1]), Err(OdaError::Expired), "{id}");
        }
        assert_eq!(
            oda::issuer(
                &capk,
                &get("issuer_cert_90"),
                &get("issuer_exp_9F32"),
                &rest,
                "9999999999999999",
                [22, 1, 1]
            ),
            Err(OdaError::OtherCard)
        );
        // Every signature with its last bit turned: never accepted, never a panic.
        let turned = |mut bytes: Vec<u8>| {
            *bytes.last_mut().unwrap() ^= 1;
            bytes
        };
        assert!(issuer_of(&turned(get("issuer_cert_90")), [22, 1, 1]).is_err(), "{id}");

        if case["icc_cert_9F46"].is_string() {
            // The static data that was signed is not in the vector: the recovered block is compared instead.
            let block = oda::recover(&issuer.modulus, &issuer.exponent, &get("icc_cert_9F46")).unwrap();
            assert_eq!(::hex::encode_upper(block.as_slice()), text(&case, "icc_recovered"), "{id}");
        }
        if case["sdad_9F4B"].is_string() {
            let card = PublicKey { modulus: get("icc_modulus"), exponent: get("icc_exp_9F47") };
            let told = get("ddol_data");
            oda::dynamic_data(&card, &get("sdad_9F4B"), &told).unwrap_or_else(|e| panic!("{id}: {e}"));
            assert_eq!(
                oda::dynamic_data(&card, &get("sdad_9F4B"), &turned(told.clone())),
                Err(OdaError::Hash)
            );
            assert!(oda::dynamic_data(&card, &turned(get("sdad_9F4B")), &told).is_err(), "{id}");
            // The other implementation, on the same input.
            let key = theirs_card(&card);
            assert!(theirs::verify_dda(&key, &get("sdad_9F4B"), &told).is_ok(), "{id}");
        }
        if case["ssad_93"].is_string() {
            let block = oda::recover(&issuer.modulus, &issuer.exponent, &get("ssad_93")).unwrap();
            assert_eq!(::hex::encode_upper(block.as_slice()), text(&case, "ssad_recovered"), "{id}");
            assert!(oda::static_data(&issuer, &turned(get("ssad_93")), &[]).is_err(), "{id}");
        }
    }
}

#[test]
fn wrong_trailer_wrong_index_and_modulus_of_length_0() {
    let sound = |modulus: &[u8], exponent: &[u8], block: &[u8]| oda::recover(modulus, exponent, block);
    assert_eq!(sound(&[], &[3], &[]), Err(OdaError::Malformed));
    assert_eq!(sound(&[0xFF; 128], &[], &[0; 128]), Err(OdaError::Malformed));
    assert_eq!(sound(&[0xFF; 128], &[3], &[0; 127]), Err(OdaError::Malformed));
    assert_eq!(sound(&[0xFF; 1000], &[3], &[0; 1000]), Err(OdaError::Malformed));
    assert_eq!(
        sound(&[0xFF; 128], &[0xFF; 64], &[0; 128]),
        Err(OdaError::Malformed),
        "an exponent that only costs time"
    );
    assert_eq!(sound(&[0xFE; 128], &[3], &[1; 128]), Err(OdaError::Malformed), "an even modulus");
    assert_eq!(sound(&[0xFD; 128], &[3], &[0xFF; 128]), Err(OdaError::Signature), "more than the modulus");
    let keys = oda::Keys::new(Vec::new(), false);
    assert!(keys.find(&hex("A000000333"), 1).is_none());
    // A block that recovers to noise has no trailer.
    let key = PublicKey { modulus: [[0xC3; 127].as_slice(), &[1]].concat(), exponent: vec![3] };
    assert_eq!(oda::static_data(&key, &[0x11; 128], b"x"), Err(OdaError::Signature));
}
