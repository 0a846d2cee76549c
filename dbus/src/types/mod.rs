//! What methods and properties carry.
//!
//! `Serialize` gives the JSON that `tillctl --json` prints: keys are lower-kebab and stable.

use serde::{Deserialize, Serialize};
use zbus::{OwnedVariant, Type};

mod dispute;
mod inquiry;
mod notice;
mod payment;
mod prepaid;
mod settlement;

pub use crate::choice::{
    BreakerRow, DecisionRow, InsteadRow, Maintenance, MaintenanceRow, MerchantState, ProfileState,
};
pub use dispute::{DisputeEvent, DisputeLeg, DisputeRow};
pub use inquiry::BalanceReport;
pub use notice::{NoticeRow, ReceiverRow};
pub use payment::{
    AttemptDetails, BillRow, Job, PaymentDetails, PaymentRow, PaymentStep, Prompt, PromptArguments,
    ReceiptDetails,
};
pub use prepaid::{CardEntry, CardReport};
pub use settlement::{BatchRow, ExceptionRow, FeeDifferenceRow, FeeRow, OperatorRow, PartRow, PayoutRow};

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
