//! Seals: every answer that approves, with any one bit flipped, approves nothing (C12); and the answers are the gateway's own.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too: what fails there fails the test

mod shop;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use shop::*;
use till_channel_unionpayqr::ask::{Ask, Merchant, Number};
use till_channel_unionpayqr::codes::Codes;
use till_channel_unionpayqr::message::{self, Environment};
use till_channel_unionpayqr::outcome::{Expected, Standing, standing};
use till_channel_unionpayqr::reply::{Answered, NoAnswer, Node};
use till_simulators::unionpay::Platform;
use till_wallet::amount::Fen;
use till_wallet::certificate::Certificate;
use till_wallet::chain::Trust;
use till_wallet::http::{Answer, Request};
use till_wallet::keys::SigningKey;
use till_wallet::link::Target;

/// A paid order's answers to a query, bare and percent-encoded, and what they are believed by.
struct Told {
    bodies: Vec<Vec<u8>>,
    trust: Trust,
    now_ms: i64,
    number: Number,
    mer_id: String,
}

fn ask(platform: &Platform, ask: &Ask<'_>) -> Vec<u8> {
    let certificate = Certificate::from_pem(platform.merchant_certificate_pem()).unwrap();
    let merchant = Merchant {
        mer_id: platform.mer_id().into(),
        cert_id: certificate.decimal_serial(),
        ..Merchant::default()
    };
    let key = SigningKey::from_text(platform.merchant_private_pem()).unwrap();
    let body = message::body(ask, &merchant, &key).unwrap();
    let target = Target::new(&platform.url(), "", true, Duration::from_secs(5)).unwrap();
    let request = Request { method: "POST", path: ask.path(), headers: &[], body: &body };
    target.exchange(&request, Answer::default(), Instant::now() + Duration::from_secs(10)).unwrap().body
}

fn told() -> Told {
    let mut shop = shop();
    shop.paid();
    let number = Number::new(ORDER, shop.born_ms).unwrap();
    let bodies: Vec<Vec<u8>> = (0..2).map(|_| ask(&shop.platform, &Ask::Query { number: &number })).collect();
    assert_ne!(bodies[0], bodies[1], "one is bare, one is encoded");
    let trust = Trust::new(shop.platform.root_pem(), shop.platform.middle_pem()).unwrap();
    let (now_ms, mer_id) = (shop.now_ms(), shop.platform.mer_id().to_owned());
    Told { bodies, trust, now_ms, number, mer_id }
}

impl Told {
    fn answered(&self, body: &[u8]) -> Answered {
        let opened = message::open(body, &self.trust, Environment::Test, self.now_ms);
        opened.map(Node::of).map_err(NoAnswer::from)
    }

    fn standing(&self, body: &[u8]) -> Standing {
        let expected = Expected {
            mer_id: &self.mer_id,
            number: &self.number,
            amount: Fen::new(OWED).unwrap(),
            kinds: &["01"],
        };
        standing(&Codes::built_in().unwrap(), &self.answered(body), expected)
    }
}

/// Another spelling of the very same fields (`%2f` for `%2F`) is the same answer; everything else is none.
fn is_harmless(told: &Told, whole: &[u8], flipped: &[u8]) -> bool {
    let fields = |body: &[u8]| till_channel_unionpayqr::form::read(body);
    told.answered(flipped).is_err() || fields(flipped) == fields(whole)
}

#[test]
fn one_flipped_bit_never_approves() {
    let told = told();
    for whole in &told.bodies {
        assert!(matches!(told.standing(whole), Standing::Done(_)));
        let mut body = whole.clone();
        for bit in 0..body.len() * 8 {
            body[bit / 8] ^= 1 << (bit % 8);
            assert!(is_harmless(&told, whole, &body), "bit {bit}: {}", String::from_utf8_lossy(&body));
            body[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

static TOLD: std::sync::LazyLock<Told> = std::sync::LazyLock::new(told);

proptest! {
    /// Cut, joined, doubled: what a line or a proxy can do.
    #[test]
    fn a_mangled_answer_never_approves(which in 0_usize..2, from in 0_usize..4_000, to in 0_usize..4_000, copy: bool) {
        let whole = &TOLD.bodies[which];
        let (from, to) = (from % whole.len(), to % whole.len());
        let (from, to) = (from.min(to), from.max(to));
        let mut body = whole[..from].to_vec();
        if copy {
            body.extend_from_slice(&whole[..to]);
        }
        body.extend_from_slice(&whole[to..]);
        prop_assert!(is_harmless(&TOLD, whole, &body));
    }

    /// A field that nobody signed, whatever it is called, spoils the answer.
    #[test]
    fn an_added_field_never_approves(which in 0_usize..2, name in "[a-zA-Z]{1,12}", value in "[0-9a-zA-Z]{1,12}") {
        let mut body = TOLD.bodies[which].clone();
        body.extend_from_slice(format!("&{name}={value}").as_bytes());
        prop_assert!(TOLD.answered(&body).is_err());
    }
}

#[test]
fn an_old_version_or_another_method_is_refused_before_its_signature() {
    let told = told();
    let text = String::from_utf8(told.bodies[0].clone()).unwrap();
    for (from, to) in [("version=5.1.0", "version=5.0.0"), ("signMethod=01", "signMethod=11")] {
        let other = text.replace(from, to);
        assert_ne!(other, text);
        assert_eq!(
            told.answered(other.as_bytes()),
            Err(NoAnswer::Seal(message::SealError::Method)),
            "{from}"
        );
    }
}

/// The certificate's time counts by the trusted clock of the till.
#[test]
fn a_certificate_counts_while_it_is_valid_only() {
    let mut told = told();
    let whole = told.bodies[0].clone();
    for (now_ms, good) in [(1_577_836_800_000, true), (1_577_836_799_000, false), (4_070_908_801_000, false)]
    {
        told.now_ms = now_ms; // 2020-01-01, a second before, 2099-01-01 and a second
        assert_eq!(told.answered(&whole).is_ok(), good, "{now_ms}");
    }
}
