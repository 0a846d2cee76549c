//! Verifying an evidence file: a pure function of its bytes and a public key.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::file::{
    FORMAT, Head, Line, RecordLine, Seal, StretchLine, VERSION, VERSION_SEALED, digest, message,
};
use crate::frame::{self, Frame};
use crate::identity::PublicKey;
use crate::{JournalState, merkle, stretch_of};

/// Largest file that is looked at: 4096 records of a payment and more.
const MAX: usize = 64 << 20;

/// What is wrong with an evidence file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Not an evidence file, or cut off.
    #[error("not a whole evidence file: {detail}; ask for the file again")]
    Form {
        /// What was found.
        detail: String,
    },
    /// A line was altered after the file was signed.
    #[error("line {line} ({what}) was altered after the till signed the file; do not rely on it")]
    Altered {
        /// Line, counted from 1.
        line: usize,
        /// What the line holds.
        what: String,
    },
    /// The last line was altered, or is another file's.
    #[error(
        "the signature in line {line} does not hold: that line was altered, or another key signed; do not rely on this file"
    )]
    Signature {
        /// Line, counted from 1.
        line: usize,
    },
    /// Another till's.
    #[error(
        "signed with another key: the file names {named}, the key given is {given}; get the public key of that till"
    )]
    OtherKey {
        /// Fingerprint in the file.
        named: String,
        /// Fingerprint of the key given.
        given: String,
    },
    /// Signed so, but it does not hold together: the till made a wrong file.
    #[error("line {line}: {detail}; the till signed it so, do not rely on it")]
    Content {
        /// Line, counted from 1.
        line: usize,
        /// What does not hold.
        detail: String,
    },
}

/// What a file that holds says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Payment id, 32 hexadecimal digits.
    pub payment: String,
    /// Terminal id, as the till says.
    pub terminal: String,
    /// Software that made the file.
    pub software: String,
    /// Fingerprint of the key that signed.
    pub key: String,
    /// The caller knew the key. If not, anybody may have made the file: compare the fingerprint.
    pub key_was_given: bool,
    /// When it was made, ms, as the till says.
    pub exported_ms: i64,
    /// Where the journal stood.
    pub journal: JournalState,
    /// The payment's records.
    pub records: Vec<ReportRecord>,
    /// The stretches they lie in: equal in all evidence of this till.
    pub stretches: Vec<ReportStretch>,
    /// Receipt, as text.
    pub receipt: Option<String>,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReportRecord {
    /// Place in the journal.
    pub seq: u64,
    /// What it is.
    pub kind: String,
    /// When, ms, by the till's clock.
    pub wall_ms: i64,
    /// Whether the till trusted its clock.
    pub clock_ok: bool,
    /// What it says, as the till puts it.
    pub says: serde_json::Value,
    /// The record's own bytes, opened, hexadecimal.
    pub bytes: String,
}

/// A stretch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportStretch {
    /// First record.
    pub first: u64,
    /// Last record.
    pub last: u64,
    /// Merkle root, hexadecimal.
    pub root: String,
}

type Result<T> = std::result::Result<T, EvidenceError>;

fn form(detail: impl Into<String>) -> EvidenceError {
    EvidenceError::Form { detail: detail.into() }
}

/// Checks an evidence file under the till's public key; without one, under the key that the file names, which proves
/// only that nobody altered it since.
pub fn verify_evidence(bytes: &[u8], key: Option<&PublicKey>) -> Result<Report> {
    if bytes.len() > MAX {
        return Err(form("it is far too large"));
    }
    let text =
        std::str::from_utf8(bytes).map_err(|e| form(format!("byte {} is no text", e.valid_up_to())))?;
    let body = text.strip_suffix('\n').ok_or_else(|| form("its last line is cut off"))?;
    let lines: Vec<&str> = body.split('\n').collect();
    let (seal_text, signed) = lines.split_last().ok_or_else(|| form("it is empty"))?;
    let seal_line = lines.len();
    let Ok(Line::Seal(seal)) = serde_json::from_str(seal_text) else {
        return Err(form(format!("line {seal_line} is no seal")));
    };
    check_signature(&seal, seal_text, signed, key)?;
    for (number, (line, digest_then)) in signed.iter().zip(&seal.lines).enumerate() {
        if digest(line) != *digest_then {
            return Err(EvidenceError::Altered { line: number + 1, what: what(line, number) });
        }
    }
    if signed.len() != seal.lines.len() {
        let (line, what) = (signed.len().min(seal.lines.len()) + 1, "lines were removed or added".into());
        return Err(EvidenceError::Altered { line, what });
    }
    read(signed, key)
}

/// The signature over the digests, and that the last line has one form only.
fn check_signature(seal: &Seal, text: &str, signed: &[&str], key: Option<&PublicKey>) -> Result<()> {
    let line = signed.len() + 1;
    let refused = EvidenceError::Signature { line };
    let named = signed.first().and_then(|first| match serde_json::from_str(first) {
        Ok(Line::Head(head)) => named_key(&head),
        _ => None,
    });
    let Some(by) = key.copied().or(named) else { return Err(form("line 1 names no till and no key")) };
    let canonical = serde_json::to_string(&Line::Seal(seal.clone())).is_ok_and(|again| again == text);
    let signature = hex::decode(&seal.signature).ok().filter(|s| hex::encode(s) == seal.signature);
    let Some(signature) = signature.filter(|_| canonical) else { return Err(refused) };
    if by.verifies(&message(&seal.lines), &signature) {
        return Ok(());
    }
    match (key, named) {
        (Some(given), Some(named)) if *given != named => {
            Err(EvidenceError::OtherKey { named: named.fingerprint(), given: given.fingerprint() })
        }
        _ => Err(refused),
    }
}

fn named_key(head: &Head) -> Option<PublicKey> {
    bytes(&head.public_key).map(PublicKey)
}

/// What a line holds, for people; the line may be altered.
fn what(line: &str, number: usize) -> String {
    match serde_json::from_str(line) {
        Ok(Line::Head(_)) => "head".into(),
        Ok(Line::Stretch(s)) => format!("stretch {} to {}", s.first, s.last),
        Ok(Line::Record(r)) => format!("record {}", r.seq),
        Ok(Line::Receipt(_)) => "receipt".into(),
        _ if number == 0 => "head".into(),
        _ => "no longer readable".into(),
    }
}

/// Whether what was signed holds together.
fn read(lines: &[&str], given: Option<&PublicKey>) -> Result<Report> {
    let mut parsed = lines.iter().zip(1usize..).map(|(text, line)| match serde_json::from_str(text) {
        Ok(parsed) => Ok((parsed, line)),
        Err(e) => Err(EvidenceError::Content { line, detail: e.to_string() }),
    });
    let fail = |line: usize, detail: &str| Err(EvidenceError::Content { line, detail: detail.into() });
    let Some(Ok((Line::Head(head), _))) = parsed.next() else { return fail(1, "no head") };
    if head.format != FORMAT || !(VERSION..=VERSION_SEALED).contains(&head.version) {
        return fail(1, "a later form of evidence: use a newer tillctl");
    }
    let (Some(key), Some(payment)) = (named_key(&head), bytes::<16>(&head.payment)) else {
        return fail(1, "the key or the payment is not hexadecimal");
    };
    // The report says whose the file is: what the head names must be what signed.
    if given.is_some_and(|given| *given != key) {
        return fail(1, "it names another key than the one that signed");
    }
    let mut stretches: Vec<StretchLine> = Vec::new();
    let mut records: Vec<(Frame, ReportRecord)> = Vec::new();
    let mut used: BTreeSet<u64> = BTreeSet::new();
    let mut receipt = None;
    for item in parsed {
        let (item, line) = item?;
        let bad = |detail: &str| EvidenceError::Content { line, detail: detail.into() };
        match item {
            _ if receipt.is_some() => return Err(bad("something follows the receipt")),
            Line::Stretch(s) if records.is_empty() => {
                check_stretch(&s, &head.journal, stretches.last()).map_err(bad)?;
                stretches.push(s);
            }
            Line::Record(record) => {
                let (frame, first) =
                    check_record(&record, payment, &stretches, records.last()).map_err(|e| bad(&e))?;
                used.insert(first);
                let RecordLine { seq, kind, wall_ms, clock_ok, says, .. } = record;
                let bytes = hex::encode(&frame.payload);
                records.push((frame, ReportRecord { seq, kind, wall_ms, clock_ok, says, bytes }));
            }
            Line::Receipt(text) => receipt = Some(text),
            _ => return Err(bad("not in its place")),
        }
    }
    let seqs = records.first().zip(records.last()).map(|(a, b)| (a.0.seq, b.0.seq));
    if seqs != Some((head.first, head.last)) || head.records != records.len() as u64 {
        return fail(1, "the head does not say how many records there are, and which");
    }
    if used.len() != stretches.len() {
        return fail(1, "a stretch that no record lies in");
    }
    let newest = records.iter().find(|(frame, _)| frame.seq == head.journal.head);
    if newest.is_some_and(|(frame, _)| hex::encode(frame.hash) != head.journal.head_hash) {
        return fail(1, "the journal's head is not the newest record");
    }
    let Some(receipt) = receipt else { return fail(lines.len(), "no receipt line") };
    Ok(Report {
        payment: head.payment,
        terminal: head.terminal,
        software: head.software,
        key: key.fingerprint(),
        key_was_given: given.is_some(),
        exported_ms: head.exported_ms,
        journal: head.journal,
        records: records.into_iter().map(|(_, record)| record).collect(),
        stretches: stretches
            .into_iter()
            .map(|StretchLine { first, last, root }| ReportStretch { first, last, root })
            .collect(),
        receipt,
    })
}

/// A stretch is its fixed 1024 records, less what the journal has not yet or no longer.
fn check_stretch(
    s: &StretchLine,
    journal: &JournalState,
    before: Option<&StretchLine>,
) -> std::result::Result<(), &'static str> {
    let (first, last) = stretch_of(s.first);
    let whole = s.first == first.max(journal.first) && s.last == last.min(journal.head);
    if !whole || s.last < s.first || s.first == 0 {
        return Err("not a whole stretch of the journal");
    }
    if before.is_some_and(|b| b.last >= s.first) {
        return Err("stretches out of order");
    }
    bytes::<32>(&s.root).map(|_| ()).ok_or("the root is not hexadecimal")
}

/// The frame, and the first record of the stretch it lies in.
fn check_record(
    record: &RecordLine,
    payment: [u8; 16],
    stretches: &[StretchLine],
    before: Option<&(Frame, ReportRecord)>,
) -> std::result::Result<(Frame, u64), String> {
    let seq = record.seq;
    let wrong = |why: &str| format!("record {seq}: {why}");
    let raw = hex::decode(&record.frame).map_err(|_| wrong("the frame is not hexadecimal"))?;
    let key = match record.key.as_deref().map(bytes::<64>) {
        None => None,
        Some(Some(key)) => Some(key),
        Some(None) => return Err(wrong("its key is not hexadecimal")),
    };
    let frame = frame::open(&raw, key.as_ref()).map_err(|e| wrong(&e.to_string()))?;
    if (frame.seq, frame.wall_ms, frame.clock_ok) != (seq, record.wall_ms, record.clock_ok) {
        return Err(wrong("number or time differ from the frame's"));
    }
    if frame.subject != payment {
        return Err(wrong("the frame is another payment's"));
    }
    if let Some((last, _)) = before {
        if frame.seq <= last.seq {
            return Err(wrong("out of order"));
        }
        if frame.seq == last.seq + 1 && frame.prev_hash != last.hash {
            return Err(wrong("it does not follow the record before it"));
        }
    }
    let stretch = stretches
        .iter()
        .find(|s| (s.first..=s.last).contains(&seq))
        .ok_or_else(|| wrong("no stretch has it"))?;
    let path: Option<Vec<merkle::Hash>> = record.path.iter().map(|text| bytes(text)).collect();
    let path = path.filter(|p| p.len() <= merkle::MAX_PATH).ok_or_else(|| wrong("its path is not one"))?;
    let count = stretch.last - stretch.first + 1;
    let reached = merkle::climb(merkle::leaf(&raw), seq - stretch.first, count, &path);
    if reached.map(hex::encode).as_deref() != Some(&stretch.root) {
        return Err(wrong("its path does not lead to the root of its stretch"));
    }
    Ok((frame, stretch.first))
}

/// Lower-case hexadecimal of exactly so many bytes.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    hex::decode_to_slice(text, &mut out).ok()?;
    (hex::encode(out) == text).then_some(out)
}
