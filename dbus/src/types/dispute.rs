//! What is told of disputed payments.

use serde::{Deserialize, Serialize};
use zbus::Type;

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
