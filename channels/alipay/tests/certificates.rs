//! Certificate mode against the gateway simulator: what is believed, what is fetched, and when.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

mod follow;

use std::time::Duration;

use follow::{follow, query_follow, refund_of};
use till_channel_alipay::plugin::Alipay;
use till_plugin::channel::*;
use till_plugin::host::Level;
use till_plugin::instrument::ScannedCode;
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Currency, Extra, Instrument, Money, Sensitive};
use till_simulators::alipay::{Gateway, Settings};
use till_simulators::faults::{Fault, Rule};

const ORDER: &str = "T0120260901000001";
const CODE: &str = "280000000000000001";
const OWED: i64 = 12_850;
const DOWNLOAD: &str = "alipay.open.app.alipaycert.download";

struct Shop {
    gateway: Gateway,
    bench: TestHost,
    till: Alipay,
}

fn shop() -> Shop {
    let bench = TestHost::new();
    let ours = jiff::Timestamp::from_millisecond(bench.host().now().wall_ms).unwrap();
    let mut settings = Settings::default();
    settings.clock_offset = ours.duration_since(jiff::Timestamp::now());
    // The till's clock moves by years here, the gateway's does not.
    settings.clock_tolerance = Duration::MAX;
    settings.https = None;
    settings.certificates = true;
    let gateway = Gateway::start(settings).unwrap();
    let bench = bench.with_secret("app_private_key", gateway.app_private_pem().as_bytes());
    let till = open(&gateway, &bench);
    Shop { gateway, bench, till }
}

fn open(gateway: &Gateway, bench: &TestHost) -> Alipay {
    let given = gateway.certificates().unwrap();
    let json = serde_json::json!({
        "app_id": gateway.app_id(), "gateway": gateway.url(), "exchange_timeout_ms": 10_000,
        "insecure_http_for_tests": true, "app_certificate_pem": given.app_pem,
        "alipay_certificate_pem": given.gateway_pem, "alipay_root_pem": given.root_pem,
    });
    Alipay::open(bench.host(), till_plugin::Settings::from_json(json.to_string())).unwrap()
}

fn sale() -> Authorise {
    Authorise {
        ids: AttemptIds { payment: [7; 16], attempt: 1, trace: 1, batch: 1, order: ORDER.into(), wall_ms: 0 },
        hold: false,
        amount: Money::new(OWED, Currency::CNY),
        instrument: Instrument::Code(ScannedCode { text: Sensitive::new(CODE.into()), symbology: None }),
        subject: "茶".into(),
        operator: None,
        pin_block: None,
        extra: Extra::new(),
    }
}

impl Shop {
    fn strike(&self, rule: Rule) {
        self.gateway.faults().add(rule).unwrap();
    }

    fn pay(&mut self) -> Outcome {
        let request = sale();
        let prepared = self.till.prepare(&request).unwrap();
        self.till.authorise(&request, &prepared)
    }

    fn query(&mut self) -> QueryOutcome {
        let request = sale();
        let recovery = self.till.prepare(&request).unwrap().recovery;
        let extra = Extra::new();
        self.till.query(&FollowUp { ids: request.ids, amount: request.amount, recovery, attempt: 1, extra })
    }

    fn kept(&self) -> i64 {
        self.gateway.ledger().totals.kept.get()
    }

    fn downloads(&self) -> usize {
        self.gateway.ledger().requests_of(DOWNLOAD).count()
    }

    fn said(&self, level: Level, word: &str) -> bool {
        self.bench.log_lines().iter().any(|(at, line)| *at == level && line.contains(word))
    }
}

#[track_caller]
fn bad_seal(outcome: Outcome) -> String {
    match outcome {
        Outcome::Unknown(u) if u.reason == UnknownReason::BadSeal => u.text,
        other => panic!("believed or misread: {other:?}"),
    }
}

#[test]
fn a_payment_and_its_refund_are_in_both_books_and_nothing_is_fetched() {
    let mut shop = shop();
    let Outcome::Approved(approval) = shop.pay() else { panic!("not approved") };
    assert_eq!((approval.amount.minor(), shop.kept()), (OWED, OWED));
    assert!(matches!(shop.query(), QueryOutcome::Paid(_)));
    let request = refund_of(approval, OWED, 850);
    assert!(matches!(follow(&mut shop.till, &request), Outcome::Approved(a) if a.amount.minor() == 850));
    assert!(matches!(query_follow(&mut shop.till, &request), QueryOutcome::Paid(_)));
    assert_eq!((shop.kept(), shop.downloads()), (OWED - 850, 0));
    assert!(!shop.said(Level::Error, ""), "{:?}", shop.bench.log_lines());
}

/// Rightly signed, every one of them; only not under a certificate that is Alipay's now.
fn not_alipays() -> [Fault; 5] {
    [
        Fault::ForeignCertificate {},
        Fault::ExpiredCertificate {},
        Fault::WrongOwner {},
        Fault::UnknownCertificate {},
        Fault::WithoutCertificate {},
    ]
}

#[test]
fn an_answer_under_a_certificate_that_is_not_alipays_is_worth_nothing() {
    for fault in not_alipays().into_iter().chain([Fault::WrongSignature {}, Fault::Unsigned {}]) {
        let mut shop = shop();
        shop.strike(Rule::once("alipay.trade.pay", fault.clone()));
        shop.strike(Rule::once("alipay.trade.query", fault.clone()));
        let said = bad_seal(shop.pay());
        assert!(!said.contains(CODE), "{said}");
        let asked = shop.query();
        assert!(
            matches!(&asked, QueryOutcome::Unknown(u) if u.reason == UnknownReason::BadSeal),
            "{fault:?}"
        );
        assert_eq!(shop.kept(), OWED, "the money did move; only nothing proves it yet");
        let counted = shop.till.statistics();
        assert!(counted.contains(&("bad-seal".to_owned(), 2)), "{counted:?}");
        let QueryOutcome::Paid(approval) = shop.query() else { panic!("{fault:?}: the truth was not found") };

        let request = refund_of(approval, OWED, 850);
        shop.strike(Rule::once("alipay.trade.refund", fault.clone()));
        shop.strike(Rule::once("alipay.trade.fastpay.refund.query", fault.clone()));
        bad_seal(follow(&mut shop.till, &request));
        let asked = query_follow(&mut shop.till, &request);
        assert!(
            matches!(&asked, QueryOutcome::Unknown(u) if u.reason == UnknownReason::BadSeal),
            "{fault:?}"
        );
        assert!(matches!(query_follow(&mut shop.till, &request), QueryOutcome::Paid(_)), "{fault:?}");
        assert!(shop.downloads() <= 1, "{fault:?}: fetched {} times in no time", shop.downloads());
    }
}

#[test]
fn what_is_wrong_with_the_certificate_is_said_with_the_setting_to_renew() {
    for (fault, word, setting) in [
        (Fault::WithoutCertificate {}, "names no certificate", "alipay_public_key"),
        (Fault::UnknownCertificate {}, "does not have", "alipay_certificate"),
        (Fault::ForeignCertificate {}, "could not fetch", "alipay_certificate"),
    ] {
        let mut shop = shop();
        shop.strike(Rule::once("alipay.trade.pay", fault.clone()));
        let said = bad_seal(shop.pay());
        assert!(said.contains(word) && said.contains(setting), "{fault:?}: {said}");
    }
    for (fault, word) in [
        (Fault::ForeignCertificate {}, "does not lead to a root"),
        (Fault::ExpiredCertificate {}, "not valid now"),
        (Fault::WrongOwner {}, "somebody else"),
        (Fault::UnknownCertificate {}, "40004"),
    ] {
        let mut shop = shop();
        shop.strike(Rule::once("alipay.trade.pay", fault.clone()));
        bad_seal(shop.pay());
        assert!(shop.said(Level::Error, word), "{fault:?}: {:?}", shop.bench.log_lines());
    }
}

#[test]
fn a_new_certificate_is_fetched_once_and_believed_from_then_on() {
    let mut shop = shop();
    shop.strike(Rule::once("alipay.trade.pay", Fault::KeyRotated {}));
    assert!(matches!(shop.pay(), Outcome::Approved(_)), "{:?}", shop.bench.log_lines());
    assert!(shop.said(Level::Warn, "alipay_certificate"));
    for _ in 0..3 {
        assert!(matches!(shop.query(), QueryOutcome::Paid(_)));
    }
    assert_eq!((shop.downloads(), shop.kept()), (1, OWED));

    // It changes again and again: each time one fetch, and not more often than once a minute.
    for round in 2..=7 {
        shop.gateway.rotate_certificate().unwrap();
        let asked = shop.query();
        assert!(matches!(asked, QueryOutcome::Unknown(u) if u.reason == UnknownReason::BadSeal));
        shop.bench.advance(Duration::from_mins(1));
        assert!(matches!(shop.query(), QueryOutcome::Paid(_)));
        assert_eq!(shop.downloads(), round);
    }
    // A till that starts again has the settings' certificate only, and fetches.
    shop.till = open(&shop.gateway, &shop.bench);
    assert!(matches!(shop.query(), QueryOutcome::Paid(_)));
    assert_eq!(shop.downloads(), 8);
}

#[test]
fn a_fetch_that_fails_leaves_the_payment_unknown_and_is_not_repeated_at_once() {
    let lost = Rule::once(DOWNLOAD, Fault::DropAfterBooking {});
    let odd = |content: &str| Fault::Answer {
        code: "10000".into(),
        sub_code: None,
        fields: [("alipay_cert_content".to_owned(), content.to_owned())].into(),
        booked: true,
    };
    for rule in [
        lost,
        Rule::once(DOWNLOAD, Fault::Garbage {}),
        Rule::once(DOWNLOAD, Fault::HttpStatus { status: 502 }),
        Rule::once(DOWNLOAD, odd("not base64!")),
        Rule::once(DOWNLOAD, odd("bm90aGluZw==")),
    ] {
        let told = format!("{rule:?}");
        let mut shop = shop();
        shop.strike(rule);
        shop.strike(Rule::once("alipay.trade.pay", Fault::KeyRotated {}));
        bad_seal(shop.pay());
        assert!(matches!(shop.query(), QueryOutcome::Unknown(_)), "{told}");
        shop.bench.advance(Duration::from_secs(9));
        assert!(matches!(shop.query(), QueryOutcome::Unknown(_)), "{told}");
        shop.bench.advance(Duration::from_secs(1));
        assert!(matches!(shop.query(), QueryOutcome::Paid(_)), "{told}");
        assert_eq!(shop.kept(), OWED);
    }
}

#[test]
fn a_fetch_takes_no_time_that_the_call_does_not_have() {
    let mut shop = shop();
    shop.strike(Rule::once("alipay.trade.pay", Fault::KeyRotated {}));
    shop.bench.set_remaining(Some(Duration::from_millis(740)));
    bad_seal(shop.pay());
    assert_eq!(shop.downloads(), 0, "it was begun with less than half a second left");
    shop.bench.set_remaining(Some(Duration::from_secs(5)));
    assert!(matches!(shop.query(), QueryOutcome::Paid(_)), "the pause counts from a fetch that was made");

    let mut shop = self::shop();
    shop.gateway.rotate_certificate().unwrap();
    shop.strike(Rule::once(DOWNLOAD, Fault::HoldReply {}));
    shop.bench.set_remaining(Some(Duration::from_millis(1_500)));
    let began = std::time::Instant::now();
    bad_seal(shop.pay());
    // A fetch that did not go by the call's deadline would wait 5 s.
    assert!(began.elapsed() < Duration::from_secs(5), "the call's deadline passed in a fetch");
    shop.gateway.faults().release();
}

#[test]
fn the_tills_clock_decides_whether_a_certificate_is_valid() {
    let mut shop = shop();
    assert!(matches!(shop.pay(), Outcome::Approved(_)));
    let later = jiff::Timestamp::from_second(4_070_908_800).unwrap(); // 2099, where all of them end
    let now = jiff::Timestamp::from_millisecond(shop.bench.host().now().wall_ms).unwrap();
    let years = Duration::try_from(later.duration_since(now)).unwrap();
    shop.bench.advance(years.checked_sub(Duration::from_mins(1)).unwrap());
    assert!(matches!(shop.query(), QueryOutcome::Paid(_)));
    shop.bench.advance(Duration::from_mins(2));
    assert!(matches!(shop.query(), QueryOutcome::Unknown(u) if u.reason == UnknownReason::BadSeal));
    assert_eq!(shop.downloads(), 0, "a certificate that is there is not fetched again");
    // Told at the start too, and where nobody knows the time, not.
    open(&shop.gateway, &shop.bench);
    assert!(shop.said(Level::Error, "app_certificate is not valid now"));
    assert!(shop.said(Level::Error, "alipay_certificate is not valid now"));
}
