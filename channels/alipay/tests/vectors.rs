//! The shared vectors: signing, raw verification, answer codes. They are read where they lie and never copied.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too: what fails there fails the test

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use till_channel_alipay::codes::{Codes, Operation};
use till_channel_alipay::reply::{Envelope, ReplyError, Verified};
use till_channel_alipay::sign::{AppKey, Params, PlatformKey, form_body, sign_string};

/// A vector file, or nothing (said aloud) where the shared folder is absent.
fn vectors(name: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors").join(name);
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared vectors");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn family<'a>(file: &'a Value, family: &'a str) -> impl Iterator<Item = &'a Value> {
    file["vectors"].as_array().unwrap().iter().filter(move |v| v["family"] == family)
}

fn text(v: &Value) -> &str {
    v.as_str().unwrap()
}

/// A public key by name of the file's own keys, or given in place.
fn public_key(file: &Value, named: &str) -> PlatformKey {
    let pem = match named.strip_prefix("platform:") {
        Some(name) => text(&file["about"]["keys"][name]["public_pem"]),
        None => named,
    };
    PlatformKey::from_text(pem).unwrap()
}

#[test]
fn requests_are_signed_and_encoded_to_the_byte() {
    let Some(file) = vectors("channels-alipay.json") else { return };
    let mut seen = 0;
    for v in family(&file, "alipay-request") {
        let params: BTreeMap<String, String> = serde_json::from_value(v["params"].clone()).unwrap();
        let mut params: Params = params.into_iter().map(|(k, v)| (&*k.leak(), v.into())).collect();
        assert_eq!(sign_string(&params).as_str(), text(&v["sign_string"]), "{}", v["id"]);
        let key = AppKey::from_text(text(&file["about"]["keys"][text(&v["key"])]["private_pem"])).unwrap();
        let sign = key.sign(&sign_string(&params)).unwrap();
        assert_eq!(sign, text(&v["sign"]), "{}", v["id"]);
        params.insert("sign", sign.into());
        assert_eq!(std::str::from_utf8(&form_body(&params)).unwrap(), text(&v["form_body"]), "{}", v["id"]);
        seen += 1;
    }
    assert!(seen >= 6, "only {seen} vectors");
}

#[test]
fn the_signed_node_is_cut_as_received() {
    let Some(file) = vectors("channels-alipay.json") else { return };
    let mut seen = 0;
    for v in family(&file, "alipay-raw").chain(family(&file, "alipay-response")) {
        let cut = Envelope::cut(text(&v["body"]).as_bytes(), text(&v["response_key"])).unwrap();
        assert_eq!(cut.node, text(&v["signed_bytes"]), "{}", v["id"]);
        seen += 1;
    }
    assert!(seen >= 9, "only {seen} vectors");
}

#[test]
fn signatures_are_told_right_from_wrong_and_one_flipped_bit_never_passes() {
    let Some(file) = vectors("channels-alipay.json") else { return };
    for v in family(&file, "alipay-response") {
        let key = public_key(&file, text(&v["public_key"]));
        let (body, node) = (text(&v["body"]).as_bytes(), text(&v["response_key"]));
        let got = Envelope::cut(body, node).unwrap().verify(&key);
        if v["valid"] == false {
            assert_eq!(got, Err(ReplyError::BadSignature), "{}", v["id"]);
            continue;
        }
        let good = got.unwrap();
        assert_eq!(matches!(good, Verified::GatewayRefusal(_)), node == "error_response");
        // C12: every bit of the node and of the signature.
        for at in 0..body.len() {
            for bit in 0..8 {
                let mut flipped = body.to_vec();
                flipped[at] ^= 1 << bit;
                let got = Envelope::cut(&flipped, node).and_then(|e| e.verify(&key));
                // A flip outside both (a brace, the key's name) may leave the same signed bytes, never others.
                if let Ok(other) = got {
                    assert_eq!(other, good, "{} byte {at} bit {bit}", v["id"]);
                }
            }
        }
    }
}

#[test]
fn every_answer_code_means_what_the_policy_says() {
    let Some(file) = vectors("channels-policy.json") else { return };
    let codes = Codes::built_in().unwrap();
    let mut seen = 0;
    for v in family(&file, "alipay-code") {
        let code = text(&v["code"]);
        let (operation, key) = match code.split_once('/') {
            Some(("query", key)) if key.starts_with("ACQ.") => (Operation::Query, format!("40004/{key}")),
            Some(("query", key)) => (Operation::Query, key.to_owned()),
            Some(("cancel", key)) => (Operation::Cancel, key.to_owned()),
            Some(("refund", key)) => (Operation::Refund, key.to_owned()),
            _ => (Operation::Pay, code.to_owned()),
        };
        let action = serde_json::from_value(v["action"].clone()).unwrap();
        assert_eq!(codes.action(operation, &key), action, "{}", v["id"]);
        seen += 1;
    }
    assert!(seen >= 29, "only {seen} vectors");
}
