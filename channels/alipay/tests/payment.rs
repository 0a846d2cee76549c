//! Payments as the daemon drives them, against a scripted gateway.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too: what fails there fails the test

mod common;
mod follow;

use std::time::Duration;

use common::*;
use follow::{follow, query_follow, refund_of};
use till_plugin::Channel;
use till_plugin::channel::*;
use till_plugin::driver::DeviceState;
use till_plugin::host::Level;
use till_plugin::instrument::Instrument;

const PAY: &str = "alipay_trade_pay_response";
const QUERY: &str = "alipay_trade_query_response";
const CANCEL: &str = "alipay_trade_cancel_response";
const REFUNDED: &str = "alipay_trade_refund_response";
const REFUND_QUERY: &str = "alipay_trade_fastpay_refund_query_response";

/// The outcome of one pay that is answered with this node.
fn pay_answered(node: &str) -> Outcome {
    let gateway = Gateway::answering([(PAY, node.to_owned())]);
    pay(&mut open(&gateway.url).1, &sale(scan(CODE)))
}

fn failed(code: &str, sub_code: &str) -> String {
    format!(
        "{{\"code\":\"{code}\",\"msg\":\"Business Failed\",\"sub_code\":\"{sub_code}\",\"sub_msg\":\"支付授权码 {CODE} 无效\"}}"
    )
}

#[test]
fn a_code_is_paid_and_every_parameter_is_as_published() {
    let gateway = Gateway::answering([(PAY, paid(ORDER, "128.50"))]);
    let (bench, mut channel) = open(&gateway.url);
    let Outcome::Approved(a) = pay(&mut channel, &sale(scan(CODE))) else { panic!("not approved") };
    assert_eq!((a.amount, a.reference.as_str()), (cny(12_850), TRADE));
    assert_eq!(a.echo.order.as_deref(), Some(ORDER));
    assert_eq!(a.account.as_deref(), Some("159****5620"));
    assert_eq!(a.host_time.as_deref(), Some("2026-09-01 09:20:03"));
    let seen = gateway.seen();
    assert!(
        seen.head.starts_with("POST /gateway.do?charset=utf-8 HTTP/1.1\r\nHost: 127.0.0.1:"),
        "{}",
        seen.head
    );
    assert_eq!(seen.method(), "alipay.trade.pay");
    // The test host's clock stands at 03:04:05 UTC.
    assert_eq!(seen.form["timestamp"], "2026-01-02 11:04:05");
    for (key, value) in [
        ("app_id", "2021000000000001"),
        ("format", "JSON"),
        ("charset", "utf-8"),
        ("sign_type", "RSA2"),
        ("version", "1.0"),
    ] {
        assert_eq!(seen.form[key], value);
    }
    assert_eq!(
        seen.content(),
        serde_json::json!({
            "out_trade_no": ORDER, "scene": "bar_code", "auth_code": CODE, "subject": "茶   点心", "total_amount": "128.50",
            "product_code": "FACE_TO_FACE_PAYMENT", "store_id": "S001", "operator_id": "op1", "timeout_express": "2m",
        })
    );
    assert!(!format!("{:?}", bench.log_lines()).contains(CODE));
}

#[test]
fn an_approval_of_something_else_is_not_believed() {
    for node in [
        paid(ORDER, "128.51"),
        paid(ORDER, "128.5"),
        paid(ORDER, "12850"),
        paid("T0120260901000009", "128.50"),
        paid(ORDER, "128.50").replace("\"total_amount\":\"128.50\",", ""),
        paid(ORDER, "128.50").replace(&format!("\"out_trade_no\":\"{ORDER}\","), ""),
        paid(ORDER, "128.50").replace(TRADE, ""),
        // A query's node under a pay's name: the name is not signed.
        paid(ORDER, "128.50").replace("\"msg\"", "\"trade_status\":\"WAIT_BUYER_PAY\",\"msg\""),
    ] {
        assert_eq!(unknown(pay_answered(&node)).reason, UnknownReason::Mismatch, "{node}");
    }
    // A success that names a failure contradicts itself.
    let both = paid(ORDER, "128.50").replace("\"msg\"", "\"sub_code\":\"ACQ.PAYMENT_FAIL\",\"msg\"");
    assert_eq!(unknown(pay_answered(&both)).reason, UnknownReason::HostFault);
}

#[test]
fn a_password_prompt_is_in_progress_and_not_a_decline() {
    let node = format!(
        "{{\"code\":\"10003\",\"msg\":\" order success pay inprocess\",\"out_trade_no\":\"{ORDER}\"}}"
    );
    assert_eq!(unknown(pay_answered(&node)).reason, UnknownReason::InProgress);
}

#[test]
fn definite_refusals_decline_with_the_next_step_and_without_the_code() {
    for (sub, class, next) in [
        ("ACQ.PAYMENT_AUTH_CODE_INVALID", DeclineClass::Customer, NextStep::PresentAgain),
        ("ACQ.BUYER_BALANCE_NOT_ENOUGH", DeclineClass::Customer, NextStep::OtherMethod),
        ("ACQ.TRADE_HAS_CLOSE", DeclineClass::Device, NextStep::PresentAgain),
        ("ACQ.SELLER_BEEN_BLOCKED", DeclineClass::Channel, NextStep::CallSupport),
    ] {
        let Outcome::Declined(d) = pay_answered(&failed("40004", sub)) else { panic!("{sub}") };
        assert_eq!((d.class, d.next), (class, next), "{sub}");
        assert_eq!(d.code, format!("40004/{sub}"));
        assert!(d.text_zh.contains("28…0001") && !format!("{d:?}").contains(CODE), "{d:?}");
    }
}

#[test]
fn an_answer_nobody_understands_is_never_a_decline() {
    for node in [
        failed("20000", "isp.unknow-error"),
        failed("40004", "ACQ.SYSTEM_ERROR"),
        failed("40004", "ACQ.TRADE_HAS_SUCCESS"),
        failed("40004", "ACQ.INVENTED_TOMORROW"),
        failed("40004", ""),
        failed("99999", "x"),
        "{}".into(),
    ] {
        assert_eq!(unknown(pay_answered(&node)).reason, UnknownReason::HostFault, "{node}");
    }
}

#[test]
fn a_wrong_seal_is_unknown_whatever_it_says() {
    let node = paid(ORDER, "128.50");
    let other = String::from_utf8(signed(PAY, &node)).unwrap();
    let tampered = other.replace("128.50", "128.5O");
    let decline = String::from_utf8(signed(PAY, &failed("40004", "ACQ.PAYMENT_FAIL"))).unwrap();
    let forged = decline.replace("PAYMENT_FAIL", "PAYMENT_FAIT");
    for (body, reason) in [
        (tampered, UnknownReason::BadSeal),
        (forged, UnknownReason::BadSeal),
        (format!("{{\"{PAY}\":{node}}}"), UnknownReason::BadSeal),
        (format!("{{\"{PAY}\":{node},\"sign\":\"\"}}"), UnknownReason::BadSeal),
        (format!("{{\"{PAY}\":{node},\"sign\":\"AAAA\"}}"), UnknownReason::BadSeal),
        (format!("{{\"{PAY}\":{node},\"sign\":1}}"), UnknownReason::Garbage),
        (other.replace(PAY, QUERY), UnknownReason::Garbage),
        (format!("{{{0},{0}}}", &other[1..other.len() - 1]), UnknownReason::Garbage),
        (other[..other.len() - 3].to_owned(), UnknownReason::Garbage),
        (format!("{other}x"), UnknownReason::Garbage),
        ("[]".to_owned(), UnknownReason::Garbage),
        ("<html>".to_owned(), UnknownReason::Garbage),
    ] {
        let gateway = Gateway::new([Act::Send(http(body.as_bytes()))]);
        let (bench, mut channel) = open(&gateway.url);
        assert_eq!(unknown(pay(&mut channel, &sale(scan(CODE)))).reason, reason, "{body}");
        let loud = bench.log_lines().iter().any(|(level, _)| *level == Level::Error);
        assert_eq!(loud, reason == UnknownReason::BadSeal, "{body}");
    }
}

#[test]
fn a_gateway_refusal_declines_only_when_it_is_signed() {
    let node = "{\"code\":\"40002\",\"msg\":\"Invalid Arguments\",\"sub_code\":\"isv.invalid-signature\",\"sub_msg\":\"验签出错\"}";
    let gateway = Gateway::answering([("error_response", node.to_owned())]);
    let Outcome::Declined(d) = pay(&mut open(&gateway.url).1, &sale(scan(CODE))) else {
        panic!("not declined")
    };
    assert_eq!((d.class, d.code.as_str()), (DeclineClass::Channel, "40002/isv.invalid-signature"));
    let gateway = Gateway::new([Act::Send(http(format!("{{\"error_response\":{node}}}").as_bytes()))]);
    let u = unknown(pay(&mut open(&gateway.url).1, &sale(scan(CODE))));
    assert_eq!(u.reason, UnknownReason::BadSeal);
    assert!(u.text.contains("isv.invalid-signature"), "{}", u.text);
    // A success under that name is nonsense.
    let gateway = Gateway::answering([("error_response", paid(ORDER, "128.50"))]);
    unknown(pay(&mut open(&gateway.url).1, &sale(scan(CODE))));
}

#[test]
fn what_may_not_be_sent_is_refused_before_any_byte() {
    let gateway = Gateway::new([]);
    let (_, mut channel) = open(&gateway.url);
    let base = sale(scan(CODE));
    let euro = till_plugin::Money::new(12_850, "EUR".parse().unwrap());
    for (request, code) in [
        (Authorise { amount: cny(0), ..base.clone() }, "amount"),
        (Authorise { amount: cny(-12_850), ..base.clone() }, "amount"),
        (Authorise { amount: cny(i64::MAX), ..base.clone() }, "amount"),
        (Authorise { amount: euro, ..base.clone() }, "currency"),
        (Authorise { hold: true, ..base.clone() }, "unsupported"),
        (Authorise { instrument: scan("130000000000000001"), ..base.clone() }, "not-a-payment-code"),
        (Authorise { instrument: scan("2800000000000001a"), ..base.clone() }, "not-a-payment-code"),
        (Authorise { instrument: scan(&"2".repeat(10_000)), ..base.clone() }, "not-a-payment-code"),
        (
            Authorise {
                instrument: scan("２８００００００００００００００００１"), ..base.clone()
            },
            "not-a-payment-code",
        ),
        (Authorise { instrument: Instrument::Cash { tendered: cny(1) }, ..base.clone() }, "wrong-instrument"),
        (Authorise { ids: ids("short"), ..base.clone() }, "request-not-built"),
        (Authorise { ids: ids("T01-2026_09"), ..base.clone() }, "request-not-built"),
    ] {
        let refused = channel.prepare(&request).unwrap_err();
        assert_eq!(refused.code, code);
        assert!(!format!("{refused:?}").contains("130000000000000001"), "{refused:?}");
        let prepared = channel.prepare(&base).unwrap();
        assert!(matches!(channel.authorise(&request, &prepared), Outcome::NotSent(_)), "{code}");
    }
    assert!(gateway.quiet());
}

#[test]
fn without_a_trusted_clock_nothing_is_signed() {
    let gateway = Gateway::new([]);
    let (bench, mut channel) = open(&gateway.url);
    let request = sale(scan(CODE));
    let original = follow_up(&mut channel, &request);
    let prepared = channel.prepare(&request).unwrap();
    bench.trust_clock(false);
    assert_eq!(channel.prepare(&request).unwrap_err().code, "clock-not-synchronised");
    assert!(
        matches!(channel.authorise(&request, &prepared), Outcome::NotSent(d) if d.code == "clock-not-synchronised")
    );
    // An undo that did not leave is no try, so it is made again when the clock stands.
    assert!(matches!(channel.undo(&original, UndoReason::NoAnswer), UndoOutcome::NotSent(_)));
    assert!(matches!(channel.query(&original), QueryOutcome::Unknown(_)));
    assert_eq!(channel.probe().unwrap().state, DeviceState::Blocked);
    assert!(channel.describe().needs_clock && gateway.quiet());
}

#[test]
fn what_is_kept_for_recovery_holds_neither_code_nor_amount() {
    let (_, mut channel) = open(&Gateway::down());
    let prepared = channel.prepare(&sale(scan(CODE))).unwrap();
    assert_eq!(prepared.recovery.expose(), b"alipay 1 scanned");
    assert_eq!(prepared.masked, "28************0001");
}

/// What a query answered with this node says about an order of 128.50.
fn queried(name: &str, node: &str, instrument: Instrument) -> QueryOutcome {
    let gateway = Gateway::answering([(name, node.to_owned())]);
    let (_, mut channel) = open(&gateway.url);
    let original = follow_up(&mut channel, &sale(instrument));
    let outcome = channel.query(&original);
    let seen = gateway.seen();
    assert_eq!(
        (seen.method(), seen.content()),
        ("alipay.trade.query", serde_json::json!({"out_trade_no": ORDER}))
    );
    outcome
}

#[test]
fn a_query_finds_what_became_of_it() {
    let status =
        |s: &str| paid(ORDER, "128.50").replace("\"msg\"", &format!("\"trade_status\":\"{s}\",\"msg\""));
    let ask = |node: &str| queried(QUERY, node, scan(CODE));
    for done in ["TRADE_SUCCESS", "TRADE_FINISHED"] {
        assert!(
            matches!(ask(&status(done)), QueryOutcome::Paid(a) if a.amount == cny(12_850) && a.reference == TRADE)
        );
    }
    assert_eq!(ask(&status("WAIT_BUYER_PAY")), QueryOutcome::InProgress);
    assert!(matches!(ask(&status("TRADE_CLOSED")), QueryOutcome::NotPaid(_)));
    let reason = |o| match o {
        QueryOutcome::Unknown(u) => u.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(ask(&status("TRADE_PENDING"))), UnknownReason::HostFault);
    assert_eq!(reason(ask(&paid(ORDER, "128.50"))), UnknownReason::HostFault);
    assert_eq!(reason(ask(&status("TRADE_SUCCESS").replace("128.50", "0.01"))), UnknownReason::Mismatch);
    assert_eq!(
        reason(ask(&status("TRADE_CLOSED").replace(ORDER, "T0120260901000009"))),
        UnknownReason::Mismatch
    );
    assert_eq!(reason(ask(&failed("40004", "ACQ.SYSTEM_ERROR"))), UnknownReason::HostFault);
    assert_eq!(ask(&failed("40004", "ACQ.TRADE_NOT_EXIST")), QueryOutcome::NotFound);
    // A shown code has no trade until it is scanned: that is waiting, not absence.
    let missing = failed("40004", "ACQ.TRADE_NOT_EXIST");
    assert_eq!(queried(QUERY, &missing, Instrument::ShowCode), QueryOutcome::InProgress);
    // Our settings being wrong says nothing about the trade.
    assert_eq!(
        reason(queried("error_response", &failed("40002", "isv.x"), scan(CODE))),
        UnknownReason::HostFault
    );
}

/// What a cancel answered with this node says.
fn cancelled(node: &str) -> UndoOutcome {
    let gateway = Gateway::answering([(CANCEL, node.to_owned())]);
    let (_, mut channel) = open(&gateway.url);
    let original = follow_up(&mut channel, &sale(scan(CODE)));
    let outcome = channel.undo(&original, UndoReason::NoAnswer);
    assert_eq!(gateway.seen().method(), "alipay.trade.cancel");
    outcome
}

#[test]
fn a_cancel_is_done_only_when_the_answer_says_so() {
    let node = |flag: &str, action: &str| {
        format!(
            "{{\"code\":\"10000\",\"msg\":\"Success\",\"out_trade_no\":\"{ORDER}\",\"trade_no\":\"{TRADE}\"{flag}{action}}}"
        )
    };
    let (yes, no) = (",\"retry_flag\":\"Y\"", ",\"retry_flag\":\"N\"");
    let (close, refund) = (",\"action\":\"close\"", ",\"action\":\"refund\"");
    let undone = |money_moved| UndoOutcome::Undone { money_moved, reference: Some(TRADE.into()) };
    assert_eq!(cancelled(&node(no, close)), undone(false));
    assert_eq!(cancelled(&node(no, refund)), undone(true));
    assert_eq!(cancelled(&node(no, "")), UndoOutcome::NeverExisted);
    assert_eq!(cancelled(&failed("40004", "ACQ.TRADE_NOT_EXIST")), UndoOutcome::NeverExisted);
    assert!(matches!(cancelled(&failed("40004", "ACQ.TRADE_CANCEL_TIME_OUT")), UndoOutcome::Refused(_)));
    for again in [
        node(yes, refund),
        node("", refund),
        node(no, ",\"action\":\"think\""),
        node(no, close).replace(ORDER, "T0120260901000009"),
        failed("40004", "ACQ.SYSTEM_ERROR"),
        failed("20000", "isp.x"),
        failed("40002", "isv.x"),
        failed("40004", "ACQ.INVENTED_TOMORROW"),
    ] {
        assert!(matches!(cancelled(&again), UndoOutcome::Unknown(_)), "{again}");
    }
}

#[test]
fn the_undo_rule_is_for_ever_with_growing_pauses_and_at_once_behind_the_last_query() {
    let (_, channel) = open(&Gateway::down());
    let resolve = channel.describe().resolve;
    let (query, undo) = (resolve.query.unwrap(), resolve.undo.unwrap());
    assert!((3_000..=5_000).contains(&query.every_ms) && (30_000..=60_000).contains(&query.until_ms));
    assert_eq!((undo.not_before_ms, undo.tries), (0, 0));
    assert!(undo.pause_max_ms > undo.pause_ms);
}

/// Which call a node answers is not signed: an answer to another call about the same order, brought again under the name of a close,
/// would leave a code that can still be paid.
#[test]
fn another_answer_about_the_order_does_not_pass_for_a_close() {
    let about =
        |more: &str| format!("{{\"code\":\"10000\",\"msg\":\"Success\",\"out_trade_no\":\"{ORDER}\"{more}}}");
    let code = about(",\"qr_code\":\"https:\\/\\/qr.alipay.com\\/bax00001\"");
    for other in [code.clone(), about(",\"trade_status\":\"WAIT_BUYER_PAY\"")] {
        let gateway = Gateway::answering([
            ("alipay_trade_precreate_response", code.clone()),
            ("alipay_trade_close_response", other),
            (CANCEL, about(",\"retry_flag\":\"N\",\"action\":\"close\"")),
        ]);
        let (_, mut channel) = open(&gateway.url);
        let request = sale(Instrument::ShowCode);
        unknown(pay(&mut channel, &request));
        let original = follow_up(&mut channel, &request);
        let undone = UndoOutcome::Undone { money_moved: false, reference: None };
        assert_eq!(channel.undo(&original, UndoReason::Abandoned), undone);
        let methods: Vec<String> = (0..3).map(|_| gateway.seen().method().to_owned()).collect();
        assert_eq!(methods, ["alipay.trade.precreate", "alipay.trade.close", "alipay.trade.cancel"]);
    }
}

#[test]
fn a_shown_code_is_closed_and_cancelled_if_it_does_not_close() {
    let code = format!(
        "{{\"code\":\"10000\",\"msg\":\"Success\",\"out_trade_no\":\"{ORDER}\",\"qr_code\":\"https:\\/\\/qr.alipay.com\\/bax00001\"}}"
    );
    let ended = |s: &str| format!("{{\"code\":\"10000\",\"out_trade_no\":\"{ORDER}\"{s}}}");
    let gateway = Gateway::answering([
        ("alipay_trade_precreate_response", code.clone()),
        ("alipay_trade_close_response", ended("")),
        ("alipay_trade_close_response", failed("40004", "ACQ.TRADE_STATUS_ERROR")),
        (CANCEL, ended(",\"retry_flag\":\"N\",\"action\":\"refund\"")),
    ]);
    let (_, mut channel) = open(&gateway.url);
    let request = sale(Instrument::ShowCode);
    let shown = unknown(pay(&mut channel, &request));
    assert_eq!(shown.reason, UnknownReason::AwaitingCustomer);
    assert_eq!(shown.show_code.as_deref(), Some("https://qr.alipay.com/bax00001"));
    assert_eq!(gateway.seen().method(), "alipay.trade.precreate");
    let original = follow_up(&mut channel, &request);
    let undone = |money_moved| UndoOutcome::Undone { money_moved, reference: None };
    assert_eq!(channel.undo(&original, UndoReason::Abandoned), undone(false));
    assert_eq!(gateway.seen().method(), "alipay.trade.close");
    // Paid in the same second: the cancel sends it back.
    assert_eq!(channel.undo(&original, UndoReason::Abandoned), undone(true));
    assert_eq!(
        (gateway.seen().form["method"].as_str(), gateway.seen().method()),
        ("alipay.trade.close", "alipay.trade.cancel")
    );

    for bad in [code.replace(ORDER, "T0120260901000009"), code.replace("https", "javascript"), ended("")] {
        let gateway = Gateway::answering([("alipay_trade_precreate_response", bad)]);
        let u = unknown(pay(&mut open(&gateway.url).1, &request));
        assert_eq!((u.reason, u.show_code), (UnknownReason::Mismatch, None));
    }
}

fn refund(amount: i64) -> Follow {
    let approval = match pay_answered(&paid(ORDER, "128.50")) {
        Outcome::Approved(a) => a,
        other => panic!("{other:?}"),
    };
    Follow { reason: " torn\nbag".into(), ..refund_of(approval, 12_850, amount) }
}

#[test]
fn a_refund_counts_only_when_money_moved_in_it() {
    let node = |change: &str, total: &str| {
        format!(
            "{{\"code\":\"10000\",\"out_trade_no\":\"{ORDER}\",\"trade_no\":\"{TRADE}\",\"fund_change\":\"{change}\",\"refund_fee\":\"{total}\"}}"
        )
    };
    let request = refund(200);
    let run = |node: &str| {
        let gateway = Gateway::answering([(REFUNDED, node.to_owned())]);
        let outcome = follow(&mut open(&gateway.url).1, &request);
        let sent = serde_json::json!({
            "out_trade_no": ORDER, "refund_amount": "2.00", "out_request_no": REFUND, "refund_reason": "torn bag",
        });
        assert_eq!(gateway.seen().content(), sent);
        outcome
    };
    let Outcome::Approved(a) = run(&node("Y", "2.00")) else { panic!("not refunded") };
    assert_eq!((a.amount, a.echo.order.as_deref()), (cny(200), Some(REFUND)));
    assert!(
        matches!(run(&node("Y", "5.00")), Outcome::Approved(_)),
        "an earlier part refund is in the total"
    );
    for doubtful in [
        node("N", "2.00"),
        node("", "2.00"),
        node("Y", "1.99"),
        node("Y", ""),
        node("Y", "2.00").replace(ORDER, "T0120260901000009"),
        node("Y", "2.00").replace(TRADE, "2026090122001400000000000009"),
        failed("20000", "isp.x"),
        failed("40004", "ACQ.INVENTED_TOMORROW"),
    ] {
        assert!(matches!(run(&doubtful), Outcome::Unknown(_)), "{doubtful}");
    }
    assert!(matches!(run(&failed("40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH")), Outcome::Declined(_)));
    let gateway = Gateway::new([]);
    assert!(matches!(follow(&mut open(&gateway.url).1, &refund(12_851)), Outcome::NotSent(_)));
    assert!(gateway.quiet());
}

#[test]
fn a_refund_query_proves_or_says_not_done() {
    let node = |status: &str| {
        format!(
            "{{\"code\":\"10000\",\"out_trade_no\":\"{ORDER}\",\"trade_no\":\"{TRADE}\",\"out_request_no\":\"{REFUND}\",\
             \"refund_amount\":\"2.00\",\"total_amount\":\"128.50\"{status}}}"
        )
    };
    let request = refund(200);
    let ask = |node: &str| {
        let gateway = Gateway::answering([(REFUND_QUERY, node.to_owned())]);
        let outcome = query_follow(&mut open(&gateway.url).1, &request);
        assert_eq!(gateway.seen().method(), "alipay.trade.fastpay.refund.query");
        outcome
    };
    let success = node(",\"refund_status\":\"REFUND_SUCCESS\"");
    assert!(
        matches!(ask(&success), QueryOutcome::Paid(a) if a.amount == cny(200) && a.echo.order.as_deref() == Some(REFUND))
    );
    assert_eq!(ask(&node("")), QueryOutcome::NotFound);
    assert_eq!(ask("{\"code\":\"10000\",\"msg\":\"Success\"}"), QueryOutcome::NotFound);
    assert_eq!(ask(&node(",\"refund_status\":\"REFUND_PROCESSING\"")), QueryOutcome::InProgress);
    for doubtful in [
        success.replace("\"2.00\"", "\"2.01\""),
        success.replace(REFUND, "T0120260901000009"),
        success.replace(ORDER, "T0120260901000009"),
        success.replace(TRADE, "2026090122001400000000000009"),
        node(",\"refund_status\":\"REFUND_MAYBE\""),
        failed("20000", "isp.x"),
    ] {
        assert!(matches!(ask(&doubtful), QueryOutcome::Unknown(_)), "{doubtful}");
    }
}

#[test]
fn a_probe_tells_the_states_apart_and_moves_no_money() {
    let check = |gateway: &Gateway| open(&gateway.url).1.probe().unwrap().state;
    let well = Gateway::answering([(QUERY, failed("40004", "ACQ.TRADE_NOT_EXIST"))]);
    assert_eq!(check(&well), DeviceState::Ready);
    assert_eq!(well.seen().method(), "alipay.trade.query");
    let wrong = Gateway::answering([("error_response", failed("40002", "isv.invalid-app-id"))]);
    assert_eq!(check(&wrong), DeviceState::Failed);
    assert_eq!(check(&Gateway::answering([(QUERY, failed("20000", "isp.x"))])), DeviceState::Attention);
    assert_eq!(check(&Gateway::new([Act::Send(http(b"{}"))])), DeviceState::Failed);
    assert_eq!(open(&Gateway::down()).1.probe().unwrap().state, DeviceState::Offline);
}

#[test]
fn down_is_not_sent_and_everything_later_is_unknown() {
    let (_, mut channel) = open(&Gateway::down());
    assert!(matches!(pay(&mut channel, &sale(scan(CODE))), Outcome::NotSent(d) if d.code == "not-sent"));
    let whole = http(&signed(PAY, &paid(ORDER, "128.50")));
    for (act, reason) in [
        (Act::Hang, UnknownReason::Broken),
        (Act::Send(whole[..whole.len() / 2].to_vec()), UnknownReason::Broken),
        (
            Act::Send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n".to_vec()),
            UnknownReason::HostFault,
        ),
        (
            Act::Send(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".to_vec()),
            UnknownReason::HostFault,
        ),
        (Act::Silent, UnknownReason::NoAnswer),
    ] {
        let gateway = Gateway::new([act]);
        let (bench, mut channel) = open(&gateway.url);
        let request = sale(scan(CODE));
        let prepared = channel.prepare(&request).unwrap();
        bench.set_remaining(Some(Duration::from_millis(900)));
        assert_eq!(unknown(channel.authorise(&request, &prepared)).reason, reason);
    }
}

#[test]
fn a_trickle_is_cut_off_at_the_deadline_and_a_slow_answer_within_it_counts() {
    let whole = http(&signed(PAY, &paid(ORDER, "128.50")));
    let gateway = Gateway::new([
        Act::Slow(whole.clone(), Duration::from_micros(200)),
        Act::Slow(whole, Duration::from_millis(20)),
    ]);
    let (bench, mut channel) = open(&gateway.url);
    let request = sale(scan(CODE));
    assert!(matches!(pay(&mut channel, &request), Outcome::Approved(_)));
    let prepared = channel.prepare(&request).unwrap();
    bench.set_remaining(Some(Duration::from_millis(650)));
    let start = std::time::Instant::now();
    assert_eq!(unknown(channel.authorise(&request, &prepared)).reason, UnknownReason::NoAnswer);
    assert!(start.elapsed() < Duration::from_millis(650), "{:?}", start.elapsed());
}

#[test]
fn a_call_without_time_left_sends_nothing() {
    let gateway = Gateway::new([Act::Slam]);
    let (bench, mut channel) = open(&gateway.url);
    let request = sale(scan(CODE));
    let prepared = channel.prepare(&request).unwrap();
    let original = follow_up(&mut channel, &request);
    bench.set_remaining(Some(Duration::from_millis(100)));
    assert!(matches!(channel.authorise(&request, &prepared), Outcome::NotSent(_)));
    assert!(!matches!(channel.undo(&original, UndoReason::NoAnswer), UndoOutcome::Undone { .. }));
    assert!(gateway.quiet());
}
