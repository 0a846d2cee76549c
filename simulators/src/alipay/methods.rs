//! What each method does and what its answer says (channels.md §2.2).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    amount::Fen,
    ledger::{Ledger, Status, Trade, beijing},
    refusal::{Refusal, message},
    request::Content,
    trading::{Cancelled, Order},
};

/// The members of a response node, in order.
pub(crate) type Fields = Vec<(String, Value)>;

/// What the methods need to know of the gateway's settings.
#[derive(Clone, Debug)]
pub(crate) struct House {
    pub(crate) app_id: String,
    pub(crate) seller_id: String,
    pub(crate) limit: Fen,
    pub(crate) default_timeout: Duration,
    pub(crate) bar_late_payments: bool,
    /// What paid trades say of the shop.
    pub(crate) shown: Arc<Mutex<Shown>>,
}

/// What the answers about a paid trade say of the shop; what is not there is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shown {
    /// `store_name`.
    pub(crate) store_name: Option<String>,
    /// `charge_amount` is this rate, millionths, to the nearest fen.
    pub(crate) rate_ppm: Option<u32>,
}

impl House {
    /// Runs one method on the books.
    pub(crate) fn run(
        &self,
        method: &str,
        content: &Content,
        books: &mut Ledger,
        now: Timestamp,
    ) -> Result<Fields, Refusal> {
        match method {
            "alipay.trade.pay" => self.pay(content, books, now),
            "alipay.trade.precreate" => self.precreate(content, books, now),
            "alipay.trade.query" => self.query(content, books, now),
            "alipay.trade.cancel" => self.cancel(content, books, now),
            "alipay.trade.refund" => self.refund(content, books, now),
            "alipay.trade.fastpay.refund.query" => self.refund_query(content, books, now),
            "alipay.trade.close" => self.close(content, books, now),
            _ => Err(Refusal::INVALID_METHOD),
        }
    }

    fn pay(&self, content: &Content, books: &mut Ledger, now: Timestamp) -> Result<Fields, Refusal> {
        if content.required("scene")? != "bar_code" {
            return Err(Refusal::BAD_PARAMETER);
        }
        if content.text("product_code")?.is_some_and(|product| product != "FACE_TO_FACE_PAYMENT") {
            return Err(Refusal::BAD_PARAMETER);
        }
        let code = content.required("auth_code")?;
        let order = self.order("alipay.trade.pay", content)?;
        let trade = books.pay(&order, code, now)?;
        if trade.status == Status::WaitBuyerPay {
            return Ok(ok("10003", [("out_trade_no", trade.out_trade_no.clone())]));
        }
        let mut fields = self.paid(&trade, now);
        fields.push(text("gmt_payment", beijing(trade.paid_at.unwrap_or(now), "%Y-%m-%d %H:%M:%S")));
        Ok(fields)
    }

    fn precreate(&self, content: &Content, books: &mut Ledger, now: Timestamp) -> Result<Fields, Refusal> {
        let order = self.order("alipay.trade.precreate", content)?;
        let trade = books.precreate(&order, now)?;
        let qr_code = trade.qr_code.ok_or(Refusal::CONTEXT_INCONSISTENT)?;
        Ok(ok("10000", [("out_trade_no", trade.out_trade_no), ("qr_code", qr_code)]))
    }

    fn query(&self, content: &Content, books: &mut Ledger, now: Timestamp) -> Result<Fields, Refusal> {
        let at = self.find(content, books, now)?;
        let trade = &books.trades[at];
        let mut fields = self.paid(trade, now);
        fields.push(text("trade_status", trade.status.word()));
        if let Some(paid_at) = trade.paid_at {
            fields.push(text("send_pay_date", beijing(paid_at, "%Y-%m-%d %H:%M:%S")));
        }
        Ok(fields)
    }

    fn cancel(&self, content: &Content, books: &mut Ledger, now: Timestamp) -> Result<Fields, Refusal> {
        let (order, trade_no) = (content.order()?, content.text("trade_no")?);
        let done = books.cancel(&self.app_id, order, trade_no, self.bar_late_payments, now)?;
        let mut fields = ok("10000", [("retry_flag", "N".to_owned())]);
        if let Some(order) = order {
            fields.push(text("out_trade_no", order));
            if let Some(at) = books.position(&self.app_id, order) {
                fields.push(text("trade_no", &books.trades[at].trade_no));
            }
        }
        // The platform names an action only where there was a trade to act on.
        match done {
            Cancelled::Closed => fields.push(text("action", "close")),
            Cancelled::Refunded => fields.push(text("action", "refund")),
            Cancelled::Nothing => {}
        }
        Ok(fields)
    }

    fn refund(&self, content: &Content, books: &mut Ledger, now: Timestamp) -> Result<Fields, Refusal> {
        let amount = content.amount("refund_amount")?;
        let number = content.number("out_request_no")?;
        let at = self.find(content, books, now)?;
        let done = books.refund(at, number, amount, now)?;
        let trade = done.trade;
        let mut fields = ok(
            "10000",
            [
                ("trade_no", trade.trade_no.clone()),
                ("out_trade_no", trade.out_trade_no.clone()),
                ("buyer_logon_id", BUYER_LOGON.to_owned()),
                ("fund_change", if done.moved { "Y" } else { "N" }.to_owned()),
                // The sum of all refunds of the trade, not this one's amount.
                ("refund_fee", trade.refunded().yuan()),
            ],
        );
        fields.push(text("gmt_refund_pay", beijing(now, "%Y-%m-%d %H:%M:%S")));
        Ok(fields)
    }

    fn refund_query(&self, content: &Content, books: &mut Ledger, now: Timestamp) -> Result<Fields, Refusal> {
        let number = content.number("out_request_no")?.ok_or(Refusal::BAD_PARAMETER)?;
        let at = self.find(content, books, now)?;
        let trade = &books.trades[at];
        let mut fields =
            ok("10000", [("trade_no", trade.trade_no.clone()), ("out_trade_no", trade.out_trade_no.clone())]);
        // A refund that is not there is a success without a refund status: only REFUND_SUCCESS means done.
        if let Some(refund) =
            trade.refunds.iter().find(|refund| !refund.by_cancel && refund.out_request_no == number)
        {
            fields.push(text("out_request_no", number));
            fields.push(text("total_amount", trade.total.yuan()));
            fields.push(text("refund_amount", refund.amount.yuan()));
            fields.push(text("refund_status", "REFUND_SUCCESS"));
        }
        Ok(fields)
    }

    fn close(&self, content: &Content, books: &mut Ledger, now: Timestamp) -> Result<Fields, Refusal> {
        let at = self.find(content, books, now)?;
        let trade = books.close(at, now)?;
        Ok(ok("10000", [("trade_no", trade.trade_no), ("out_trade_no", trade.out_trade_no)]))
    }

    /// What every answer about a paid trade says, and of the shop what was set.
    fn paid(&self, trade: &Trade, now: Timestamp) -> Fields {
        let mut fields = paid(trade, now);
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(name) = shown.store_name {
            fields.push(text("store_name", name));
        }
        if let Some(rate) = shown.rate_ppm {
            let fee = (i128::from(trade.total.get()) * i128::from(rate) + 500_000) / 1_000_000;
            fields.push(text("charge_amount", format!("{}.{:02}", fee / 100, fee % 100)));
        }
        fields
    }

    fn order<'a>(&'a self, method: &str, content: &'a Content) -> Result<Order<'a>, Refusal> {
        let out_trade_no = content.order()?.ok_or(Refusal::BAD_PARAMETER)?;
        let subject = content.required("subject")?;
        if subject.chars().count() > 256 {
            return Err(Refusal::BAD_PARAMETER);
        }
        let total = content.amount("total_amount")?;
        if content.text("seller_id")?.is_some_and(|seller| seller != self.seller_id) {
            return Err(Refusal::ACCESS_FORBIDDEN);
        }
        if total > self.limit {
            return Err(Refusal::TOTAL_FEE_EXCEED);
        }
        let timeout = content.timeout(self.default_timeout)?;
        Ok(Order { app_id: &self.app_id, out_trade_no, total, timeout, terms: content.terms(method) })
    }

    fn find(&self, content: &Content, books: &mut Ledger, now: Timestamp) -> Result<usize, Refusal> {
        books.find(&self.app_id, content.order()?, content.text("trade_no")?, now)
    }
}

/// The customer's account as the gateway shows it: masked.
const BUYER_LOGON: &str = "159****5620";

/// The node of a refusal.
pub(crate) fn refused(refusal: Refusal) -> Fields {
    vec![
        text("code", refusal.code),
        text("msg", refusal.msg()),
        text("sub_code", refusal.sub_code),
        text("sub_msg", refusal.sub_msg),
    ]
}

/// The node of an answer that a test dictates.
pub(crate) fn dictated<'a>(
    code: &str,
    sub_code: Option<&str>,
    fields: impl Iterator<Item = (&'a String, &'a String)>,
) -> Fields {
    let mut node = vec![text("code", code), text("msg", message(code))];
    if let Some(sub_code) = sub_code {
        let words = Refusal::by_sub_code(sub_code).map_or("系统繁忙", |refusal| refusal.sub_msg);
        node.extend([text("sub_code", sub_code), text("sub_msg", words)]);
    }
    node.extend(fields.map(|(name, value)| text(name, value)));
    node
}

/// The node that brings a certificate.
pub(crate) fn brought(content: &str) -> Fields {
    ok("10000", [("alipay_cert_content", content.to_owned())])
}

fn paid(trade: &Trade, now: Timestamp) -> Fields {
    let mut fields = ok(
        "10000",
        [
            ("trade_no", trade.trade_no.clone()),
            ("out_trade_no", trade.out_trade_no.clone()),
            ("buyer_logon_id", BUYER_LOGON.to_owned()),
            ("buyer_user_id", "2088101117955611".to_owned()),
            ("total_amount", trade.total.yuan()),
        ],
    );
    if trade.paid_at.is_some_and(|at| at <= now) {
        fields.push(text("receipt_amount", trade.total.yuan()));
        fields.push(text("buyer_pay_amount", trade.total.yuan()));
        // A list of objects with a member named `sign`: a client that looks for the signature anywhere but at the top
        // finds this one.
        fields.push((
            "fund_bill_list".to_owned(),
            json!([{"amount": trade.total.yuan(), "fund_channel": "ALIPAYACCOUNT", "sign": "not-the-signature"}]),
        ));
    }
    fields
}

fn ok<const N: usize>(code: &str, members: [(&str, String); N]) -> Fields {
    let mut fields = vec![text("code", code), text("msg", message(code))];
    fields.extend(members.into_iter().map(|(name, value)| text(name, value)));
    fields
}

fn text(name: &str, value: impl AsRef<str>) -> (String, Value) {
    (name.to_owned(), Value::from(value.as_ref()))
}
