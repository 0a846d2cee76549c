//! The shared vectors: seals both ways, sealed resources, v2's seal, answer codes. They are read where they lie and never
//! copied.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too: what fails there fails the test

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead;
use serde_json::Value;
use till_channel_wechatpay::codes::{Action, Codes, Operation};
use till_channel_wechatpay::outcome::{Expected, pay};
use till_channel_wechatpay::reply::read_v3;
use till_channel_wechatpay::resource::ApiV3Key;
use till_channel_wechatpay::seal::{SealError, Sealer, Seals, request_text};
use till_channel_wechatpay::v2::sign::{Method, sign, sign_string};
use till_plugin::channel::Outcome;
use till_wallet::amount::Fen;
use till_wallet::certificate::Certificate;
use till_wallet::http::Reply;
use till_wallet::keys::{PlatformKey, SigningKey};

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

#[test]
fn requests_are_signed_to_the_byte() {
    let Some(file) = vectors("channels-wechat.json") else { return };
    let mut seen = 0;
    for v in family(&file, "wx-rsa") {
        let key = SigningKey::from_text(text(&v["private_pem"])).unwrap();
        assert_eq!(key.sign(text(&v["message"])).unwrap(), text(&v["signature"]), "{}", v["id"]);
        seen += 1;
    }
    for v in family(&file, "wx-message").chain(family(&file, "wx-request")) {
        let (method, url, nonce, body) =
            (text(&v["method"]), text(&v["url"]), text(&v["nonce"]), text(&v["body"]));
        let timestamp: i64 = text(&v["timestamp"]).parse().unwrap();
        let message = request_text(method, url, timestamp, nonce, body);
        assert_eq!(message.as_str(), text(&v["message"]), "{}", v["id"]);
        if let Some(authorization) = v["authorization"].as_str() {
            let own = &file["about"]["keys"][text(&v["key"])];
            let sealer = Sealer {
                mchid: "1900000001".into(),
                serial: text(&own["serial"]).into(),
                key: SigningKey::from_text(text(&own["private_pem"])).unwrap(),
            };
            let got = sealer.authorization(method, url, timestamp, nonce, body).unwrap();
            assert_eq!(got, authorization, "{}", v["id"]);
        }
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} vectors");
}

/// The answer of a vector, the platform's keys it is to be checked with, and the moment.
fn answer(file: &Value, v: &Value) -> (Reply, Seals, i64) {
    let headers: Vec<(&str, &str)> =
        v["headers"].as_object().unwrap().iter().map(|(k, v)| (k.as_str(), text(v))).collect();
    let status = u16::try_from(v["status"].as_u64().unwrap_or(200)).unwrap();
    let mut seals = Seals::default();
    if let Some(pem) = v["certificate_pem"].as_str() {
        seals.trust_certificate(Certificate::from_pem(pem).unwrap());
    } else {
        let key = &file["about"]["keys"][text(&v["key"])];
        seals.trust_key(text(&key["serial"]), PlatformKey::from_text(text(&key["public_pem"])).unwrap());
    }
    let now = text(&v["now"]).parse::<i64>().unwrap() * 1_000;
    (Reply::new(status, &headers, text(&v["body"]).into()), seals, now)
}

#[test]
fn answers_are_verified_and_the_outcome_is_the_vector_s() {
    let Some(file) = vectors("channels-wechat.json") else { return };
    let codes = Codes::built_in().unwrap();
    let mut seen = 0;
    for v in family(&file, "wx-response") {
        let (reply, mut seals, now) = answer(&file, v);
        let id = text(&v["id"]);
        let checked = seals.check(&reply, now);
        assert_eq!(checked.is_ok(), v["valid"] == true, "{id}: {checked:?}");
        let outcome = checked.ok().map(|()| {
            let expected = Expected {
                appid: "wxd930ea5d5a258f4f",
                mchid: "1900000001",
                order: "POS0120260901000001",
                amount: Fen::new(1_234).unwrap(),
            };
            pay(&codes, &read_v3(reply.status, &reply.body), expected)
        });
        match id {
            "wx-resp-success" => assert!(matches!(outcome, Some(Outcome::Approved(_))), "{outcome:?}"),
            "wx-resp-notenough" => assert!(matches!(outcome, Some(Outcome::Declined(_))), "{outcome:?}"),
            _ => assert!(matches!(outcome, None | Some(Outcome::Unknown(_))), "{id}: {outcome:?}"),
        }
        if checked_id(id) {
            assert_eq!(seals.check(&reply, now), Err(SealError::Replayed), "{id} is believed twice");
        }
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} vectors");
}

fn checked_id(id: &str) -> bool {
    id == "wx-resp-success" || id == "wx-notify-pub"
}

/// C12: every bit of the body and of every header of the seal.
#[test]
fn one_flipped_bit_never_passes() {
    let Some(file) = vectors("channels-wechat.json") else { return };
    for v in family(&file, "wx-response").filter(|v| v["id"] == "wx-resp-success") {
        let (_, seals, now) = answer(&file, v);
        let headers: Vec<(String, String)> =
            v["headers"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), text(v).to_owned())).collect();
        let flips = |bytes: &[u8]| {
            let bytes = bytes.to_vec();
            (0..bytes.len() * 8).map(move |at| {
                let mut flipped = bytes.clone();
                flipped[at / 8] ^= 1 << (at % 8);
                flipped
            })
        };
        let check = |headers: &[(String, String)], body: Vec<u8>| {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            seals.clone().check(&Reply::new(200, &headers, body), now)
        };
        let body = text(&v["body"]).as_bytes();
        check(&headers, body.to_vec()).unwrap();
        for flipped in flips(body) {
            assert_eq!(check(&headers, flipped), Err(SealError::Wrong));
        }
        for at in 0..headers.len() {
            if headers[at].0 == "Wechatpay-Signature-Type" {
                continue; // not signed, not read
            }
            for flipped in flips(headers[at].1.as_bytes()) {
                let Ok(value) = String::from_utf8(flipped) else { continue };
                let mut other = headers.clone();
                other[at].1 = value;
                assert!(check(&other, body.to_vec()).is_err(), "{other:?}");
            }
        }
    }
}

#[test]
fn sealed_resources_open() {
    let Some(file) = vectors("channels-wechat.json") else { return };
    let mut seen = 0;
    for v in family(&file, "wx-aead") {
        let (key, nonce, data) = (text(&v["key"]), text(&v["nonce"]), text(&v["associated_data"]));
        let (sealed, plain) = (text(&v["ciphertext_b64"]), text(&v["plaintext"]));
        if key.len() == 32 {
            let key = ApiV3Key::new(key.as_bytes()).unwrap();
            assert_eq!(key.open(nonce, data, sealed).unwrap().as_slice(), plain.as_bytes(), "{}", v["id"]);
            assert!(key.open(nonce, "other", sealed).is_err());
        } else {
            // The Go SDK's test key is too short to be a merchant's: AES-128 shows that only the length is refused.
            assert!(ApiV3Key::new(key.as_bytes()).is_err());
            let key =
                aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, key.as_bytes()).unwrap());
            let nonce = aead::Nonce::try_assume_unique_for_key(nonce.as_bytes()).unwrap();
            let mut bytes = STANDARD.decode(sealed).unwrap();
            let got = key.open_in_place(nonce, aead::Aad::from(data.as_bytes()), &mut bytes).unwrap();
            assert_eq!(got, plain.as_bytes(), "{}", v["id"]);
        }
        seen += 1;
    }
    assert!(seen >= 2, "only {seen} vectors");
}

#[test]
fn v2_fields_are_sealed_to_the_byte() {
    let Some(file) = vectors("channels-wechat.json") else { return };
    let mut seen = 0;
    for v in family(&file, "wx-v2-sign") {
        let fields: Vec<(&str, &str)> =
            v["params"].as_object().unwrap().iter().map(|(k, v)| (k.as_str(), text(v))).collect();
        let key = text(&v["api_key"]);
        let whole = format!("{}&key={key}", sign_string(fields.iter().copied()).as_str());
        assert_eq!(whole, text(&v["string"]), "{}", v["id"]);
        assert_eq!(sign(fields.iter().copied(), Method::Md5, key), text(&v["md5"]), "{}", v["id"]);
        assert_eq!(
            sign(fields.iter().copied(), Method::HmacSha256, key),
            text(&v["hmac_sha256"]),
            "{}",
            v["id"]
        );
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} vectors");
}

#[test]
fn every_answer_code_means_what_the_policy_says() {
    let Some(file) = vectors("channels-policy.json") else { return };
    let codes = Codes::built_in().unwrap();
    let mut seen = 0;
    for v in family(&file, "wechat-code") {
        let code = text(&v["code"]);
        let (operation, key, status) = match code.split_once('/') {
            Some(("200", state)) => (Operation::Pay, format!("state={state}"), 200),
            Some(("query", "ORDERNOTEXIST")) => (Operation::Query, "ORDERNOTEXIST".into(), 404),
            Some(("query", state)) => (Operation::Query, format!("state={state}"), 200),
            Some(("reverse", key)) => (Operation::Reverse, key.to_owned(), 200),
            _ if code == "any-unlisted-5xx" => (Operation::Pay, "X".into(), 503),
            _ => (Operation::Pay, code.to_owned(), 403),
        };
        let action = match text(&v["action"]) {
            "approved" => Action::Approved,
            // "Poll, at the deadline reverse anyway": what the daemon does with an order that is not found.
            "poll" if key == "ORDERNOTEXIST" => Action::NotFound,
            "poll" => Action::Poll,
            "query" | "query-after-5s" => Action::QueryThenReverse,
            "rescan-new-order" => Action::Rescan,
            "new-order" => Action::NewOrder,
            "other-tender" => Action::OtherTender,
            "decline" => Action::Decline,
            "channel-fault" => Action::ChannelFault,
            "closed" => Action::Closed,
            "approved-then-refunded" => Action::Returned,
            "reverse-again" => Action::ReverseAgain,
            other => panic!("{other}"),
        };
        assert_eq!(codes.action(operation, &key, status), action, "{}", v["id"]);
        seen += 1;
    }
    assert!(seen >= 30, "only {seen} vectors");
}
