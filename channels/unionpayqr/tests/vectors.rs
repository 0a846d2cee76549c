//! The shared vectors: signatures both ways, certificates, answer codes. They are read where they lie and never copied.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too: what fails there fails the test

use std::path::Path;

use serde_json::Value;
use till_channel_unionpayqr::ask::{After, Ask, Merchant, Number, is_payment_code};
use till_channel_unionpayqr::codes::{Action, Codes, Operation};
use till_channel_unionpayqr::form;
use till_channel_unionpayqr::message::{self, Environment, SealError};
use till_channel_unionpayqr::outcome::{Expected, First, Standing, first, standing};
use till_channel_unionpayqr::reply::{Answered, NoAnswer, Node};
use till_plugin::Sensitive;
use till_plugin::channel::{Outcome, UnknownReason};
use till_wallet::amount::Fen;
use till_wallet::certificate::Certificate;
use till_wallet::chain::Trust;
use till_wallet::form::{Params, sign_string};
use till_wallet::keys::SigningKey;
use zeroize::Zeroizing;

/// 2026-09-01 09:20:00 in Shanghai, when the vectors were asked.
const ASKED_MS: i64 = 1_788_225_600_000;

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
fn requests_are_written_and_signed_to_the_byte() {
    let Some(file) = vectors("channels-unionpay-gateway.json") else { return };
    let mut seen = 0;
    for v in family(&file, "up-request") {
        let own = &file["about"]["keys"][text(&v["key"])];
        let key = SigningKey::from_text(text(&own["private_pem"])).unwrap();
        let param = |name: &str| v["params"][name].as_str().unwrap_or_default();
        let merchant = Merchant {
            mer_id: param("merId").into(),
            cert_id: text(&own["certId"]).into(),
            term_id: param("termId").into(),
            back_url: param("backUrl").into(),
        };
        let number = Number { order: param("orderId").into(), time: param("txnTime").into() };
        let number = &number;
        let amount = Fen::new(param("txnAmt").parse().unwrap_or(1)).unwrap();
        let code = Sensitive::new(param("qrNo").to_owned());
        let ask = match text(&v["id"]) {
            "up-req-scan-pay" => Ask::Pay { number, amount, code: &code, hold: false },
            "up-req-apply-qr" => Ask::Show { number, amount, until: None },
            "up-req-reversal" => Ask::Reverse { number },
            "up-req-void" => Ask::Follow { after: After::Void, number, amount, of: param("origQryId") },
            other => panic!("{other}"),
        };
        let fields = ask.fields(&merchant).unwrap();
        assert_eq!(sign_string(&fields, "signature").as_str(), text(&v["sign_string"]), "{}", v["id"]);
        assert_eq!(message::signature(&fields, &key).unwrap(), text(&v["signature"]), "{}", v["id"]);
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} vectors");
    // The number's time comes from the journal's milliseconds.
    assert_eq!(Number::new("POS0120260901000001", ASKED_MS).unwrap().time, "20260901092000");
}

/// UnionPay's own test message: its signature is right, its certificate leads nowhere any more.
#[test]
fn the_published_message_is_read_and_hashed_as_it_was_and_not_believed() {
    let Some(file) = vectors("channels-unionpay-gateway.json") else { return };
    let mut seen = 0;
    for v in family(&file, "up-verify") {
        let fields = form::read(text(&v["form_body"]).as_bytes()).unwrap();
        let mut signed = form::sign_string(&fields);
        if let Some(expected) = v["sign_string"].as_str() {
            assert_eq!(signed, expected, "{}", v["id"]);
            let hash = ring::digest::digest(&ring::digest::SHA256, signed.as_bytes());
            assert_eq!(hex::encode(hash.as_ref()), text(&v["sha256_hex"]));
        }
        let key = Certificate::from_pem(&fields["signPubKeyCert"]).unwrap().key;
        signed = hex::encode(ring::digest::digest(&ring::digest::SHA256, signed.as_bytes()));
        let right = key.verifies(signed.as_bytes(), &fields["signature"]);
        assert_eq!(right, v["signature_valid"] == true, "{}", v["id"]);
        let trust = Trust::new(text(&file["about"]["keys"]["root_pem"]), "").unwrap();
        let opened = message::open(text(&v["form_body"]).as_bytes(), &trust, Environment::Test, ASKED_MS);
        assert!(matches!(opened, Err(SealError::Certificate(_))), "{opened:?}");
        seen += 1;
    }
    assert!(seen >= 2, "only {seen} vectors");
}

fn answered(file: &Value, body: &[u8]) -> Answered {
    let trust = Trust::new(text(&file["about"]["keys"]["root_pem"]), "").unwrap();
    let opened = message::open(body, &trust, Environment::Test, ASKED_MS);
    opened.map(Node::of).map_err(NoAnswer::from)
}

fn about<T>(run: impl FnOnce(Expected<'_>) -> T) -> T {
    let number = Number::new("POS0120260901000001", ASKED_MS).unwrap();
    let amount = Fen::new(1_234).unwrap();
    run(Expected { mer_id: "777290058110048", number: &number, amount, kinds: &["01"] })
}

#[test]
fn answers_mean_what_the_vectors_say() {
    let Some(file) = vectors("channels-unionpay-gateway.json") else { return };
    let codes = Codes::built_in().unwrap();
    let mut seen = 0;
    for v in family(&file, "up-response") {
        let (id, body) = (text(&v["id"]), text(&v["form_body"]).as_bytes());
        let answered = answered(&file, body);
        let believed =
            v["signature_valid"] == true && v["chain_valid"] == true && id != "up-resp-wrong-owner";
        assert_eq!(answered.is_ok(), believed, "{id}: {answered:?}");
        let pay = about(|e| first(&codes, Operation::Pay, &answered, e));
        let query = about(|e| standing(&codes, &answered, e));
        match id {
            "up-resp-00" => assert_eq!(pay, First::Accepted),
            "up-resp-03" => {
                assert!(
                    matches!(pay, First::Ended(Outcome::Unknown(u)) if u.reason == UnknownReason::InProgress)
                );
            }
            "up-query-pending" => assert_eq!(query, Standing::Open),
            "up-query-34" => assert_eq!(query, Standing::NotFound),
            "up-query-amount" => {
                assert!(matches!(query, Standing::Unknown(u) if u.reason == UnknownReason::Mismatch));
            }
            _ => {
                assert!(
                    matches!(pay, First::Ended(Outcome::Unknown(u)) if u.reason == UnknownReason::BadSeal),
                    "{id}"
                );
                assert!(matches!(query, Standing::Unknown(u) if u.reason == UnknownReason::BadSeal), "{id}");
            }
        }
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} vectors");
}

/// C12: every bit of every believed answer; another spelling of the same fields is the same answer.
#[test]
fn one_flipped_bit_is_never_believed() {
    let Some(file) = vectors("channels-unionpay-gateway.json") else { return };
    for v in family(&file, "up-response") {
        let whole = text(&v["form_body"]).as_bytes();
        if answered(&file, whole).is_err() {
            continue;
        }
        let mut body = whole.to_vec();
        for bit in 0..body.len() * 8 {
            body[bit / 8] ^= 1 << (bit % 8);
            if answered(&file, &body).is_ok() {
                assert_eq!(form::read(&body), form::read(whole), "{}: bit {bit}", v["id"]);
            }
            body[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// Methods 11 and 12 share a key with the merchant: what they sign is known, and they are not believed.
#[test]
fn shared_key_methods_are_refused() {
    let Some(file) = vectors("channels-unionpay-gateway.json") else { return };
    for v in family(&file, "up-securekey") {
        let mut params = Params::new();
        for (name, value) in v["params"].as_object().unwrap() {
            params.insert(Box::leak(name.clone().into_boxed_str()), Zeroizing::new(text(value).to_owned()));
        }
        assert_eq!(sign_string(&params, "signature").as_str(), text(&v["sign_string"]), "{}", v["id"]);
        let body =
            format!("{}&signPubKeyCert=x&signature={}", text(&v["sign_string"]), text(&v["signature"]));
        assert_eq!(answered(&file, body.as_bytes()), Err(NoAnswer::Seal(SealError::Method)), "{}", v["id"]);
    }
}

#[test]
fn every_answer_code_means_what_the_policy_says() {
    let Some(file) = vectors("channels-policy.json") else { return };
    let codes = Codes::built_in().unwrap();
    let mut seen = 0;
    for v in family(&file, "unionpay-code") {
        let code = text(&v["code"]);
        let action = match code.split_once('/') {
            Some(("query", "00+other")) => codes.action(Operation::Trade, "99"),
            Some(("query", "34")) => codes.action(Operation::Query, "34"),
            Some(("query", both)) => {
                let (own, orig) = both.split_once('+').unwrap();
                assert_eq!(codes.action(Operation::Query, own), Action::Accepted);
                codes.action(Operation::Trade, orig)
            }
            // What no code says is proved against the simulator.
            Some(("reversal", _)) => continue,
            _ if code.starts_with("bad-") => continue,
            _ => codes.action(Operation::Pay, code),
        };
        let expected = match text(&v["action"]) {
            "approved" => Action::Approved,
            "query-final-state" => Action::Accepted,
            "query" => Action::Ask,
            // "Not proof of failure": what the daemon does with an order that is not found.
            "poll" if code == "query/34" => Action::NotFound,
            "poll" => Action::Poll,
            "decline" => Action::Decline,
            "channel-fault" => Action::ChannelFault,
            other => panic!("{other}"),
        };
        assert_eq!(action, expected, "{}", v["id"]);
        seen += 1;
    }
    assert!(seen >= 10, "only {seen} vectors");
}

#[test]
fn only_unionpay_s_codes_are_taken() {
    let Some(file) = vectors("devices-payment_codes.json") else { return };
    for case in file["cases"].as_array().unwrap() {
        let code = text(&case["code"]).trim();
        assert_eq!(is_payment_code(code), case["expect"] == "unionpay", "{}", case["id"]);
    }
}
