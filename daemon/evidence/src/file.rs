//! The lines of an evidence file.

use serde::{Deserialize, Serialize};

pub(crate) const FORMAT: &str = "till-evidence";
/// Version 2 has sealed frames, with the key of each beside it; a file without them is of version 1.
pub(crate) const VERSION: u32 = 1;
pub(crate) const VERSION_SEALED: u32 = 2;
/// Before what is signed, so that no other signature of the device is one of evidence.
pub(crate) const DOMAIN: &str = "org.tilld evidence v1\n";

/// A line, as `{"what": …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    Head(Head),
    Stretch(StretchLine),
    Record(RecordLine),
    Receipt(Option<String>),
    Seal(Seal),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) format: String,
    pub(crate) version: u32,
    pub(crate) software: String,
    pub(crate) terminal: String,
    pub(crate) public_key: String,
    pub(crate) payment: String,
    pub(crate) records: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) exported_ms: i64,
    pub(crate) journal: JournalState,
}

/// Where the journal stood when the evidence was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct JournalState {
    /// First record kept.
    pub first: u64,
    /// Newest record.
    pub head: u64,
    /// Its hash, lower-case hexadecimal: what `tillctl journal head` showed.
    pub head_hash: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StretchLine {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) root: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RecordLine {
    pub(crate) seq: u64,
    pub(crate) kind: String,
    pub(crate) wall_ms: i64,
    pub(crate) clock_ok: bool,
    pub(crate) says: serde_json::Value,
    pub(crate) frame: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    pub(crate) path: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seal {
    pub(crate) lines: Vec<String>,
    pub(crate) signature: String,
}

/// The digest of a line, without its end.
pub(crate) fn digest(line: &str) -> String {
    blake3::hash(line.as_bytes()).to_hex().to_string()
}

/// What is signed: the digests in order, one a line.
pub(crate) fn message(digests: &[String]) -> Vec<u8> {
    let mut out = DOMAIN.to_owned();
    for digest in digests {
        out.push_str(digest);
        out.push('\n');
    }
    out.into_bytes()
}
