//! Epochs that are no longer written: finishing an interrupted removal, and the same repair as for the live one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::segments::Known;
use super::{Deep, Recovery, open_checked, read_start};
use crate::disk;
use crate::error::{JournalError, Result};
use crate::frame::Hash;
use crate::options::{Options, store_dir};
use crate::report::{OpenEvent, OpenReport};
use crate::retain::Summary;
use crate::segment::{self, Found, Header, Image, Tail};
use crate::shared::{Shared, lock};
use crate::store::Store;

/// Removes what epochs below `kept` have left; true when there was anything.
///
/// Only after their summary is durable. Whatever a cut leaves of them is removed at the next open.
pub(crate) fn remove_epochs(options: &Options, kept: u32) -> Result<bool> {
    let mut any = false;
    for file in segment::find(&options.segments())?.into_iter().filter(|f| f.epoch < kept) {
        fs::remove_file(&file.path).map_err(|e| JournalError::io("remove", &file.path, e))?;
        any = true;
    }
    for epoch in store_epochs(&options.dir)?.into_iter().filter(|e| *e < kept) {
        let path = store_dir(&options.dir, epoch);
        match fs::remove_dir_all(&path) {
            Ok(()) => any = true,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(JournalError::io("remove", &path, e)),
        }
    }
    if any {
        disk::sync_path(&options.segments())?;
        disk::sync_path(&options.dir)?;
    }
    Ok(any)
}

/// Epochs that have a store directory.
pub(crate) fn store_epochs(dir: &Path) -> Result<Vec<u32>> {
    let mut out = Vec::new();
    for path in disk::list(dir)? {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if name.len() == 8
            && path.is_dir()
            && let Ok(epoch) = name.parse()
        {
            out.push(epoch);
        }
    }
    Ok(out)
}

/// Where the records begin that must be there.
pub(crate) enum Begin<'a> {
    /// Nothing was ever removed.
    First,
    /// What stands for those that were removed.
    After(&'a Summary),
    /// Not known yet, because the summary itself is in a damaged epoch: what is there is repaired.
    WithWhatIsThere,
}

/// Finishes a removal, repairs what is damaged in older epochs, and says what is gone. Returns what was done.
///
/// An older epoch that is lost in both copies does not stop the till: its state is in the snapshots. It is told as
/// an alarm, and reading it is refused with `Damaged`.
pub(crate) fn settle_old(shared: &Arc<Shared>, deep: &Deep, begin: &Begin<'_>) -> Result<Vec<OpenEvent>> {
    let options = &shared.options;
    let live = lock(&shared.map).live;
    let summary = match begin {
        Begin::After(summary) => Some(*summary),
        Begin::First | Begin::WithWhatIsThere => None,
    };
    let mut recovery = Recovery {
        options,
        key: &shared.key,
        now_ms: shared.clock.now().wall_ms,
        report: OpenReport::default(),
    };
    // One that was opened to look for the landmarks would be in its own way.
    for (epoch, entry) in &mut lock(&shared.map).epochs {
        if *epoch != live {
            entry.store = None;
        }
    }
    let first_kept = match begin {
        Begin::First => 1,
        Begin::After(summary) => summary.kept_epoch,
        Begin::WithWhatIsThere => first_there(options)?.unwrap_or(live).clamp(1, live),
    };
    if summary.is_some() && remove_epochs(options, first_kept)? {
        recovery.report.add(OpenEvent::RemovalFinished { below: first_kept });
    }
    if summary.is_some()
        && let Err(e) = shared.key.destroy_records_below(first_kept)
    {
        // The records are gone; a key that outlives them is told, and tried again at the next open.
        recovery.report.add(OpenEvent::RecordKeyTrouble { why: e.to_string() });
    }
    let mut firsts: BTreeMap<u32, u64> = BTreeMap::new();
    let mut stores: BTreeMap<u32, Arc<Store>> = BTreeMap::new();
    let mut changed = summary.is_some() && lock(&shared.map).epochs.keys().any(|e| *e < first_kept);
    // Seq and hash of the last record of the epoch before.
    let mut end = summary.map_or((0, [0; 32]), |s| (s.last, s.head_hash));
    let mut lost: BTreeSet<u32> = BTreeSet::new();
    if summary.is_none() && first_kept > 1 {
        // Nothing says what the first one follows.
        lost.insert(first_kept - 1);
    }
    for epoch in first_kept..live {
        let found: Vec<Found> =
            segment::find(&options.segments())?.into_iter().filter(|f| f.epoch == epoch).collect();
        let known = (!lost.contains(&epoch.saturating_sub(1))).then_some(end);
        if !deep.names(epoch)
            && let Some(whole) = recovery.looks_whole(epoch, &found, known)?
        {
            end = whole;
            continue;
        }
        changed = true;
        match recovery.settle_epoch(epoch, &found, known, deep.names(epoch)) {
            Ok((first, last, store)) => {
                firsts.insert(epoch, first);
                stores.insert(epoch, store);
                end = last;
            }
            Err(JournalError::Damaged { seq, detail, .. }) => {
                lost.insert(epoch);
                recovery.report.add(OpenEvent::EpochDamaged { epoch, seq, why: detail });
                if let Some((last, _)) = known {
                    firsts.insert(epoch, last.saturating_add(1));
                }
            }
            Err(e) => return Err(e),
        }
    }
    if changed {
        let store = Arc::clone(&shared.tail().store);
        let mut map = recovery.map(live, &store, firsts)?;
        map.epochs.retain(|epoch, _| *epoch >= first_kept);
        map.segments.retain(|s| s.epoch >= first_kept);
        for (epoch, store) in stores {
            if let Some(entry) = map.epochs.get_mut(&epoch) {
                entry.store = Some(store);
            }
        }
        *lock(&shared.map) = map;
    }
    Ok(recovery.report.events)
}

/// The oldest epoch of which there is anything.
fn first_there(options: &Options) -> Result<Option<u32>> {
    let segments = segment::find(&options.segments())?.into_iter().map(|f| f.epoch);
    Ok(segments.chain(store_epochs(&options.dir)?).min())
}

impl Recovery<'_> {
    /// The last record of a closed epoch that has every file, in order and with the right length, the last one whole,
    /// and joins the epochs beside it. `None` when it must be looked at closely.
    fn looks_whole(
        &self,
        epoch: u32,
        found: &[Found],
        known: Option<(u64, Hash)>,
    ) -> Result<Option<(u64, Hash)>> {
        let mut first_seq = 0;
        for (index, file) in found.iter().enumerate() {
            let Ok(header) = Header::decode(&read_start(&file.path)?) else { return Ok(None) };
            let len = fs::metadata(&file.path).map_err(|e| JournalError::io("inspect", &file.path, e))?.len();
            let joins = index > 0
                || known.is_none_or(|(seq, hash)| (header.first_seq, header.prev_hash) == (seq + 1, hash));
            if file.number as usize != index + 1
                || len != header.size
                || header.first_seq < first_seq
                || !joins
            {
                return Ok(None);
            }
            first_seq = header.first_seq;
        }
        let Some(last) = found.last() else { return Ok(None) };
        let Ok(image) = Image::read(&last.path, self.key)? else { return Ok(None) };
        let end = (image.next_seq().saturating_sub(1), image.last_hash);
        if image.tail != Tail::Clean || self.next_begin(epoch)?.is_some_and(|next| next != (end.0 + 1, end.1))
        {
            return Ok(None);
        }
        Ok(Some(end))
    }

    /// Opens the store of a closed epoch whose segments were found whole, or settles the epoch.
    pub(crate) fn open_old(&mut self, epoch: u32) -> Result<Arc<Store>> {
        let found: Vec<Found> =
            segment::find(&self.options.segments())?.into_iter().filter(|f| f.epoch == epoch).collect();
        let header = match found.first() {
            Some(file) if file.number == 1 => Header::decode(&read_start(&file.path)?).ok(),
            _ => None,
        };
        let (Some(header), Some(last)) = (header, found.last()) else {
            return Ok(self.settle_epoch(epoch, &found, None, false)?.2);
        };
        let before = (header.first_seq.saturating_sub(1), header.prev_hash);
        let last = Image::read(&last.path, self.key)?.ok();
        let checked = open_checked(self, epoch)?;
        self.settle_store(epoch, checked, before, last.as_ref())
    }

    /// First seq of the epoch after `epoch`, and the hash it follows, as its first segment says.
    fn next_begin(&self, epoch: u32) -> Result<Option<(u64, Hash)>> {
        for file in segment::find(&self.options.segments())? {
            if file.epoch == epoch.saturating_add(1) && file.number == 1 {
                let header = Header::decode(&read_start(&file.path)?).ok();
                return Ok(header.map(|h| (h.first_seq, h.prev_hash)));
            }
        }
        Ok(None)
    }

    /// Makes both copies of a closed epoch whole. Returns its first seq, its last record, and its store.
    pub(crate) fn settle_epoch(
        &mut self,
        epoch: u32,
        found: &[Found],
        known: Option<(u64, Hash)>,
        deep: bool,
    ) -> Result<(u64, (u64, Hash), Arc<Store>)> {
        let checked = open_checked(self, epoch)?;
        let before = match known {
            Some(known) => known,
            None => self.link_before(epoch, found, checked.store(), None)?,
        };
        let settled = {
            let known = Known { store: checked.store(), before, deep: true, closed: true };
            self.settle_segments(epoch, found, &known)?
        };
        let end = (settled.next_seq().saturating_sub(1), settled.last_hash);
        if let Some(next) = self.next_begin(epoch)?
            && next != (end.0 + 1, end.1)
        {
            return Err(self.damaged(end.0 + 1, "the records before the next epoch are lost in both copies"));
        }
        if deep && let Some(store) = checked.store() {
            store.clear_index()?;
        }
        let store = self.settle_store(epoch, checked, before, Some(&settled))?;
        disk::sync_tree(&self.options.store_dir(epoch))?;
        disk::sync_path(&self.options.segments())?;
        Ok((before.0.saturating_add(1), end, store))
    }
}
