//! Uploads of a batch whose totals did not agree.

use serde::{Deserialize, Serialize};

use super::{AttemptIds, Reference};
use crate::sensitive::{Sensitive, wire};

/// One upload of a mismatched batch: some of its records, or its end mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Own numbers.
    pub ids: AttemptIds,
    /// Batch.
    pub batch: u32,
    /// The records; empty: end of the upload.
    pub records: Vec<UploadRecord>,
    /// Records of the whole upload, for the end mark.
    pub count: u32,
    /// Whether totals were balanced.
    pub balanced: bool,
}

/// One record of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRecord {
    /// The request and its approval.
    pub reference: Reference,
    /// What it was.
    pub kind: RecordKind,
    /// Recovery data of its own [`super::Prepared`]: an upload needs the PAN where the network asks for it.
    #[serde(with = "wire")]
    pub recovery: Sensitive<Vec<u8>>,
    /// What it followed; none for a sale or a hold.
    pub original: Option<Reference>,
}

/// What a record of a batch was.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RecordKind {
    /// Money taken.
    Sale,
    /// Money held.
    Hold,
    /// An approved payment undone.
    Void,
    /// Money given back.
    Refund,
    /// Held money taken.
    Capture,
    /// A hold given back.
    Release,
    /// An account loaded.
    Load,
}
