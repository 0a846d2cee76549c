//! Requests of interface v3: method, path and JSON body of each question (channels §3.1).

use serde::Serialize;
use zeroize::Zeroizing;

use crate::ask::{Ask, AskError, Sale};

/// One request before it is sealed. Has no `Debug`: the body of a payment holds the customer's code.
pub struct Call {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Path with its query.
    pub path: String,
    /// JSON; empty for a `GET`.
    pub body: Zeroizing<String>,
}

/// What every request of one merchant carries.
#[derive(Clone, Debug, Default)]
pub struct Merchant {
    /// Application id.
    pub appid: String,
    /// Merchant number.
    pub mchid: String,
    /// Where the platform may post notifications; a shown code must name one.
    pub notify_url: Option<String>,
    /// The merchant's shop number.
    pub store_id: Option<String>,
    /// The merchant's terminal number.
    pub terminal_id: Option<String>,
}

/// Where the platform lists its certificates.
pub const CERTIFICATES: &str = "/v3/certificates";

#[derive(Serialize)]
struct Amount<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<i64>,
    total: i64,
    currency: &'a str,
}

#[derive(Serialize)]
struct Payer<'a> {
    auth_code: &'a str,
}

#[derive(Serialize)]
struct Scene<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
    store_info: Store<'a>,
}

#[derive(Serialize)]
struct Store<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_id: Option<&'a str>,
}

#[derive(Serialize, Default)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    appid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mchid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_trade_no: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_refund_no: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notify_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer: Option<Payer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Amount<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scene_info: Option<Scene<'a>>,
}

/// Writes a question.
pub fn call(ask: &Ask<'_>, merchant: &Merchant) -> Result<Call, AskError> {
    ask.check()?;
    let Merchant { appid, mchid, .. } = merchant;
    let cny = |refund, total| Some(Amount { refund, total, currency: "CNY" });
    let orders = "/v3/pay/transactions/out-trade-no";
    match ask {
        Ask::Pay { order, amount, code, sale } => {
            let store_info = Store {
                id: merchant.store_id.as_deref(),
                // The platform asks for one of the two.
                out_id: merchant.store_id.is_none().then(|| merchant.terminal_id.as_deref().unwrap_or("1")),
            };
            let body = Body {
                payer: Some(Payer { auth_code: code.expose() }),
                amount: cny(None, amount.fen()),
                scene_info: Some(Scene { device_id: merchant.terminal_id.as_deref(), store_info }),
                ..about(merchant, order, sale)
            };
            post("/v3/pay/transactions/codepay".into(), &body)
        }
        Ask::Native { order, amount, sale } => {
            let body = Body {
                notify_url: Some(merchant.notify_url.as_deref().ok_or(AskError::NoNotifyUrl)?),
                amount: cny(None, amount.fen()),
                ..about(merchant, order, sale)
            };
            post("/v3/pay/transactions/native".into(), &body)
        }
        Ask::Query { order } => Ok(get(format!("{orders}/{order}?mchid={mchid}"))),
        Ask::Close { order } => {
            post(format!("{orders}/{order}/close"), &Body { mchid: Some(mchid), ..Body::default() })
        }
        Ask::Reverse { order } => {
            let body = Body { appid: Some(appid), mchid: Some(mchid), ..Body::default() };
            post(format!("{orders}/{order}/reverse"), &body)
        }
        Ask::Refund { order, refund, amount, total, reason } => {
            let body = Body {
                out_trade_no: Some(order),
                out_refund_no: Some(refund),
                reason: reason.as_deref(),
                amount: cny(Some(amount.fen()), total.fen()),
                ..Body::default()
            };
            post("/v3/refund/domestic/refunds".into(), &body)
        }
        Ask::RefundQuery { refund } => Ok(get(format!("/v3/refund/domestic/refunds/{refund}"))),
    }
}

fn about<'a>(merchant: &'a Merchant, order: &'a str, sale: &'a Sale) -> Body<'a> {
    Body {
        appid: Some(&merchant.appid),
        mchid: Some(&merchant.mchid),
        description: Some(&sale.subject),
        out_trade_no: Some(order),
        ..Body::default()
    }
}

/// A request without a body.
pub fn get(path: String) -> Call {
    Call { method: "GET", path, body: Zeroizing::default() }
}

fn post(path: String, body: &Body<'_>) -> Result<Call, AskError> {
    // Room enough from the start: a growing buffer would leave copies of the payment code behind.
    let mut json = Vec::with_capacity(2048);
    let written = serde_json::to_writer(&mut json, body);
    let text = String::from_utf8(json).map_err(|e| drop(Zeroizing::new(e.into_bytes())));
    match (written, text) {
        (Ok(()), Ok(text)) => Ok(Call { method: "POST", path, body: Zeroizing::new(text) }),
        _ => Err(AskError::Json),
    }
}
