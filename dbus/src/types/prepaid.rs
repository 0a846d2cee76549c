//! What is told of stored-value cards.

use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, Type};

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
