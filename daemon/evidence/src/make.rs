//! Making an evidence file.

use crate::file::{
    FORMAT, Head, JournalState, Line, RecordLine, Seal, StretchLine, VERSION, VERSION_SEALED, digest, message,
};
use crate::frame::{self, Frame, FrameFault};
use crate::identity::Identity;
use crate::merkle::{self, Hash};

/// Why no file was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeError {
    /// There is nothing to show.
    #[error("the journal has no record of this payment")]
    Empty,
    /// A frame that does not read.
    #[error("record {seq}: {fault}; verify the journal")]
    Frame {
        /// Which.
        seq: u64,
        /// What is wrong with it.
        fault: FrameFault,
    },
    /// The text could not be made.
    #[error("the evidence could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// All frames of a stretch.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// Its first record.
    pub first: u64,
    /// The leaf of every record in it, in order.
    pub leaves: Vec<Hash>,
}

/// One record of the payment.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its frame.
    pub frame: Vec<u8>,
    /// What opens the frame, and nothing else; `None` when it is not sealed.
    pub key: Option<[u8; 64]>,
    /// What kind of record it is, for people.
    pub kind: String,
    /// What it says, for people; null when it cannot be read.
    pub says: serde_json::Value,
}

/// What an evidence file is made from.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Name and version of the software.
    pub software: String,
    /// Terminal id.
    pub terminal: String,
    /// Payment.
    pub payment: [u8; 16],
    /// Wall clock now, ms.
    pub exported_ms: i64,
    /// Where the journal stands.
    pub journal: JournalState,
    /// The payment's records, in order.
    pub entries: Vec<Entry>,
    /// The stretches that they lie in.
    pub stretches: Vec<Stretch>,
    /// The receipt's text.
    pub receipt: Option<String>,
}

impl Evidence {
    /// The file, signed.
    pub fn sign(&self, identity: &Identity) -> Result<Vec<u8>, MakeError> {
        let frames = self
            .entries
            .iter()
            .map(|e| {
                let opened = frame::open(&e.frame, e.key.as_ref());
                opened.map_err(|fault| {
                    let seq = Frame::read(&e.frame).map_or(0, |f| f.seq);
                    MakeError::Frame { seq, fault }
                })
            })
            .collect::<Result<Vec<Frame>, _>>()?;
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Err(MakeError::Empty) };
        let mut lines = vec![Line::Head(Head {
            format: FORMAT.into(),
            version: if self.entries.iter().any(|e| e.key.is_some()) { VERSION_SEALED } else { VERSION },
            software: self.software.clone(),
            terminal: self.terminal.clone(),
            public_key: hex::encode(identity.public().0),
            payment: hex::encode(self.payment),
            records: frames.len() as u64,
            first: first.seq,
            last: last.seq,
            exported_ms: self.exported_ms,
            journal: self.journal.clone(),
        })];
        for stretch in &self.stretches {
            lines.push(Line::Stretch(StretchLine {
                first: stretch.first,
                last: stretch.first.saturating_add(stretch.leaves.len() as u64).saturating_sub(1),
                root: hex::encode(merkle::root(&stretch.leaves)),
            }));
        }
        for (frame, entry) in frames.iter().zip(&self.entries) {
            let path = self
                .stretches
                .iter()
                .find_map(|s| {
                    let at = usize::try_from(frame.seq.checked_sub(s.first)?).ok()?;
                    (at < s.leaves.len()).then(|| merkle::path(&s.leaves, at))
                })
                .ok_or(MakeError::Frame { seq: frame.seq, fault: FrameFault::Length })?;
            lines.push(Line::Record(RecordLine {
                seq: frame.seq,
                kind: entry.kind.clone(),
                wall_ms: frame.wall_ms,
                clock_ok: frame.clock_ok,
                says: entry.says.clone(),
                frame: hex::encode(&entry.frame),
                key: entry.key.map(hex::encode),
                path: path.iter().map(hex::encode).collect(),
            }));
        }
        lines.push(Line::Receipt(self.receipt.clone()));
        let texts = lines.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        let digests: Vec<String> = texts.iter().map(|t| digest(t)).collect();
        let signature = hex::encode(identity.sign(&message(&digests)));
        let seal = serde_json::to_string(&Line::Seal(Seal { lines: digests, signature }))?;
        Ok((texts.join("\n") + "\n" + &seal + "\n").into_bytes())
    }
}
