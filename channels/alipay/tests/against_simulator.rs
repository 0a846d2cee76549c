//! The channel against the gateway simulator, whose books say what really happened to the money. The resolving that the
//! daemon does is done here in its simplest form: query, and cancel what is not paid.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too: what fails there fails the test

mod follow;

use std::collections::BTreeMap;
use std::time::Duration;

use follow::{REFUND, another, follow, query_follow, refund_of};
use till_channel_alipay::plugin::Alipay;
use till_plugin::channel::*;
use till_plugin::instrument::ScannedCode;
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Currency, Extra, Instrument, Money, PluginError, Sensitive};
use till_simulators::alipay::{Account, Buyer, Gateway, Settings, Status};
use till_simulators::faults::{Fault, Rule};

const ORDER: &str = "T0120260901000001";
const CODE: &str = "280000000000000001";
const OWED: i64 = 12_850;

/// A till and its gateway. The test host's clock stands still, so the gateway's is set to it.
struct Shop {
    gateway: Gateway,
    bench: TestHost,
    till: Alipay,
}

fn settings() -> Settings {
    let ours = jiff::Timestamp::from_millisecond(TestHost::new().host().now().wall_ms).unwrap();
    let mut settings = Settings::default();
    settings.clock_offset = ours.duration_since(jiff::Timestamp::now());
    settings.https = None; // a certificate for each of some hundred gateways costs more than the tests
    settings
}

fn open(gateway: &Gateway, url: &str) -> Result<(TestHost, Alipay), PluginError> {
    let bench = TestHost::new().with_secret("app_private_key", gateway.app_private_pem().as_bytes());
    let mut json = serde_json::json!({
        "app_id": gateway.app_id(), "alipay_public_key": gateway.public_pem(), "gateway": url,
        "exchange_timeout_ms": 10_000, "insecure_http_for_tests": url.starts_with("http://"),
    });
    if url.starts_with("https://") {
        json["ca_pem"] = gateway.authority_pem().into();
    }
    let till = Alipay::open(bench.host(), till_plugin::Settings::from_json(json.to_string()))?;
    Ok((bench, till))
}

fn shop_with(settings: Settings) -> Shop {
    let gateway = Gateway::start(settings).unwrap();
    let (bench, till) = open(&gateway, &gateway.url()).unwrap();
    Shop { gateway, bench, till }
}

fn shop() -> Shop {
    shop_with(settings())
}

fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

fn ids(order: &str) -> AttemptIds {
    AttemptIds { payment: [7; 16], attempt: 1, trace: 1, batch: 1, order: order.into(), wall_ms: 0 }
}

fn sale(instrument: Instrument) -> Authorise {
    Authorise {
        ids: ids(ORDER),
        hold: false,
        amount: cny(OWED),
        instrument,
        subject: "茶".into(),
        operator: None,
        pin_block: None,
        extra: Extra::new(),
    }
}

fn scan() -> Instrument {
    Instrument::Code(ScannedCode { text: Sensitive::new(CODE.into()), symbology: None })
}

impl Shop {
    fn faults(self, rules: impl IntoIterator<Item = Rule>) -> Self {
        for rule in rules {
            self.gateway.faults().add(rule).unwrap();
        }
        self
    }

    fn pay(&mut self) -> Outcome {
        let request = sale(scan());
        let prepared = self.till.prepare(&request).unwrap();
        self.till.authorise(&request, &prepared)
    }

    fn original(&mut self, instrument: Instrument) -> FollowUp {
        let request = sale(instrument);
        let recovery = self.till.prepare(&request).unwrap().recovery;
        FollowUp { ids: request.ids, amount: request.amount, recovery, attempt: 1, extra: Extra::new() }
    }

    fn query(&mut self) -> QueryOutcome {
        let original = self.original(scan());
        self.till.query(&original)
    }

    fn undo(&mut self) -> UndoOutcome {
        let original = self.original(scan());
        self.till.undo(&original, UndoReason::NoAnswer)
    }

    fn kept(&self) -> i64 {
        self.gateway.ledger().totals.kept.get()
    }
}

#[test]
fn a_payment_is_in_both_books_and_the_code_in_neither_log() {
    let mut shop = shop();
    let Outcome::Approved(a) = shop.pay() else { panic!("not approved") };
    let ledger = shop.gateway.ledger();
    let trade = ledger.trade(ORDER).unwrap();
    assert_eq!((a.amount.minor(), a.reference.as_str()), (trade.total.get(), trade.trade_no.as_str()));
    assert_eq!((trade.status, shop.kept()), (Status::TradeSuccess, OWED));
    assert_eq!(a.account.as_deref(), Some("159****5620"));
    let told = format!("{:?} {a:?}", shop.bench.log_lines());
    assert!(!told.contains(CODE), "{told}");
}

/// Everything a gateway and the way to it can do to one answer.
fn faults() -> Vec<Fault> {
    vec![
        Fault::DropBeforeBooking {},
        Fault::DropAfterBooking {},
        Fault::WrongSignature {},
        Fault::Unsigned {},
        Fault::WrongAmount { by: 1 },
        Fault::WrongReference {},
        Fault::HalfReply {},
        Fault::Garbage {},
        Fault::HttpStatus { status: 502 },
        Fault::Reset { booked: false },
        Fault::Reset { booked: true },
        Fault::DelayReply { ms: 30 },
        Fault::Answer {
            code: "20000".into(),
            sub_code: Some("isp.x".into()),
            fields: BTreeMap::new(),
            booked: true,
        },
        Fault::Answer {
            code: "40004".into(),
            sub_code: Some("ACQ.SYSTEM_ERROR".into()),
            fields: BTreeMap::new(),
            booked: true,
        },
    ]
}

#[test]
fn every_fault_of_a_pay_leaves_it_unknown_and_a_query_finds_the_truth() {
    for fault in faults() {
        if matches!(fault, Fault::DelayReply { .. }) {
            continue;
        }
        let mut shop = shop().faults([Rule::once("alipay.trade.pay", fault.clone())]);
        assert!(matches!(shop.pay(), Outcome::Unknown(_)), "{fault:?}");
        match shop.query() {
            QueryOutcome::Paid(a) => assert_eq!((a.amount.minor(), shop.kept()), (OWED, OWED), "{fault:?}"),
            QueryOutcome::NotFound => {
                assert_eq!(shop.kept(), 0, "{fault:?}");
                assert_eq!(shop.undo(), UndoOutcome::NeverExisted);
            }
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(
            shop.gateway.ledger().requests_of("alipay.trade.pay").count(),
            1,
            "{fault:?}: pay was repeated"
        );
    }
}

#[test]
fn a_lost_answer_that_no_query_finds_is_sent_back_by_the_cancel() {
    let lost = Rule::once("alipay.trade.query", Fault::DropBeforeBooking {}).always();
    let mut shop = shop().faults([Rule::once("alipay.trade.pay", Fault::DropAfterBooking {}), lost]);
    assert!(matches!(shop.pay(), Outcome::Unknown(_)));
    assert_eq!(shop.kept(), OWED);
    assert!(matches!(shop.query(), QueryOutcome::Unknown(_)));
    assert!(matches!(shop.undo(), UndoOutcome::Undone { money_moved: true, .. }));
    assert_eq!(shop.kept(), 0);
    assert!(matches!(shop.undo(), UndoOutcome::Undone { .. }), "a cancel can be repeated");
}

#[test]
fn a_cancel_that_asks_to_be_repeated_is_not_done() {
    let again = Fault::Answer {
        code: "10000".into(),
        sub_code: None,
        fields: [("retry_flag", "Y"), ("out_trade_no", ORDER)]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        booked: false,
    };
    let mut shop = shop().faults([Rule::once("alipay.trade.cancel", again)]);
    shop.pay();
    assert!(matches!(shop.undo(), UndoOutcome::Unknown(_)));
    assert_eq!(shop.kept(), OWED);
    assert!(matches!(shop.undo(), UndoOutcome::Undone { money_moved: true, .. }));
}

#[test]
fn a_password_is_waited_for_and_an_ignored_one_is_cancelled() {
    let mut shop = shop();
    shop.gateway.set_buyer(CODE, Buyer::Types { seconds: 10 });
    assert!(matches!(shop.pay(), Outcome::Unknown(u) if u.reason == UnknownReason::InProgress));
    assert_eq!(shop.query(), QueryOutcome::InProgress);
    shop.gateway.advance(Duration::from_secs(11));
    assert!(matches!(shop.query(), QueryOutcome::Paid(_)));

    let mut shop = self::shop();
    shop.gateway.set_buyer(CODE, Buyer::Ignores);
    assert!(matches!(shop.pay(), Outcome::Unknown(_)));
    assert!(matches!(shop.undo(), UndoOutcome::Undone { money_moved: false, .. }));
    assert!(matches!(shop.query(), QueryOutcome::NotPaid(_)));
    assert_eq!(shop.kept(), 0);
}

#[test]
fn an_account_that_cannot_pay_is_declined_with_what_to_do() {
    for (why, next) in [
        (Account::BalanceShort, NextStep::OtherMethod),
        (Account::BankcardShort, NextStep::OtherMethod),
        (Account::BalanceDisabled, NextStep::OtherMethod),
        (Account::MonthLimit, NextStep::OtherMethod),
        (Account::Risk, NextStep::OtherMethod),
        (Account::IsSeller, NextStep::OtherMethod),
        (Account::Fail, NextStep::PresentAgain),
        (Account::CashierFail, NextStep::PresentAgain),
        (Account::Expired, NextStep::PresentAgain),
    ] {
        let mut shop = shop();
        shop.gateway.set_buyer(CODE, Buyer::Refused { why });
        let Outcome::Declined(d) = shop.pay() else { panic!("{why:?}") };
        assert_eq!((d.class, d.next), (DeclineClass::Customer, next), "{why:?}");
        assert_eq!(shop.kept(), 0);
    }
}

#[test]
fn slow_is_not_down_and_down_is_not_sent() {
    let mut shop = shop().faults([Rule::once("alipay.trade.pay", Fault::Slow { ms_per_byte: 1 })]);
    assert!(matches!(shop.pay(), Outcome::Approved(_)));

    let mut shop = self::shop().faults([Rule::once("alipay.trade.pay", Fault::HoldReply {})]);
    shop.bench.set_remaining(Some(Duration::from_millis(700)));
    assert!(matches!(shop.pay(), Outcome::Unknown(u) if u.reason == UnknownReason::NoAnswer));
    shop.gateway.faults().release();
    shop.bench.set_remaining(None);
    assert!(matches!(shop.query(), QueryOutcome::Paid(_)));

    let (Shop { gateway, mut till, .. }, request) = (self::shop(), sale(scan()));
    let prepared = till.prepare(&request).unwrap();
    gateway.stop();
    assert!(matches!(till.authorise(&request, &prepared), Outcome::NotSent(_)));
}

fn refund(shop: &mut Shop, amount: i64) -> Follow {
    let Outcome::Approved(approval) = shop.pay() else { panic!("not approved") };
    refund_of(approval, OWED, amount)
}

#[test]
fn a_refund_happens_once_however_often_it_is_asked_for() {
    let mut shop = shop().faults([Rule::once("alipay.trade.refund", Fault::DropAfterBooking {})]);
    let request = refund(&mut shop, 850);
    assert_eq!(query_follow(&mut shop.till, &request), QueryOutcome::NotFound);
    assert!(matches!(follow(&mut shop.till, &request), Outcome::Unknown(_)));
    assert!(matches!(query_follow(&mut shop.till, &request), QueryOutcome::Paid(a) if a.amount == cny(850)));
    // The same number again moves nothing; that it moved nothing is not read as a failure.
    assert!(matches!(follow(&mut shop.till, &request), Outcome::Unknown(_)));
    assert_eq!(shop.kept(), OWED - 850);
    let rest = another(&request, "T0120260901000003", OWED);
    assert!(matches!(follow(&mut shop.till, &rest), Outcome::Declined(_)), "more than is left");
    assert_eq!(shop.kept(), OWED - 850);
}

/// What the till books as given back: the refund's own answer, else up to three questions. `None`: still not known.
fn given_back(shop: &mut Shop, request: &Follow) -> Option<i64> {
    match follow(&mut shop.till, request) {
        Outcome::Approved(a) => return Some(a.amount.minor()),
        Outcome::Declined(d) | Outcome::NotSent(d) => panic!("a fault is no refusal: {d:?}"),
        Outcome::Unknown(_) => {}
    }
    for _ in 0..3 {
        match query_follow(&mut shop.till, request) {
            QueryOutcome::Paid(a) => return Some(a.amount.minor()),
            QueryOutcome::NotPaid(d) => panic!("nothing was refused: {d:?}"),
            QueryOutcome::NotFound => return Some(0),
            QueryOutcome::InProgress | QueryOutcome::Unknown(_) => {}
        }
    }
    None
}

#[test]
fn the_books_agree_whatever_goes_wrong_with_a_refund_and_the_questions_behind_it() {
    for refunding in faults() {
        for asking in faults() {
            let mut shop = shop().faults([
                Rule::once("alipay.trade.refund", refunding.clone()),
                Rule::once("alipay.trade.fastpay.refund.query", asking.clone()).times(2),
            ]);
            let request = refund(&mut shop, 850);
            let booked = given_back(&mut shop, &request).expect("the third question is answered");
            assert_eq!(OWED - booked, shop.kept(), "refund {refunding:?}, then {asking:?}");
            // Sent again, as a person may after "not found": once in all, however often.
            for _ in 0..2 {
                let again = follow(&mut shop.till, &request);
                assert!(matches!(again, Outcome::Approved(_) | Outcome::Unknown(_)), "{again:?}");
                assert_eq!(shop.kept(), OWED - 850, "refund {refunding:?}, then {asking:?}");
            }
            // Whatever faults are left over are used up by the third question.
            assert!((0..3).any(|_| matches!(query_follow(&mut shop.till, &request), QueryOutcome::Paid(_))));
            assert_eq!(shop.gateway.ledger().requests_of("alipay.trade.cancel").count(), 0);
        }
    }
}

#[test]
fn an_answer_to_a_refund_that_is_not_signed_by_alipay_is_worth_nothing() {
    for fault in [Fault::WrongSignature {}, Fault::Unsigned {}] {
        let query = Rule::once("alipay.trade.fastpay.refund.query", fault.clone()).always();
        let mut shop = shop().faults([Rule::once("alipay.trade.refund", fault.clone()), query]);
        let request = refund(&mut shop, 850);
        let Outcome::Unknown(u) = follow(&mut shop.till, &request) else { panic!("{fault:?} was believed") };
        assert_eq!(u.reason, UnknownReason::BadSeal);
        let asked = query_follow(&mut shop.till, &request);
        assert!(matches!(asked, QueryOutcome::Unknown(u) if u.reason == UnknownReason::BadSeal));
        assert_eq!(shop.kept(), OWED - 850, "the money did move; only nothing proves it yet");
    }
}

#[test]
fn parts_go_back_until_nothing_is_left_and_never_more() {
    let mut shop = shop();
    let first = refund(&mut shop, 850);
    let parts = [("T0120260901000002", 850), ("T0120260901000003", 4_000), ("T0120260901000004", 8_000)];
    let mut kept = OWED;
    for (number, amount) in parts {
        let request = another(&first, number, amount);
        let Outcome::Approved(a) = follow(&mut shop.till, &request) else {
            panic!("{number} is not refunded")
        };
        assert_eq!((a.amount.minor(), a.echo.order.as_deref()), (amount, Some(number)));
        assert_eq!(a.reference, first.original.approval.reference);
        kept -= amount;
        assert_eq!(shop.kept(), kept);
    }
    assert_eq!(kept, 0);
    // Each is found under its own number, and one more fen is refused by Alipay itself.
    for (number, amount) in parts {
        let asked = query_follow(&mut shop.till, &another(&first, number, amount));
        assert!(matches!(asked, QueryOutcome::Paid(a) if a.amount.minor() == amount), "{number}");
        let wrong = query_follow(&mut shop.till, &another(&first, number, amount - 1));
        assert!(matches!(wrong, QueryOutcome::Unknown(u) if u.reason == UnknownReason::Mismatch), "{number}");
    }
    let more = another(&first, "T0120260901000005", 1);
    assert!(matches!(follow(&mut shop.till, &more), Outcome::Declined(_)));
    assert_eq!(query_follow(&mut shop.till, &more), QueryOutcome::NotFound);
    // A number that was used for another amount moves nothing.
    let other = another(&first, "T0120260901000003", 10);
    assert!(!matches!(follow(&mut shop.till, &other), Outcome::Approved(_)));
    assert_eq!(shop.kept(), 0);
}

#[test]
fn a_whole_payment_of_today_goes_back_by_refund_and_not_by_cancel() {
    let mut shop = shop();
    let request = refund(&mut shop, OWED);
    assert!(matches!(follow(&mut shop.till, &request), Outcome::Approved(a) if a.amount == cny(OWED)));
    let ledger = shop.gateway.ledger();
    assert_eq!((shop.kept(), ledger.requests_of("alipay.trade.cancel").count()), (0, 0));
    assert!(ledger.trade(ORDER).unwrap().refunds.iter().all(|r| !r.by_cancel));
}

#[test]
fn what_alipay_does_not_do_or_cannot_be_signed_is_never_sent() {
    let mut shop = shop();
    let request = refund(&mut shop, 850);
    let before = shop.gateway.ledger().requests.len();
    for kind in [FollowKind::Void, FollowKind::Capture, FollowKind::Release] {
        let wrong = Follow { kind, ..request.clone() };
        assert_eq!(shop.till.prepare_follow(&wrong).unwrap_err().code, "unsupported");
        let prepared = Prepared { recovery: Sensitive::new(Vec::new()), masked: String::new() };
        assert!(matches!(shop.till.follow(&wrong, &prepared), Outcome::NotSent(_)));
    }
    assert!(shop.till.prepare_follow(&another(&request, REFUND, OWED + 1)).is_err());
    let prepared = shop.till.prepare_follow(&request).unwrap();
    assert_eq!(prepared.masked, "159****5620");
    shop.bench.trust_clock(false);
    assert!(shop.till.prepare_follow(&request).is_err());
    assert!(matches!(shop.till.follow(&request, &prepared), Outcome::NotSent(_)));
    assert!(matches!(query_follow(&mut shop.till, &request), QueryOutcome::Unknown(_)));
    assert_eq!((shop.gateway.ledger().requests.len(), shop.kept()), (before, OWED));

    let rules = shop.till.leg_rules();
    let [rule] = rules.as_slice() else { panic!("{rules:?}") };
    assert_eq!((rule.operation, rule.partial, rule.instrument), (Operation::Refund, true, false));
    assert!(
        rule.resolve.undo.is_none() && rule.resolve.query.is_some(),
        "a refund is asked about, never undone"
    );
}

#[test]
fn a_payment_that_is_past_its_refund_time_is_refused_and_kept() {
    let mut shop = shop();
    let request = refund(&mut shop, 850);
    assert!(shop.gateway.finish(ORDER));
    assert!(matches!(follow(&mut shop.till, &request), Outcome::Declined(_)));
    assert_eq!(shop.kept(), OWED);
}

#[test]
fn a_shown_code_is_paid_when_scanned_and_closed_when_given_up() {
    for scanned in [true, false] {
        let mut shop = shop();
        let request = sale(Instrument::ShowCode);
        let prepared = shop.till.prepare(&request).unwrap();
        let Outcome::Unknown(shown) = shop.till.authorise(&request, &prepared) else { panic!("not shown") };
        assert!(shown.show_code.is_some());
        let original = shop.original(Instrument::ShowCode);
        assert_eq!(shop.till.query(&original), QueryOutcome::InProgress);
        if scanned {
            assert!(shop.gateway.scan(ORDER, Buyer::Pays));
            assert!(matches!(shop.till.query(&original), QueryOutcome::Paid(_)));
            assert_eq!(shop.kept(), OWED);
        } else {
            let undone = shop.till.undo(&original, UndoReason::Abandoned);
            assert!(matches!(undone, UndoOutcome::Undone { .. } | UndoOutcome::NeverExisted), "{undone:?}");
            shop.gateway.scan(ORDER, Buyer::Pays);
            assert_eq!(shop.kept(), 0, "an abandoned code was still paid");
        }
    }
}

#[test]
fn a_stale_clock_or_a_wrong_key_is_the_channel_s_fault_and_nothing_moves() {
    let mut late = settings();
    late.clock_offset = late.clock_offset.checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
    let mut foreign = settings();
    let other = till_simulators::wallet::keys::SigningKey::generate().unwrap();
    foreign.app_public_key = Some(other.public_pem().unwrap());
    for settings in [late, foreign] {
        let mut shop = shop_with(settings);
        let Outcome::Declined(d) = shop.pay() else { panic!("not declined") };
        assert_eq!((d.class, d.next), (DeclineClass::Channel, NextStep::CallSupport), "{d:?}");
        assert_eq!(shop.till.probe().unwrap().state, till_plugin::driver::DeviceState::Failed);
        assert_eq!(shop.kept(), 0);
    }
    assert_eq!(shop().till.probe().unwrap().state, till_plugin::driver::DeviceState::Ready);
}
