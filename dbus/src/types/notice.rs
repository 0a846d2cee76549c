//! What is told of notices and who gets them.

use serde::{Deserialize, Serialize};
use zbus::Type;

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
