//! What the gateway lets in.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;
use till_simulators::alipay::{Gateway, Settings};
use till_simulators::wallet::keys::SigningKey;

use crate::client::{
    Reply, about, beijing, call, encode, exchange, http, pay, payment, post, public_params, set, sign,
    sign_string, signed,
};

const CODE: &str = "280000000000000001";

#[test]
fn a_signature_over_anything_else_is_refused_and_nothing_is_booked() {
    let gateway = Gateway::start(Settings::default()).unwrap();
    let fresh = || public_params(&gateway, "alipay.trade.pay", &payment("A1", CODE, "1.00"));
    let stranger = SigningKey::generate().unwrap().private_pem().unwrap();
    let by_stranger = {
        let mut params = fresh();
        let signature = sign(&stranger, &sign_string(&params));
        set(&mut params, "sign", &signature);
        params
    };
    let changed = {
        let mut params = signed(&gateway, fresh());
        set(&mut params, "biz_content", &payment("A1", CODE, "0.01").to_string());
        params
    };
    let added = {
        let mut params = signed(&gateway, fresh());
        set(&mut params, "notify_url", "http://elsewhere.invalid/");
        params
    };
    let of_encoded = {
        let mut params = fresh();
        let wrong = sign_string(&params).replace(' ', "+");
        set(&mut params, "sign", &sign(gateway.app_private_pem(), &wrong));
        params
    };
    for params in [by_stranger, changed, added, of_encoded] {
        let reply = Reply::read(&gateway, post(&gateway, &encode(&params)).body());
        assert_eq!(
            (reply.name.as_str(), reply.code().as_str()),
            ("error_response", "40002/isv.invalid-signature")
        );
        assert!(reply.verified, "a refusal is signed too");
    }
    let ledger = gateway.ledger();
    assert_eq!((ledger.trades.len(), ledger.refused.len()), (0, 0));
    assert_eq!(ledger.requests.len(), 4);
    assert!(ledger.requests.iter().all(|seen| !seen.verified && seen.out_trade_no.is_none()));
    assert_eq!(pay(&gateway, "A1", CODE, "1.00").code(), "10000", "the code was not used up");
}

#[test]
fn an_empty_parameter_is_not_signed_and_the_order_of_parameters_is_free() {
    let gateway = Gateway::start(Settings::default()).unwrap();
    let mut params = public_params(&gateway, "alipay.trade.query", &json!({"out_trade_no": "A1"}));
    set(&mut params, "app_auth_token", "");
    let mut params = signed(&gateway, params);
    params.reverse();
    let reply = Reply::read(&gateway, post(&gateway, &encode(&params)).body());
    assert_eq!(reply.code(), "40004/ACQ.TRADE_NOT_EXIST");
    assert_eq!(reply.name, "alipay_trade_query_response");
}

#[test]
fn every_public_parameter_is_checked() {
    let gateway = Gateway::start(Settings::default()).unwrap();
    let refused = [
        ("app_id", "2021000000000009", "40002/isv.invalid-app-id"),
        ("app_id", "", "40001/isv.missing-app-id"),
        ("method", "", "40001/isv.missing-method"),
        ("method", "alipay.trade.steal", "40002/isv.invalid-method"),
        ("sign_type", "RSA", "40002/isv.invalid-signature-type"),
        ("sign_type", "", "40001/isv.missing-signature-type"),
        ("version", "", "40001/isv.missing-version"),
        ("version", "2.0", "40002/isv.invalid-parameter"),
        ("format", "XML", "40002/isv.invalid-format"),
        ("timestamp", "", "40001/isv.missing-timestamp"),
        ("timestamp", "2026-09-01T09:20:00", "40002/isv.invalid-timestamp"),
        ("biz_content", "", "40002/isv.invalid-parameter"),
        ("biz_content", "[1]", "40002/isv.invalid-parameter"),
        ("biz_content", "{\"a\":", "40002/isv.invalid-parameter"),
    ];
    for (name, value, code) in refused {
        let mut params = public_params(&gateway, "alipay.trade.query", &json!({"out_trade_no": "A1"}));
        set(&mut params, name, value);
        let reply = Reply::read(&gateway, post(&gateway, &encode(&signed(&gateway, params))).body());
        assert_eq!(reply.code(), code, "{name}={value}");
    }
    let unsigned = public_params(&gateway, "alipay.trade.query", &json!({}));
    let reply = Reply::read(&gateway, post(&gateway, &encode(&unsigned)).body());
    assert_eq!(reply.code(), "40001/isv.missing-signature");
    for (body, code) in
        [("a=%FF", "40002/isv.invalid-charset"), ("charset=gbk", "40002/isv.invalid-parameter")]
    {
        assert_eq!(Reply::read(&gateway, post(&gateway, body).body()).code(), code, "{body}");
    }
}

#[test]
fn a_clock_that_is_off_is_refused_whichever_side_is_wrong() {
    let gateway = Gateway::start(Settings::default()).unwrap();
    for (seconds, code) in [
        (-590, "40004/ACQ.TRADE_NOT_EXIST"),
        (-660, "40002/isv.invalid-timestamp"),
        (660, "40002/isv.invalid-timestamp"),
    ] {
        let mut params = public_params(&gateway, "alipay.trade.query", &json!({"out_trade_no": "A1"}));
        set(&mut params, "timestamp", &beijing(SignedDuration::from_secs(seconds)));
        let reply = Reply::read(&gateway, post(&gateway, &encode(&signed(&gateway, params))).body());
        assert_eq!(reply.code(), code, "{seconds} s");
    }
    let mut settings = Settings::default();
    settings.clock_offset = SignedDuration::from_hours(8); // a till that writes UTC
    let ahead = Gateway::start(settings).unwrap();
    let content = json!({"out_trade_no": "A1"});
    assert_eq!(call(&ahead, "alipay.trade.query", &content).code(), "40002/isv.invalid-timestamp");
}

#[test]
fn business_parameters_are_checked_and_a_number_is_no_amount() {
    let gateway = Gateway::start(Settings::default()).unwrap();
    let with = |name: &str, value: serde_json::Value| {
        let mut content = payment("A1", CODE, "1.00");
        content[name] = value;
        call(&gateway, "alipay.trade.pay", &content).code()
    };
    for (name, value) in [
        ("total_amount", json!(1.00)),
        ("total_amount", json!("0.00")),
        ("total_amount", json!("-1.00")),
        ("total_amount", json!("1.001")),
        ("out_trade_no", json!("A 1")),
        ("out_trade_no", json!("")),
        ("out_trade_no", json!("A".repeat(65))),
        ("scene", json!("wave_code")),
        ("auth_code", json!("")),
        ("subject", json!(null)),
        ("timeout_express", json!("soon")),
        ("product_code", json!("QUICK_WAP_WAY")),
    ] {
        assert_eq!(with(name, value.clone()), "40004/ACQ.INVALID_PARAMETER", "{name}: {value}");
    }
    assert_eq!(with("seller_id", json!("2088999999999999")), "40004/ACQ.ACCESS_FORBIDDEN");
    assert_eq!(with("seller_id", json!(gateway.seller_id())), "10000");
    let mut settings = Settings::default();
    settings.limit = till_simulators::alipay::Fen::new(10_000);
    let small = Gateway::start(settings).unwrap();
    assert_eq!(pay(&small, "A1", CODE, "100.01").code(), "40004/ACQ.TOTAL_FEE_EXCEED");
    assert_eq!(gateway.ledger().trades.len(), 1);
}

#[test]
fn http_itself_is_strict() {
    let gateway = Gateway::start(Settings::default()).unwrap();
    let status = |request: &[u8]| exchange(gateway.http_address(), request).status();
    assert_eq!(status(&http("GET", "/gateway.do", "")), Some(405));
    assert_eq!(status(&http("POST", "/gateway", "")), Some(404));
    assert_eq!(status(&http("POST", "/gateway.do", &"a".repeat(300 * 1024))), Some(413));
    assert_eq!(status(b"POST /gateway.do HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n"), Some(400));
}

#[test]
fn the_books_and_the_control_address_show_no_wallet_code() {
    let gateway = Gateway::start(Settings::default()).unwrap();
    pay(&gateway, "A1", "286666666666666661", "1.00");
    pay(&gateway, "A2", "286666666666770301", "1.00");
    about(&gateway, "query", "A1");
    let ledger = exchange(gateway.http_address(), &http("GET", "/_sim/ledger", ""));
    let text = String::from_utf8(ledger.body().to_vec()).unwrap();
    assert!(text.contains("28**************61") && text.contains("\"paid_fen\": 100"), "{text}");
    assert!(!text.contains("66666666") && !format!("{:?}", gateway.ledger()).contains("66666666"));
    let bad = exchange(
        gateway.http_address(),
        &http("POST", "/_sim/buyers", r#"{"auth_code": "286666666666666662", "buyer": {"does": "dances"}}"#),
    );
    assert_eq!(bad.status(), Some(400));
    assert!(!String::from_utf8_lossy(bad.body()).contains("66666666"));
}

#[test]
fn a_stopped_gateway_frees_its_port_at_once() {
    let gateway = Gateway::start(Settings::default()).unwrap();
    let address = gateway.http_address();
    gateway.stop();
    assert!(std::net::TcpStream::connect_timeout(&address, Duration::from_secs(5)).is_err());
    let mut settings = Settings::default();
    settings.http = address;
    let again = Gateway::start(settings).unwrap();
    let mut taken = Settings::default();
    taken.http = again.http_address();
    let refused = Gateway::start(taken).unwrap_err().to_string();
    assert!(refused.starts_with("cannot listen on 127.0.0.1:"), "{refused}");
}
