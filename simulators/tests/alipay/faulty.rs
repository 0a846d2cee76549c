//! Every fault as the client sees it, and the truth in the books behind it.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use till_simulators::{
    alipay::{Fen, Gateway, Settings, Status},
    faults::{Fault, Rule},
};

use crate::client::{
    Reply, about, call, call_any, encode, exchange, http, pay, payment, post, public_params, raw_call, set,
    signed,
};

const CODE: &str = "280000000000000001";

/// A gateway that does that to the next payment.
fn struck(fault: Fault) -> Gateway {
    let gateway = Gateway::start(Settings::default()).unwrap();
    gateway.faults().add(Rule::once("alipay.trade.pay", fault)).unwrap();
    gateway
}

fn content() -> Value {
    payment("A1", CODE, "1.00")
}

fn booked(gateway: &Gateway) -> Fen {
    gateway.ledger().totals.paid
}

const ONE_YUAN: Fen = Fen::new(100);

#[test]
fn a_lost_request_and_a_lost_answer_look_alike_and_the_books_know_which() {
    for (fault, paid) in [(Fault::DropBeforeBooking {}, Fen::ZERO), (Fault::DropAfterBooking {}, ONE_YUAN)] {
        let gateway = struck(fault.clone());
        let raw = raw_call(&gateway, "alipay.trade.pay", &content());
        assert!(raw.bytes.is_empty(), "{raw:?}");
        assert_eq!(booked(&gateway), paid, "{fault:?}");
        let expected = if paid == Fen::ZERO { "40004/ACQ.TRADE_NOT_EXIST" } else { "10000" };
        assert_eq!(about(&gateway, "query", "A1").code(), expected);
        assert_eq!(gateway.faults().fired()[0].reference.as_deref(), Some("A1"));
        assert_eq!(gateway.ledger().requests[0].fault, Some(fault.kind()));
    }
}

#[test]
fn a_reset_is_a_reset_and_not_an_end() {
    for (is_booked, paid) in [(false, Fen::ZERO), (true, ONE_YUAN)] {
        let gateway = struck(Fault::Reset { booked: is_booked });
        let raw = raw_call(&gateway, "alipay.trade.pay", &content());
        assert_eq!((raw.error, raw.bytes.len()), (Some(ErrorKind::ConnectionReset), 0));
        assert_eq!(booked(&gateway), paid);
    }
}

#[test]
fn a_wrong_signature_is_well_formed_and_verifies_nothing() {
    let gateway = struck(Fault::WrongSignature {});
    let reply = call_any(&gateway, "alipay.trade.pay", &content());
    assert_eq!((reply.code().as_str(), reply.has_sign, reply.verified), ("10000", true, false));
    let gateway = struck(Fault::Unsigned {});
    let reply = call_any(&gateway, "alipay.trade.pay", &content());
    assert_eq!((reply.code().as_str(), reply.has_sign), ("10000", false));
    assert_eq!(booked(&gateway), ONE_YUAN);
}

#[test]
fn a_wrong_echo_is_rightly_signed() {
    let gateway = struck(Fault::WrongAmount { by: -1 });
    let reply = call(&gateway, "alipay.trade.pay", &content());
    assert_eq!((reply.get("total_amount"), reply.get("receipt_amount")), (Some("0.99"), Some("0.99")));
    assert_eq!(booked(&gateway), ONE_YUAN, "the books are not bent");
    assert_eq!(about(&gateway, "query", "A1").get("total_amount"), Some("1.00"));
    let gateway = struck(Fault::WrongReference {});
    assert_eq!(call(&gateway, "alipay.trade.pay", &content()).get("out_trade_no"), Some("A1X"));
}

#[test]
fn half_a_reply_is_half_of_what_was_promised() {
    let gateway = struck(Fault::HalfReply {});
    let raw = raw_call(&gateway, "alipay.trade.pay", &content());
    assert_eq!(raw.body().len(), raw.promised().div_ceil(2), "{raw:?}");
    assert!(raw.body().len() > 100);
    assert_eq!(booked(&gateway), ONE_YUAN);
}

#[test]
fn garbage_and_server_errors_are_no_replies() {
    let gateway = struck(Fault::Garbage {});
    let raw = raw_call(&gateway, "alipay.trade.pay", &content());
    assert_eq!(raw.status(), Some(200));
    assert!(serde_json::from_slice::<Value>(raw.body()).is_err());
    assert_eq!(booked(&gateway), ONE_YUAN);
    let gateway = struck(Fault::HttpStatus { status: 503 });
    assert_eq!(raw_call(&gateway, "alipay.trade.pay", &content()).status(), Some(503));
    assert_eq!(booked(&gateway), Fen::ZERO);
}

#[test]
fn a_slow_reply_comes_byte_by_byte_and_whole() {
    let gateway = struck(Fault::Slow { ms_per_byte: 1 });
    let start = Instant::now();
    let reply = call(&gateway, "alipay.trade.pay", &content());
    assert_eq!(reply.code(), "10000");
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
}

#[test]
fn a_delayed_reply_was_booked_before() {
    let gateway = struck(Fault::DelayReply { ms: 150 });
    let start = Instant::now();
    assert_eq!(call(&gateway, "alipay.trade.pay", &content()).code(), "10000");
    assert!(start.elapsed() >= Duration::from_millis(150));

    let gateway = struck(Fault::HoldReply {});
    std::thread::scope(|scope| {
        let held = scope.spawn(|| call(&gateway, "alipay.trade.pay", &content()));
        assert!(gateway.faults().wait_fired(1, Duration::from_secs(20)));
        // The held reply was made before this query is: the books answer one request after the other.
        while about(&gateway, "query", "A1").code() != "10000" {}
        assert!(!held.is_finished());
        gateway.faults().release();
        assert_eq!(held.join().unwrap().code(), "10000");
    });
}

#[test]
fn a_payment_still_on_its_way_is_beaten_by_its_cancel() {
    let gateway = struck(Fault::HoldBooking {});
    std::thread::scope(|scope| {
        let late = scope.spawn(|| call(&gateway, "alipay.trade.pay", &content()));
        assert!(gateway.faults().wait_fired(1, Duration::from_secs(20)));
        assert_eq!(about(&gateway, "query", "A1").code(), "40004/ACQ.TRADE_NOT_EXIST");
        assert_eq!(about(&gateway, "cancel", "A1").get("action"), None);
        gateway.faults().release();
        assert_eq!(late.join().unwrap().code(), "40004/ACQ.TRADE_HAS_CLOSE");
    });
    assert_eq!(booked(&gateway), Fen::ZERO);
}

#[test]
fn a_request_whose_sender_has_gone_is_booked_all_the_same() {
    let gateway = struck(Fault::HoldBooking {});
    let params = public_params(&gateway, "alipay.trade.pay", &content());
    let request = http("POST", "/gateway.do", &encode(&signed(&gateway, params)));
    let mut stream = TcpStream::connect(gateway.http_address()).unwrap();
    stream.write_all(&request).unwrap();
    assert!(gateway.faults().wait_fired(1, Duration::from_secs(20)));
    drop(stream); // the till was killed here
    gateway.faults().release();
    let deadline = Instant::now() + Duration::from_secs(20);
    while gateway.ledger().trade("A1").is_none() {
        assert!(Instant::now() < deadline, "the late payment was never booked");
        std::thread::yield_now();
    }
    assert_eq!(gateway.ledger().trade("A1").unwrap().status, Status::TradeSuccess);
    assert_eq!(about(&gateway, "cancel", "A1").get("action"), Some("refund"));
}

#[test]
fn dictated_answers_come_as_often_as_scripted_and_then_the_truth() {
    let gateway = Gateway::start(Settings::default()).unwrap();
    let script = json!({"rules": [
        {"on": "alipay.trade.query", "times": 2,
         "fault": {"kind": "answer", "code": "20000", "sub_code": "isp.unknow-error"}},
        {"on": "alipay.trade.cancel", "times": 2, "reference": "A1",
         "fault": {"kind": "answer", "code": "10000", "fields": {"retry_flag": "Y", "out_trade_no": "A1"}}},
        {"on": "alipay.trade.pay", "fault": {"kind": "answer", "code": "40004", "sub_code": "ACQ.SYSTEM_ERROR", "booked": true}},
    ]});
    let load = |script: &str| exchange(gateway.http_address(), &http("POST", "/_sim/faults", script));
    assert_eq!(load(&script.to_string()).status(), Some(200));

    assert_eq!(pay(&gateway, "A1", CODE, "1.00").code(), "40004/ACQ.SYSTEM_ERROR");
    assert_eq!(booked(&gateway), ONE_YUAN, "said failed, and took the money");
    for _ in 0..2 {
        assert_eq!(about(&gateway, "query", "A1").code(), "20000/isp.unknow-error");
        assert_eq!(about(&gateway, "cancel", "A1").get("retry_flag"), Some("Y"));
    }
    assert_eq!(booked(&gateway), ONE_YUAN, "a cancel to be tried again has done nothing");
    assert_eq!(about(&gateway, "query", "A1").get("trade_status"), Some("TRADE_SUCCESS"));
    assert_eq!(about(&gateway, "cancel", "A1").get("action"), Some("refund"));

    let seen = gateway.ledger();
    let queries: Vec<_> = seen.requests_of("alipay.trade.query").map(|seen| seen.fault.is_some()).collect();
    assert_eq!(queries, [true, true, false]);
    let bad = load(r#"{"rules": [{"on": "alipay.trade.pai", "fault": {"kind": "unsigned"}}]}"#);
    assert_eq!(bad.status(), Some(400));
    assert!(String::from_utf8_lossy(bad.body()).contains("no operation `alipay.trade.pai`"));
}

#[test]
fn a_dictated_answer_is_not_given_to_a_stranger() {
    let gateway = struck(Fault::Answer {
        code: "10000".into(),
        sub_code: None,
        fields: [("trade_no".to_owned(), "1".to_owned())].into(),
        booked: true,
    });
    let mut params = signed(&gateway, public_params(&gateway, "alipay.trade.pay", &content()));
    set(&mut params, "biz_content", "{}");
    let reply = Reply::read(&gateway, post(&gateway, &encode(&params)).body());
    assert_eq!(reply.code(), "40002/isv.invalid-signature");
    assert_eq!(booked(&gateway), Fen::ZERO);
}

#[test]
fn what_one_connection_suffers_the_next_does_not() {
    // A kept-alive connection: the first request is answered, the second struck, a third connection is well.
    let gateway = Gateway::start(Settings::default()).unwrap();
    gateway.faults().add(Rule::once("*", Fault::DropAfterBooking {}).after(1)).unwrap();
    let request = |order: &str| {
        let params = public_params(&gateway, "alipay.trade.query", &json!({"out_trade_no": order}));
        let text =
            String::from_utf8(http("POST", "/gateway.do", &encode(&signed(&gateway, params)))).unwrap();
        text.replace("Connection: close\r\n", "")
    };
    let mut stream = TcpStream::connect(gateway.http_address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request("A1").as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream.write_all(request("A2").as_bytes()).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(String::from_utf8_lossy(&rest).matches("HTTP/1.1").count(), 0, "no second answer came");
    assert_eq!(about(&gateway, "query", "A3").code(), "40004/ACQ.TRADE_NOT_EXIST");
}
