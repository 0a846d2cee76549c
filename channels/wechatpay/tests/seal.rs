//! What an answer must be to count (C12): rightly sealed, now, once, and about our merchant, application, order, amount and
//! currency. Answers are signed by a second cryptographic library.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too: what fails there fails the test

use std::sync::LazyLock;

use proptest::prelude::*;
use till_channel_wechatpay::codes::{Codes, Operation};
use till_channel_wechatpay::outcome::{self, Expected};
use till_channel_wechatpay::reply::{NoAnswer, Node, read_v3};
use till_channel_wechatpay::seal::{SealError, Seals};
use till_channel_wechatpay::v2::sign::{Method, sign};
use till_channel_wechatpay::v2::{self, xml};
use till_plugin::channel::{Outcome, QueryOutcome, UnknownReason};
use till_simulators::wallet::keys::SigningKey;
use till_wallet::amount::Fen;
use till_wallet::http::Reply;
use till_wallet::keys::PlatformKey;

const NOW_MS: i64 = 1_788_225_602_000;
const MADE: &str = "1788225601";
const ID: &str = "PUB_KEY_ID_0119000000012026090100000000000001";
const ORDER: &str = "T0120260901000001";
const PAID: &str = r#"{"appid":"wx1","mchid":"1900000001","out_trade_no":"T0120260901000001","transaction_id":"4200000000202609010000000001","trade_type":"MICROPAY","trade_state":"SUCCESS","success_time":"2026-09-01T09:20:01+08:00","amount":{"total":12850,"currency":"CNY"}}"#;

static PLATFORM: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

fn seals() -> Seals {
    let mut seals = Seals::default();
    seals.trust_key(ID, PlatformKey::from_text(&PLATFORM.public_pem().unwrap()).unwrap());
    seals
}

fn signature(timestamp: &str, nonce: &str, body: &str) -> String {
    PLATFORM.sign(format!("{timestamp}\n{nonce}\n{body}\n").as_bytes()).unwrap()
}

fn with(timestamp: &str, serial: &str, signature: &str) -> Result<(), SealError> {
    let headers = [
        ("Wechatpay-Timestamp", timestamp),
        ("Wechatpay-Nonce", "n1"),
        ("Wechatpay-Serial", serial),
        ("Wechatpay-Signature", signature),
    ];
    seals().check(&Reply::new(200, &headers, PAID.into()), NOW_MS)
}

#[test]
fn a_right_seal_is_right_and_every_other_one_says_what_is_wrong() {
    let good = signature(MADE, "n1", PAID);
    assert_eq!(with(MADE, ID, &good), Ok(()));
    // Five minutes each way, to the second.
    for (made, ok) in
        [("1788225302", true), ("1788225902", true), ("1788225301", false), ("1788225903", false)]
    {
        let got = with(made, ID, &signature(made, "n1", PAID));
        assert_eq!(got.is_ok(), ok, "{made}: {got:?}");
    }
    assert!(matches!(with("0", ID, &signature("0", "n1", PAID)), Err(SealError::Stale(_))));
    for odd in ["", "x", "-1788225601", "+1788225601", " 1788225601", "17882256010000", "1788225601.0"] {
        assert_eq!(
            with(odd, ID, &signature(odd, "n1", PAID)),
            Err(SealError::Unsigned("Wechatpay-Timestamp")),
            "{odd:?}"
        );
    }
    let probe = format!("WECHATPAY/SIGNTEST/{good}");
    assert_eq!(with(MADE, ID, &probe), Err(SealError::Probe));
    assert_eq!(with(MADE, "SIGNTEST0001", &good), Err(SealError::Probe));
    assert_eq!(with(MADE, "WECHATPAY/SIGNTEST/1", &good), Err(SealError::Probe));
    assert!(
        matches!(with(MADE, "PUB_KEY_ID_9", &good), Err(SealError::UnknownKey(id)) if id == "PUB_KEY_ID_9")
    );
    assert_eq!(with(MADE, ID, &signature(MADE, "n2", PAID)), Err(SealError::Wrong));
    assert_eq!(with(MADE, ID, &signature(MADE, "n1", "")), Err(SealError::Wrong));
    assert_eq!(with(MADE, ID, "AAAA"), Err(SealError::Wrong));
    assert_eq!(with(MADE, ID, ""), Err(SealError::Unsigned("Wechatpay-Signature")));
    // A header that is there twice: which one was meant?
    let twice = [
        ("Wechatpay-Timestamp", MADE),
        ("Wechatpay-Nonce", "n1"),
        ("Wechatpay-Nonce", "n1"),
        ("Wechatpay-Serial", ID),
        ("Wechatpay-Signature", &good),
    ];
    let got = seals().check(&Reply::new(200, &twice, PAID.into()), NOW_MS);
    assert_eq!(got, Err(SealError::Unsigned("Wechatpay-Nonce")));
}

#[test]
fn one_flipped_bit_of_an_approved_answer_never_approves() {
    let good = signature(MADE, "n1", PAID);
    for at in 0..PAID.len() * 8 {
        let mut body = PAID.as_bytes().to_vec();
        body[at / 8] ^= 1 << (at % 8);
        let headers = [
            ("Wechatpay-Timestamp", MADE),
            ("Wechatpay-Nonce", "n1"),
            ("Wechatpay-Serial", ID),
            ("Wechatpay-Signature", &good),
        ];
        let got = seals().check(&Reply::new(200, &headers, body), NOW_MS);
        assert_eq!(got, Err(SealError::Wrong), "bit {at}");
    }
    for at in 0..good.len() * 8 {
        let mut flipped = good.clone().into_bytes();
        flipped[at / 8] ^= 1 << (at % 8);
        if let Ok(flipped) = String::from_utf8(flipped) {
            assert!(with(MADE, ID, &flipped).is_err(), "bit {at}");
        }
    }
}

static CODES: LazyLock<Codes> = LazyLock::new(|| Codes::built_in().unwrap());

fn expected() -> Expected<'static> {
    Expected { appid: "wx1", mchid: "1900000001", order: ORDER, amount: Fen::new(12_850).unwrap() }
}

#[test]
fn an_approval_of_something_else_is_not_believed() {
    let read = |body: &str| read_v3(200, body.as_bytes());
    assert!(
        matches!(outcome::pay(&CODES, &read(PAID), expected()), Outcome::Approved(a) if a.amount.minor() == 12_850)
    );
    for (from, to) in [
        ("\"mchid\":\"1900000001\"", "\"mchid\":\"1900000002\""),
        ("\"mchid\":\"1900000001\",", ""),
        ("\"appid\":\"wx1\"", "\"appid\":\"wx2\""),
        ("T0120260901000001", "T0120260901000002"),
        ("\"out_trade_no\":\"T0120260901000001\",", ""),
        ("12850", "12851"),
        ("12850", "-12850"),
        ("\"total\":12850,", ""),
        ("CNY", "USD"),
        ("\"transaction_id\":\"4200000000202609010000000001\",", ""),
        ("4200000000202609010000000001", "42 00"),
    ] {
        let other = PAID.replacen(from, to, 1);
        assert_ne!(other, PAID);
        match outcome::pay(&CODES, &read(&other), expected()) {
            Outcome::Unknown(u) => assert_eq!(u.reason, UnknownReason::Mismatch, "{other}"),
            outcome => panic!("{other}: {outcome:?}"),
        }
        assert!(
            matches!(outcome::query(&CODES, &read(&other), expected()), QueryOutcome::Unknown(_)),
            "{other}"
        );
    }
    for malformed in ["12850.0", "1285e1", "\"12850\"", "99999999999999999999"] {
        assert!(
            matches!(read(&PAID.replace("12850", malformed)), Err(NoAnswer::Malformed(_))),
            "{malformed}"
        );
    }
    let twice = PAID.replacen('{', "{\"out_trade_no\":\"T0120260901000001\",", 1);
    assert!(matches!(read(&twice), Err(NoAnswer::Malformed(_))), "a member twice: which one was meant?");
    // A success under a status that is none, or beside an error code, is none.
    for status in [202, 400, 403, 429, 500] {
        assert!(
            !matches!(
                outcome::pay(&CODES, &read_v3(status, PAID.as_bytes()), expected()),
                Outcome::Approved(_)
            ),
            "{status}"
        );
    }
    let both = PAID.replacen('{', "{\"code\":\"NOT_ENOUGH\",", 1);
    for status in [200, 403] {
        let got = outcome::pay(&CODES, &read_v3(status, both.as_bytes()), expected());
        assert!(matches!(got, Outcome::Unknown(_)), "a refusal that says SUCCESS is neither: {got:?}");
    }
}

/// A host's own words may repeat the customer's code; it must not get into a log or onto a screen (C21).
#[test]
fn a_code_repeated_by_the_platform_is_masked() {
    let body = r#"{"code":"AUTH_CODE_EXPIRE","message":"付款码 130000000000000001 已过期"}"#;
    let Outcome::Declined(d) = outcome::pay(&CODES, &read_v3(400, body.as_bytes()), expected()) else {
        panic!()
    };
    assert!(d.text_zh.contains("13…0001") && !format!("{d:?}").contains("130000000000000001"), "{d:?}");
}

proptest! {
    #[test]
    fn nothing_but_the_exact_order_is_ever_approved(
        status in prop_oneof![Just(200_u16), 100_u16..600],
        state in prop_oneof![Just("SUCCESS".to_owned()), "[A-Z]{0,10}"],
        order in prop_oneof![Just(ORDER.to_owned()), "[A-Z0-9]{0,20}"],
        mchid in prop_oneof![Just("1900000001".to_owned()), "[0-9]{0,10}"],
        total in prop_oneof![Just(12_850_i64), any::<i64>()],
        code in prop_oneof![Just(String::new()), "[A-Z_]{1,20}"],
    ) {
        let node = Node {
            status, code, mchid: Some(mchid.clone()), out_trade_no: Some(order.clone()), total: Some(total),
            trade_state: Some(state.clone()), transaction_id: Some("4200000000202609010000000001".into()),
            ..Node::default()
        };
        let exact = order == ORDER && mchid == "1900000001" && total == 12_850 && state == "SUCCESS"
            && node.code.is_empty() && (200..300).contains(&status);
        let answered = Ok(node);
        let pay = outcome::pay(&CODES, &answered, expected());
        prop_assert!(exact || !matches!(pay, Outcome::Approved(_)), "{:?}", answered);
        let query = outcome::query(&CODES, &answered, expected());
        prop_assert!(exact || !matches!(query, QueryOutcome::Paid(_)), "{:?}", answered);
    }

    #[test]
    fn c15_no_body_crashes_the_reading(body in proptest::collection::vec(any::<u8>(), 0..200), status in any::<u16>()) {
        if let Ok(node) = read_v3(status, &body) {
            let answered = Ok(node);
            let _ = outcome::pay(&CODES, &answered, expected());
            let _ = outcome::native(&CODES, &answered);
            let _ = outcome::reverse(&CODES, &answered, expected(), true);
            let _ = outcome::refund(&CODES, &answered, expected(), "T0120260901000002");
        }
    }
}

/// C12, interface v2: its seal is over every field, so no flipped bit is an answer.
#[test]
fn one_flipped_bit_of_an_approved_v2_answer_never_approves() {
    const KEY: &str = "an-api-v2-key-of-32-characters-0";
    let fields = [
        ("return_code", "SUCCESS"),
        ("result_code", "SUCCESS"),
        ("appid", "wx1"),
        ("mch_id", "1900000001"),
        ("nonce_str", "n1"),
        ("out_trade_no", ORDER),
        ("total_fee", "12850"),
        ("fee_type", "CNY"),
        ("transaction_id", "4200000000202609010000000001"),
        ("time_end", "20260901092001"),
    ];
    for method in [Method::Md5, Method::HmacSha256] {
        let seal = sign(fields.into_iter(), method, KEY);
        let document = xml::write(fields.into_iter().chain([("sign", seal.as_str())])).to_vec();
        let read = |document: &[u8]| v2::read::read(Operation::Pay, 200, document, method, KEY, None);
        let (good, _) = read(&document).unwrap();
        let outcome = outcome::pay(&CODES, &Ok(good.clone()), expected());
        let Outcome::Approved(a) = outcome else { panic!("{outcome:?}") };
        assert_eq!(a.host_time.as_deref(), Some("2026-09-01 09:20:01"));
        for at in 0..document.len() * 8 {
            let mut flipped = document.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            if let Ok((node, _)) = read(&flipped) {
                assert_eq!(node, good, "bit {at}");
            }
        }
        let unsigned = xml::write(fields.into_iter()).to_vec();
        assert!(matches!(read(&unsigned), Err(NoAnswer::Seal { .. })));
        let other = sign(fields.into_iter(), method, "another-v2-key-of-32-characters-");
        let forged = xml::write(fields.into_iter().chain([("sign", other.as_str())])).to_vec();
        assert!(matches!(read(&forged), Err(NoAnswer::Seal { seal: SealError::Wrong, .. })));
    }
}

/// Of the system's generator, 128 bits: none comes twice, and each digit of it moves.
#[test]
fn c14_no_two_nonces_are_alike() {
    let nonces: Vec<String> = (0..10_000).map(|_| till_channel_wechatpay::seal::nonce().unwrap()).collect();
    let different: std::collections::BTreeSet<&String> = nonces.iter().collect();
    assert_eq!(different.len(), nonces.len());
    for at in 0..32 {
        let digits: std::collections::BTreeSet<u8> =
            nonces.iter().map(|nonce| nonce.as_bytes()[at]).collect();
        assert_eq!(digits.len(), 16, "digit {at}");
    }
}
