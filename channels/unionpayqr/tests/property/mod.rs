//! What holds of any bytes that come as an answer. Shared by the tests and by the fuzz target unionpayqr_reply.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)] // what fails here fails the test

use std::sync::LazyLock;

use till_channel_unionpayqr::ask::Number;
use till_channel_unionpayqr::codes::{Codes, Operation};
use till_channel_unionpayqr::form;
use till_channel_unionpayqr::message::{self, Environment};
use till_channel_unionpayqr::outcome::{self, Expected, First, Standing};
use till_channel_unionpayqr::reply::Node;
use till_plugin::channel::Outcome;
use till_wallet::amount::Fen;
use till_wallet::chain::Trust;

/// A root whose private key was thrown away: nothing leads to it.
const ROOT: &str = include_str!("root.pem");

static TRUST: LazyLock<Trust> = LazyLock::new(|| Trust::new(ROOT, "").expect("the root above"));
static CODES: LazyLock<Codes> = LazyLock::new(|| Codes::built_in().expect("the built-in table"));

pub const MERCHANT: &str = "777290058110048";
pub const ORDER: &str = "T0120260901000001";
pub const TIME: &str = "20260901092000";
pub const FEN: i64 = 12_850;
const NOW_MS: i64 = 1_788_225_600_000;

pub fn check(body: &[u8]) {
    let opened = message::open(body, &TRUST, Environment::Test, NOW_MS);
    assert!(opened.is_err(), "a seal was forged");
    let Ok(fields) = form::read(body) else { return };
    // As if the seal had been right.
    let answered = Ok(Node::of(fields.clone()));
    let number = Number { order: ORDER.into(), time: TIME.into() };
    let expected = Expected {
        mer_id: MERCHANT,
        number: &number,
        amount: Fen::new(FEN).expect("an amount"),
        kinds: &["01"],
    };
    let is = |name: &str, value: &str| fields.get(name).is_some_and(|found| found == value);
    let named = is("merId", MERCHANT) && is("orderId", ORDER) && is("txnTime", TIME);
    match outcome::standing(&CODES, &answered, expected) {
        Standing::Done(approval) => {
            assert!(named && is("respCode", "00") && (is("origRespCode", "00") || is("origRespCode", "A6")));
            assert!(fields["txnAmt"].parse() == Ok(FEN) && approval.amount.minor() == FEN);
        }
        Standing::Not(no) => {
            assert!(named && is("respCode", "00"));
            assert!(!no.text.chars().chain(no.text_zh.chars()).any(char::is_control));
        }
        Standing::NotFound => assert!(named && is("respCode", "34")),
        _ => {}
    }
    for operation in [Operation::Pay, Operation::Follow] {
        match outcome::first(&CODES, operation, &answered, expected) {
            First::Accepted => assert!(named && (is("respCode", "00") || is("respCode", "A6"))),
            First::Ended(Outcome::Approved(_)) => panic!("taken is not done"),
            First::Ended(Outcome::NotSent(_)) => panic!("an answer is proof that the request left"),
            First::Ended(Outcome::Declined(_)) => assert!(named),
            First::Ended(Outcome::Unknown(_)) => {}
        }
    }
    assert!(!matches!(outcome::shown(&CODES, &answered, expected), Outcome::Approved(_)));
    if outcome::reversed(&CODES, &answered, expected) == outcome::Reversed::Done {
        assert!(named && is("txnType", "99"));
    }
}
