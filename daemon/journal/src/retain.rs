//! Retention: old epochs go away as a whole, behind a summary that keeps the chain provable.
//!
//! What goes is whole epochs (their segments and their store's directory), never a part of one: nothing is pruned
//! inside a store, whose file would not shrink. First the summary is durable in the chain, then files are removed; a
//! cut between leaves files that the next open removes. Money loses nothing by it: the state is in the snapshots, of
//! which the newest two are always kept, and what the records came to is in the summary (pos.md W7).
//!
//! Payload of a summary, integers little endian:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 8 | first record ever removed |
//! | 9 | 8 | last record removed |
//! | 17 | 8 | records removed, all removals together |
//! | 25 | 4 | first epoch kept |
//! | 29 | 8 | seq of the summary before; zero for none |
//! | 37 | 32 | `prev_hash` of the first record ever removed |
//! | 69 | 32 | hash of the last record removed: what the first kept one follows |
//! | 101 | n | totals, the caller's bytes |

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::committer::{NewRecord, Urgency};
use crate::error::{JournalError, Result};
use crate::frame::{Hash, MAX_PAYLOAD, Record};
use crate::journal::Journal;
use crate::read::{damaged, open_frame, walk_frames};
use crate::recover::remove_epochs;
use crate::segment::Image;
use crate::shared::{Shared, lock};
use crate::snapshot;

/// Kind of a summary of removed records.
pub const KIND_SUMMARY: u16 = 0xff02;

const VERSION: u8 = 1;
const HEAD: usize = 101;
/// Most bytes of totals.
pub const MAX_TOTALS: usize = MAX_PAYLOAD - HEAD;

const DAY_MS: i64 = 86_400_000;

/// What must be kept. Besides it the live epoch and what the newest two snapshots need always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Records younger than so many days are kept.
    pub keep_days: u32,
    /// At least so many of the newest records are kept, whatever their age.
    pub min_records: u64,
    /// Records from this one on are kept, whatever their age: what somebody other than the snapshots still needs.
    pub keep_from: Option<u64>,
}

impl Retention {
    /// Keeps months of 31 days: never shorter than calendar months.
    pub const fn months(months: u32, min_records: u64) -> Self {
        Self { keep_days: months.saturating_mul(31), min_records, keep_from: None }
    }
}

/// What stands for the records that were removed. Each one covers all removals before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Where it stands in the journal.
    pub seq: u64,
    /// First record ever removed.
    pub first: u64,
    /// Last record removed.
    pub last: u64,
    /// How many, all removals together.
    pub count: u64,
    /// First epoch kept.
    pub kept_epoch: u32,
    /// Seq of the summary before this one; zero for none.
    pub previous: u64,
    /// `prev_hash` of the first record ever removed.
    pub prev_hash: Hash,
    /// Hash of the last record removed.
    pub head_hash: Hash,
    /// The caller's totals over everything removed.
    pub totals: Vec<u8>,
}

/// A removal about to be made, for the caller to sum up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// First record that will go.
    pub first: u64,
    /// Last record that will go.
    pub last: u64,
    /// What was removed before; its totals belong into the new ones.
    pub previous: Option<Summary>,
}

impl Summary {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + self.totals.len());
        out.push(VERSION);
        for number in [self.first, self.last, self.count] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.kept_epoch.to_le_bytes());
        out.extend_from_slice(&self.previous.to_le_bytes());
        out.extend_from_slice(&self.prev_hash);
        out.extend_from_slice(&self.head_hash);
        out.extend_from_slice(&self.totals);
        out
    }

    /// Reads a record of kind [`KIND_SUMMARY`]; `None` when it is none, or says what cannot be.
    pub fn decode(record: &Record) -> Option<Self> {
        let bytes = &record.payload;
        if record.kind != KIND_SUMMARY || bytes.len() < HEAD || bytes[0] != VERSION {
            return None;
        }
        let u64_at = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let summary = Self {
            seq: record.seq,
            first: u64_at(1)?,
            last: u64_at(9)?,
            count: u64_at(17)?,
            kept_epoch: u32::from_le_bytes(bytes.get(25..29)?.try_into().ok()?),
            previous: u64_at(29)?,
            prev_hash: bytes.get(37..69)?.try_into().ok()?,
            head_hash: bytes.get(69..HEAD)?.try_into().ok()?,
            totals: bytes[HEAD..].to_vec(),
        };
        let sound = summary.first >= 1
            && summary.last >= summary.first
            && summary.last < record.seq
            && summary.count == summary.last - summary.first + 1
            && summary.kept_epoch > 1
            && summary.kept_epoch <= record.epoch;
        sound.then_some(summary)
    }
}

impl Journal {
    /// What stands for the records removed so far; `None` while all are kept.
    pub fn summary(&self) -> Result<Option<Summary>> {
        newest(self.shared())
    }

    /// The last record that [`compact`](Self::compact) would remove now; `None` when nothing may go yet.
    pub fn removable(&self, keep: Retention) -> Result<Option<u64>> {
        Ok(first_to_keep(self.shared(), keep)?.map(|(_, first)| first.saturating_sub(1)))
    }

    /// Removes the epochs that `keep` lets go, and returns their summary; `None` when none may go yet.
    ///
    /// `totals` sums up what goes (at most [`MAX_TOTALS`] bytes; it may read the records, they are still there) and must
    /// take in the totals of the removal before. Everything that goes is read and checked first: damage is refused
    /// with `Damaged`, not summed up. Needs a trusted clock. Blocks; call it off the way of payments.
    pub fn compact(
        &self,
        keep: Retention,
        totals: impl FnOnce(&Removal) -> Vec<u8>,
    ) -> Result<Option<Summary>> {
        let shared = self.shared();
        let _one_at_a_time = lock(&shared.maintenance);
        let previous = newest(shared)?;
        let Some((kept_epoch, kept_first)) = first_to_keep(shared, keep)? else { return Ok(None) };
        let first = lock(&shared.map).first_seq();
        let last = kept_first.saturating_sub(1);
        // The whole chain of it, once more: what is summed up was whole.
        let mut ends: Option<(Hash, Hash)> = None;
        walk_frames(shared, first, Some(last), |r| {
            ends = Some((ends.map_or(r.prev_hash, |e| e.0), r.hash));
            Ok(())
        })?;
        let Some((begin, head_hash)) = ends else { return Ok(None) };
        if previous.as_ref().is_some_and(|p| (p.last + 1, p.head_hash) != (first, begin)) {
            return Err(damaged(shared, first, "it does not follow the records that were removed before"));
        }
        let mut next = None;
        walk_frames(shared, kept_first, Some(kept_first), |r| {
            next = Some(r.prev_hash);
            Ok(())
        })?;
        if next != Some(head_hash) {
            return Err(damaged(shared, kept_first, "it does not follow the record before it"));
        }
        let removal = Removal { first, last, previous };
        let totals = totals(&removal);
        if totals.len() > MAX_TOTALS {
            return Err(JournalError::PayloadTooLarge { len: totals.len(), max: MAX_TOTALS });
        }
        let (ever_first, prev_hash) =
            removal.previous.as_ref().map_or((first, begin), |p| (p.first, p.prev_hash));
        let mut summary = Summary {
            seq: 0,
            first: ever_first,
            last,
            count: last - ever_first + 1,
            kept_epoch,
            previous: removal.previous.as_ref().map_or(0, |p| p.seq),
            prev_hash,
            head_hash,
            totals,
        };
        let record = NewRecord { kind: KIND_SUMMARY, subject: [0; 16], payload: summary.encode() };
        // What makes room may use the last of it.
        summary.seq = self.append_own(vec![record], Urgency::Finish)?.wait()?.last;
        shared.last_summary.store(summary.seq, Ordering::Release);
        let _nobody_opens_one = lock(&shared.opening);
        let stores: Vec<_> = {
            let mut map = lock(&shared.map);
            let gone: BTreeSet<u32> = map.epochs.keys().copied().filter(|e| *e < kept_epoch).collect();
            map.segments.retain(|s| s.epoch >= kept_epoch);
            gone.iter().filter_map(|e| map.epochs.remove(e).and_then(|e| e.store)).collect()
        };
        // A store that somebody still reads keeps its files until the next open.
        let idle = stores.iter().all(|s| Arc::strong_count(s) == 1);
        drop(stores);
        if idle {
            remove_epochs(&shared.options, kept_epoch)?;
            // With its key an epoch is gone from the medium too, whatever an old block or backup still holds of it.
            shared.key.destroy_records_below(kept_epoch)?;
        }
        Ok(Some(summary))
    }
}

/// The newest summary, read and checked.
pub(crate) fn newest(shared: &Arc<Shared>) -> Result<Option<Summary>> {
    let seq = shared.last_summary.load(Ordering::Acquire);
    if seq == 0 {
        return Ok(None);
    }
    let mut found = None;
    walk_frames(shared, seq, Some(seq), |frame| {
        if frame.kind == KIND_SUMMARY {
            found = Summary::decode(&open_frame(shared, frame.clone())?).filter(|s| s.seq == seq);
        }
        Ok(())
    })?;
    found
        .map(Some)
        .ok_or_else(|| damaged(shared, seq, "it is not the summary of removed records it should be"))
}

/// The first epoch that must stay, and its first record; `None` when that is the first there is.
fn first_to_keep(shared: &Arc<Shared>, keep: Retention) -> Result<Option<(u32, u64)>> {
    let now = shared.clock.now();
    if !now.clock_ok {
        return Ok(None);
    }
    let oldest_kept_ms = now.wall_ms.saturating_sub(i64::from(keep.keep_days).saturating_mul(DAY_MS));
    // What the second newest snapshot needs: itself, and what came after the state in it.
    let Some(newest) = snapshot::newest_from(shared, shared.last_snapshot.load(Ordering::Acquire))? else {
        return Ok(None);
    };
    let Some(second) = snapshot::newest_from(shared, newest.previous())? else { return Ok(None) };
    let needed = second.first.min(second.covers.saturating_add(1));
    let head = shared.head().0;
    let bound = needed
        .min(head.saturating_add(1).saturating_sub(keep.min_records))
        .min(keep.keep_from.unwrap_or(u64::MAX));
    let epochs: Vec<(u32, u64)> = lock(&shared.map).epochs.iter().map(|(n, e)| (*n, e.first_seq)).collect();
    let mut kept = None;
    for pair in epochs.windows(2) {
        let [(epoch, _), (next, next_first)] = *pair else { continue };
        // The epoch before it goes when all of it is dispensable, and old by the last time that was trusted in it.
        if next_first <= bound && newest_trusted(shared, epoch)?.is_some_and(|ms| ms < oldest_kept_ms) {
            kept = Some((next, next_first));
        }
    }
    Ok(kept)
}

/// The greatest trusted time in the last segment of an epoch that has any.
fn newest_trusted(shared: &Arc<Shared>, epoch: u32) -> Result<Option<i64>> {
    let paths: Vec<_> =
        lock(&shared.map).segments.iter().filter(|s| s.epoch == epoch).map(|s| s.path.clone()).collect();
    for path in paths.iter().rev() {
        let Ok(image) = Image::read(path, &shared.key)? else { continue };
        let stamps = image.frames.iter().filter_map(|f| image.frame(f)).map(|f| f.stamp);
        let newest = stamps.filter(|s| s.clock_ok).map(|s| s.wall_ms).max();
        if newest.is_some() {
            return Ok(newest);
        }
    }
    Ok(None)
}
