//! What an answer says; only made from an answer whose seal was right.

use thiserror::Error;
use till_wallet::link::LinkError;

use crate::form::Fields;
use crate::message::SealError;

/// Why a body is no answer. Every one of these leaves the request unknown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoAnswer {
    /// The exchange failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The seal is not UnionPay's.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The clock lost its trust while the answer was on its way.
    #[error("the clock is not synchronised any more, so the answer's certificate cannot be checked")]
    Clock,
}

/// What a call gave.
pub type Answered = Result<Node, NoAnswer>;

/// The fields this channel reads. The account number (`accNo`) is not among them, masked or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The answer's own code.
    pub resp_code: String,
    /// UnionPay's words for it.
    pub resp_msg: Option<String>,
    /// Of a query: the code of what is asked about.
    pub orig_resp_code: Option<String>,
    /// UnionPay's words for that.
    pub orig_resp_msg: Option<String>,
    /// The merchant, echoed.
    pub mer_id: Option<String>,
    /// Our order number, echoed.
    pub order_id: Option<String>,
    /// Its time, echoed.
    pub txn_time: Option<String>,
    /// What was asked, echoed; in a query's answer also what is asked about.
    pub txn_type: Option<String>,
    /// Its detail.
    pub txn_sub_type: Option<String>,
    /// The amount in fen, echoed. Text that is no amount is none.
    pub txn_amt: Option<i64>,
    /// Whether the amount field was there at all.
    pub states_amount: bool,
    /// ISO 4217 number.
    pub currency_code: Option<String>,
    /// UnionPay's number of the transaction.
    pub query_id: Option<String>,
    /// UnionPay's number of what is followed, echoed.
    pub orig_qry_id: Option<String>,
    /// What the customer scans.
    pub qr_code: Option<String>,
}

impl Node {
    /// Takes the fields of an answer whose seal was right.
    pub fn of(mut fields: Fields) -> Self {
        let mut take = |name: &str| fields.remove(name).filter(|value| !value.is_empty());
        let amount = take("txnAmt");
        let digits = |text: &String| text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
        Self {
            resp_code: take("respCode").unwrap_or_default(),
            resp_msg: take("respMsg"),
            orig_resp_code: take("origRespCode"),
            orig_resp_msg: take("origRespMsg"),
            mer_id: take("merId"),
            order_id: take("orderId"),
            txn_time: take("txnTime"),
            txn_type: take("txnType"),
            txn_sub_type: take("txnSubType"),
            states_amount: amount.is_some(),
            txn_amt: amount.filter(digits).and_then(|text| text.parse().ok()),
            currency_code: take("currencyCode"),
            query_id: take("queryId"),
            orig_qry_id: take("origQryId"),
            qr_code: take("qrCode"),
        }
    }
}
