//! Which epochs and segments the journal consists of.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::store::Store;

/// One epoch: one store directory.
#[derive(Debug)]
pub(crate) struct Epoch {
    pub(crate) first_seq: u64,
    /// Opened at need; always there for the live epoch.
    pub(crate) store: Option<Arc<Store>>,
}

/// One segment file.
#[derive(Debug, Clone)]
pub(crate) struct SegmentAt {
    pub(crate) first_seq: u64,
    pub(crate) epoch: u32,
    pub(crate) number: u32,
    pub(crate) path: PathBuf,
}

/// All epochs and segments, the live epoch last.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) live: u32,
    pub(crate) epochs: BTreeMap<u32, Epoch>,
    pub(crate) segments: Vec<SegmentAt>,
}

impl Map {
    /// First record kept.
    pub(crate) fn first_seq(&self) -> u64 {
        self.epochs.values().map(|e| e.first_seq).min().unwrap_or(1)
    }

    /// The epoch that holds `seq`, and the first seq of the epoch after it.
    pub(crate) fn epoch_of(&self, seq: u64) -> (u32, Option<u64>) {
        let mut at = self.live;
        let mut after = None;
        for (number, epoch) in self.epochs.iter().rev() {
            at = *number;
            if epoch.first_seq <= seq {
                break;
            }
            after = Some(epoch.first_seq);
        }
        (at, after)
    }

    /// Where the epoch that holds `seq` begins.
    pub(crate) fn epoch_first(&self, seq: u64) -> u64 {
        self.epochs.get(&self.epoch_of(seq).0).map_or(1, |e| e.first_seq)
    }

    /// The segment that should hold `seq`: the last one that begins at or before it.
    pub(crate) fn segment_of(&self, seq: u64) -> Option<&SegmentAt> {
        self.segments.iter().rev().find(|s| s.first_seq <= seq)
    }
}
