//! From an answer to an outcome (channels §0.1, §4.3). Bytes in, the daemon's words out; nothing here talks to anybody.

use till_plugin::channel::{
    Approval, Decline, DeclineClass, Echo, NextStep, Outcome, QueryOutcome, Unknown, UnknownReason,
};
use till_plugin::instrument::Cvm;
use till_plugin::{Currency, Extra, Money};
use till_wallet::amount::Fen;
use till_wallet::words::tame;

use crate::ask::{Number, is_query_id};
use crate::codes::{Action, Codes, Operation};
use crate::reply::{Answered, NoAnswer, Node};

/// What an answer must be about.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Our merchant number.
    pub mer_id: &'a str,
    /// Number of what was asked, or is asked about.
    pub number: &'a Number,
    /// What it is worth.
    pub amount: Fen,
    /// The `txnType`s it can have.
    pub kinds: &'a [&'a str],
}

impl NoAnswer {
    /// As the daemon's words for not knowing; `Err` when in fact nothing was sent.
    pub fn unknown(&self) -> Result<Unknown, Decline> {
        let reason = match self {
            Self::Link(e) => return till_wallet::doubt::of_link(e, "银联"),
            Self::Seal(_) | Self::Clock => UnknownReason::BadSeal,
        };
        Ok(Unknown::new(reason, self.to_string()))
    }
}

/// The unknown of a question that was not even sent.
fn unasked(no: &NoAnswer) -> Unknown {
    no.unknown().unwrap_or_else(|d| Unknown::new(UnknownReason::NoAnswer, d.text))
}

fn mismatch(what: &str) -> Unknown {
    Unknown::new(UnknownReason::Mismatch, format!("UnionPay's answer {what}; it is not believed"))
}

fn not_understood(code: &str) -> Unknown {
    Unknown::new(
        UnknownReason::HostFault,
        format!("UnionPay answered {}; whether money moved is not known", said(code)),
    )
}

fn under_way() -> Unknown {
    Unknown::new(UnknownReason::InProgress, "UnionPay has taken the request and is working on it")
}

/// A code fit to be shown.
pub fn said(code: &str) -> String {
    if code.is_empty() { "without a code".into() } else { tame(code) }
}

/// A definite no, in the operator's words.
fn decline(action: Action, code: &str, words: Option<&str>) -> Decline {
    let (class, next) = match action {
        Action::Rescan => (DeclineClass::Customer, NextStep::PresentAgain),
        Action::ChannelFault => (DeclineClass::Channel, NextStep::CallSupport),
        Action::Refused => (DeclineClass::Merchant, NextStep::CallSupport),
        _ => (DeclineClass::Customer, NextStep::OtherMethod),
    };
    let code = said(code);
    let (advice, advice_zh) = action.advice();
    let words = words.map(tame).filter(|t| !t.is_empty());
    let text_zh = words.map_or_else(|| advice_zh.to_owned(), |words| format!("{words}（{advice_zh}）"));
    Decline { class, text: format!("UnionPay answered {code}: {advice}"), text_zh, code, next }
}

/// Merchant, order number and time: the signature covers the answer, not the question, so these say what it answers.
fn names(node: &Node, expected: Expected<'_>) -> Result<(), Unknown> {
    if node.mer_id.as_deref() != Some(expected.mer_id) {
        return Err(mismatch("names another merchant, or none"));
    }
    let Number { order, time } = expected.number;
    if node.order_id.as_deref() != Some(order) || node.txn_time.as_deref() != Some(time) {
        return Err(mismatch("names another order, or none"));
    }
    Ok(())
}

fn is_kind(node: &Node, kinds: &[&str]) -> Result<(), Unknown> {
    match node.txn_type.as_deref() {
        Some(kind) if !kinds.contains(&kind) => Err(mismatch("is about another kind of transaction")),
        _ => Ok(()),
    }
}

fn names_money(node: &Node, expected: Expected<'_>) -> Result<(), Unknown> {
    // Left out, it is CNY: the interface is asked in nothing else.
    if node.currency_code.as_deref().is_some_and(|currency| currency != "156") {
        return Err(mismatch("names another currency"));
    }
    if node.txn_amt == Some(expected.amount.fen()) {
        Ok(())
    } else {
        Err(mismatch("names another amount, or none"))
    }
}

/// The approval, if everything that it must name is there and right.
fn done(node: &Node, expected: Expected<'_>) -> Result<Approval, Unknown> {
    names_money(node, expected)?;
    let reference = node.query_id.as_deref().filter(|id| is_query_id(id));
    let reference = reference.ok_or_else(|| mismatch("has no transaction number"))?;
    Ok(Approval {
        amount: Money::new(expected.amount.fen(), Currency::CNY),
        echo: Echo {
            order: Some(expected.number.order.clone()),
            merchant: Some(expected.mer_id.into()),
            terminal: None,
        },
        reference: reference.into(),
        authorisation_code: None,
        account: None,
        scheme: Some("银联二维码 UnionPay QR".into()),
        host_time: node.txn_time.as_deref().and_then(readable),
        cvm: Cvm::OnDevice,
        change: None,
        open_drawer: false,
        receipt: Vec::new(),
        extra: Extra::new(),
    })
}

/// `YYYYMMDDhhmmss` as people read it.
fn readable(time: &str) -> Option<String> {
    let part = |from: usize, to: usize| time.get(from..to);
    (time.len() == 14).then_some(())?;
    Some(format!(
        "{}-{}-{} {}:{}:{}",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    ))
}

/// The answer to a request that moves money.
#[allow(clippy::large_enum_variant)] // taken apart where it is made, never kept
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// Taken: a query says what became of it.
    Accepted,
    /// It ended, or nothing is known.
    Ended(Outcome),
}

/// Reads the answer to a payment, hold, void, refund, completion or release. None of them is done before a query says so.
pub fn first(codes: &Codes, operation: Operation, answered: &Answered, expected: Expected<'_>) -> First {
    let node = match answered.as_ref().map_err(NoAnswer::unknown) {
        Ok(node) => node,
        Err(Ok(unknown)) => return First::Ended(Outcome::Unknown(unknown)),
        Err(Err(not_sent)) => return First::Ended(Outcome::NotSent(not_sent)),
    };
    let named = names(node, expected).and_then(|()| is_kind(node, expected.kinds));
    // The amount need not be repeated here; another one must not.
    let named = named.and_then(|()| if node.states_amount { names_money(node, expected) } else { Ok(()) });
    if let Err(unknown) = named {
        return First::Ended(Outcome::Unknown(unknown));
    }
    match codes.action(operation, &node.resp_code) {
        Action::Accepted => First::Accepted,
        no if no.is_no() => {
            First::Ended(Outcome::Declined(decline(no, &node.resp_code, node.resp_msg.as_deref())))
        }
        _ => First::Ended(Outcome::Unknown(match node.resp_code.as_str() {
            "03" | "04" | "05" => under_way(),
            code => not_understood(code),
        })),
    }
}

/// Reads the answer to a request for a code to show: nothing is paid yet.
pub fn shown(codes: &Codes, answered: &Answered, expected: Expected<'_>) -> Outcome {
    match (first(codes, Operation::Show, answered, expected), answered) {
        (First::Accepted, Ok(node)) => match node.qr_code.as_deref().filter(|c| is_showable(c)) {
            None => Outcome::Unknown(mismatch("has no code to show")),
            Some(code) => Outcome::Unknown(Unknown {
                show_code: Some(code.into()),
                ..Unknown::new(UnknownReason::AwaitingCustomer, "waiting for the customer to scan the code")
            }),
        },
        (First::Ended(outcome), _) => outcome,
        (First::Accepted, Err(no)) => Outcome::Unknown(unasked(no)),
    }
}

/// Something a QR code can hold and UnionPay's wallet opens.
fn is_showable(code: &str) -> bool {
    code.len() <= 512 && code.starts_with("https://") && code.bytes().all(|b| b.is_ascii_graphic())
}

/// What a query says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is done.
    Done(Box<Approval>),
    /// The payer was charged and the trade did not come off; UnionPay's number of it.
    Taken(String),
    /// It was done, and went back.
    Returned,
    /// It is not done and will not be.
    Not(Decline),
    /// Nothing there under that number.
    NotFound,
    /// Under way.
    Open,
    /// No usable answer.
    Unknown(Unknown),
}

/// Reads the answer to a query.
pub fn standing(codes: &Codes, answered: &Answered, expected: Expected<'_>) -> Standing {
    let node = match answered {
        Ok(node) => node,
        Err(no) => return Standing::Unknown(unasked(no)),
    };
    let kinds: Vec<&str> = expected.kinds.iter().copied().chain(["00"]).collect();
    if let Err(unknown) = names(node, expected).and_then(|()| is_kind(node, &kinds)) {
        return Standing::Unknown(unknown);
    }
    match codes.action(Operation::Query, &node.resp_code) {
        Action::Accepted => {}
        Action::NotFound if node.orig_resp_code.is_none() => return Standing::NotFound,
        _ => return Standing::Unknown(not_understood(&node.resp_code)),
    }
    let Some(code) = node.orig_resp_code.as_deref() else {
        return Standing::Unknown(mismatch("says nothing of what was asked about"));
    };
    match codes.action(Operation::Trade, code) {
        Action::Approved => {
            done(node, expected).map_or_else(Standing::Unknown, |approval| Standing::Done(Box::new(approval)))
        }
        Action::MoneyTaken => done(node, expected)
            .map_or_else(Standing::Unknown, |approval| Standing::Taken(approval.reference)),
        Action::Returned => Standing::Returned,
        Action::Poll => Standing::Open,
        no if no.is_no() => Standing::Not(decline(no, code, node.orig_resp_msg.as_deref())),
        _ => Standing::Unknown(not_understood(code)),
    }
}

impl Standing {
    /// As the daemon's answer to a query.
    pub fn queried(self) -> QueryOutcome {
        match self {
            Self::Done(approval) => QueryOutcome::Paid(*approval),
            Self::Not(decline) => QueryOutcome::NotPaid(decline),
            Self::NotFound => QueryOutcome::NotFound,
            Self::Open => QueryOutcome::InProgress,
            Self::Taken(_) => QueryOutcome::Unknown(Unknown::new(
                UnknownReason::HostFault,
                "UnionPay says that the customer was charged and the payment failed; the money is being sent back",
            )),
            Self::Returned => QueryOutcome::Unknown(Unknown::new(
                UnknownReason::HostFault,
                "UnionPay says that it was done and went back",
            )),
            Self::Unknown(unknown) => QueryOutcome::Unknown(unknown),
        }
    }

    /// As the outcome of the request itself, asked about in the same call.
    pub fn outcome(self) -> Outcome {
        match self.queried() {
            QueryOutcome::Paid(approval) => Outcome::Approved(approval),
            QueryOutcome::NotPaid(decline) => Outcome::Declined(decline),
            QueryOutcome::Unknown(unknown) => Outcome::Unknown(unknown),
            // It was taken a moment ago: that it is not found yet is no news.
            QueryOutcome::InProgress | QueryOutcome::NotFound => Outcome::Unknown(under_way()),
        }
    }
}

/// What a reversal was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reversed {
    /// Done.
    Done,
    /// Nothing there to reverse.
    NotFound,
    /// Refused: today, or because the clearing day is over. The order itself says more.
    Refused(String),
    /// Not sent.
    NotSent(Decline),
    /// No usable answer.
    Unknown(Unknown),
}

/// Reads the answer to a reversal.
pub fn reversed(codes: &Codes, answered: &Answered, expected: Expected<'_>) -> Reversed {
    let node = match answered.as_ref().map_err(NoAnswer::unknown) {
        Ok(node) => node,
        Err(Ok(unknown)) => return Reversed::Unknown(unknown),
        Err(Err(not_sent)) => return Reversed::NotSent(not_sent),
    };
    // An answer to something else about this order would look the same but for its kind, so here that must be there.
    let of_reversal =
        node.txn_type.as_deref() == Some("99") && node.txn_sub_type.as_deref().is_none_or(|sub| sub == "01");
    let named = names(node, expected);
    let named = named.and_then(|()| if of_reversal { Ok(()) } else { Err(mismatch("is of no reversal")) });
    if let Err(unknown) = named {
        return Reversed::Unknown(unknown);
    }
    match codes.action(Operation::Reverse, &node.resp_code) {
        Action::Undone => Reversed::Done,
        Action::NotFound => Reversed::NotFound,
        Action::Refused => Reversed::Refused(said(&node.resp_code)),
        _ => Reversed::Unknown(not_understood(&node.resp_code)),
    }
}
