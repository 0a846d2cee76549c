//! Trades from beginning to end: what the rules say and what the books then hold.

use std::{sync::Barrier, time::Duration};

use serde_json::json;
use till_simulators::alipay::{Account, Buyer, Fen, Gateway, Settings, Status};

use crate::client::{about, call, exchange, http, pay, payment};

const CODE: &str = "280000000000000001";
const CODE2: &str = "280000000000000002";

fn gateway() -> Gateway {
    Gateway::start(Settings::default()).unwrap()
}

#[test]
fn a_payment_is_booked_once_however_often_it_is_asked() {
    let gateway = gateway();
    let first = pay(&gateway, "A1", CODE, "128.50");
    assert_eq!(first.code(), "10000");
    assert_eq!((first.get("total_amount"), first.get("out_trade_no")), (Some("128.50"), Some("A1")));
    assert_eq!(first.get("trade_no").unwrap().len(), 28);
    let again = pay(&gateway, "A1", CODE, "128.50");
    assert_eq!((again.code(), again.get("trade_no")), (first.code(), first.get("trade_no")));

    assert_eq!(pay(&gateway, "A1", CODE, "128.51").code(), "40004/ACQ.CONTEXT_INCONSISTENT");
    assert_eq!(pay(&gateway, "A1", CODE2, "128.50").code(), "40004/ACQ.TRADE_HAS_SUCCESS");
    assert_eq!(
        pay(&gateway, "A2", CODE, "1.00").code(),
        "40004/ACQ.PAYMENT_AUTH_CODE_INVALID",
        "one code, one order"
    );
    assert_eq!(about(&gateway, "query", "A1").get("trade_status"), Some("TRADE_SUCCESS"));
    assert_eq!(about(&gateway, "query", "A2").code(), "40004/ACQ.TRADE_NOT_EXIST");
    let totals = gateway.ledger().totals;
    assert_eq!((totals.paid, totals.kept, totals.paid_trades), (Fen::new(12850), Fen::new(12850), 1));
}

#[test]
fn a_refused_payment_binds_its_order_number() {
    let gateway = gateway();
    assert_eq!(
        pay(&gateway, "A1", "280000000000770301", "1.00").code(),
        "40004/ACQ.BUYER_BALANCE_NOT_ENOUGH"
    );
    assert_eq!(
        pay(&gateway, "A1", "280000000000770301", "1.00").code(),
        "40004/ACQ.BUYER_BALANCE_NOT_ENOUGH"
    );
    assert_eq!(pay(&gateway, "A1", CODE, "1.00").code(), "40004/ACQ.CONTEXT_INCONSISTENT");
    assert_eq!(
        pay(&gateway, "A2", CODE, "1.00").code(),
        "10000",
        "a new order with another code is free to pay"
    );
    gateway.set_buyer(CODE2, Buyer::Refused { why: Account::Risk });
    assert_eq!(pay(&gateway, "A3", CODE2, "1.00").code(), "40004/ACQ.PAYMENT_REQUEST_HAS_RISK");
    for (at, bad) in ["240000000000000001", "28000000000000", "28000000000000000x"].into_iter().enumerate() {
        assert_eq!(
            pay(&gateway, &format!("B{at}"), bad, "1.00").code(),
            "40004/ACQ.PAYMENT_AUTH_CODE_INVALID",
            "{bad}"
        );
    }
    let ledger = gateway.ledger();
    assert_eq!((ledger.trades.len(), ledger.totals.paid), (1, Fen::new(100)));
}

#[test]
fn a_password_is_typed_in_time_or_the_trade_closes_by_itself() {
    let gateway = gateway();
    assert_eq!(pay(&gateway, "A1", "280000000000770010", "1.00").code(), "10003");
    assert_eq!(about(&gateway, "query", "A1").get("trade_status"), Some("WAIT_BUYER_PAY"));
    assert_eq!(
        pay(&gateway, "A1", "280000000000770010", "1.00").code(),
        "10003",
        "asked again, still waiting"
    );
    assert_eq!(pay(&gateway, "A1", CODE2, "1.00").code(), "40004/ACQ.CONTEXT_INCONSISTENT");
    gateway.advance(Duration::from_secs(11));
    assert_eq!(about(&gateway, "query", "A1").get("trade_status"), Some("TRADE_SUCCESS"));
    assert_eq!(pay(&gateway, "A1", "280000000000770010", "1.00").code(), "10000");

    assert_eq!(pay(&gateway, "A2", "280000000000770100", "1.00").code(), "10003");
    gateway.advance(Duration::from_secs(179));
    assert_eq!(about(&gateway, "query", "A2").get("trade_status"), Some("WAIT_BUYER_PAY"));
    gateway.advance(Duration::from_secs(2));
    assert_eq!(about(&gateway, "query", "A2").get("trade_status"), Some("TRADE_CLOSED"));
    assert_eq!(pay(&gateway, "A2", "280000000000770100", "1.00").code(), "40004/ACQ.TRADE_HAS_CLOSE");

    assert_eq!(pay(&gateway, "A3", "280000000000770205", "1.00").code(), "10003");
    gateway.advance(Duration::from_secs(6));
    assert_eq!(about(&gateway, "query", "A3").get("trade_status"), Some("TRADE_CLOSED"));

    let mut longer = payment("A4", "290000000000770099", "1.00");
    longer["timeout_express"] = json!("1m");
    assert_eq!(call(&gateway, "alipay.trade.pay", &longer).code(), "10003");
    gateway.advance(Duration::from_secs(100));
    assert_eq!(
        about(&gateway, "query", "A4").get("trade_status"),
        Some("TRADE_CLOSED"),
        "one minute was asked for"
    );
    assert_eq!(gateway.ledger().totals.paid, Fen::new(100));
}

#[test]
fn a_cancel_closes_what_is_unpaid_and_gives_back_what_is_paid() {
    let gateway = gateway();
    pay(&gateway, "A1", "280000000000770100", "1.00");
    let closed = about(&gateway, "cancel", "A1");
    assert_eq!((closed.get("action"), closed.get("retry_flag")), (Some("close"), Some("N")));
    gateway.advance(Duration::from_mins(10));
    assert_eq!(about(&gateway, "query", "A1").get("trade_status"), Some("TRADE_CLOSED"));

    pay(&gateway, "A2", CODE, "5.00");
    assert_eq!(about(&gateway, "cancel", "A2").get("action"), Some("refund"));
    assert_eq!(
        about(&gateway, "cancel", "A2").get("action"),
        Some("refund"),
        "asked again, it says the same"
    );
    let trade = gateway.ledger().trade("A2").unwrap().clone();
    assert_eq!(
        (trade.status, trade.refunded(), trade.refunds.len()),
        (Status::TradeClosed, Fen::new(500), 1)
    );

    let unknown = about(&gateway, "cancel", "A3");
    assert_eq!(
        (unknown.code().as_str(), unknown.get("retry_flag"), unknown.get("action")),
        ("10000", Some("N"), None)
    );
    assert_eq!(
        pay(&gateway, "A3", CODE2, "1.00").code(),
        "40004/ACQ.TRADE_HAS_CLOSE",
        "it came after its cancel"
    );

    pay(&gateway, "A4", "290000000000000004", "1.00");
    gateway.advance(Duration::from_hours(25));
    assert_eq!(about(&gateway, "cancel", "A4").code(), "40004/ACQ.TRADE_CANCEL_TIME_OUT");
    pay(&gateway, "A5", "290000000000000005", "1.00");
    assert!(gateway.finish("A5"));
    assert_eq!(about(&gateway, "cancel", "A5").code(), "40004/ACQ.TRADE_HAS_FINISHED");
    assert_eq!(about(&gateway, "query", "A5").get("trade_status"), Some("TRADE_FINISHED"));
}

#[test]
fn a_late_payment_can_be_let_through_its_cancel() {
    let mut settings = Settings::default();
    settings.bar_late_payments = false;
    let gateway = Gateway::start(settings).unwrap();
    about(&gateway, "cancel", "A1");
    assert_eq!(pay(&gateway, "A1", CODE, "1.00").code(), "10000");
    assert_eq!(
        about(&gateway, "cancel", "A1").get("action"),
        Some("refund"),
        "only asking again gets it back"
    );
    assert_eq!(gateway.ledger().totals.kept, Fen::ZERO);
}

#[test]
fn refunds_add_up_and_one_number_moves_money_once() {
    let gateway = gateway();
    pay(&gateway, "A1", CODE, "10.00");
    let refund = |number: &str, yuan: &str| {
        call(
            &gateway,
            "alipay.trade.refund",
            &json!({"out_trade_no": "A1", "refund_amount": yuan, "out_request_no": number}),
        )
    };
    let status = |number: &str| {
        let content = json!({"out_trade_no": "A1", "out_request_no": number});
        let reply = call(&gateway, "alipay.trade.fastpay.refund.query", &content);
        assert_eq!(reply.code(), "10000");
        (reply.get("refund_status").map(str::to_owned), reply.get("refund_amount").map(str::to_owned))
    };
    assert_eq!(status("R1"), (None, None));
    let first = refund("R1", "3.00");
    assert_eq!((first.get("fund_change"), first.get("refund_fee")), (Some("Y"), Some("3.00")));
    let again = refund("R1", "3.00");
    assert_eq!((again.get("fund_change"), again.get("refund_fee")), (Some("N"), Some("3.00")));
    assert_eq!(refund("R1", "4.00").code(), "40004/ACQ.DISCORDANT_REPEAT_REQUEST");
    assert_eq!(refund("R2", "7.01").code(), "40004/ACQ.REFUND_AMT_NOT_EQUAL_TOTAL");
    assert_eq!(status("R1"), (Some("REFUND_SUCCESS".into()), Some("3.00".into())));
    let no_number = json!({"out_trade_no": "A1", "refund_amount": "1.00"});
    assert_eq!(call(&gateway, "alipay.trade.refund", &no_number).code(), "40004/ACQ.INVALID_PARAMETER");

    let rest = refund("R2", "7.00");
    assert_eq!((rest.get("fund_change"), rest.get("refund_fee")), (Some("Y"), Some("10.00")));
    assert_eq!(about(&gateway, "query", "A1").get("trade_status"), Some("TRADE_CLOSED"));
    assert_eq!(refund("R2", "7.00").get("fund_change"), Some("N"), "still the same answer on a closed trade");
    assert_eq!(refund("R3", "0.01").code(), "40004/ACQ.TRADE_STATUS_ERROR");
    let totals = gateway.ledger().totals;
    assert_eq!((totals.paid, totals.refunded, totals.kept), (Fen::new(1000), Fen::new(1000), Fen::ZERO));

    pay(&gateway, "A2", CODE2, "2.00");
    gateway.finish("A2");
    let late = json!({"out_trade_no": "A2", "refund_amount": "2.00", "out_request_no": "R1"});
    assert_eq!(call(&gateway, "alipay.trade.refund", &late).code(), "40004/ACQ.TRADE_HAS_FINISHED");
    let nobody = json!({"out_trade_no": "A9", "refund_amount": "2.00", "out_request_no": "R1"});
    assert_eq!(call(&gateway, "alipay.trade.refund", &nobody).code(), "40004/ACQ.TRADE_NOT_EXIST");
}

#[test]
fn a_code_on_the_tills_screen_is_scanned_paid_or_closed() {
    let gateway = gateway();
    let create = |order: &str, yuan: &str| {
        let content = json!({"out_trade_no": order, "subject": "茶", "total_amount": yuan});
        call(&gateway, "alipay.trade.precreate", &content)
    };
    let first = create("Q1", "9.90");
    assert!(first.get("qr_code").unwrap().starts_with("https://qr.alipay.com/"));
    assert_eq!(create("Q1", "9.90").get("qr_code"), first.get("qr_code"));
    assert_eq!(create("Q1", "9.91").code(), "40004/ACQ.CONTEXT_INCONSISTENT");
    assert_eq!(about(&gateway, "query", "Q1").code(), "40004/ACQ.TRADE_NOT_EXIST", "nobody has scanned it");
    assert!(gateway.scan("Q1", Buyer::Types { seconds: 5 }));
    assert_eq!(about(&gateway, "query", "Q1").get("trade_status"), Some("WAIT_BUYER_PAY"));
    gateway.advance(Duration::from_secs(6));
    assert_eq!(about(&gateway, "query", "Q1").get("trade_status"), Some("TRADE_SUCCESS"));
    assert_eq!(create("Q1", "9.90").code(), "40004/ACQ.TRADE_HAS_SUCCESS");
    assert_eq!(about(&gateway, "close", "Q1").code(), "40004/ACQ.REASON_TRADE_STATUS_INVALID");

    create("Q2", "1.00");
    assert_eq!(about(&gateway, "close", "Q2").code(), "40004/ACQ.TRADE_NOT_EXIST");
    gateway.scan("Q2", Buyer::Ignores);
    assert_eq!(about(&gateway, "close", "Q2").code(), "10000");
    assert_eq!(about(&gateway, "query", "Q2").get("trade_status"), Some("TRADE_CLOSED"));

    create("Q3", "1.00");
    assert_eq!(about(&gateway, "cancel", "Q3").get("action"), Some("close"));
    assert!(!gateway.scan("Q3", Buyer::Pays), "a cancelled code cannot be scanned");
    create("Q4", "1.00");
    gateway.advance(Duration::from_secs(181));
    let scan = exchange(gateway.http_address(), &http("POST", "/_sim/scan", r#"{"out_trade_no": "Q4"}"#));
    assert_eq!(scan.status(), Some(409), "nor can one that has run out");
}

#[test]
fn a_trade_is_found_by_either_number_and_a_contradiction_is_refused() {
    let gateway = gateway();
    let trade_no = pay(&gateway, "A1", CODE, "1.00").get("trade_no").unwrap().to_owned();
    let query = |content| call(&gateway, "alipay.trade.query", &content);
    assert_eq!(query(json!({"trade_no": trade_no})).get("out_trade_no"), Some("A1"));
    assert_eq!(query(json!({"trade_no": trade_no, "out_trade_no": "A1"})).code(), "10000");
    assert_eq!(
        query(json!({"trade_no": trade_no, "out_trade_no": "A2"})).code(),
        "40004/ACQ.INVALID_PARAMETER"
    );
    assert_eq!(query(json!({})).code(), "40004/ACQ.INVALID_PARAMETER");
}

#[test]
fn cancel_and_payment_racing_leave_no_money_behind() {
    // Whichever comes first: after a cancel that was answered, the merchant holds nothing of that order.
    let gateway = gateway();
    for round in 0..20 {
        let (order, code) = (format!("A{round}"), format!("2800000000000001{round:02}"));
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                let code = pay(&gateway, &order, &code, "1.00").code();
                assert!(["10000", "40004/ACQ.TRADE_HAS_CLOSE"].contains(&code.as_str()), "{code}");
            });
            scope.spawn(|| {
                start.wait();
                assert_eq!(about(&gateway, "cancel", &order).code(), "10000");
            });
        });
    }
    let ledger = gateway.ledger();
    assert_eq!(ledger.totals.kept, Fen::ZERO);
    assert_eq!(ledger.requests.len(), 40);
}
