//! Messages of methods that are retired: CAPTURE_1, VOID_1, REFUND_1, QUERY_REFUND_1 (now [`super::Follow`]) and
//! UPLOAD_1 (now [`super::Upload`]). Their numbers are never given to anything else, and their bytes stay known.

use serde::{Deserialize, Serialize};

use super::{AttemptIds, Reference};
use crate::instrument::Instrument;
use crate::{Extra, Money};

/// Completes a hold (CAPTURE_1).
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

/// Voids an approved payment (VOID_1).
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

/// Gives money back (REFUND_1, QUERY_REFUND_1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Own numbers.
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

/// One record of a batch upload (UPLOAD_1).
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
