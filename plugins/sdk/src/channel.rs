//! The channel side of the contract: one [`Channel`] trait for every payment network, and its messages.
//!
//! The daemon owns the payment: it decides when to ask, query, undo, and writes to its journal before and after. A
//! channel plugin performs single exchanges and reports one of **four outcomes** ([`Outcome`]). Timeouts, bad MAC or
//! signature, a wrong echo of amount or number, a half reply: all are [`Outcome::Unknown`], never a decline.
//!
//! Order of a sale: [`Channel::prepare`] (no byte leaves; returns what is needed to query or reverse later) → the daemon
//! makes it durable → [`Channel::authorise`] → the daemon makes the outcome durable → everybody hears of it. After a
//! crash in between the daemon uses [`Channel::query`] and [`Channel::undo`] with the same ids; it never repeats an
//! authorisation.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::driver::Health;
use crate::host::{Host, Settings};
use crate::instrument::{Cvm, Instrument};
use crate::sensitive::{Sensitive, wire};
use crate::{Extra, Family, Money, PluginError};

/// A payment channel.
///
/// Called from one thread; every call returns within its deadline ([`Host::remaining`]). Operations a channel does not
/// have keep their default and are left out of [`ChannelDescription::operations`].
pub trait Channel: Sized + Send + 'static {
    /// Reads settings and secrets. Talks to nobody.
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError>;

    /// What this channel does and how its unknown outcomes are resolved.
    fn describe(&self) -> ChannelDescription;

    /// Signs the terminal in (working keys, batch), where the network asks for it.
    fn sign_in(&mut self, _request: &SignIn) -> Result<SignedIn, PluginError> {
        Err(PluginError::unsupported("sign-in"))
    }

    /// Signs the terminal off.
    fn sign_off(&mut self) -> Result<(), PluginError> {
        Err(PluginError::unsupported("sign-off"))
    }

    /// Checks a request and builds what a later query or reversal needs. No byte leaves. An `Err` is a local refusal:
    /// nothing was sent, another channel may be used.
    fn prepare(&mut self, request: &Authorise) -> Result<Prepared, Decline>;

    /// Sends the request and waits for its answer.
    fn authorise(&mut self, request: &Authorise, prepared: &Prepared) -> Outcome;

    /// Asks what became of an authorisation, capture or void.
    fn query(&mut self, _original: &FollowUp) -> QueryOutcome {
        QueryOutcome::Unknown(Unknown::new(UnknownReason::Unsupported, "this channel cannot be asked"))
    }

    /// Undoes an authorisation whose outcome is unknown (cancel, reverse, reversal). Safe to repeat.
    fn undo(&mut self, original: &FollowUp, reason: UndoReason) -> UndoOutcome;

    /// Completes a pre-authorisation.
    fn capture(&mut self, _request: &Capture) -> Outcome {
        Outcome::unsupported("capture")
    }

    /// Voids an approved payment of the open batch, full amount.
    fn void(&mut self, _request: &Void) -> Outcome {
        Outcome::unsupported("void")
    }

    /// Gives money back.
    fn refund(&mut self, _request: &Refund) -> Outcome {
        Outcome::unsupported("refund")
    }

    /// Asks what became of a refund.
    fn query_refund(&mut self, _request: &Refund) -> QueryOutcome {
        QueryOutcome::Unknown(Unknown::new(
            UnknownReason::Unsupported,
            "this channel cannot be asked about refunds",
        ))
    }

    /// Compares totals of a frozen batch.
    fn settle(&mut self, _request: &Settle) -> SettleOutcome {
        SettleOutcome::Unknown(Unknown::new(UnknownReason::Unsupported, "this channel has no settlement"))
    }

    /// Uploads one detail record of a mismatched batch, or its end mark.
    fn upload(&mut self, _request: &Upload) -> Outcome {
        Outcome::unsupported("upload")
    }

    /// Balance of a card. Never stored.
    fn balance(&mut self, _request: &Authorise) -> Result<Money, Decline> {
        Err(Decline::local(DeclineClass::Channel, "unsupported", "this channel has no balance query"))
    }

    /// Is the other end well? Echo, sign-in or a query; never with money.
    fn probe(&mut self) -> Result<Health, PluginError> {
        Err(PluginError::unsupported("probe"))
    }

    /// Anything to do or tell by itself; waits at most `budget`.
    fn poll(&mut self, budget: Duration) -> Result<Vec<ChannelEvent>, PluginError>;

    /// Counters since the instance opened.
    fn statistics(&mut self) -> Vec<(String, u64)> {
        Vec::new()
    }
}

/// An operation of a channel.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Operation {
    /// Take money.
    Sale,
    /// Hold money.
    PreAuthorisation,
    /// Take held money.
    Capture,
    /// Undo in the same batch.
    Void,
    /// Give money back.
    Refund,
    /// Ask what became of it.
    Query,
    /// Undo an unknown outcome.
    Undo,
    /// Compare totals.
    Settle,
    /// Sign the terminal in.
    SignIn,
    /// Balance of a card.
    Balance,
    /// Money-free check.
    Probe,
    /// Show a code to the customer.
    ShowCode,
}

/// Answer to `describe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelDescription {
    /// Families of instruments it takes.
    pub families: Vec<Family>,
    /// Operations it does.
    pub operations: Vec<Operation>,
    /// Currencies it takes, ISO 4217 codes.
    pub currencies: Vec<String>,
    /// How unknown outcomes are resolved.
    pub resolve: ResolveProfile,
    /// Requests are signed with the time of day: unusable while the clock is not trusted.
    pub needs_clock: bool,
    /// The merchant that answers must name, where known (W4): compared with every echo.
    pub merchant: Option<String>,
    /// The terminal that answers must name, where known.
    pub terminal: Option<String>,
    /// Longest an authorisation may take, ms.
    pub authorise_timeout_ms: u32,
    /// Room for later facts.
    pub extra: Extra,
}

/// How the daemon resolves an unknown outcome on this channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveProfile {
    /// Query rule; `None`: go straight to undo.
    pub query: Option<QueryRule>,
    /// Undo rule; `None`: nothing can be undone, after the queries a person decides.
    pub undo: Option<UndoRule>,
    /// At most one unresolved attempt on the channel (single-slot reversal, Q/CUP): new requests wait for it.
    pub single_slot: bool,
}

/// When to query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryRule {
    /// First query this long after the outcome became unknown, ms.
    pub first_ms: u32,
    /// Pause between queries, ms.
    pub every_ms: u32,
    /// Stop querying this long after the authorisation was sent, ms; then one last query.
    pub until_ms: u32,
    /// "Not found" means "never arrived" only when it stands this long after sending, ms; undone all the same.
    pub settle_ms: u32,
}

/// When to undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoRule {
    /// Not sooner than this after sending, ms.
    pub not_before_ms: u32,
    /// Pause after the first unanswered try, ms; doubles each time.
    pub pause_ms: u32,
    /// Longest pause, ms.
    pub pause_max_ms: u32,
    /// Tries that reached the other end before a person decides; 0: for ever.
    pub tries: u32,
}

/// The numbers of one attempt, given by the daemon from its journal before anything is sent, never reused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptIds {
    /// Payment, for logs.
    pub payment: [u8; 16],
    /// Attempt within the payment, from 1.
    pub attempt: u32,
    /// System trace audit number, 1–999999 (ISO 8583 field 11).
    pub trace: u32,
    /// Batch number, 1–999999.
    pub batch: u32,
    /// Order number for networks that want text: 8–32 letters and digits.
    pub order: String,
    /// Wall clock when it was given, Unix ms; host times are derived from it so that a repeat is identical.
    pub wall_ms: i64,
}

/// A request for money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorise {
    /// Its numbers.
    pub ids: AttemptIds,
    /// Take or hold.
    pub hold: bool,
    /// How much; greater than zero.
    pub amount: Money,
    /// From what.
    pub instrument: Instrument,
    /// What the customer's statement may say.
    pub subject: String,
    /// Operator on duty.
    pub operator: Option<String>,
    /// Enciphered PIN block, where a pad gave one.
    #[serde(with = "wire::option")]
    pub pin_block: Option<Sensitive<Vec<u8>>>,
    /// Room for later facts.
    pub extra: Extra,
}

/// What must be durable before the request leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Everything a later query or undo needs, in the plugin's own encoding, at most 2 KiB. The daemon seals it before
    /// it reaches the disk and destroys the key when the attempt is final. May hold a PAN; never a track, PIN block,
    /// CVV or payment code.
    #[serde(with = "wire")]
    pub recovery: Sensitive<Vec<u8>>,
    /// What may be shown of the instrument.
    pub masked: String,
}

/// Refers to an earlier request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    /// Numbers of the original.
    pub ids: AttemptIds,
    /// Amount of the original.
    pub amount: Money,
    /// From its [`Prepared`].
    #[serde(with = "wire")]
    pub recovery: Sensitive<Vec<u8>>,
    /// Try of this follow-up, from 1.
    pub attempt: u32,
    /// Room for later facts.
    pub extra: Extra,
}

/// Completes a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// Own numbers.
    pub ids: AttemptIds,
    /// The hold.
    pub original: Reference,
    /// How much of it.
    pub amount: Money,
    /// Room for later facts.
    pub extra: Extra,
}

/// Voids an approved payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    /// Own numbers.
    pub ids: AttemptIds,
    /// The payment.
    pub original: Reference,
    /// Its amount.
    pub amount: Money,
    /// The card presented again, where the network asks for it.
    pub instrument: Option<Instrument>,
    /// Room for later facts.
    pub extra: Extra,
}

/// Gives money back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Own numbers; the order number is the refund's idempotency key.
    pub ids: AttemptIds,
    /// The payment.
    pub original: Reference,
    /// How much of it.
    pub amount: Money,
    /// The card presented again, where the network asks for it.
    pub instrument: Option<Instrument>,
    /// Room for later facts.
    pub extra: Extra,
}

/// An earlier approved request, as the network knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Its numbers.
    pub ids: AttemptIds,
    /// Its amount.
    pub amount: Money,
    /// Its approval.
    pub approval: Approval,
}

/// A sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Trace number for it.
    pub trace: u32,
    /// Batch the till is in.
    pub batch: u32,
    /// Operator on duty.
    pub operator: Option<String>,
    /// Wall clock, Unix ms.
    pub wall_ms: i64,
}

/// What a sign-in gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// Batch the network wants used, where it says.
    pub batch: Option<u32>,
    /// Sign in again after this many seconds; 0: no limit.
    pub valid_s: u32,
}

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

/// Totals of a batch to compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// Own numbers.
    pub ids: AttemptIds,
    /// Batch to settle.
    pub batch: u32,
    /// Money taken and how many.
    pub debits: (Money, u32),
    /// Money given back and how many.
    pub credits: (Money, u32),
    /// Operator.
    pub operator: Option<String>,
    /// Room for later facts.
    pub extra: Extra,
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

/// One record of a batch upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Own numbers.
    pub ids: AttemptIds,
    /// Batch.
    pub batch: u32,
    /// The records; empty: end of the upload.
    pub records: Vec<Reference>,
    /// Records of the whole upload, for the end mark.
    pub count: u32,
    /// Whether totals were balanced.
    pub balanced: bool,
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
