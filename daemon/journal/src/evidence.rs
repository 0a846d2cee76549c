//! What the journal gives to a payment's evidence (crate `till-evidence`): its frames, and the leaves around them.

use till_evidence::{JournalState, Stretch, merkle, stretch_of};

use crate::error::{JournalError, Result};
use crate::frame::{Record, Subject};
use crate::journal::Journal;
use crate::read::MAX_PAGE;

/// One payment's part of the journal.
#[derive(Debug, Clone)]
pub struct EvidenceSlice {
    /// Where the journal stood.
    pub journal: JournalState,
    /// The payment's records, in order, each with its frame as it lies on disk. All were checked with the key.
    pub records: Vec<(Record, Vec<u8>)>,
    /// The stretches of up to 1024 records that they lie in.
    pub stretches: Vec<Stretch>,
}

impl Journal {
    /// What a payment's evidence is made from. Reads at most 1024 records for each record of the payment.
    pub fn evidence(&self, subject: &Subject) -> Result<EvidenceSlice> {
        let (head, first) = (self.head(), self.stats().first_seq);
        let mut records = self.by_subject(subject)?;
        // What is appended meanwhile belongs to a later export.
        records.retain(|r| r.seq <= head.seq);
        if records.is_empty() {
            return Err(JournalError::NotFound { seq: 0, first, last: head.seq });
        }
        let mut stretches: Vec<Stretch> = Vec::new();
        for record in &records {
            let (from, to) = stretch_of(record.seq);
            let (from, to) = (from.max(first), to.min(head.seq));
            if stretches.last().is_none_or(|s| s.first != from) {
                stretches.push(Stretch { first: from, leaves: self.leaves(from, to)? });
            }
        }
        let records =
            records.into_iter().map(|record| (frame(&record), record)).map(|(f, r)| (r, f)).collect();
        let journal = JournalState { first, head: head.seq, head_hash: hex::encode(head.hash) };
        Ok(EvidenceSlice { journal, records, stretches })
    }

    fn leaves(&self, from: u64, to: u64) -> Result<Vec<merkle::Hash>> {
        let mut out = Vec::new();
        let mut at = from;
        while at <= to {
            let page = self.range(at, usize::try_from(to - at + 1).unwrap_or(MAX_PAGE))?;
            let Some(last) = page.last().map(|r| r.seq) else {
                return Err(JournalError::NotFound { seq: at, first: from, last: to });
            };
            out.extend(page.iter().map(|record| merkle::leaf(&frame(record))));
            at = last.saturating_add(1);
        }
        Ok(out)
    }
}

fn frame(record: &Record) -> Vec<u8> {
    let mut out = Vec::new();
    record.encode_into(&mut out);
    out
}
