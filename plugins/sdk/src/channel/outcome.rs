//! What a channel answers: four outcomes of a request, and what becomes of an unknown one.

use serde::{Deserialize, Serialize};

use crate::driver::Health;
use crate::instrument::Cvm;
use crate::{Extra, Money};

/// The four outcomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Money moved (or is held); the answer is verified.
    Approved(Approval),
    /// A definite no.
    Declined(Decline),
    /// No byte of the request left this machine.
    NotSent(Decline),
    /// Anything else.
    Unknown(Unknown),
}

impl Outcome {
    /// The operation does not exist here; nothing was sent.
    pub fn unsupported(operation: &str) -> Self {
        Self::NotSent(Decline::local(
            DeclineClass::Channel,
            "unsupported",
            format!("this channel does not do {operation}"),
        ))
    }
}

/// A verified approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What the network says was taken. The daemon compares it with what was asked.
    pub amount: Money,
    /// What the answer repeated of the request; the daemon compares it too (W4).
    pub echo: Echo,
    /// The network's reference (RRN, trade number).
    pub reference: String,
    /// Authorisation code, where there is one.
    pub authorisation_code: Option<String>,
    /// Payer's account as it may be shown (masked PAN, masked login).
    pub account: Option<String>,
    /// Scheme or issuer name for the receipt.
    pub scheme: Option<String>,
    /// Host's time of the payment, `YYYY-MM-DD hh:mm:ss` as the host gives it.
    pub host_time: Option<String>,
    /// How the holder was verified.
    pub cvm: Cvm,
    /// Change to give, for cash.
    pub change: Option<Money>,
    /// Open the cash drawer when this is durable.
    pub open_drawer: bool,
    /// Lines for the receipt that only the channel knows (label, value).
    pub receipt: Vec<(String, String)>,
    /// Room for later facts.
    pub extra: Extra,
}

impl Approval {
    /// An approval of which nothing more is known than the amount and the network's reference: nothing was repeated of
    /// the request, nothing is to be shown, the drawer stays shut.
    pub fn bare(amount: Money, reference: impl Into<String>) -> Self {
        Self {
            amount,
            echo: Echo::default(),
            reference: reference.into(),
            authorisation_code: None,
            account: None,
            scheme: None,
            host_time: None,
            cvm: Cvm::None,
            change: None,
            open_drawer: false,
            receipt: Vec::new(),
            extra: Extra::new(),
        }
    }
}

/// What an answer repeated of its request. `None`: the network does not repeat it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// Trace or order number.
    pub order: Option<String>,
    /// Merchant.
    pub merchant: Option<String>,
    /// Terminal.
    pub terminal: Option<String>,
}

/// Whose fault a decline is; only [`DeclineClass::Channel`] counts against the channel's health.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeclineClass {
    /// The customer's account, card or code.
    Customer,
    /// The network or its connection.
    Channel,
    /// The merchant's contract or settings.
    Merchant,
    /// A device or input at the till.
    Device,
}

/// A definite no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// Whose fault.
    pub class: DeclineClass,
    /// The network's raw code (`51`, `ACQ.BUYER_BALANCE_NOT_ENOUGH`) or our own lower-kebab reason.
    pub code: String,
    /// One line for the operator, English.
    pub text: String,
    /// One line for the operator, Chinese.
    pub text_zh: String,
    /// What to do next.
    pub next: NextStep,
}

impl Decline {
    /// A refusal of our own, before anything was sent.
    pub fn local(class: DeclineClass, code: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { class, code: code.into(), text_zh: text.clone(), text, next: NextStep::OtherMethod }
    }
}

/// What an operator does after a decline.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NextStep {
    /// The same again, with the instrument presented anew.
    PresentAgain,
    /// The chip or a tap instead of the stripe.
    UseChip,
    /// Another way to pay.
    OtherMethod,
    /// Sign in first.
    SignIn,
    /// Later.
    Later,
    /// Call the network's support.
    CallSupport,
    /// Keep the card and call.
    KeepCard,
}

/// Why nothing is known.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UnknownReason {
    /// No answer in time.
    NoAnswer,
    /// The connection broke after the first byte.
    Broken,
    /// MAC or signature of the answer is wrong.
    BadSeal,
    /// The answer names another amount, order, merchant or terminal.
    Mismatch,
    /// The answer could not be read.
    Garbage,
    /// The network says it does not know yet (customer is typing a password).
    InProgress,
    /// The network says its own system failed.
    HostFault,
    /// The till shows a code and waits for the customer.
    AwaitingCustomer,
    /// The channel has no such operation.
    Unsupported,
    /// The plugin's process ended during the call (only the daemon says this).
    PluginDied,
    /// The daemon restarted after the request was prepared (only the daemon says this).
    Restarted,
}

impl UnknownReason {
    /// Lower-kebab name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoAnswer => "no-answer",
            Self::Broken => "broken",
            Self::BadSeal => "bad-seal",
            Self::Mismatch => "mismatch",
            Self::Garbage => "garbage",
            Self::InProgress => "in-progress",
            Self::HostFault => "host-fault",
            Self::AwaitingCustomer => "awaiting-customer",
            Self::Unsupported => "unsupported",
            Self::PluginDied => "plugin-died",
            Self::Restarted => "restarted",
        }
    }
}

/// An outcome that is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// Why.
    pub reason: UnknownReason,
    /// One line; no card data.
    pub text: String,
    /// Code to show to the customer while waiting ([`UnknownReason::AwaitingCustomer`]).
    pub show_code: Option<String>,
}

impl Unknown {
    /// Without a code to show.
    pub fn new(reason: UnknownReason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into(), show_code: None }
    }
}

/// Answer to a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryOutcome {
    /// It was taken.
    Paid(Approval),
    /// It was not and will not be: closed, failed, revoked.
    NotPaid(Decline),
    /// Not decided yet.
    InProgress,
    /// The network has never heard of it.
    NotFound,
    /// This query has no usable answer.
    Unknown(Unknown),
}

/// Why an undo is asked for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UndoReason {
    /// No answer (ISO 8583 reversal reason 98).
    NoAnswer,
    /// The answer's MAC was wrong (A0).
    BadSeal,
    /// The answer did not match or could not be used (06).
    Mismatch,
    /// The operator gave the payment up (06).
    Abandoned,
}

/// Answer to an undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UndoOutcome {
    /// No money is taken, or it went back.
    Undone {
        /// Whether money had moved and went back.
        money_moved: bool,
        /// The network's reference, if any.
        reference: Option<String>,
    },
    /// The network has never heard of the original: nothing to undo.
    NeverExisted,
    /// The network refuses for good (already settled, too late): a person decides.
    Refused(Decline),
    /// The request did not leave; does not count as a try.
    NotSent(Decline),
    /// No usable answer: ask again later.
    Unknown(Unknown),
}

/// Answer to a settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SettleOutcome {
    /// Totals agree.
    Balanced,
    /// They do not: upload details.
    Unbalanced,
    /// Refused.
    Refused(Decline),
    /// No usable answer.
    Unknown(Unknown),
}

/// What a channel tells by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ChannelEvent {
    /// Signed in or not (keys expired, network asks for it).
    SignedIn(bool),
    /// The network's health as seen by the plugin.
    Health(Health),
    /// A notice about an order came in: a hint to query now, never a result.
    Notice {
        /// Order number.
        order: String,
    },
}
