//! Interface v3: who asks, what for, and how the books' word is written (channels.md §3.1).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::books::{Input, Refusal, Said, Trade};
use crate::wallet::keys::VerifyingKey;

/// Which operation an address is, with the number in it.
pub(crate) fn route(method: &str, path: &str) -> Option<(&'static str, String)> {
    let none = String::new;
    match (method, path) {
        ("POST", "/v3/pay/transactions/codepay") => return Some(("codepay", none())),
        ("POST", "/v3/pay/transactions/native") => return Some(("native", none())),
        ("POST", "/v3/refund/domestic/refunds") => return Some(("refund", none())),
        ("GET", "/v3/certificates") => return Some(("certificates", none())),
        _ => {}
    }
    if let Some(number) = path.strip_prefix("/v3/refund/domestic/refunds/").filter(|_| method == "GET") {
        return Some(("refund-query", number.to_owned()));
    }
    let rest = path.strip_prefix("/v3/pay/transactions/out-trade-no/")?;
    match (method, rest.split_once('/')) {
        ("GET", None) => Some(("query", rest.to_owned())),
        ("POST", Some((number, "close"))) => Some(("close", number.to_owned())),
        ("POST", Some((number, "reverse"))) => Some(("reverse", number.to_owned())),
        _ => None,
    }
}

/// The merchant as the platform knows it.
pub(crate) struct Merchant {
    pub(crate) appid: String,
    pub(crate) mchid: String,
    pub(crate) serial: String,
    pub(crate) key: VerifyingKey,
}

impl Merchant {
    /// Whether the request is sealed by the merchant it names, no more than 300 s off.
    pub(crate) fn verify(
        &self,
        method: &str,
        path: &str,
        authorization: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let fields = authorization.strip_prefix("WECHATPAY2-SHA256-RSA2048 ").ok_or(Refusal::SIGN)?;
        let get = |name: &str| {
            fields.split(',').find_map(|pair| {
                let value = pair.trim().strip_prefix(name)?.strip_prefix("=\"")?;
                value.strip_suffix('"')
            })
        };
        let (nonce, timestamp) = (get("nonce_str").unwrap_or_default(), get("timestamp").unwrap_or_default());
        let off = timestamp.parse::<i64>().map_or(i64::MAX, |at| (now.as_second() - at).abs());
        let known = get("mchid") == Some(&self.mchid) && get("serial_no") == Some(&self.serial);
        let mut text = format!("{method}\n{path}\n{timestamp}\n{nonce}\n").into_bytes();
        text.extend_from_slice(body);
        text.push(b'\n');
        let signed = self.key.verifies(&text, get("signature").unwrap_or_default());
        if known && off <= 300 && nonce.len() >= 16 && signed { Ok(()) } else { Err(Refusal::SIGN) }
    }

    /// Reads a verified request.
    pub(crate) fn read(
        &self,
        operation: &str,
        number: &str,
        query: &str,
        body: &[u8],
    ) -> Result<Input, Refusal> {
        let mut input = Input::default();
        let json: Value = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(body).map_err(|_| Refusal::PARAM)?
        };
        let text = |at: &str| json.pointer(at).and_then(Value::as_str).filter(|t| !t.is_empty());
        let required = |at: &str| text(at).map(str::to_owned).ok_or(Refusal::PARAM);
        let fen =
            |at: &str| json.pointer(at).and_then(Value::as_i64).filter(|n| *n > 0).ok_or(Refusal::PARAM);
        let named = |at: &str, own: &str| if text(at) == Some(own) { Ok(()) } else { Err(Refusal::AUTH) };
        match operation {
            "codepay" | "native" => {
                named("/mchid", &self.mchid)?;
                named("/appid", &self.appid)?;
                if required("/description")?.len() > 127
                    || text("/amount/currency").is_some_and(|c| c != "CNY")
                {
                    return Err(Refusal::PARAM);
                }
                input.order = required("/out_trade_no")?;
                input.total = fen("/amount/total")?;
                if operation == "codepay" {
                    input.code = required("/payer/auth_code")?;
                    json.pointer("/scene_info/store_info").ok_or(Refusal::PARAM)?;
                } else if !required("/notify_url")?.starts_with("https://") {
                    return Err(Refusal::PARAM);
                }
            }
            "query" => {
                number.clone_into(&mut input.order);
                if query != format!("mchid={}", self.mchid) {
                    return Err(Refusal::AUTH);
                }
            }
            "close" | "reverse" => {
                number.clone_into(&mut input.order);
                named("/mchid", &self.mchid)?;
                if operation == "reverse" {
                    named("/appid", &self.appid)?;
                }
            }
            "refund" => {
                input.order = required("/out_trade_no")?;
                input.refund = required("/out_refund_no")?;
                input.back = fen("/amount/refund")?;
                input.total = fen("/amount/total")?;
                if text("/amount/currency") != Some("CNY") || text("/reason").is_some_and(|r| r.len() > 80) {
                    return Err(Refusal::PARAM);
                }
            }
            "refund-query" => number.clone_into(&mut input.refund),
            _ => {}
        }
        let fits =
            |n: &str| n.len() <= 32 && n.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-|*".contains(&b));
        if fits(&input.order) && fits(&input.refund) { Ok(input) } else { Err(Refusal::PARAM) }
    }

    /// Writes the books' word: status and body.
    pub(crate) fn write(&self, said: &Said) -> (u16, Value) {
        match said {
            Said::Order(trade) => (200, self.order(trade)),
            Said::CodeUrl(url) => (200, json!({ "code_url": url })),
            Said::Closed => (204, Value::Null),
            Said::Reversed(trade) => {
                (200, json!({"appid": self.appid, "mchid": self.mchid, "out_trade_no": trade.out_trade_no}))
            }
            Said::Refund(trade, refund) => (
                200,
                json!({
                    "refund_id": format!("503000{}", trade.transaction_id),
                    "out_refund_no": refund.out_refund_no,
                    "transaction_id": trade.transaction_id,
                    "out_trade_no": trade.out_trade_no,
                    "channel": "ORIGINAL",
                    "status": "SUCCESS",
                    "amount": {"total": trade.total, "refund": refund.amount, "currency": "CNY"},
                }),
            ),
        }
    }

    fn order(&self, trade: &Trade) -> Value {
        let mut order = json!({
            "appid": self.appid,
            "mchid": self.mchid,
            "out_trade_no": trade.out_trade_no,
            "trade_type": if trade.native { "NATIVE" } else { "MICROPAY" },
            "trade_state": trade.state.word(),
            "trade_state_desc": "订单状态",
            "amount": {"total": trade.total, "currency": "CNY"},
        });
        if let Some(at) = trade.paid_at {
            order["transaction_id"] = trade.transaction_id.clone().into();
            order["success_time"] = beijing(at, "%Y-%m-%dT%H:%M:%S+08:00").into();
            order["payer"] = json!({"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"});
        }
        order
    }
}

/// A moment in the platform's local time.
pub(crate) fn beijing(at: Timestamp, format: &str) -> String {
    at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).strftime(format).to_string()
}
