//! What methods and properties carry.
//!
//! `Serialize` gives the JSON that `tillctl --json` prints: keys are lower-kebab and stable.

use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, OwnedVariant, Type};

pub use crate::choice::{
    BreakerRow, DecisionRow, InsteadRow, Maintenance, MaintenanceRow, MerchantState, ProfileState,
};

/// A text for people: `(ss)`, English and Chinese.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type, zbus::Variant, OwnedVariant)]
pub struct LocalText {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

/// One thing that stands in the way: `(ssss)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type, zbus::Variant, OwnedVariant)]
pub struct Blocker {
    /// Device, channel, or `journal`.
    pub subject: String,
    /// Lower-kebab: `channel-signed-off`, `device-offline`, `journal` …
    pub code: String,
    /// English.
    pub text: String,
    /// Chinese.
    #[serde(rename = "text-zh")]
    pub text_zh: String,
}

/// A row of `ListSuspensions`: `(ssssssxt)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct SuspensionRow {
    /// Channel instance.
    pub channel: String,
    /// `suspended` or `resumed`.
    pub what: String,
    /// `person`, or the rule: `pinning`.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Who; empty: a rule.
    pub operator: String,
    /// Payment whose answer gave the reason, 32 hexadecimal digits; empty: none.
    pub payment: String,
    /// When, Unix ms.
    #[serde(rename = "at-ms")]
    pub at_ms: i64,
    /// Journal sequence number of the record.
    pub seq: u64,
}

/// A row of `ListPayments`: `(ssxssx)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct PaymentRow {
    /// 32 hexadecimal digits.
    pub id: String,
    /// As `org.tilld.Payment1.State`.
    pub state: String,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// Channel of the newest attempt; empty before the first.
    pub channel: String,
    /// Opened, Unix ms.
    #[serde(rename = "opened-ms")]
    pub opened_ms: i64,
}

/// A row of `Bill`: `(tssxxxsssx)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct BillRow {
    /// Journal sequence number of its opening: where to go on.
    pub seq: u64,
    /// 32 hexadecimal digits.
    pub id: String,
    /// As `org.tilld.Payment1.State`.
    pub state: String,
    /// What was owed, minor units.
    pub amount: i64,
    /// What was taken, minor units.
    pub paid: i64,
    /// What went back, minor units.
    pub returned: i64,
    /// ISO 4217.
    pub currency: String,
    /// Channel of the newest attempt; empty before the first.
    pub channel: String,
    /// Who opened it; empty: not said.
    pub operator: String,
    /// Opened, Unix ms.
    #[serde(rename = "opened-ms")]
    pub opened_ms: i64,
}

/// A row of `ListBatches`: `(ussbs)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct BatchRow {
    /// Number.
    pub number: u32,
    /// Business date, `YYYY-MM-DD`; empty: not known.
    pub date: String,
    /// open, frozen, closed.
    pub state: String,
    /// Closed by the clock.
    pub automatic: bool,
    /// Who closed it.
    pub operator: String,
}

/// A row of `ListParts`: `(sussxuxus)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct PartRow {
    /// Channel.
    pub channel: String,
    /// Batch number of its network; 0: money carried over.
    pub network: u32,
    /// open, frozen, totals-sent, matched, mismatched, uploading …
    pub state: String,
    /// ISO 4217; empty: no money.
    pub currency: String,
    /// Taken, minor units.
    pub debits: i64,
    /// How many.
    #[serde(rename = "debit-count")]
    pub debit_count: u32,
    /// Given back, minor units.
    pub credits: i64,
    /// How many.
    #[serde(rename = "credit-count")]
    pub credit_count: u32,
    /// Why the settlement stopped; empty: it did not.
    pub reason: String,
}

/// A row of `ListPayouts`: `(susxxs)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct PayoutRow {
    /// Channel.
    pub channel: String,
    /// Batch number of its network; 0: money carried over.
    pub network: u32,
    /// ISO 4217.
    pub currency: String,
    /// What the channel takes, minor units.
    pub fee: i64,
    /// What is paid out, minor units; below zero: the shop owes it.
    pub net: i64,
    /// Day on which it comes, `YYYY-MM-DD`; empty: no cycle is configured.
    pub date: String,
}

/// A row of sums of `FeeReport`: `(susuxuxxuxxuxuu)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct FeeRow {
    /// Channel.
    pub channel: String,
    /// Batch number of its network; 0: money carried over.
    pub network: u32,
    /// ISO 4217.
    pub currency: String,
    /// Sales and completions; without those that were voided in the same batch.
    pub sales: u32,
    /// Their amount, minor units.
    pub amount: i64,
    /// Those whose fee was forecast.
    #[serde(rename = "forecast-sales")]
    pub forecast_sales: u32,
    /// Their amount, minor units.
    #[serde(rename = "forecast-amount")]
    pub forecast_amount: i64,
    /// Sum of the forecasts, minor units.
    pub forecast: i64,
    /// Those whose fee the network told.
    #[serde(rename = "charged-sales")]
    pub charged_sales: u32,
    /// Their amount, minor units.
    #[serde(rename = "charged-amount")]
    pub charged_amount: i64,
    /// Sum of the charges, minor units.
    pub charged: i64,
    /// Those of which both are known.
    pub compared: u32,
    /// How much more was charged for these than was forecast, minor units; below zero: less.
    pub difference: i64,
    /// How many of these differ by more than a rounding.
    pub unlike: u32,
    /// Voids.
    pub voids: u32,
}

/// A sale whose fee is not the forecast, a row of `FeeReport`: `(sususxxx)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct FeeDifferenceRow {
    /// Payment, 32 hexadecimal digits.
    pub payment: String,
    /// Its attempt.
    pub attempt: u32,
    /// Channel.
    pub channel: String,
    /// Batch number of its network; 0: money carried over.
    pub network: u32,
    /// ISO 4217.
    pub currency: String,
    /// What was taken, minor units.
    pub amount: i64,
    /// Its fee as forecast, minor units.
    pub forecast: i64,
    /// Its fee as charged, minor units.
    pub charged: i64,
}

/// A row of `ListOperators`: `(ssxuxu)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct OperatorRow {
    /// Operator; empty: not said.
    pub operator: String,
    /// ISO 4217.
    pub currency: String,
    /// Taken, minor units.
    pub debits: i64,
    /// How many.
    #[serde(rename = "debit-count")]
    pub debit_count: u32,
    /// Given back, minor units.
    pub credits: i64,
    /// How many.
    #[serde(rename = "credit-count")]
    pub credit_count: u32,
}

/// A row of `ListExceptions`: `(ssusss)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ExceptionRow {
    /// Channel.
    pub channel: String,
    /// Payment id; empty: the part as a whole.
    pub payment: String,
    /// Attempt; 0: none.
    pub attempt: u32,
    /// Lower-kebab.
    pub code: String,
    /// English.
    pub text: String,
    /// Chinese.
    #[serde(rename = "text-zh")]
    pub text_zh: String,
}

/// How a stored-value card stands: `Prepaid1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub struct CardReport {
    /// Its number, masked.
    pub account: String,
    /// active, blocked, expired, closed.
    pub standing: String,
    /// Minor units.
    pub balance: i64,
    /// ISO 4217.
    pub currency: String,
    /// Last day it can be used, `YYYY-MM-DD`; empty: no end.
    pub expires: Option<String>,
    /// bearer or registered.
    pub class: Option<String>,
    /// Paid out by `Redeem`, minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_out: Option<i64>,
}

/// A row of `Prepaid1.History`: `(txsxxs)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct CardEntry {
    /// Number in the ledger.
    pub number: u64,
    /// Unix ms.
    #[serde(rename = "wall-ms")]
    pub wall_ms: i64,
    /// issue, load, debit, refund …
    pub operation: String,
    /// Change of the balance, minor units.
    pub change: i64,
    /// Balance after it, minor units.
    pub balance: i64,
    /// Order number of the request.
    pub order: String,
}

/// A row of `Notices1.List`: `(tsssxssssx)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct NoticeRow {
    /// Journal sequence number: the cursor.
    pub seq: u64,
    /// The same for ever: to notice what came twice.
    pub id: String,
    /// paid, held, refunded, review …
    pub kind: String,
    /// Payment id; empty: it is about no payment.
    pub payment: String,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217; empty: no money.
    pub currency: String,
    /// Channel; empty: none.
    pub channel: String,
    /// English.
    pub text: String,
    /// Chinese.
    #[serde(rename = "text-zh")]
    pub text_zh: String,
    /// Unix ms.
    #[serde(rename = "wall-ms")]
    pub wall_ms: i64,
}

/// A row of `Notices1.ListReceivers`: `(st)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ReceiverRow {
    /// Receiver.
    pub name: String,
    /// Up to which record it has its notices.
    pub seq: u64,
}

/// A case of a disputed payment: `(usuxssssxxx)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct DisputeRow {
    /// Number.
    pub number: u32,
    /// Payment id.
    pub payment: String,
    /// The attempt that is disputed.
    pub attempt: u32,
    /// How much of it, minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// open, answered, won, lost.
    pub state: String,
    /// Why, as the other side says.
    pub reason: String,
    /// Its number at the network; empty: none.
    pub reference: String,
    /// Opened, Unix ms.
    #[serde(rename = "opened-ms")]
    pub opened_ms: i64,
    /// Last change, Unix ms.
    #[serde(rename = "changed-ms")]
    pub changed_ms: i64,
    /// When the answer is due, Unix ms; 0: not said.
    #[serde(rename = "answer-by-ms")]
    pub answer_by_ms: i64,
}

/// A leg that gave money of a disputed attempt back: `(usxst)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct DisputeLeg {
    /// Its attempt.
    pub attempt: u32,
    /// void or refund.
    pub kind: String,
    /// Minor units.
    pub amount: i64,
    /// As `AttemptState`.
    pub state: String,
    /// Number of its slip; 0: none.
    pub receipt: u64,
}

/// What happened to a case: `(txssss)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct DisputeEvent {
    /// Journal sequence number.
    pub seq: u64,
    /// Unix ms.
    #[serde(rename = "wall-ms")]
    pub wall_ms: i64,
    /// opened, noted, answered, closed.
    pub event: String,
    /// Who.
    pub operator: String,
    /// What was said.
    pub text: String,
    /// BLAKE3 of the evidence file, hexadecimal; empty: none.
    pub evidence: String,
}

/// A step of a payment: `(txsuss)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct PaymentStep {
    /// Journal sequence number.
    pub seq: u64,
    /// Unix ms.
    #[serde(rename = "wall-ms")]
    pub wall_ms: i64,
    /// The kind of record: opened, sent, approved, abandoned …
    pub event: String,
    /// The attempt it names; 0: none.
    pub attempt: u32,
    /// Who; empty: nobody.
    pub operator: String,
    /// What was said; may be empty.
    pub text: String,
}

/// A receipt or slip as data: `AfterSales1.Receipt`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub struct ReceiptDetails {
    /// Payment id.
    pub payment: String,
    /// Its number.
    pub receipt: u64,
    /// What it is of: sale, hold, refund …
    pub kind: String,
    /// What was moved by that attempt, minor units.
    pub amount: i64,
    /// What the payment is over, minor units.
    pub total: i64,
    /// ISO 4217.
    pub currency: String,
    /// Channel as people call it.
    pub channel: String,
    /// Local time, `YYYY-MM-DD hh:mm:ss`.
    pub time: String,
    /// The shop.
    pub shop: String,
    /// Terminal id.
    pub terminal: String,
    /// Who; empty: not said.
    pub operator: String,
    /// What it is for; may be empty.
    pub subject: String,
    /// Copies printed so far.
    pub copies: u32,
    /// The network's reference; empty: none.
    pub reference: String,
    /// Its lines: label (may be empty) and value.
    pub lines: Vec<(String, String)>,
    /// As printed.
    pub text: String,
}

/// A row of `ListPlugins`: `(ssssasss)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct PluginRow {
    /// Plugin id; empty when it could not be read.
    pub id: String,
    /// `driver` or `channel`.
    pub kind: String,
    /// Name for people.
    pub name: String,
    /// Version; empty until loaded.
    pub version: String,
    /// Devices or channels that use it.
    pub instances: Vec<String>,
    /// What is wrong with it; empty: nothing.
    pub problem: String,
    /// Why it is taken: `unsigned`, `signed:NAME` with the key's name, `listed`; empty when it is not.
    pub trust: String,
}

/// A receipt that is not certainly printed: `(tss)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type, zbus::Variant, OwnedVariant)]
pub struct Job {
    /// Job number.
    pub job: u64,
    /// Payment id.
    pub payment: String,
    /// queued, started, held …
    pub state: String,
}

/// One layer of a process's confinement: `(ss)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type, zbus::Variant, OwnedVariant)]
pub struct SandboxLayer {
    /// Which layer.
    pub layer: String,
    /// How much of it holds.
    pub level: String,
}

/// The newest durable record: `(ts)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type, zbus::Variant, OwnedVariant)]
pub struct Head {
    /// Sequence number.
    pub seq: u64,
    /// Hash, hexadecimal.
    pub hash: String,
}

/// What the person at the till is to do now: `(sa{sv})`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Prompt {
    /// confirm-amount, present-instrument, wait, show-code, done, call-supervisor.
    pub id: String,
    /// Its arguments.
    #[serde(rename = "with")]
    pub arguments: PromptArguments,
}

/// Arguments of a prompt: `a{sv}`; each is there when the prompt needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub struct PromptArguments {
    /// Minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// ISO 4217.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The network's code of the last refusal, or the content of the QR code to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why the last attempt was refused, English.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The same, Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_zh: Option<String>,
    /// What has been paid of a part-paid payment, minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid: Option<i64>,
    /// What is held, minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<i64>,
    /// The till is free for others while this payment is resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<bool>,
    /// Receipt number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<u64>,
    /// Change to give back, minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<i64>,
}

/// Everything about a payment: `Describe`, `FindPayment`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub struct PaymentDetails {
    /// 32 hexadecimal digits.
    pub id: String,
    /// What is owed, minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// As `org.tilld.Payment1.State`.
    pub state: String,
    /// Why it is so; empty when the state says all.
    pub reason: Option<String>,
    /// What it is for.
    pub subject: Option<String>,
    /// Who opened it.
    pub operator: Option<String>,
    /// Idempotency key of the caller.
    pub key: Option<String>,
    /// As `org.tilld.Payment1.Purpose`.
    pub purpose: Option<String>,
    /// Opened for training: no money moves by it.
    pub training: Option<bool>,
    /// The card that a top-up loads, masked.
    pub top_up_account: Option<String>,
    /// What has been paid, minor units.
    pub paid: i64,
    /// What went back of it, minor units.
    pub returned: Option<i64>,
    /// What is still owed, minor units.
    pub remaining: Option<i64>,
    /// What is held by a pre-authorisation, minor units.
    pub held: Option<i64>,
    /// Receipt number; 0 until paid.
    pub receipt: Option<u64>,
    /// The receipt is on paper, or nobody will print it.
    pub receipt_printed: Option<bool>,
    /// Resolved after a restart of the daemon.
    pub recovered: Option<bool>,
    /// Somebody asked to cancel while an attempt was under way.
    pub cancel_requested: Option<bool>,
    /// Journal sequence number of the newest change.
    pub seq: u64,
    /// Opened, Unix ms.
    pub opened_ms: i64,
    /// Last change, Unix ms.
    pub changed_ms: i64,
    /// Oldest first.
    pub attempts: Vec<AttemptDetails>,
}

/// One try on one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub struct AttemptDetails {
    /// Number of the attempt at this payment, from 1.
    pub attempt: u32,
    /// What it does: sale, hold, void, refund, capture, release, load.
    pub kind: Option<String>,
    /// The attempt that it follows; 0: none.
    pub of: Option<u32>,
    /// How much, minor units.
    pub amount: Option<i64>,
    /// Its channel waits for the card that paid to be presented again.
    pub wants_card: Option<bool>,
    /// Why a leg was asked for.
    pub reason: Option<String>,
    /// Who asked for a leg.
    pub operator: Option<String>,
    /// Number of its receipt or slip; 0: it has none.
    pub receipt: Option<u64>,
    /// Channel.
    pub channel: String,
    /// What was presented.
    pub family: Option<String>,
    /// As `org.tilld.Payment1.AttemptState`.
    pub state: String,
    /// Account, masked.
    pub account: Option<String>,
    /// System trace audit number (STAN).
    pub trace: Option<u32>,
    /// Batch number.
    pub batch: Option<u32>,
    /// Order number at the network.
    pub order: Option<String>,
    /// Retrieval reference number (RRN), or the network's own.
    pub reference: Option<String>,
    /// Authorisation code.
    pub authorisation_code: Option<String>,
    /// Change to give back, minor units.
    pub change: Option<i64>,
    /// The network's code of a refusal.
    pub code: Option<String>,
    /// Why it was refused, English.
    pub text: Option<String>,
    /// The same, Chinese.
    pub text_zh: Option<String>,
    /// What to do after a refusal, lower-kebab.
    pub next: Option<String>,
    /// Why the outcome became unknown.
    pub unknown_reason: Option<String>,
    /// Queries begun.
    pub queries: Option<u32>,
    /// Undos begun.
    pub undos: Option<u32>,
    /// Why this channel was chosen, JSON.
    pub decision: Option<String>,
}
