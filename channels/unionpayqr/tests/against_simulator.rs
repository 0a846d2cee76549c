//! The channel against the gateway simulator, with every fault of channels §4.4.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too: what fails there fails the test

mod shop;

use std::time::Duration;

use shop::*;
use till_plugin::channel::*;
use till_plugin::driver::DeviceState;
use till_plugin::host::Level;
use till_plugin::{Channel, Instrument, Sensitive};
use till_simulators::faults::{Fault, Rule};
use till_simulators::unionpay::{Account, Buyer, State};

/// Longer than a clearing day.
const A_DAY: Duration = Duration::from_hours(24);

/// C2, C21: the code is in neither log.
#[test]
fn a_payment_is_in_both_books_and_the_code_in_neither_log() {
    let mut shop = shop();
    let a = shop.paid();
    let ledger = shop.platform.ledger();
    let trade = ledger.trade(ORDER).unwrap();
    assert_eq!((a.amount.minor(), a.reference.as_str()), (trade.amount, trade.query_id.as_str()));
    assert_eq!((trade.state, shop.kept()), (State::Done, OWED));
    assert_eq!(a.echo.merchant.as_deref(), Some(shop.platform.mer_id()));
    assert_eq!(shop.till.describe().merchant, a.echo.merchant);
    assert_eq!((a.account, a.host_time.as_deref()), (None, Some("2026-01-02 11:04:05")));
    assert_eq!(ledger.requests_of("pay").count(), 1);
    let told = format!("{:?} {:?}", shop.bench.log_lines(), shop.platform.ledger());
    assert!(!told.contains(CODE), "{told}");
}

/// "00" to a payment says that it was taken, not that it is paid (channels §4.3).
#[test]
fn an_accepted_payment_is_not_paid_before_a_query_says_so() {
    let mut shop = shop().faults([Rule::once("query", Fault::DropBeforeBooking {})]);
    assert!(matches!(shop.pay(), Outcome::Unknown(_)));
    assert!(matches!(shop.query(), QueryOutcome::Paid(_)));

    let mut shop = self::shop();
    shop.platform.set_buyer(CODE, Buyer::Types { seconds: 10 });
    assert_eq!(unknown(shop.pay()), UnknownReason::InProgress);
    assert_eq!(shop.query(), QueryOutcome::InProgress);
    shop.pass(Duration::from_secs(11));
    assert!(matches!(shop.query(), QueryOutcome::Paid(_)));

    let mut shop = self::shop();
    shop.platform.set_buyer(CODE, Buyer::GivesUp { seconds: 3 });
    unknown(shop.pay());
    shop.pass(Duration::from_secs(4));
    assert!(matches!(shop.query(), QueryOutcome::NotPaid(d) if d.code == "01"));
    assert_eq!(shop.kept(), 0);
}

/// A reply that does not verify, or is for another order, amount or merchant, or whose certificate is wrong.
#[test]
fn every_fault_of_a_payment_leaves_it_unknown_and_a_query_finds_the_truth() {
    for fault in faults() {
        let mut shop = shop().faults([Rule::once("pay", fault.clone())]);
        let reason = unknown(shop.pay());
        let seal = matches!(
            fault,
            Fault::WrongSignature {}
                | Fault::Unsigned {}
                | Fault::ForeignCertificate {}
                | Fault::ExpiredCertificate {}
                | Fault::WrongOwner {}
                | Fault::Garbage {}
        );
        assert_eq!(reason == UnknownReason::BadSeal, seal, "{fault:?}: {reason:?}");
        let other =
            matches!(fault, Fault::WrongMerchant {} | Fault::WrongReference {} | Fault::WrongAmount { .. });
        assert_eq!(reason == UnknownReason::Mismatch, other, "{fault:?}: {reason:?}");
        match shop.query() {
            QueryOutcome::Paid(a) => assert_eq!((a.amount.minor(), shop.kept()), (OWED, OWED), "{fault:?}"),
            QueryOutcome::NotFound => assert_eq!(shop.kept(), 0, "{fault:?}"),
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(shop.platform.ledger().requests_of("pay").count(), 1, "{fault:?}: pay was repeated");
        let loud = shop.bench.log_lines().iter().any(|(level, _)| *level == Level::Error);
        assert_eq!(loud, seal || other, "{fault:?}");
    }
}

/// A sealed answer to another question about the same order.
#[test]
fn an_answer_to_something_else_is_no_reversal() {
    let mut shop = shop().faults([Rule::once("query", Fault::DropAfterBooking {})]);
    unknown(shop.pay());
    assert!(matches!(shop.query(), QueryOutcome::Paid(_)));
    shop.platform.faults().add(Rule::once("reverse", Fault::ReplayedReply {})).unwrap();
    // The query's answer once more: rightly signed, of this order, "00".
    assert!(matches!(shop.undo(), UndoOutcome::Unknown(u) if u.reason == UnknownReason::Mismatch));
    assert!(matches!(shop.undo(), UndoOutcome::Undone { .. }));
    assert_eq!(shop.kept(), 0);
}

/// Channels §4.3: query first respCode, then origRespCode; 34 proves nothing; a charged customer is not "declined".
#[test]
fn what_a_query_says_of_the_trade_decides_and_nothing_else() {
    for (code, orig, what) in [
        ("00", Some("00"), "paid"),
        ("00", Some("A6"), "paid"),
        ("00", Some("03"), "open"),
        ("00", Some("04"), "open"),
        ("00", Some("05"), "open"),
        ("00", Some("64"), "not"),
        ("00", Some("01"), "not"),
        ("00", Some("42"), "unknown"),
        ("00", Some("46"), "unknown"),
        ("00", Some("0"), "unknown"),
        ("34", None, "not-found"),
        ("34", Some("00"), "unknown"),
        ("11", Some("00"), "unknown"),
        ("03", Some("00"), "unknown"),
        ("ZZ", Some("00"), "unknown"),
    ] {
        let mut shop = shop();
        shop.paid();
        let mut fault = answer(code, orig, true);
        if let (None, Fault::Answer { fields, .. }) = (orig, &mut fault) {
            fields.insert("origRespCode".into(), String::new());
        }
        shop.platform.faults().add(Rule::once("query", fault)).unwrap();
        let got = match shop.query() {
            QueryOutcome::Paid(_) => "paid",
            QueryOutcome::InProgress => "open",
            QueryOutcome::NotPaid(_) => "not",
            QueryOutcome::NotFound => "not-found",
            QueryOutcome::Unknown(_) => "unknown",
        };
        assert_eq!(got, what, "{code} {orig:?}");
    }
}

#[test]
fn a_reversal_undoes_once_and_is_repeated_until_it_is_answered() {
    let mut shop = shop().faults([
        Rule::once("query", Fault::DropBeforeBooking {}).always(),
        Rule::once("reverse", Fault::DropAfterBooking {}),
    ]);
    unknown(shop.pay());
    assert!(matches!(shop.undo(), UndoOutcome::Unknown(_)));
    assert_eq!(shop.kept(), 0);
    assert!(matches!(shop.undo(), UndoOutcome::Undone { .. }));
    // A payment that never arrived is barred by its reversal.
    let mut shop = self::shop().faults([Rule::once("pay", Fault::DropBeforeBooking {})]);
    unknown(shop.pay());
    assert_eq!(shop.undo(), UndoOutcome::NeverExisted);
    assert!(!matches!(shop.pay(), Outcome::Approved(_)));
    assert_eq!(shop.kept(), 0);
}

/// Policy unionpay-code-reversal_other-day: after 23:00 the reversal is refused; refunded, once, when the money was taken.
#[test]
fn after_the_cut_what_was_taken_is_given_back_once() {
    for rest in faults() {
        // The daemon died in between: the answer was lost, and the undo comes a day later.
        let mut shop = shop().faults([Rule::once("query", Fault::DropAfterBooking {})]);
        unknown(shop.pay());
        shop.pass(A_DAY);
        shop.platform.faults().add(Rule::once("refund", rest.clone()).times(2)).unwrap();
        let mut undone = None;
        for _ in 0..6 {
            match shop.undo() {
                UndoOutcome::Undone { money_moved, .. } => {
                    undone = Some(money_moved);
                    break;
                }
                UndoOutcome::Unknown(_) | UndoOutcome::NotSent(_) => {}
                other => panic!("{rest:?}: {other:?}"),
            }
            // The refund's name does not go by the clock.
            shop.pass(Duration::from_secs(61));
        }
        assert_eq!((undone, shop.kept()), (Some(true), 0), "{rest:?}");
        assert!(matches!(shop.undo(), UndoOutcome::Undone { money_moved: true, .. }), "it can be repeated");
        assert_eq!((shop.kept(), shop.platform.ledger().requests_of("reverse").count()), (0, 0));
    }
    // Nothing was taken: nothing goes back.
    let mut shop = shop().faults([Rule::once("pay", Fault::DropBeforeBooking {})]);
    unknown(shop.pay());
    shop.pass(A_DAY);
    assert_eq!(shop.undo(), UndoOutcome::NeverExisted);
    let mut shop = self::shop();
    shop.platform.set_buyer(CODE, Buyer::GivesUp { seconds: 3 });
    unknown(shop.pay());
    shop.pass(A_DAY);
    assert_eq!(shop.undo(), UndoOutcome::Undone { money_moved: false, reference: None });
}

/// Its number and time are made of the payment's: sent again later it is the same refund.
#[test]
fn a_refund_behind_the_cut_whose_answers_are_lost_is_found_under_its_name() {
    let mut shop = shop().faults([Rule::once("query", Fault::DropAfterBooking {})]);
    unknown(shop.pay());
    shop.pass(A_DAY);
    // The first query is about the payment, the second about the refund.
    shop = shop.faults([
        Rule::once("refund", Fault::DropAfterBooking {}),
        Rule::once("query", Fault::DropAfterBooking {}).after(1),
    ]);
    assert!(matches!(shop.undo(), UndoOutcome::Unknown(_)));
    assert_eq!(shop.kept(), 0);
    shop.pass(Duration::from_secs(61));
    assert!(matches!(shop.undo(), UndoOutcome::Undone { money_moved: true, .. }));
    assert_eq!((shop.kept(), shop.platform.ledger().trades.len()), (0, 2));
}

/// The till's clock is behind the gateway's by a moment: the reversal is refused though the till thinks that it is in time.
#[test]
fn a_refused_reversal_of_a_paid_order_stays_open_until_it_can_be_given_back() {
    let mut shop = shop().faults([Rule::once("reverse", answer("39", None, false)).times(2)]);
    shop.paid();
    for _ in 0..2 {
        assert!(matches!(shop.undo(), UndoOutcome::Unknown(u) if u.reason == UnknownReason::HostFault));
        assert_eq!(shop.kept(), OWED);
    }
    shop.pass(A_DAY);
    assert!(matches!(shop.undo(), UndoOutcome::Undone { money_moved: true, .. }));
    assert_eq!(shop.kept(), 0);
}

#[test]
fn an_account_that_cannot_pay_is_declined_with_what_to_do() {
    for (why, code, next) in [
        (Account::BalanceShort, "64", NextStep::OtherMethod),
        (Account::MonthLimit, "33", NextStep::OtherMethod),
        (Account::Risk, "38", NextStep::OtherMethod),
        (Account::Fail, "60", NextStep::OtherMethod),
        (Account::Expired, "44", NextStep::PresentAgain),
    ] {
        let mut shop = shop();
        shop.platform.set_buyer(CODE, Buyer::Refused { why });
        let Outcome::Declined(d) = shop.pay() else { panic!("{why:?}") };
        assert_eq!((d.class, d.code.as_str(), d.next), (DeclineClass::Customer, code, next), "{why:?}");
        assert_eq!(shop.kept(), 0);
    }
}

/// A decline is about this order, or it is none.
#[test]
fn a_decline_of_another_order_is_no_decline() {
    for fault in [Fault::WrongReference {}, Fault::WrongMerchant {}] {
        let mut shop = shop().faults([Rule::once("pay", fault)]);
        shop.platform.set_buyer(CODE, Buyer::Refused { why: Account::BalanceShort });
        assert_eq!(unknown(shop.pay()), UnknownReason::Mismatch);
    }
}

#[test]
fn slow_is_not_down_and_down_is_not_sent() {
    let mut shop = shop().faults([Rule::once("pay", Fault::Slow { ms_per_byte: 1 })]);
    shop.paid();

    let mut shop = self::shop().faults([Rule::once("pay", Fault::HoldReply {})]);
    shop.bench.set_remaining(Some(Duration::from_millis(700)));
    assert_eq!(unknown(shop.pay()), UnknownReason::NoAnswer);
    shop.platform.faults().release();
    shop.bench.set_remaining(None);
    assert!(matches!(shop.query(), QueryOutcome::Paid(_)));

    let mut shop = self::shop();
    let request = shop.sale(scan(CODE));
    let prepared = shop.till.prepare(&request).unwrap();
    shop.platform.stop();
    assert!(matches!(shop.till.authorise(&request, &prepared), Outcome::NotSent(_)));
}

#[test]
fn a_shown_code_is_paid_when_scanned_ends_by_its_time_and_is_given_back_when_paid_too_late() {
    let mut shop = shop();
    let request = shop.sale(Instrument::ShowCode);
    let Outcome::Unknown(shown) = shop.run(&request) else { panic!("not shown") };
    assert!(shown.show_code.unwrap().starts_with("https://qr.95516.com/"));
    let original = shop.original(b"unionpayqr 1 shown");
    // There is no transaction yet, and that is no reason to give up.
    assert_eq!(shop.till.query(&original), QueryOutcome::InProgress);
    // Given up while somebody could still scan: not over.
    assert!(matches!(shop.till.undo(&original, UndoReason::Abandoned), UndoOutcome::Unknown(_)));
    assert!(shop.platform.scan(ORDER));
    assert!(matches!(shop.till.query(&original), QueryOutcome::Paid(_)));
    assert_eq!(shop.kept(), OWED);
    let undone = shop.till.undo(&original, UndoReason::Abandoned);
    assert!(matches!(undone, UndoOutcome::Undone { money_moved: true, .. }), "{undone:?}");
    assert!(matches!(shop.till.undo(&original, UndoReason::Abandoned), UndoOutcome::Undone { .. }));
    assert_eq!(shop.kept(), 0);

    let mut shop = self::shop();
    let request = shop.sale(Instrument::ShowCode);
    shop.run(&request);
    let original = shop.original(b"unionpayqr 1 shown");
    shop.pass(Duration::from_secs(200));
    assert!(!shop.platform.scan(ORDER), "an ended code was still paid");
    assert_eq!(shop.till.query(&original), QueryOutcome::NotFound);
    assert_eq!(shop.till.undo(&original, UndoReason::Abandoned), UndoOutcome::NeverExisted);
}

/// C23, and a clock that jumps between a payment's numbers and its sending.
#[test]
fn without_a_trusted_clock_nothing_is_sent() {
    let mut shop = shop();
    shop.bench.trust_clock(false);
    let request = shop.sale(scan(CODE));
    assert_eq!(shop.till.prepare(&request).unwrap_err().code, "clock-not-synchronised");
    let prepared = Prepared { recovery: Sensitive::new(Vec::new()), masked: String::new() };
    assert!(matches!(shop.till.authorise(&request, &prepared), Outcome::NotSent(_)));
    shop.bench.trust_clock(true);
    shop.bench.advance(Duration::from_hours(1));
    assert_eq!(shop.till.prepare(&request).unwrap_err().code, "clock-changed");
    assert!(shop.platform.ledger().requests.is_empty());
}

#[test]
fn what_may_not_be_sent_is_refused_before_any_byte() {
    let mut shop = shop();
    let base = shop.sale(scan(CODE));
    let euro = till_plugin::Money::new(OWED, "EUR".parse().unwrap());
    let cash = Instrument::Cash { tendered: cny(1) };
    for (request, code) in [
        (Authorise { amount: cny(0), ..base.clone() }, "amount"),
        (Authorise { amount: cny(i64::MAX), ..base.clone() }, "amount"),
        (Authorise { amount: euro, ..base.clone() }, "currency"),
        (Authorise { hold: true, instrument: Instrument::ShowCode, ..base.clone() }, "unsupported"),
        (Authorise { instrument: scan("280000000000000001"), ..base.clone() }, "not-a-payment-code"),
        (Authorise { instrument: scan("620000000000000001"), ..base.clone() }, "not-a-payment-code"),
        (Authorise { instrument: scan("6300000000000000001"), ..base.clone() }, "not-a-payment-code"),
        (Authorise { instrument: scan("62000000000000000a1"), ..base.clone() }, "not-a-payment-code"),
        (Authorise { instrument: cash, ..base.clone() }, "wrong-instrument"),
        (Authorise { ids: shop.ids("short"), ..base.clone() }, "request-not-built"),
        (Authorise { ids: shop.ids("T01/../../x?y=1"), ..base.clone() }, "request-not-built"),
        (
            Authorise { ids: AttemptIds { wall_ms: i64::MAX, ..base.ids.clone() }, ..base.clone() },
            "request-not-built",
        ),
    ] {
        assert_eq!(shop.till.prepare(&request).unwrap_err().code, code);
        let prepared = Prepared { recovery: Sensitive::new(Vec::new()), masked: String::new() };
        assert!(matches!(shop.till.authorise(&request, &prepared), Outcome::NotSent(d) if d.code == code));
    }
    assert!(shop.platform.ledger().requests.is_empty());
    // Forms of 20 digits exist.
    let request = Authorise { instrument: scan("62000000000000000012"), ..base };
    assert!(matches!(shop.run(&request), Outcome::Approved(_)));
}

#[test]
fn wrong_settings_and_secrets_are_told_at_once_and_never_repeated() {
    let mut shop = shop();
    assert_eq!(shop.till.probe().unwrap().state, DeviceState::Ready);
    let json = config(&shop.platform, &shop.platform.url());
    let told = |bench: &till_plugin::testing::TestHost, json: &serde_json::Value| {
        open(bench, json).map(drop).unwrap_err().message
    };
    let with = |key: &str, value: &str| {
        let mut json = json.clone();
        json[key] = value.into();
        json
    };
    let bare = till_plugin::testing::TestHost::new();
    assert!(told(&bare, &json).contains("merchant_private_key"));
    let garbage = till_plugin::testing::TestHost::new().with_secret("merchant_private_key", b"c2VjcmV0");
    let text = told(&garbage, &json);
    assert!(text.contains("PKCS#8") && !text.contains("c2VjcmV0"), "{text}");
    // A key that is not the certificate's would be refused at the first customer.
    assert!(
        told(&shop.bench, &with("merchant_certificate_pem", shop.platform.middle_pem()))
            .contains("not the key of the merchant certificate")
    );
    assert!(told(&shop.bench, &with("root_pem", "nothing")).contains("root certificates"));
    assert!(told(&shop.bench, &with("mer_id", "1")).contains("mer_id"));

    // Another merchant number than the certificate's: refused by UnionPay, and the channel's fault.
    shop.till = open(&shop.bench, &with("mer_id", "777290058110047")).unwrap();
    let Outcome::Declined(d) = shop.pay() else { panic!("not declined") };
    assert_eq!((d.class, d.code.as_str()), (DeclineClass::Channel, "31"));
    assert_eq!(shop.till.probe().unwrap().state, DeviceState::Failed);
    // Set up for the real one, a test certificate is somebody else's.
    shop.till = open(&shop.bench, &with("environment", "production")).unwrap();
    assert_eq!(unknown(shop.pay()), UnknownReason::BadSeal);
    // The root alone does not lead to the answer's certificate.
    let mut rootless = json.clone();
    rootless.as_object_mut().unwrap().remove("middle_pem");
    shop.till = open(&shop.bench, &rootless).unwrap();
    assert!(matches!(shop.query(), QueryOutcome::Unknown(u) if u.reason == UnknownReason::BadSeal));
}
