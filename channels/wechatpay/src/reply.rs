//! What an answer says, in one form for both interfaces; only made from an answer whose seal was right.

use serde::Deserialize;
use thiserror::Error;
use till_wallet::link::LinkError;

use crate::seal::SealError;

/// Why a body is no answer. Every one of these leaves the order unknown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoAnswer {
    /// The exchange failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The seal is not the platform's.
    #[error("{seal}{}", claim(*status, code.as_deref()))]
    Seal {
        /// What is wrong with it.
        seal: SealError,
        /// The HTTP status it came with.
        status: u16,
        /// The code it claims, made fit to be shown.
        code: Option<String>,
    },
    /// Sealed, but not of the form published.
    #[error("WeChat Pay's answer is not of the form published ({0})")]
    Malformed(String),
}

/// An unsealed claim is worth showing to whoever repairs the settings, and worth nothing else.
fn claim(status: u16, code: Option<&str>) -> String {
    let code = code.map(|code| format!(", {code}")).unwrap_or_default();
    format!(" (it came as HTTP status {status}{code}, which proves nothing about the payment)")
}

/// What a call gave.
pub type Answered = Result<Node, NoAnswer>;

/// The fields this channel reads. Everything else an answer has is skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// HTTP status; 0 where interface v2 refused, which has none of its own.
    pub status: u16,
    /// Error code; empty where it is no refusal.
    pub code: String,
    /// The platform's words for it.
    pub message: Option<String>,
    /// The application, echoed.
    pub appid: Option<String>,
    /// The merchant, echoed.
    pub mchid: Option<String>,
    /// Our order number, echoed.
    pub out_trade_no: Option<String>,
    /// The platform's number of the payment.
    pub transaction_id: Option<String>,
    /// State of the order.
    pub trade_state: Option<String>,
    /// The order's amount in fen, echoed.
    pub total: Option<i64>,
    /// Its currency.
    pub currency: Option<String>,
    /// When it was paid, Unix milliseconds.
    pub paid_ms: Option<i64>,
    /// What the customer scans.
    pub code_url: Option<String>,
    /// Reverse, v2: `Y` asks to call again.
    pub recall: bool,
    /// The refund's own number, echoed.
    pub out_refund_no: Option<String>,
    /// State of the refund.
    pub refund_status: Option<String>,
    /// The refund's amount in fen, echoed.
    pub refund: Option<i64>,
}

impl Node {
    /// The key of the code table: the error code, the state, or `ok`.
    pub fn key(&self) -> String {
        if !self.code.is_empty() {
            return self.code.clone();
        }
        if self.recall {
            return "recall".into();
        }
        match (&self.refund_status, &self.trade_state) {
            (Some(status), _) => format!("status={status}"),
            (None, Some(state)) => format!("state={state}"),
            _ if (200..300).contains(&self.status) => "ok".into(),
            _ => String::new(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    code: Option<String>,
    message: Option<String>,
    appid: Option<String>,
    mchid: Option<String>,
    out_trade_no: Option<String>,
    transaction_id: Option<String>,
    trade_state: Option<String>,
    success_time: Option<String>,
    code_url: Option<String>,
    out_refund_no: Option<String>,
    status: Option<String>,
    amount: Option<WireAmount>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireAmount {
    total: Option<i64>,
    currency: Option<String>,
    refund: Option<i64>,
}

/// Reads a body of interface v3 whose seal was right. An empty body is one of `204`.
pub fn read_v3(status: u16, body: &[u8]) -> Result<Node, NoAnswer> {
    if body.is_empty() {
        return Ok(Node { status, ..Node::default() });
    }
    let syntax =
        |e: serde_json::Error| NoAnswer::Malformed(format!("line {}, column {}", e.line(), e.column()));
    let wire: Wire = serde_json::from_slice(body).map_err(syntax)?;
    let amount = wire.amount.unwrap_or_default();
    let moment = |text: String| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    Ok(Node {
        status,
        code: wire.code.unwrap_or_default(),
        message: wire.message,
        appid: wire.appid,
        mchid: wire.mchid,
        out_trade_no: wire.out_trade_no,
        transaction_id: wire.transaction_id,
        trade_state: wire.trade_state,
        total: amount.total,
        currency: amount.currency,
        paid_ms: wire.success_time.and_then(moment),
        code_url: wire.code_url,
        recall: false,
        out_refund_no: wire.out_refund_no,
        refund_status: wire.status,
        refund: amount.refund,
    })
}

/// The code an unsealed body claims, for the text of an error.
pub fn claimed_code(body: &[u8]) -> Option<String> {
    let wire: Wire = serde_json::from_slice(body).ok()?;
    let code = wire.code?;
    let fits = code.len() <= 40 && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    fits.then_some(code)
}
