//! What methods and properties carry of the choice of a channel; part of [`crate::types`].

use serde::{Deserialize, Serialize};
use zbus::{OwnedVariant, Type};

/// A row of `Explain`: `(usss)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct DecisionRow {
    /// Attempt.
    pub attempt: u32,
    /// English, lines.
    pub text: String,
    /// Chinese, lines.
    #[serde(rename = "text-zh")]
    pub text_zh: String,
    /// The decision record, JSON.
    pub decision: String,
}

/// A row of what `WhatIf` gives instead: `(ssx)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct InsteadRow {
    /// What the customer would present.
    pub family: String,
    /// Channel that would take it.
    pub channel: String,
    /// Its fee, minor units; -1: not known.
    pub fee: i64,
}

/// Announced maintenance of a channel: `(sxxxs)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type, zbus::Variant, OwnedVariant)]
pub struct Maintenance {
    /// open, degraded, draining, closed, unsure.
    pub state: String,
    /// Until when, Unix ms; 0: not said.
    #[serde(rename = "until-ms")]
    pub until_ms: i64,
    /// The next window begins, Unix ms; 0: there is none.
    #[serde(rename = "next-from-ms")]
    pub next_from_ms: i64,
    /// It ends, Unix ms.
    #[serde(rename = "next-until-ms")]
    pub next_until_ms: i64,
    /// down, degraded; empty: there is none.
    pub kind: String,
}

/// A breaker that is not closed: `(ssux)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type, zbus::Variant, OwnedVariant)]
pub struct BreakerRow {
    /// sale, hold, refund …
    pub operation: String,
    /// open, half-open.
    pub state: String,
    /// Faults in a row.
    pub faults: u32,
    /// Since when, Unix ms.
    #[serde(rename = "since-ms")]
    pub since_ms: i64,
}

/// Merchant authentication of a channel: `(sus)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type, zbus::Variant, OwnedVariant)]
pub struct MerchantState {
    /// not-required, required, passed, locked.
    pub state: String,
    /// Wrong tries in a row.
    #[serde(rename = "wrong-tries")]
    pub wrong_tries: u32,
    /// Whose sales it is passed for; empty: those of nobody in particular.
    pub operator: String,
}

/// The profile in force: `(sxs)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type, zbus::Variant, OwnedVariant)]
pub struct ProfileState {
    /// In force; empty: none.
    pub id: String,
    /// The next change, Unix ms; 0: none is known.
    #[serde(rename = "next-ms")]
    pub next_ms: i64,
    /// In force then; empty: none.
    pub next: String,
}

/// A row of `ListMaintenance`: `(sstsxxss)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct MaintenanceRow {
    /// Name of the announcement.
    pub id: String,
    /// supervisor, file, signed.
    pub source: String,
    /// Number of the signed message; 0: it is none.
    pub issue: u64,
    /// Channel.
    pub channel: String,
    /// Its occurrence of now or the next one begins, Unix ms; 0: it is over.
    #[serde(rename = "from-ms")]
    pub from_ms: i64,
    /// It ends, Unix ms.
    #[serde(rename = "until-ms")]
    pub until_ms: i64,
    /// down, degraded.
    pub kind: String,
    /// For people.
    pub reason: String,
}
