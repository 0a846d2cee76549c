//! From a verified node to what the daemon may believe (channels §0.1, §2.3).
//!
//! Two rules. An answer counts only if it names our order and our amount: a mismatch is `Unknown`, whatever else it
//! says. And the node's own name is not signed, so each call insists on the fields only its own answer has.

use till_plugin::channel::{
    Approval, Decline, DeclineClass, Echo, NextStep, Outcome, QueryOutcome, UndoOutcome, Unknown,
    UnknownReason, answered,
};
use till_plugin::instrument::Cvm;
use till_plugin::{Currency, Extra, Money};
use till_wallet::doubt;
use till_wallet::words::tame;

use crate::amount::{Fen, parse_yuan};
use crate::codes::{Action, Codes, Operation};
use crate::link::LinkError;
use crate::reply::{Node, ReplyError, Verified, code_of};

/// The order an answer must be about.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Our order number.
    pub order: &'a str,
    /// What it is worth.
    pub amount: Fen,
}

/// Why a call gave no verified node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoNode {
    /// The exchange failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The answer is not a signed one.
    #[error(transparent)]
    Reply(#[from] ReplyError),
}

/// What a call gave.
pub type Answered = Result<Verified, NoNode>;

impl NoNode {
    /// As the daemon's words for not knowing; `Err` when in fact nothing was sent.
    pub fn unknown(&self) -> Result<Unknown, Decline> {
        let reason = match self {
            Self::Link(e) => return doubt::of_link(e, "支付宝"),
            Self::Reply(no) if no.is_of_the_seal() => UnknownReason::BadSeal,
            Self::Reply(_) => UnknownReason::Garbage,
        };
        Ok(Unknown::new(reason, self.to_string()))
    }

    /// The key of this failure in the code table.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Link(_) => "timeout",
            Self::Reply(_) => "bad-signature",
        }
    }
}

fn doubt(reason: UnknownReason, text: impl Into<String>) -> Unknown {
    Unknown::new(reason, text)
}

fn mismatch(what: &str) -> Unknown {
    doubt(UnknownReason::Mismatch, format!("the gateway's answer {what}; it is not believed"))
}

/// A definite no, in the operator's words.
fn decline(action: Action, node: &Node) -> Decline {
    let (class, next) = match action {
        Action::Rescan => (DeclineClass::Customer, NextStep::PresentAgain),
        Action::NewOrder => (DeclineClass::Device, NextStep::PresentAgain),
        Action::ChannelFault => (DeclineClass::Channel, NextStep::CallSupport),
        Action::Refused => (DeclineClass::Merchant, NextStep::CallSupport),
        _ => (DeclineClass::Customer, NextStep::OtherMethod),
    };
    let code = code_of(node);
    let (advice, advice_zh) = action.advice();
    let said = node.sub_msg.as_deref().or(node.msg.as_deref()).map(tame).filter(|t| !t.is_empty());
    let text_zh = said.map_or_else(|| advice_zh.to_owned(), |said| format!("{said}（{advice_zh}）"));
    Decline { class, text: format!("Alipay answered {code}: {advice}"), text_zh, code, next }
}

fn not_understood(node: &Node) -> Unknown {
    doubt(
        UnknownReason::HostFault,
        format!("Alipay answered {}; whether money moved is not known", code_of(node)),
    )
}

/// The answer's node, with the failures every call shares taken out.
fn node(answered: &Answered) -> Result<&Node, Result<Unknown, Decline>> {
    match answered {
        Ok(Verified::Answer(node) | Verified::GatewayRefusal(node)) => Ok(node),
        Err(no) => Err(no.unknown()),
    }
}

/// A gateway refusal never carries a success, whatever code it states.
fn action(codes: &Codes, operation: Operation, answered: &Answered, node: &Node) -> Action {
    let found = codes.action(operation, &code_of(node));
    let refusal = matches!(answered, Ok(Verified::GatewayRefusal(_)));
    if refusal && found != Action::ChannelFault { Action::QueryThenCancel } else { found }
}

fn names_order(node: &Node, order: &str) -> Result<(), Unknown> {
    if node.out_trade_no.as_deref() == Some(order) {
        Ok(())
    } else {
        Err(mismatch("names another order, or none"))
    }
}

/// The approval, if order, amount and trade number are there and right.
fn paid(node: &Node, expected: Expected<'_>) -> Result<Approval, Unknown> {
    names_order(node, expected.order)?;
    let amount = node.total_amount.as_deref().map(Fen::from_yuan);
    if amount != Some(Ok(expected.amount)) {
        return Err(mismatch("names another amount, or none"));
    }
    let reference = node.trade_no.as_deref().filter(|t| is_trade_number(t));
    let reference = reference.ok_or_else(|| mismatch("has no trade number"))?;
    // Alipay masks the login itself; one without a star is not shown.
    let account = node.buyer_logon_id.as_deref().filter(|a| a.contains('*')).map(tame);
    let time = node.gmt_payment.as_deref().or(node.send_pay_date.as_deref()).filter(|t| is_time(t));
    let mut extra = Extra::new();
    answered::say(&mut extra, answered::MERCHANT_NAME, node.store_name.as_deref());
    let fee = node.charge_amount.as_deref().and_then(|yuan| parse_yuan(yuan).ok());
    answered::say(&mut extra, answered::FEE, fee.map(|fen| fen.to_string()).as_deref());
    Ok(Approval {
        account,
        host_time: time.map(str::to_owned),
        extra,
        ..approval(expected.amount, expected.order, reference)
    })
}

fn approval(amount: Fen, order: &str, reference: &str) -> Approval {
    Approval {
        amount: Money::new(amount.fen(), Currency::CNY),
        echo: Echo { order: Some(order.into()), merchant: None, terminal: None },
        reference: reference.into(),
        authorisation_code: None,
        account: None,
        scheme: Some("支付宝 Alipay".into()),
        host_time: None,
        cvm: Cvm::OnDevice,
        change: None,
        open_drawer: false,
        receipt: Vec::new(),
        extra: Extra::new(),
    }
}

/// Digits, as Alipay gives them; also safe on any receipt.
fn is_trade_number(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// `yyyy-MM-dd HH:mm:ss` by form; the time of a receipt line, nothing is reckoned with it.
fn is_time(text: &str) -> bool {
    text.len() == 19
        && text.bytes().enumerate().all(|(i, b)| match i {
            4 | 7 => b == b'-',
            10 => b == b' ',
            13 | 16 => b == b':',
            _ => b.is_ascii_digit(),
        })
}

/// Reads the answer to `alipay.trade.pay`.
pub fn pay(codes: &Codes, answered: &Answered, expected: Expected<'_>) -> Outcome {
    let node = match node(answered) {
        Ok(node) => node,
        Err(Ok(unknown)) => return Outcome::Unknown(unknown),
        Err(Err(not_sent)) => return Outcome::NotSent(not_sent),
    };
    match action(codes, Operation::Pay, answered, node) {
        // A query's node under a pay's name would carry a trade_status; only a paid one may pass.
        Action::Approved if node.trade_status.as_deref().is_some_and(|s| !is_paid(codes, s)) => {
            Outcome::Unknown(mismatch("is about a trade that is not paid"))
        }
        Action::Approved => paid(node, expected).map_or_else(Outcome::Unknown, Outcome::Approved),
        Action::Poll => Outcome::Unknown(doubt(
            UnknownReason::InProgress,
            "the customer is confirming the payment on the phone",
        )),
        no @ (Action::Rescan
        | Action::NewOrder
        | Action::OtherTender
        | Action::Decline
        | Action::ChannelFault) => Outcome::Declined(decline(no, node)),
        _ => Outcome::Unknown(not_understood(node)),
    }
}

fn is_paid(codes: &Codes, status: &str) -> bool {
    codes.action(Operation::Query, status) == Action::Approved
}

/// Reads the answer to `alipay.trade.precreate`: the code to show, and nothing paid yet.
pub fn precreate(codes: &Codes, answered: &Answered, expected: Expected<'_>) -> Outcome {
    let node = match node(answered) {
        Ok(node) => node,
        Err(Ok(unknown)) => return Outcome::Unknown(unknown),
        Err(Err(not_sent)) => return Outcome::NotSent(not_sent),
    };
    match action(codes, Operation::Precreate, answered, node) {
        Action::Approved => {
            let code = node.qr_code.as_deref().filter(|c| is_showable(c));
            match (names_order(node, expected.order), code) {
                (Err(unknown), _) => Outcome::Unknown(unknown),
                (_, None) => Outcome::Unknown(mismatch("has no code to show")),
                (Ok(()), Some(code)) => Outcome::Unknown(Unknown {
                    show_code: Some(code.into()),
                    ..doubt(UnknownReason::AwaitingCustomer, "waiting for the customer to scan the code")
                }),
            }
        }
        no @ (Action::NewOrder | Action::OtherTender | Action::Decline | Action::ChannelFault) => {
            Outcome::Declined(decline(no, node))
        }
        _ => Outcome::Unknown(not_understood(node)),
    }
}

/// Something a QR code can hold and a wallet opens: a URL of printable ASCII.
fn is_showable(code: &str) -> bool {
    code.len() <= 1024 && code.starts_with("https://") && code.bytes().all(|b| b.is_ascii_graphic())
}

/// Reads the answer to `alipay.trade.query`.
pub fn query(codes: &Codes, answered: &Answered, expected: Expected<'_>) -> QueryOutcome {
    let node = match node(answered) {
        Ok(node) => node,
        Err(no) => {
            return QueryOutcome::Unknown(no.unwrap_or_else(|d| doubt(UnknownReason::NoAnswer, d.text)));
        }
    };
    if node.code != "10000" || matches!(answered, Ok(Verified::GatewayRefusal(_))) {
        return match action(codes, Operation::Query, answered, node) {
            Action::Cancel => QueryOutcome::NotFound,
            _ => QueryOutcome::Unknown(not_understood(node)),
        };
    }
    if let Err(unknown) = names_order(node, expected.order) {
        return QueryOutcome::Unknown(unknown);
    }
    match codes.action(Operation::Query, node.trade_status.as_deref().unwrap_or_default()) {
        Action::Approved => paid(node, expected).map_or_else(QueryOutcome::Unknown, QueryOutcome::Paid),
        Action::Poll => QueryOutcome::InProgress,
        Action::Closed => QueryOutcome::NotPaid(Decline {
            text: "Alipay has closed the trade; no money of it is held".into(),
            text_zh: "交易已关闭，未收款".into(),
            ..Decline::local(DeclineClass::Customer, "TRADE_CLOSED", "")
        }),
        _ => QueryOutcome::Unknown(not_understood(node)),
    }
}

/// Reads the answer to `alipay.trade.cancel`.
pub fn cancel(codes: &Codes, answered: &Answered, order: &str) -> UndoOutcome {
    let node = match node(answered) {
        Ok(node) => node,
        Err(Ok(unknown)) => return UndoOutcome::Unknown(unknown),
        Err(Err(not_sent)) => return UndoOutcome::NotSent(not_sent),
    };
    let again = || UndoOutcome::Unknown(doubt(UnknownReason::InProgress, "Alipay asks to cancel again"));
    let found = if node.code == "10000" && matches!(answered, Ok(Verified::Answer(_))) {
        if let Err(unknown) = names_order(node, order) {
            return UndoOutcome::Unknown(unknown);
        }
        match node.retry_flag.as_deref() {
            Some("N") => codes
                .action(Operation::Cancel, &format!("action={}", node.action.as_deref().unwrap_or_default())),
            Some("Y") => return again(),
            _ => return UndoOutcome::Unknown(mismatch("to the cancel does not say whether it is done")),
        }
    } else {
        action(codes, Operation::Cancel, answered, node)
    };
    match found {
        Action::Closed => UndoOutcome::Undone {
            money_moved: node.action.as_deref() == Some("refund"),
            reference: node.trade_no.clone().filter(|t| is_trade_number(t)),
        },
        Action::CancelAgain => again(),
        Action::NotFound => UndoOutcome::NeverExisted,
        Action::Refused => UndoOutcome::Refused(decline(Action::Refused, node)),
        _ => UndoOutcome::Unknown(not_understood(node)),
    }
}

/// Reads the answer to `alipay.trade.close`: whether the trade is closed now.
pub fn close(codes: &Codes, answered: &Answered, order: &str) -> bool {
    let Ok(node) = node(answered) else { return false };
    // A node's name is not signed: another answer about this order must not pass for this one.
    let others = [
        &node.trade_status,
        &node.qr_code,
        &node.action,
        &node.retry_flag,
        &node.fund_change,
        &node.refund_status,
    ];
    others.iter().all(|field| field.is_none())
        && action(codes, Operation::Close, answered, node) == Action::Closed
        && names_order(node, order).is_ok()
}

/// Reads the answer to `alipay.trade.refund`.
pub fn refund(codes: &Codes, answered: &Answered, expected: Expected<'_>) -> Outcome {
    let node = match node(answered) {
        Ok(node) => node,
        Err(Ok(unknown)) => return Outcome::Unknown(unknown),
        Err(Err(not_sent)) => return Outcome::NotSent(not_sent),
    };
    let found = if node.code == "10000" && matches!(answered, Ok(Verified::Answer(_))) {
        if let Err(unknown) = names_order(node, expected.order) {
            return Outcome::Unknown(unknown);
        }
        let key = format!("fund_change={}", node.fund_change.as_deref().unwrap_or_default());
        codes.action(Operation::Refund, &key)
    } else {
        action(codes, Operation::Refund, answered, node)
    };
    match found {
        Action::Refunded => {
            // refund_fee is the trade's refunded total so far: never less than what this call sent back.
            let total = node.refund_fee.as_deref().map(parse_yuan);
            let enough = total.is_some_and(|t| t.is_ok_and(|t| t >= expected.amount.fen()));
            match node.trade_no.as_deref().filter(|t| is_trade_number(t)) {
                Some(reference) if enough => {
                    Outcome::Approved(approval(expected.amount, expected.order, reference))
                }
                _ => Outcome::Unknown(mismatch("names a refunded total that is too small, or none")),
            }
        }
        Action::RefundAgainSameNumber => Outcome::Unknown(doubt(
            UnknownReason::HostFault,
            format!(
                "Alipay answered {} without moving money in this call; the refund is being asked about",
                code_of(node)
            ),
        )),
        no @ (Action::Refused | Action::Decline | Action::ChannelFault) => {
            Outcome::Declined(decline(no, node))
        }
        _ => Outcome::Unknown(not_understood(node)),
    }
}

/// Reads the answer to `alipay.trade.fastpay.refund.query`. `refund` is the refund's own number.
pub fn refund_query(
    codes: &Codes,
    answered: &Answered,
    expected: Expected<'_>,
    refund: &str,
) -> QueryOutcome {
    let node = match node(answered) {
        Ok(node) => node,
        Err(no) => {
            return QueryOutcome::Unknown(no.unwrap_or_else(|d| doubt(UnknownReason::NoAnswer, d.text)));
        }
    };
    if node.code != "10000" || matches!(answered, Ok(Verified::GatewayRefusal(_))) {
        return match action(codes, Operation::RefundQuery, answered, node) {
            Action::NotFound => QueryOutcome::NotFound,
            _ => QueryOutcome::Unknown(not_understood(node)),
        };
    }
    let key = format!("refund_status={}", node.refund_status.as_deref().unwrap_or_default());
    match codes.action(Operation::RefundQuery, &key) {
        Action::NotFound => QueryOutcome::NotFound,
        Action::Poll => QueryOutcome::InProgress,
        found @ (Action::Refunded | Action::Refused) => {
            if let Err(unknown) = names_order(node, expected.order) {
                return QueryOutcome::Unknown(unknown);
            }
            if node.out_request_no.as_deref() != Some(refund) {
                return QueryOutcome::Unknown(mismatch("names another refund, or none"));
            }
            if found == Action::Refused {
                return QueryOutcome::NotPaid(decline(Action::Refused, node));
            }
            if node.refund_amount.as_deref().map(Fen::from_yuan) != Some(Ok(expected.amount)) {
                return QueryOutcome::Unknown(mismatch("names another refunded amount, or none"));
            }
            match node.trade_no.as_deref().filter(|t| is_trade_number(t)) {
                Some(reference) => QueryOutcome::Paid(approval(expected.amount, expected.order, reference)),
                None => QueryOutcome::Unknown(mismatch("has no trade number")),
            }
        }
        _ => QueryOutcome::Unknown(not_understood(node)),
    }
}
