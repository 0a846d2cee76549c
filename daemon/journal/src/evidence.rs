//! What the journal gives to a payment's evidence (crate `till-evidence`): its frames, and the leaves around them.

use till_evidence::{JournalState, Stretch, merkle, stretch_of};

use crate::body::RecordKey;
use crate::error::{JournalError, Result};
use crate::frame::{Frame, Record, Subject};
use crate::journal::Journal;
use crate::read::{MAX_PAGE, open_frame};

/// One payment's part of the journal.
#[derive(Debug, Clone)]
pub struct EvidenceSlice {
    /// Where the journal stood.
    pub journal: JournalState,
    /// The payment's records, in order. All were checked with the key.
    pub records: Vec<EvidenceRecord>,
    /// The stretches of up to 1024 records that they lie in.
    pub stretches: Vec<Stretch>,
}

/// One record of the payment.
#[derive(Debug, Clone)]
pub struct EvidenceRecord {
    /// The record, open.
    pub record: Record,
    /// Its frame as it lies on disk.
    pub frame: Vec<u8>,
    /// What opens this frame and no other; `None` when it lies there in clear.
    pub key: Option<RecordKey>,
}

impl Journal {
    /// What a payment's evidence is made from. Reads at most 1024 records for each record of the payment; opens the
    /// payment's own only.
    pub fn evidence(&self, subject: &Subject) -> Result<EvidenceSlice> {
        let (head, first) = (self.head(), self.stats().first_seq);
        let mut frames = self.frames_by_subject(subject)?;
        // What is appended meanwhile belongs to a later export.
        frames.retain(|frame| frame.seq <= head.seq);
        if frames.is_empty() {
            return Err(JournalError::NotFound { seq: 0, first, last: head.seq });
        }
        let mut stretches: Vec<Stretch> = Vec::new();
        for frame in &frames {
            let (from, to) = stretch_of(frame.seq);
            let (from, to) = (from.max(first), to.min(head.seq));
            if stretches.last().is_none_or(|s| s.first != from) {
                stretches.push(Stretch { first: from, leaves: self.leaves(from, to)? });
            }
        }
        let shared = self.shared();
        let records = frames
            .into_iter()
            .map(|frame| {
                let bytes = bytes(&frame);
                let key =
                    if frame.sealed { Some(shared.key.open(&frame.head, &frame.body)?.1) } else { None };
                Ok(EvidenceRecord { record: open_frame(shared, frame)?, frame: bytes, key })
            })
            .collect::<Result<_>>()?;
        let journal = JournalState { first, head: head.seq, head_hash: hex::encode(head.hash) };
        Ok(EvidenceSlice { journal, records, stretches })
    }

    fn leaves(&self, from: u64, to: u64) -> Result<Vec<merkle::Hash>> {
        let mut out = Vec::new();
        let mut at = from;
        while at <= to {
            let page = self.frames(at, usize::try_from(to - at + 1).unwrap_or(MAX_PAGE))?;
            let Some(last) = page.last().map(|frame| frame.seq) else {
                return Err(JournalError::NotFound { seq: at, first: from, last: to });
            };
            out.extend(page.iter().map(|frame| merkle::leaf(&bytes(frame))));
            at = last.saturating_add(1);
        }
        Ok(out)
    }
}

fn bytes(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode_into(&mut out);
    out
}
