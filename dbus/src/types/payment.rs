//! What is told of payments, their attempts and their receipts.

use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, OwnedVariant, Type};

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

/// What the person at the till is to do now: `(sa{sv})`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Prompt {
    /// confirm-amount, present-instrument, enter-pin, wait, show-code, done, call-supervisor.
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
    /// Device that the customer is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
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
