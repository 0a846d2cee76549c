//! From an answer whose seal was right to what the daemon may believe (channels §0.1, §3.3).
//!
//! The seal does not cover the question. So an answer counts only if it names our merchant, our application, our order and
//! our amount: a mismatch is `Unknown`, whatever else it says.

use till_plugin::channel::{
    Approval, Decline, DeclineClass, Echo, NextStep, Outcome, QueryOutcome, UndoOutcome, Unknown,
    UnknownReason,
};
use till_plugin::instrument::Cvm;
use till_plugin::{Currency, Extra, Money};
use till_wallet::amount::Fen;
use till_wallet::time::host_time;
use till_wallet::words::tame;

use crate::codes::{Action, Codes, Operation};
use crate::reply::{Answered, NoAnswer, Node};
use crate::seal::SealError;

/// What an answer must be about.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Our application.
    pub appid: &'a str,
    /// Our merchant number.
    pub mchid: &'a str,
    /// Our order number.
    pub order: &'a str,
    /// What it is worth.
    pub amount: Fen,
}

impl NoAnswer {
    /// As the daemon's words for not knowing; `Err` when in fact nothing was sent.
    pub fn unknown(&self) -> Result<Unknown, Decline> {
        let reason = match self {
            Self::Link(e) => return till_wallet::doubt::of_link(e, "微信支付"),
            // An unsealed page of a host that is out of order.
            Self::Seal { seal: SealError::Unsigned(_), status, .. } if *status >= 500 => {
                UnknownReason::HostFault
            }
            Self::Seal { .. } => UnknownReason::BadSeal,
            Self::Malformed(_) => UnknownReason::Garbage,
        };
        Ok(Unknown::new(reason, self.to_string()))
    }
}

fn doubt(reason: UnknownReason, text: impl Into<String>) -> Unknown {
    Unknown::new(reason, text)
}

fn mismatch(what: &str) -> Unknown {
    doubt(UnknownReason::Mismatch, format!("WeChat Pay's answer {what}; it is not believed"))
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
    let code = said(node);
    let (advice, advice_zh) = action.advice();
    let words = node.message.as_deref().map(tame).filter(|t| !t.is_empty());
    let text_zh = words.map_or_else(|| advice_zh.to_owned(), |words| format!("{words}（{advice_zh}）"));
    Decline { class, text: format!("WeChat Pay answered {code}: {advice}"), text_zh, code, next }
}

/// What an answer said, fit to be shown: its code or state.
pub fn said(node: &Node) -> String {
    let key = node.key();
    if key.is_empty() { format!("HTTP status {}", node.status) } else { tame(&key) }
}

fn not_understood(node: &Node) -> Unknown {
    doubt(
        UnknownReason::HostFault,
        format!("WeChat Pay answered {}; whether money moved is not known", said(node)),
    )
}

fn action(codes: &Codes, operation: Operation, node: &Node) -> Action {
    let found = codes.action(operation, &node.key(), node.status);
    // A refusal that also has a state, or comes as a success, contradicts itself.
    let refusal = !node.code.is_empty() && found != Action::Poll;
    if refusal && (node.trade_state.is_some() || (200..300).contains(&node.status)) {
        return Action::QueryThenReverse;
    }
    let done = matches!(found, Action::Approved | Action::Refunded | Action::Closed | Action::Returned);
    // 202 is "taken", never "done"; and a state counts only in an answer that is no error.
    match node.status {
        202 if done => Action::Poll,
        200..=299 => found,
        _ if done && node.code.is_empty() => Action::QueryThenReverse,
        _ => found,
    }
}

fn names_merchant(node: &Node, expected: Expected<'_>) -> Result<(), Unknown> {
    if node.mchid.as_deref() != Some(expected.mchid) {
        return Err(mismatch("names another merchant, or none"));
    }
    // The platform may leave the application out (code payment, "选填").
    if node.appid.as_deref().is_some_and(|appid| appid != expected.appid) {
        return Err(mismatch("names another application"));
    }
    Ok(())
}

fn names_order(node: &Node, order: &str) -> Result<(), Unknown> {
    if node.out_trade_no.as_deref() == Some(order) {
        Ok(())
    } else {
        Err(mismatch("names another order, or none"))
    }
}

fn names_currency(node: &Node) -> Result<(), Unknown> {
    // Left out, it is CNY: the interface knows no other for a merchant in China.
    match node.currency.as_deref() {
        None | Some("CNY") => Ok(()),
        Some(_) => Err(mismatch("names another currency")),
    }
}

/// The approval, if merchant, application, order, amount, currency and the platform's number are there and right.
fn paid(node: &Node, expected: Expected<'_>) -> Result<Approval, Unknown> {
    names_merchant(node, expected)?;
    names_order(node, expected.order)?;
    names_currency(node)?;
    if node.total != Some(expected.amount.fen()) {
        return Err(mismatch("names another amount, or none"));
    }
    let reference = node.transaction_id.as_deref().filter(|t| is_transaction(t));
    let reference = reference.ok_or_else(|| mismatch("has no transaction number"))?;
    let mut approval = approval(expected.amount, expected.order, reference);
    approval.echo.merchant = Some(expected.mchid.to_owned());
    approval.host_time = node.paid_ms.and_then(host_time);
    Ok(approval)
}

fn approval(amount: Fen, order: &str, reference: &str) -> Approval {
    Approval {
        amount: Money::new(amount.fen(), Currency::CNY),
        echo: Echo { order: Some(order.into()), merchant: None, terminal: None },
        reference: reference.into(),
        authorisation_code: None,
        account: None,
        scheme: Some("微信支付 WeChat Pay".into()),
        host_time: None,
        cvm: Cvm::OnDevice,
        change: None,
        open_drawer: false,
        receipt: Vec::new(),
        extra: Extra::new(),
    }
}

/// Digits, as the platform gives them; also safe on any receipt.
fn is_transaction(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The answer, with the failures every call shares taken out.
fn node(answered: &Answered) -> Result<&Node, Result<Unknown, Decline>> {
    answered.as_ref().map_err(NoAnswer::unknown)
}

/// The unknown of a question that was not even sent.
fn unasked(no: Result<Unknown, Decline>) -> Unknown {
    no.unwrap_or_else(|d| doubt(UnknownReason::NoAnswer, d.text))
}

/// Reads the answer to a code payment.
pub fn pay(codes: &Codes, answered: &Answered, expected: Expected<'_>) -> Outcome {
    let node = match node(answered) {
        Ok(node) => node,
        Err(Ok(unknown)) => return Outcome::Unknown(unknown),
        Err(Err(not_sent)) => return Outcome::NotSent(not_sent),
    };
    match action(codes, Operation::Pay, node) {
        Action::Approved => paid(node, expected).map_or_else(Outcome::Unknown, Outcome::Approved),
        Action::Poll => Outcome::Unknown(doubt(
            UnknownReason::InProgress,
            "the customer is confirming the payment on the phone",
        )),
        // A state is about an order, a refusal about the request itself.
        Action::Decline if node.code.is_empty() => {
            match names_merchant(node, expected).and_then(|()| names_order(node, expected.order)) {
                Ok(()) => Outcome::Declined(decline(Action::Decline, node)),
                Err(unknown) => Outcome::Unknown(unknown),
            }
        }
        no @ (Action::Rescan
        | Action::NewOrder
        | Action::OtherTender
        | Action::Decline
        | Action::ChannelFault) => Outcome::Declined(decline(no, node)),
        _ => Outcome::Unknown(not_understood(node)),
    }
}

/// Reads the answer to a request for a code to show: nothing is paid yet.
pub fn native(codes: &Codes, answered: &Answered) -> Outcome {
    let node = match node(answered) {
        Ok(node) => node,
        Err(Ok(unknown)) => return Outcome::Unknown(unknown),
        Err(Err(not_sent)) => return Outcome::NotSent(not_sent),
    };
    match action(codes, Operation::Native, node) {
        Action::Poll => match node.code_url.as_deref().filter(|c| is_showable(c)) {
            None => Outcome::Unknown(mismatch("has no code to show")),
            Some(code) => Outcome::Unknown(Unknown {
                show_code: Some(code.into()),
                ..doubt(UnknownReason::AwaitingCustomer, "waiting for the customer to scan the code")
            }),
        },
        no @ (Action::NewOrder | Action::OtherTender | Action::Decline | Action::ChannelFault) => {
            Outcome::Declined(decline(no, node))
        }
        _ => Outcome::Unknown(not_understood(node)),
    }
}

/// Something a QR code can hold and the wallet opens.
fn is_showable(code: &str) -> bool {
    code.len() <= 512 && code.starts_with("weixin://") && code.bytes().all(|b| b.is_ascii_graphic())
}

/// Reads the answer to an order query.
pub fn query(codes: &Codes, answered: &Answered, expected: Expected<'_>) -> QueryOutcome {
    let node = match node(answered) {
        Ok(node) => node,
        Err(no) => return QueryOutcome::Unknown(unasked(no)),
    };
    let found = action(codes, Operation::Query, node);
    if node.code.is_empty()
        && let Err(unknown) = names_merchant(node, expected).and_then(|()| names_order(node, expected.order))
    {
        return QueryOutcome::Unknown(unknown);
    }
    match found {
        Action::Approved => paid(node, expected).map_or_else(QueryOutcome::Unknown, QueryOutcome::Paid),
        Action::Poll => QueryOutcome::InProgress,
        Action::NotFound => QueryOutcome::NotFound,
        Action::Closed | Action::Decline if node.code.is_empty() => QueryOutcome::NotPaid(Decline {
            text: format!("WeChat Pay says {}; no money of it is held", said(node)),
            text_zh: "订单未支付或已撤销，未收款".into(),
            ..Decline::local(DeclineClass::Customer, &said(node), "")
        }),
        // A part may have gone back, or all of it: the undo gives the rest back too.
        Action::Returned => QueryOutcome::Unknown(doubt(
            UnknownReason::HostFault,
            "WeChat Pay says that it was paid and that money of it went back; the rest is being sent back",
        )),
        _ => QueryOutcome::Unknown(not_understood(node)),
    }
}

/// Whether a query's answer, about this order, says that it was paid and that money of it went back.
pub fn went_back(codes: &Codes, answered: &Answered, expected: Expected<'_>) -> bool {
    let Ok(node) = answered else { return false };
    let named = names_merchant(node, expected).and_then(|()| names_order(node, expected.order));
    let paid_once = node.trade_state.as_deref() == Some("REVOKED") && node.paid_ms.is_some();
    named.is_ok() && (paid_once || action(codes, Operation::Query, node) == Action::Returned)
}

/// Reads the answer to a reverse. Interface v2 does not repeat the order number (`echoes_order` false).
pub fn reverse(
    codes: &Codes,
    answered: &Answered,
    expected: Expected<'_>,
    echoes_order: bool,
) -> UndoOutcome {
    let node = match node(answered) {
        Ok(node) => node,
        Err(Ok(unknown)) => return UndoOutcome::Unknown(unknown),
        Err(Err(not_sent)) => return UndoOutcome::NotSent(not_sent),
    };
    match action(codes, Operation::Reverse, node) {
        Action::Closed if node.code.is_empty() => {
            let order = if echoes_order { names_order(node, expected.order) } else { Ok(()) };
            match names_merchant(node, expected).and(order) {
                Ok(()) => UndoOutcome::Undone { money_moved: false, reference: None },
                Err(unknown) => UndoOutcome::Unknown(unknown),
            }
        }
        Action::ReverseAgain => {
            UndoOutcome::Unknown(doubt(UnknownReason::InProgress, "WeChat Pay asks to reverse again"))
        }
        Action::NotFound => UndoOutcome::NeverExisted,
        Action::Refused => UndoOutcome::Refused(decline(Action::Refused, node)),
        _ => UndoOutcome::Unknown(not_understood(node)),
    }
}

/// Reads the answer to a close: whether the order is closed now.
pub fn close(codes: &Codes, answered: &Answered) -> bool {
    answered.as_ref().is_ok_and(|node| action(codes, Operation::Close, node) == Action::Closed)
}

/// The refund's approval, if order, number, amount and currency are there and right.
fn refunded(node: &Node, expected: Expected<'_>, refund: &str) -> Result<Approval, Unknown> {
    names_order(node, expected.order)?;
    if node.out_refund_no.as_deref() != Some(refund) {
        return Err(mismatch("names another refund, or none"));
    }
    names_currency(node)?;
    if node.refund != Some(expected.amount.fen()) {
        return Err(mismatch("names another refunded amount, or none"));
    }
    match node.transaction_id.as_deref().filter(|t| is_transaction(t)) {
        Some(reference) => Ok(approval(expected.amount, refund, reference)),
        None => Err(mismatch("has no transaction number")),
    }
}

/// Reads the answer to a refund. `expected` is about the payment's order and the refund's amount.
pub fn refund(codes: &Codes, answered: &Answered, expected: Expected<'_>, refund: &str) -> Outcome {
    let node = match node(answered) {
        Ok(node) => node,
        Err(Ok(unknown)) => return Outcome::Unknown(unknown),
        Err(Err(not_sent)) => return Outcome::NotSent(not_sent),
    };
    match action(codes, Operation::Refund, node) {
        Action::Refunded => refunded(node, expected, refund).map_or_else(Outcome::Unknown, Outcome::Approved),
        Action::Poll => Outcome::Unknown(doubt(
            UnknownReason::InProgress,
            "WeChat Pay has taken the refund and is sending the money back",
        )),
        no @ (Action::Refused | Action::ChannelFault) if !node.code.is_empty() => {
            Outcome::Declined(decline(no, node))
        }
        Action::Refused => match refunded(node, expected, refund) {
            Ok(_) => Outcome::Declined(decline(Action::Refused, node)),
            Err(unknown) => Outcome::Unknown(unknown),
        },
        _ => Outcome::Unknown(not_understood(node)),
    }
}

/// Reads the answer to a refund query.
pub fn refund_query(
    codes: &Codes,
    answered: &Answered,
    expected: Expected<'_>,
    refund: &str,
) -> QueryOutcome {
    let node = match node(answered) {
        Ok(node) => node,
        Err(no) => return QueryOutcome::Unknown(unasked(no)),
    };
    match action(codes, Operation::RefundQuery, node) {
        Action::NotFound => QueryOutcome::NotFound,
        Action::Poll => QueryOutcome::InProgress,
        found @ (Action::Refunded | Action::Refused) => match refunded(node, expected, refund) {
            Err(unknown) => QueryOutcome::Unknown(unknown),
            Ok(_) if found == Action::Refused => QueryOutcome::NotPaid(decline(Action::Refused, node)),
            Ok(approval) => QueryOutcome::Paid(approval),
        },
        _ => QueryOutcome::Unknown(not_understood(node)),
    }
}
