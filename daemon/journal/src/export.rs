//! Evidence: records as JSON lines with their chain, to be checked anywhere, without the journal.
//!
//! The first line names the range and the link before it; then one line a record; the last line closes it. A record
//! whose payload is withheld (another payment's) carries the keyed digest of its body instead, which the chain covers:
//! one payment's evidence holds without showing anybody else's. A record that is sealed in the journal is shown open,
//! with the key that sealed it alone: from both comes the body that the chain covers.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::body::RecordKey;
use crate::clock::Stamp;
use crate::error::{JournalError, Result};
use crate::frame::{Frame, FrameHead, Hash, Subject};
use crate::journal::Journal;
use crate::key::DeviceKey;

const FORMAT: &str = "till-journal-export";
const VERSION: u32 = 1;

/// What an export holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportSummary {
    /// First record.
    pub first: u64,
    /// Last record.
    pub last: u64,
    /// Hash before the first record.
    pub prev_hash: Hash,
    /// Hash of the last record.
    pub head_hash: Hash,
    /// Records in it.
    pub records: u64,
    /// Of these, records whose payload is withheld.
    pub withheld: u64,
    /// Every hash was recomputed with the device key; without it only the links were followed.
    pub authenticated: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    version: u32,
    key: String,
    first: u64,
    last: u64,
    prev_hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    seq: u64,
    epoch: u32,
    kind: u16,
    group_left: u16,
    commit_index: u16,
    boot_id: String,
    wall_ms: i64,
    boottime_ms: u64,
    clock_ok: bool,
    subject: String,
    /// Whether the journal keeps it sealed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sealed: bool,
    /// Length of its body.
    payload_len: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    /// With the payload of a sealed record: what it was sealed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_digest: Option<String>,
    prev_hash: String,
    hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    #[serde(rename = "end")]
    closed: bool,
    records: u64,
    head_hash: String,
}

impl Journal {
    /// Writes records `first` to `last` (both included) with their payloads.
    pub fn export(&self, first: u64, last: u64, out: &mut dyn Write) -> Result<ExportSummary> {
        self.write_export(first, last, |_| true, out)
    }

    /// Writes the stretch from one payment's first to its last record, all other payloads withheld.
    pub fn export_subject(&self, subject: &Subject, out: &mut dyn Write) -> Result<ExportSummary> {
        let records = self.frames_by_subject(subject)?;
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return Err(JournalError::NotFound {
                seq: 0,
                first: self.stats().first_seq,
                last: self.head().seq,
            });
        };
        self.write_export(first.seq, last.seq, |record| record.subject == *subject, out)
    }

    fn write_export(
        &self,
        first: u64,
        last: u64,
        shown: impl Fn(&FrameHead) -> bool,
        out: &mut dyn Write,
    ) -> Result<ExportSummary> {
        let key = &self.shared().key;
        let begin = self.frame(first)?;
        self.frame(last.max(first))?;
        let mut summary = ExportSummary {
            first,
            last: last.max(first),
            prev_hash: begin.prev_hash,
            head_hash: begin.hash,
            records: 0,
            withheld: 0,
            authenticated: true,
        };
        let head = Head {
            format: FORMAT.into(),
            version: VERSION,
            key: hex::encode(key.fingerprint(begin.epoch)),
            first,
            last: summary.last,
            prev_hash: hex::encode(begin.prev_hash),
        };
        put(out, &head)?;
        let mut at = first;
        while at <= summary.last {
            let want = usize::try_from(summary.last - at + 1).unwrap_or(usize::MAX).min(256);
            let page = self.frames(at, want)?;
            for frame in &page {
                let show = shown(frame);
                summary.records += 1;
                summary.withheld += u64::from(!show);
                summary.head_hash = frame.hash;
                put(out, &self.line(frame, show)?)?;
            }
            match page.last() {
                Some(record) => at = record.seq.saturating_add(1),
                None => return Err(JournalError::NotFound { seq: at, first, last: self.head().seq }),
            }
        }
        put(out, &End { closed: true, records: summary.records, head_hash: hex::encode(summary.head_hash) })?;
        out.flush().map_err(|e| write_error(&e))?;
        Ok(summary)
    }
}

impl Journal {
    fn line(&self, frame: &Frame, show: bool) -> Result<Line> {
        let shared = self.shared();
        let (payload, sealed_with) = match (show, frame.sealed) {
            (false, _) => (None, None),
            (true, false) => (Some(frame.body.clone()), None),
            (true, true) => {
                let (payload, key) = shared.key.open(frame, &frame.body)?;
                (Some(payload), Some(key))
            }
        };
        Ok(Line {
            seq: frame.seq,
            epoch: frame.epoch,
            kind: frame.kind,
            group_left: frame.group_left,
            commit_index: frame.commit_index,
            boot_id: hex::encode(frame.boot_id),
            wall_ms: frame.stamp.wall_ms,
            boottime_ms: frame.stamp.boottime_ms,
            clock_ok: frame.stamp.clock_ok,
            subject: hex::encode(frame.subject),
            sealed: frame.sealed,
            payload_len: frame.body.len(),
            payload: payload.map(hex::encode),
            key: sealed_with.map(|key| hex::encode(key.to_bytes())),
            payload_digest: (!show).then(|| hex::encode(shared.key.payload_digest(frame.epoch, &frame.body))),
            prev_hash: hex::encode(frame.prev_hash),
            hash: hex::encode(frame.hash),
        })
    }
}

fn put(out: &mut dyn Write, line: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec(line).map_err(|e| write_error(&e.into()))?;
    text.push(b'\n');
    out.write_all(&text).map_err(|e| write_error(&e))
}

fn write_error(e: &std::io::Error) -> JournalError {
    JournalError::Io {
        what: "write the export to",
        path: Path::new("its destination").into(),
        source: Arc::new(std::io::Error::new(e.kind(), e.to_string())),
    }
}

/// Checks an export read back: order, links, end, and with the device key every hash.
pub fn verify_export(input: impl BufRead, key: Option<&DeviceKey>) -> Result<ExportSummary> {
    let mut lines = input.lines().zip(1u64..);
    let mut next = |wanted: &str| -> Result<(String, u64)> {
        match lines.next() {
            Some((Ok(text), number)) => Ok((text, number)),
            Some((Err(e), line)) => Err(JournalError::BadExport { line, detail: e.to_string() }),
            None => {
                Err(JournalError::BadExport { line: 0, detail: format!("the file ends before {wanted}") })
            }
        }
    };
    let (text, number) = next("its first line")?;
    let head: Head = parse(&text, number)?;
    let bad = |line: u64, detail: &str| Err(JournalError::BadExport { line, detail: detail.into() });
    if head.format != FORMAT || head.version != VERSION || head.last < head.first {
        return bad(number, "not an export of a known version");
    }
    if key.is_some_and(|k| !k.knows(&head.key)) {
        return bad(number, "made with another device's key");
    }
    let prev_hash: Hash = bytes(&head.prev_hash, number)?;
    let mut summary = ExportSummary {
        first: head.first,
        last: head.last,
        prev_hash,
        head_hash: prev_hash,
        records: 0,
        withheld: 0,
        authenticated: key.is_some(),
    };
    for seq in head.first..=head.last {
        let (text, number) = next("its last record")?;
        let line: Line = parse(&text, number)?;
        let (head, hash, digest) = read_line(&line, key, number)?;
        if head.seq != seq || head.prev_hash != summary.head_hash {
            return bad(number, "the record does not follow the one before it");
        }
        if let (Some(key), Some(digest)) = (key, digest)
            && Frame::expected_hash(&head, key, line.payload_len, &digest) != hash
        {
            return bad(number, "the record's hash does not match: it was altered");
        }
        summary.head_hash = hash;
        summary.records += 1;
        summary.withheld += u64::from(line.payload.is_none());
    }
    let (text, number) = next("its end line")?;
    let end: End = parse(&text, number)?;
    if !end.closed
        || end.records != summary.records
        || bytes::<32>(&end.head_hash, number)? != summary.head_hash
    {
        return bad(number, "the end line does not match the records");
    }
    match lines.next() {
        None => Ok(summary),
        Some((_, number)) => bad(number, "there is more behind the end line"),
    }
}

/// The head and the hash of a line's record and, when it can be told, the digest of its body.
fn read_line(line: &Line, key: Option<&DeviceKey>, number: u64) -> Result<(FrameHead, Hash, Option<Hash>)> {
    let bad = |detail: &str| JournalError::BadExport { line: number, detail: detail.into() };
    let head = FrameHead {
        sealed: line.sealed,
        seq: line.seq,
        epoch: line.epoch,
        kind: line.kind,
        group_left: line.group_left,
        commit_index: line.commit_index,
        boot_id: bytes(&line.boot_id, number)?,
        stamp: Stamp { wall_ms: line.wall_ms, boottime_ms: line.boottime_ms, clock_ok: line.clock_ok },
        subject: bytes(&line.subject, number)?,
        prev_hash: bytes(&line.prev_hash, number)?,
    };
    let shown = match (&line.payload, &line.payload_digest) {
        (Some(text), None) => Some(hex::decode(text).map_err(|_| bad("payload is not hexadecimal"))?),
        (None, Some(_)) => None,
        _ => return Err(bad("a record carries its payload or the payload's digest")),
    };
    let digest = match (shown, &line.payload_digest) {
        (Some(payload), _) => {
            let body = match (&line.key, line.sealed) {
                (None, false) => payload,
                (Some(text), true) => RecordKey::from_bytes(&bytes(text, number)?)
                    .body_of(&head, &payload)
                    .ok_or_else(|| bad("the payload cannot be sealed again"))?,
                _ => return Err(bad("a sealed record that is shown carries its key, another does not")),
            };
            if body.len() != line.payload_len {
                return Err(bad("the payload's length is another one"));
            }
            key.map(|k| k.payload_digest(line.epoch, &body))
        }
        (None, Some(text)) => Some(bytes(text, number)?),
        (None, None) => None,
    };
    Ok((head, bytes(&line.hash, number)?, digest))
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str, line: u64) -> Result<T> {
    serde_json::from_str(text).map_err(|e| JournalError::BadExport { line, detail: e.to_string() })
}

fn bytes<const N: usize>(text: &str, line: u64) -> Result<[u8; N]> {
    let mut out = [0u8; N];
    hex::decode_to_slice(text, &mut out)
        .map_err(|e| JournalError::BadExport { line, detail: format!("{text:.40}: {e}") })?;
    Ok(out)
}
