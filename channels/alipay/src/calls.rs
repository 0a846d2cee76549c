//! Requests: what each method sends (channels §2.2), and the signed form around it (§2.1).

use serde::Serialize;
use thiserror::Error;
use till_wallet::words::is_order_number;
use zeroize::Zeroizing;

use crate::amount::Fen;
use crate::codes::Operation;
use crate::sign::{AppKey, Params, SignError, form_body, sign_string};

/// Why a request is not built. Nothing has left the machine when one of these is returned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// The order or refund number would be refused by one wallet or another.
    #[error("{0} is not 8 to 32 letters and digits; the journal must give out numbers of that form")]
    Number(&'static str),
    /// Not a payment code. The text is not repeated: it is a bearer credential.
    #[error(
        "what was scanned is not an Alipay payment code (16 to 24 digits beginning 25 to 30); scan the customer's code again"
    )]
    Code,
    /// JSON could not be written.
    #[error("the request could not be written as JSON; report this as a fault of the channel")]
    Json,
    /// The request could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// One request before it is signed. Has no `Debug`: the content of a pay holds the customer's code.
pub struct Call {
    /// Which line of the code table its answer is read by.
    pub operation: Operation,
    /// The gateway's method name.
    pub method: &'static str,
    /// The node its answer stands under.
    pub response: &'static str,
    /// The business content, JSON.
    pub content: Zeroizing<String>,
}

/// What every request of one merchant carries.
#[derive(Clone, Debug)]
pub struct Merchant {
    /// Application id at the open platform.
    pub app_id: String,
    /// Where Alipay may post notifications; none for a till behind NAT.
    pub notify_url: Option<String>,
    /// Authorisation of a service provider acting for the merchant.
    pub app_auth_token: Option<Zeroizing<String>>,
    /// Numbers of the application's certificate and of Alipay's roots; only in certificate mode.
    pub certificate_numbers: Option<(String, String)>,
}

/// What a pay or precreate says about the sale beside number and amount.
#[derive(Clone, Debug, Default)]
pub struct Sale {
    /// What the customer reads in the wallet.
    pub subject: String,
    /// Alipay closes an unpaid trade after this; `1m` to `15d`.
    pub timeout: String,
    /// Merchant's shop number.
    pub store_id: Option<String>,
    /// Merchant's terminal number.
    pub terminal_id: Option<String>,
    /// Merchant's operator number.
    pub operator_id: Option<String>,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    out_trade_no: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scene: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_express: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_request_no: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_reason: Option<&'a str>,
}

/// Charges the buyer whose code was scanned.
pub fn pay(order: &str, amount: Fen, auth_code: &str, sale: &Sale) -> Result<Call, CallError> {
    if !is_payment_code(auth_code) {
        return Err(CallError::Code);
    }
    let content = Content {
        scene: Some("bar_code"),
        auth_code: Some(auth_code),
        product_code: Some("FACE_TO_FACE_PAYMENT"),
        ..about(order, amount, sale)?
    };
    build(Operation::Pay, "alipay.trade.pay", "alipay_trade_pay_response", &content)
}

/// Opens a trade the customer pays by scanning the till's code.
pub fn precreate(order: &str, amount: Fen, sale: &Sale) -> Result<Call, CallError> {
    let content = about(order, amount, sale)?;
    build(Operation::Precreate, "alipay.trade.precreate", "alipay_trade_precreate_response", &content)
}

/// Asks what became of an order.
pub fn query(order: &str) -> Result<Call, CallError> {
    build(Operation::Query, "alipay.trade.query", "alipay_trade_query_response", &only(order)?)
}

/// Undoes an order whose outcome is not known: closes it, or sends the money back.
pub fn cancel(order: &str) -> Result<Call, CallError> {
    build(Operation::Cancel, "alipay.trade.cancel", "alipay_trade_cancel_response", &only(order)?)
}

/// Closes a precreated trade nobody paid.
pub fn close(order: &str) -> Result<Call, CallError> {
    build(Operation::Close, "alipay.trade.close", "alipay_trade_close_response", &only(order)?)
}

/// Sends a part or all of a paid order back. `refund` is the refund's own number: a repetition with the same
/// number and amount moves no money a second time.
pub fn refund(order: &str, refund: &str, amount: Fen, reason: Option<&str>) -> Result<Call, CallError> {
    let content = Content {
        out_request_no: Some(number(refund, "the refund number")?),
        refund_amount: Some(amount.to_yuan()),
        refund_reason: reason,
        ..only(order)?
    };
    build(Operation::Refund, "alipay.trade.refund", "alipay_trade_refund_response", &content)
}

/// Asks what became of a refund.
pub fn refund_query(order: &str, refund: &str) -> Result<Call, CallError> {
    let content = Content { out_request_no: Some(number(refund, "the refund number")?), ..only(order)? };
    build(
        Operation::RefundQuery,
        "alipay.trade.fastpay.refund.query",
        "alipay_trade_fastpay_refund_query_response",
        &content,
    )
}

/// Asks for the certificate of Alipay's with this number.
pub fn certificate(number: &str) -> Result<Call, CallError> {
    let content = serde_json::json!({ "alipay_cert_sn": number });
    build(
        Operation::Any,
        "alipay.open.app.alipaycert.download",
        "alipay_open_app_alipaycert_download_response",
        &content,
    )
}

impl Call {
    /// The signed form body. `timestamp` is `yyyy-MM-dd HH:mm:ss` in Asia/Shanghai.
    pub fn signed_form(
        &self,
        merchant: &Merchant,
        key: &AppKey,
        timestamp: &str,
    ) -> Result<Zeroizing<Vec<u8>>, CallError> {
        let plain = |text: &str| Zeroizing::new(text.to_owned());
        let mut params: Params = Params::from([
            ("app_id", plain(&merchant.app_id)),
            ("method", plain(self.method)),
            ("format", plain("JSON")),
            ("charset", plain("utf-8")),
            ("sign_type", plain("RSA2")),
            ("timestamp", plain(timestamp)),
            ("version", plain("1.0")),
            ("biz_content", self.content.clone()),
        ]);
        if let Some(url) = merchant.notify_url.as_deref().filter(|_| self.is_notified()) {
            params.insert("notify_url", plain(url));
        }
        if let Some(token) = &merchant.app_auth_token {
            params.insert("app_auth_token", token.clone());
        }
        if let Some((app, roots)) = &merchant.certificate_numbers {
            params.insert("app_cert_sn", plain(app));
            params.insert("alipay_root_cert_sn", plain(roots));
        }
        let sign = key.sign(&sign_string(&params))?;
        params.insert("sign", Zeroizing::new(sign));
        Ok(form_body(&params))
    }

    const fn is_notified(&self) -> bool {
        matches!(self.operation, Operation::Pay | Operation::Precreate)
    }
}

/// Whether a scan is an Alipay payment code: 16 to 24 ASCII digits beginning 25 to 30 (channels §4.6).
pub fn is_payment_code(code: &str) -> bool {
    (16..=24).contains(&code.len())
        && code.bytes().all(|b| b.is_ascii_digit())
        && matches!(code.as_bytes(), [b'2', b'5'..=b'9', ..] | [b'3', b'0', ..])
}

/// Letters and digits, 8 to 32: what every wallet accepts (channels §0.3).
fn number<'a>(text: &'a str, what: &'static str) -> Result<&'a str, CallError> {
    is_order_number(text).then_some(text).ok_or(CallError::Number(what))
}

fn only(order: &str) -> Result<Content<'_>, CallError> {
    Ok(Content {
        out_trade_no: Some(number(order, "the order number")?),
        scene: None,
        auth_code: None,
        subject: None,
        total_amount: None,
        product_code: None,
        store_id: None,
        terminal_id: None,
        operator_id: None,
        timeout_express: None,
        refund_amount: None,
        out_request_no: None,
        refund_reason: None,
    })
}

fn about<'a>(order: &'a str, amount: Fen, sale: &'a Sale) -> Result<Content<'a>, CallError> {
    Ok(Content {
        subject: Some(&sale.subject),
        total_amount: Some(amount.to_yuan()),
        store_id: sale.store_id.as_deref(),
        terminal_id: sale.terminal_id.as_deref(),
        operator_id: sale.operator_id.as_deref(),
        timeout_express: Some(&sale.timeout),
        ..only(order)?
    })
}

fn build(
    operation: Operation,
    method: &'static str,
    response: &'static str,
    content: &impl Serialize,
) -> Result<Call, CallError> {
    // Room enough from the start: a growing buffer would leave copies of the payment code behind.
    let mut json = Vec::with_capacity(2048);
    let written = serde_json::to_writer(&mut json, content);
    let text = String::from_utf8(json).map_err(|e| drop(Zeroizing::new(e.into_bytes())));
    match (written, text) {
        (Ok(()), Ok(text)) => Ok(Call { operation, method, response, content: Zeroizing::new(text) }),
        _ => Err(CallError::Json),
    }
}
