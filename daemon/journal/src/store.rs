//! The store: sled, opened the one way that was measured to survive, wrapped so that its panics stay errors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use sled::{Config, Db, IVec, Mode, Tree};

use crate::error::{JournalError, Result};
use crate::frame::Subject;

/// One epoch's store: `j` holds the frames by seq, `ix/subject` finds one payment's records.
#[derive(Debug)]
pub(crate) struct Store {
    /// Taken only by the drop.
    handles: Option<Handles>,
}

#[derive(Debug)]
struct Handles {
    db: Db,
    j: Tree,
    ix: Tree,
    meta: Tree,
}

const LOCK_WAIT: Duration = Duration::from_secs(5);
const INDEXED_TO: &[u8] = b"ix/subject";

/// Runs a call into sled; a panic in it (damaged pages do that) becomes an error.
fn guarded<T>(what: &'static str, call: impl FnOnce() -> sled::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(e))) if e.kind() == std::io::ErrorKind::StorageFull => {
            Err(JournalError::StorageFull { free: 0, needed: 0 })
        }
        Ok(Err(e)) => Err(JournalError::Store { what, detail: e.to_string() }),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                .unwrap_or_default();
            Err(JournalError::Store { what, detail: format!("sled panicked: {text}") })
        }
    }
}

impl Store {
    /// Opens the store in `dir` (made when missing). The caller has probed it.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let begun = Instant::now();
        loop {
            match Self::try_open(dir) {
                // sled lets go of its file in the background: just after a close (ours or a probe's) it is still held.
                Err(JournalError::Store { detail, .. }) if detail.contains("could not acquire lock") => {
                    if begun.elapsed() > LOCK_WAIT {
                        return Err(JournalError::Locked { dir: dir.to_owned() });
                    }
                    thread::sleep(Duration::from_millis(2));
                }
                other => return other,
            }
        }
    }

    fn try_open(dir: &Path) -> Result<Self> {
        guarded("open", || {
            let db = Config::new()
                .path(dir)
                .cache_capacity(4 << 20)
                .mode(Mode::LowSpace)
                .segment_size(512 * 1024)
                // Keeps sled's space reuse alive; durability never rests on it.
                .flush_every_ms(Some(2000))
                .open()?;
            let (j, ix, meta) = (db.open_tree("j")?, db.open_tree("ix/subject")?, db.open_tree("meta")?);
            Ok(Self { handles: Some(Handles { db, j, ix, meta }) })
        })
    }

    fn handles(&self) -> sled::Result<&Handles> {
        self.handles.as_ref().ok_or_else(|| sled::Error::Unsupported("the store is closed".into()))
    }

    /// Puts one frame: index first, so that a record in `j` is never without its entry.
    pub(crate) fn put(&self, seq: u64, subject: &Subject, frame: &[u8]) -> Result<()> {
        guarded("insert", || {
            if *subject != [0; 16] {
                self.handles()?.ix.insert(index_key(subject, seq), &[])?;
            }
            self.handles()?.j.insert(seq.to_be_bytes(), frame)?;
            Ok(())
        })
    }

    /// Puts an index entry only.
    pub(crate) fn put_index(&self, subject: &Subject, seq: u64) -> Result<()> {
        guarded("insert", || self.handles()?.ix.insert(index_key(subject, seq), &[]).map(|_| ()))
    }

    /// Remembers that every record up to `seq` is indexed.
    pub(crate) fn set_indexed_to(&self, seq: u64) -> Result<()> {
        guarded("insert", || self.handles()?.meta.insert(INDEXED_TO, &seq.to_be_bytes()).map(|_| ()))
    }

    /// Up to which record the index is known whole.
    pub(crate) fn indexed_to(&self) -> Result<u64> {
        let value = guarded("read", || self.handles()?.meta.get(INDEXED_TO))?;
        Ok(value.and_then(|v| v.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    /// Empties the index, to build it anew.
    pub(crate) fn clear_index(&self) -> Result<()> {
        guarded("clear", || {
            self.handles()?.meta.remove(INDEXED_TO)?;
            self.handles()?.ix.clear()
        })
    }

    /// The frame of one record.
    pub(crate) fn get(&self, seq: u64) -> Result<Option<IVec>> {
        guarded("read", || self.handles()?.j.get(seq.to_be_bytes()))
    }

    /// The newest record's seq and frame.
    pub(crate) fn last(&self) -> Result<Option<(u64, IVec)>> {
        Ok(guarded("read", || self.handles()?.j.last())?.and_then(|(k, v)| Some((parse_seq(&k)?, v))))
    }

    /// The oldest record's seq.
    pub(crate) fn first_seq(&self) -> Result<Option<u64>> {
        Ok(guarded("read", || self.handles()?.j.first())?.and_then(|(k, _)| parse_seq(&k)))
    }

    /// Up to `limit` records from `from` on, in order.
    pub(crate) fn page(&self, from: u64, limit: usize) -> Result<Vec<(u64, IVec)>> {
        guarded("scan", || {
            let mut out = Vec::with_capacity(limit.min(1024));
            for item in self.handles()?.j.range(from.to_be_bytes()..).take(limit) {
                let (key, value) = item?;
                // A key of another width is damage: 0 is no record's seq, so the caller sees a gap.
                out.push((parse_seq(&key).unwrap_or(0), value));
            }
            Ok(out)
        })
    }

    /// Seqs of one subject's records, in order.
    pub(crate) fn by_subject(&self, subject: &Subject) -> Result<Vec<u64>> {
        guarded("scan", || {
            let mut out = Vec::new();
            for item in self.handles()?.ix.scan_prefix(subject) {
                let (key, _) = item?;
                if let Some(seq) = key.get(16..).and_then(parse_seq) {
                    out.push(seq);
                }
            }
            Ok(out)
        })
    }

    /// Seqs of one subject's records after one, in order, at most `limit`.
    pub(crate) fn by_subject_after(&self, subject: &Subject, after: u64, limit: usize) -> Result<Vec<u64>> {
        let Some(from) = after.checked_add(1) else { return Ok(Vec::new()) };
        guarded("scan", || {
            let mut out = Vec::new();
            let range = index_key(subject, from)..=index_key(subject, u64::MAX);
            for item in self.handles()?.ix.range(range).take(limit) {
                let (key, _) = item?;
                if let Some(seq) = key.get(16..).and_then(parse_seq) {
                    out.push(seq);
                }
            }
            Ok(out)
        })
    }

    /// Whether the index finds a record.
    pub(crate) fn is_indexed(&self, subject: &Subject, seq: u64) -> Result<bool> {
        guarded("read", || self.handles()?.ix.contains_key(index_key(subject, seq)))
    }

    /// Entries in the index.
    pub(crate) fn index_len(&self) -> Result<u64> {
        guarded("scan", || Ok(self.handles()?.ix.len() as u64))
    }

    /// Removes one record, for tests of what is noticed.
    #[cfg(test)]
    pub(crate) fn remove(&self, seq: u64) -> Result<()> {
        guarded("remove", || self.handles()?.j.remove(seq.to_be_bytes()).map(|_| ()))
    }

    /// Makes everything put so far durable (with the shim: one fsync).
    pub(crate) fn flush(&self) -> Result<()> {
        guarded("flush", || self.handles()?.db.flush().map(|_| ()))
    }
}

impl Drop for Store {
    /// The last handle syncs the file, and sled panics when that fails: a disk that is gone must not end who lets go of
    /// the journal. Nothing is lost by it: what was acknowledged is in the segments.
    fn drop(&mut self) {
        let handles = self.handles.take();
        let _told_by_the_journal = guarded("close", || {
            drop(handles);
            Ok(())
        });
    }
}

fn index_key(subject: &Subject, seq: u64) -> [u8; 24] {
    let mut key = [0u8; 24];
    key[..16].copy_from_slice(subject);
    key[16..].copy_from_slice(&seq.to_be_bytes());
    key
}

fn parse_seq(bytes: impl AsRef<[u8]>) -> Option<u64> {
    bytes.as_ref().try_into().ok().map(u64::from_be_bytes)
}
