//! What must be found at a start without reading everything: the newest checkpoint, snapshot and summary.
//!
//! A checkpoint stands near the head and carries where the other two are, so looking back as far as the newest
//! checkpoint finds all three.

use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::frame::{Frame, KIND_CHECKPOINT};
use crate::read::{open_frame, walk_frames};
use crate::retain::{KIND_SUMMARY, Summary};
use crate::shared::{Shared, lock};
use crate::snapshot::{self, KIND_SNAPSHOT};

/// Records read at a time on the way back: usually more than lie between two checkpoints.
const WINDOW: u64 = 1100;

/// Seqs of the newest of each at or before some record; zero where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Landmarks {
    pub(crate) checkpoint: u64,
    pub(crate) snapshot: u64,
    pub(crate) summary: u64,
}

impl Landmarks {
    /// What one more record, read in order, says. Only a snapshot's are opened.
    fn note(&mut self, shared: &Shared, record: &Frame) -> Result<()> {
        if record.kind == KIND_CHECKPOINT {
            self.checkpoint = record.seq;
            if let Some(said) = record.in_clear().and_then(|r| Checkpoint::decode(&r.payload)) {
                self.snapshot = self.snapshot.max(said.last_snapshot);
                self.summary = self.summary.max(said.last_summary);
            }
        } else if record.kind == KIND_SNAPSHOT {
            if snapshot::is_seal(record.kind, &open_frame(shared, record.clone())?.payload) {
                self.snapshot = record.seq;
            }
        } else if record.kind == KIND_SUMMARY {
            self.summary = record.seq;
        }
        Ok(())
    }
}

/// Looks back from `from` until a checkpoint is met, or the first record kept.
pub(crate) fn before(shared: &Arc<Shared>, from: u64) -> Result<Landmarks> {
    let mut to = from.min(shared.head().0);
    let mut found = Landmarks::default();
    let mut first = lock(&shared.map).first_seq();
    while to >= first && to > 0 {
        // Never over an epoch's begin: what lies before it may be the rest of an interrupted removal.
        let begin = to.saturating_sub(WINDOW - 1).max(first).max(lock(&shared.map).epoch_first(to));
        let mut here = Landmarks::default();
        let mut kept = 0;
        walk_frames(shared, begin, Some(to), |record| {
            here.note(shared, record)?;
            if record.kind == KIND_SUMMARY
                && let Some(summary) = Summary::decode(&open_frame(shared, record.clone())?)
            {
                kept = summary.last.saturating_add(1);
            }
            Ok(())
        })?;
        first = first.max(kept);
        found.checkpoint = here.checkpoint;
        found.snapshot = found.snapshot.max(here.snapshot);
        found.summary = found.summary.max(here.summary);
        if here.checkpoint > 0 {
            break;
        }
        to = begin.saturating_sub(1);
    }
    Ok(found)
}
