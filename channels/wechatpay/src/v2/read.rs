//! Answers of interface v2: `return_code` says whether the request was understood, then the seal is checked, and only then
//! `result_code` and the rest are read (C12).

use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::sign::{Method, verifies};
use super::xml::{self, Fields};
use crate::codes::Operation;
use crate::reply::{NoAnswer, Node};
use crate::seal::SealError;

/// Reads a document. `status` is the HTTP status it came with. Also gives its nonce, which no other answer may have.
pub fn read(
    operation: Operation,
    status: u16,
    body: &[u8],
    method: Method,
    key: &str,
    refund: Option<&str>,
) -> Result<(Node, String), NoAnswer> {
    let no = |seal, code| NoAnswer::Seal { seal, status, code };
    let fields = xml::read(body).map_err(|e| NoAnswer::Malformed(e.to_string()))?;
    let get = |name: &str| fields.get(name).map(String::as_str).filter(|v| !v.is_empty());
    // A request that was not understood is answered without a seal: a claim, no answer.
    let understood = get("return_code") == Some("SUCCESS");
    let Some(seal) = get("sign").filter(|_| understood) else {
        let claim = if understood { "no sign" } else { "return_code is not SUCCESS" };
        return Err(no(SealError::Unsigned("sign"), Some(claim.into())));
    };
    if !verifies(fields.iter().map(|(k, v)| (k.as_str(), v.as_str())), method, key, seal) {
        return Err(no(SealError::Wrong, None));
    }
    let nonce = get("nonce_str").ok_or_else(|| no(SealError::Unsigned("nonce_str"), None))?.to_owned();
    let text = |name: &str| get(name).map(str::to_owned);
    let fen = |name: &str| get(name).filter(|v| is_number(v)).and_then(|v| v.parse().ok());
    let mut node = Node {
        appid: text("appid"),
        mchid: text("mch_id"),
        out_trade_no: text("out_trade_no"),
        message: text("err_code_des"),
        recall: get("recall") == Some("Y"),
        ..Node::default()
    };
    if get("result_code") != Some("SUCCESS") {
        // Without a code of its own the table has no line for it: not known.
        node.code = text("err_code").unwrap_or_else(|| "FAIL".into());
        return Ok((node, nonce));
    }
    node.status = 200;
    node.transaction_id = text("transaction_id");
    node.total = fen("total_fee");
    node.currency = text("fee_type");
    node.paid_ms = get("time_end").and_then(moment);
    match operation {
        // A code payment that succeeded has no state of its own.
        Operation::Pay => node.trade_state = Some(text("trade_state").unwrap_or_else(|| "SUCCESS".into())),
        Operation::Query => node.trade_state = text("trade_state"),
        // Taken, not done: the refund query says when.
        Operation::Refund => {
            node.refund_status = Some("PROCESSING".into());
            node.out_refund_no = text("out_refund_no");
            node.refund = fen("refund_fee");
        }
        Operation::RefundQuery => of_refund(&fields, refund.unwrap_or_default(), &mut node),
        _ => {}
    }
    Ok((node, nonce))
}

/// The refund of that number among those the answer lists.
fn of_refund(fields: &Fields, refund: &str, node: &mut Node) {
    let at = |name: &str, n: u32| fields.get(&format!("{name}_{n}")).map(String::as_str);
    let Some(n) = (0..50).find(|n| at("out_refund_no", *n) == Some(refund)) else { return };
    node.out_refund_no = Some(refund.to_owned());
    node.refund = at("refund_fee", n).filter(|v| is_number(v)).and_then(|v| v.parse().ok());
    node.refund_status = at("refund_status", n).map(|status| {
        // v2's words for what v3 calls CLOSED and ABNORMAL.
        match status {
            "REFUNDCLOSE" => "CLOSED",
            "CHANGE" => "ABNORMAL",
            other => other,
        }
        .to_owned()
    });
}

fn is_number(text: &str) -> bool {
    (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// `yyyyMMddHHmmss` in Asia/Shanghai.
fn moment(text: &str) -> Option<i64> {
    if text.len() != 14 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize| text.get(from..from + 2)?.parse::<i8>().ok();
    let year = text.get(..4)?.parse::<i16>().ok()?;
    let civil = DateTime::new(year, part(4)?, part(6)?, part(8)?, part(10)?, part(12)?, 0).ok()?;
    Some(Offset::constant(8).to_timestamp(civil).ok()?.as_millisecond())
}
