//! Making, checking, refilling and rebuilding a store.

use std::fs;
use std::sync::Arc;

use super::Recovery;
use crate::disk;
use crate::error::{JournalError, Result};
use crate::frame::{Frame, Hash};
use crate::options::Options;
use crate::probe::{Verdict, try_store};
use crate::report::OpenEvent;
use crate::segment::{self, Image};
use crate::store::Store;

/// Records checked with the key at every open: always more than lie between two checkpoints.
const WINDOW: u64 = 1100;

/// A store directory after its probe.
pub(crate) enum Checked {
    Good(Arc<Store>),
    /// Not to be used, and why.
    Bad(String),
}

impl Checked {
    pub(super) fn store(&self) -> Option<&Arc<Store>> {
        match self {
            Self::Good(store) => Some(store),
            Self::Bad(_) => None,
        }
    }
}

/// Makes an epoch's store durably: aside, every file and directory synced, renamed. An empty one that is already
/// there (of an unfinished rotation) is taken.
pub(crate) fn create_store(options: &Options, epoch: u32) -> Result<Store> {
    let path = options.store_dir(epoch);
    if !path.exists() {
        let aside = path.with_extension("new");
        drop(Store::open(&aside)?);
        disk::sync_tree(&aside)?;
        disk::rename(&aside, &path)?;
    }
    Store::open(&path)
}

/// Probes an epoch's store and opens it when it is good.
pub(crate) fn open_checked(recovery: &mut Recovery<'_>, epoch: u32) -> Result<Checked> {
    let dir = recovery.options.store_dir(epoch);
    if !dir.exists() {
        return Ok(Checked::Bad("the store's directory is gone".into()));
    }
    // A cut while sled writes a snapshot leaves a file that it then takes for a snapshot (sled #1527).
    recovery.remove_snapshots(epoch, true)?;
    let mut tried = recovery.probe(epoch)?;
    if let Some(why) = tried.take() {
        recovery.remove_snapshots(epoch, false)?;
        match recovery.probe(epoch)? {
            None => recovery.report.add(OpenEvent::SnapshotsRemoved { why }),
            Some(why) => return Ok(Checked::Bad(why)),
        }
    }
    Ok(match Store::open(&dir) {
        Ok(store) => Checked::Good(Arc::new(store)),
        Err(e @ (JournalError::StorageFull { .. } | JournalError::Locked { .. })) => return Err(e),
        Err(e) => Checked::Bad(e.to_string()),
    })
}

impl Recovery<'_> {
    /// `None` when the store is good, else what is wrong with it.
    fn probe(&self, epoch: u32) -> Result<Option<String>> {
        let dir = self.options.store_dir(epoch);
        let verdict = try_store(&self.options.probe, &dir, self.options.probe_limit)?;
        let free = disk::free_bytes(&self.options.dir);
        match verdict {
            Verdict::Good(_) => Ok(None),
            // On a full disk a sound store does not open either: that is no reason to put it away.
            Verdict::Full => Err(JournalError::StorageFull { free, needed: 2 << 20 }),
            Verdict::Locked => Err(JournalError::Locked { dir }),
            Verdict::Bad(_) if free < 1 << 20 => Err(JournalError::StorageFull { free, needed: 2 << 20 }),
            Verdict::Bad(why) => Ok(Some(why)),
        }
    }

    fn remove_snapshots(&self, epoch: u32, unfinished_only: bool) -> Result<()> {
        for path in disk::list(&self.options.store_dir(epoch))? {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if name.starts_with("snap.") && (!unfinished_only || name.ends_with(".generating")) {
                fs::remove_file(&path).map_err(|e| JournalError::io("remove", &path, e))?;
            }
        }
        Ok(())
    }

    /// Brings the store up to the segments; a store that contradicts them is put away and made anew.
    pub(crate) fn settle_store(
        &mut self,
        epoch: u32,
        checked: Checked,
        before: (u64, Hash),
        last: Option<&Image>,
    ) -> Result<Arc<Store>> {
        let why = match checked {
            Checked::Good(store) => match self.compare(epoch, &store, before, last) {
                Ok(Ok(0)) => return Ok(store),
                Ok(Ok(records)) => {
                    self.report.add(OpenEvent::StoreRefilled { records });
                    return Ok(store);
                }
                Ok(Err(why)) => why,
                Err(JournalError::Store { what, detail }) => format!("{what}: {detail}"),
                Err(e) => return Err(e),
            },
            Checked::Bad(why) => why,
        };
        self.rebuild(epoch, before, why)
    }

    /// `Ok(Ok(n))`: the store agrees, `n` records were put into it. `Ok(Err(why))`: it does not.
    fn compare(
        &self,
        epoch: u32,
        store: &Arc<Store>,
        before: (u64, Hash),
        last: Option<&Image>,
    ) -> Result<std::result::Result<u64, String>> {
        let first = before.0.saturating_add(1);
        match store.first_seq()? {
            Some(seq) if seq != first => return Ok(Err(format!("begins at record {seq}, not {first}"))),
            _ => {}
        }
        let store_head = store.last()?.map_or(before.0, |(seq, _)| seq);
        let from = store_head.saturating_sub(WINDOW).max(first);
        let mut link = if from == first { Some(before.1) } else { None };
        for seq in from..=store_head {
            let Some(bytes) = store.get(seq)? else { return Ok(Err(format!("record {seq} is missing"))) };
            match Frame::decode_exact(&bytes, self.key) {
                Ok(r) if r.seq == seq && r.epoch == epoch && link.is_none_or(|l| l == r.prev_hash) => {
                    link = Some(r.hash);
                }
                Ok(_) => return Ok(Err(format!("record {seq} does not follow the one before it"))),
                Err(e) => return Ok(Err(format!("record {seq}: {e}"))),
            }
        }
        let link = link.unwrap_or(before.1);
        if let Some(last) = last
            && last.next_seq() == store_head.saturating_add(1)
        {
            if last.last_hash != link {
                return Ok(Err(format!("record {store_head} differs from the segment's")));
            }
            Self::index(store, first, store_head)?;
            return Ok(Ok(0));
        }
        self.refill(epoch, store, store_head, link, first)
    }

    fn refill(
        &self,
        epoch: u32,
        store: &Arc<Store>,
        store_head: u64,
        link: Hash,
        first: u64,
    ) -> Result<std::result::Result<u64, String>> {
        let mut expect = (store_head.saturating_add(1), link);
        let mut count = 0u64;
        let mut diverged = None;
        self.each_frame(epoch, expect.0, |record, bytes| {
            if diverged.is_some() || record.seq < expect.0 {
                return Ok(());
            }
            if (record.seq, record.prev_hash) != expect {
                diverged = Some(format!("record {store_head} differs from the segment's"));
                return Ok(());
            }
            expect = (record.seq.saturating_add(1), record.hash);
            count += 1;
            store.put(record.seq, &record.subject, bytes)
        })?;
        if let Some(why) = diverged {
            return Ok(Err(why));
        }
        Self::index(store, first, expect.0 - 1)?;
        store.flush()?;
        Ok(Ok(count))
    }

    /// Makes the index whole again from where it is known to be.
    fn index(store: &Arc<Store>, first: u64, head: u64) -> Result<()> {
        let mut at = store.indexed_to()?.saturating_add(1).max(first);
        while at <= head {
            for (seq, bytes) in store.page(at, 512)? {
                let Ok((record, _)) = Frame::decode(&bytes) else { break };
                if record.subject != [0; 16] {
                    store.put_index(&record.subject, seq)?;
                }
            }
            at = at.saturating_add(512);
        }
        Ok(())
    }

    /// Calls `f` with every good frame of the epoch's segments that may be at or after `from`.
    fn each_frame(
        &self,
        epoch: u32,
        from: u64,
        mut f: impl FnMut(&Frame, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let files = segment::find(&self.options.segments())?;
        let files: Vec<_> = files.into_iter().filter(|x| x.epoch == epoch).collect();
        for (index, file) in files.iter().enumerate() {
            // Skips a file when the next one still begins before what is wanted.
            if let Some(next) = files.get(index + 1)
                && let Ok(header) = segment::Header::decode(&super::read_start(&next.path)?)
                && header.first_seq <= from
            {
                continue;
            }
            let image = match Image::read(&file.path, self.key)? {
                Ok(image) => image,
                Err(why) => return Err(self.damaged(from, &why)),
            };
            for at in &image.frames {
                let bytes = image.bytes(at);
                let (record, _) = Frame::decode(bytes).map_err(|e| self.damaged(at.seq, &e.to_string()))?;
                f(&record, bytes)?;
            }
        }
        Ok(())
    }

    /// Makes the store anew from the segments; the old one goes to quarantine.
    fn rebuild(&mut self, epoch: u32, before: (u64, Hash), why: String) -> Result<Arc<Store>> {
        let path = self.options.store_dir(epoch);
        let aside = path.with_extension("new");
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(|e| JournalError::io("remove", &aside, e))?;
        }
        let mut expect = (before.0.saturating_add(1), before.1);
        let store = Store::open(&aside)?;
        self.each_frame(epoch, expect.0, |record, bytes| {
            if (record.seq, record.prev_hash) != expect {
                return Err(self.damaged(expect.0, "missing in the segments while the store is damaged"));
            }
            expect = (record.seq.saturating_add(1), record.hash);
            store.put(record.seq, &record.subject, bytes)
        })?;
        store.set_indexed_to(expect.0 - 1)?;
        store.flush()?;
        drop(store);
        disk::sync_tree(&aside)?;
        if path.exists() {
            let to = self.quarantine(&format!("{epoch:08}"), &why)?;
            disk::rename(&path, &to)?;
            self.report.add(OpenEvent::StoreQuarantined { to, why });
        }
        disk::rename(&aside, &path)?;
        let records = expect.0 - before.0 - 1;
        self.report.add(OpenEvent::StoreRebuilt { epoch, records });
        Ok(Arc::new(Store::open(&path)?))
    }
}
