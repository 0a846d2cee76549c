//! Reading: the store answers; a record it lost or damaged comes from the segments and is put back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{JournalError, Result};
use crate::frame::{Frame, Record, Subject};
use crate::journal::Journal;
use crate::recover::Recovery;
use crate::report::OpenReport;
use crate::segment::Image;
use crate::shared::{Shared, lock};
use crate::store::Store;

/// Most records one `range` returns.
pub const MAX_PAGE: usize = 1024;
const REPLAY_PAGE: usize = 512;

impl Journal {
    /// One record.
    pub fn get(&self, seq: u64) -> Result<Record> {
        open_frame(self.shared(), self.frame(seq)?)
    }

    /// One record as it lies on disk: for who shows it, or has no key to open it.
    pub fn frame(&self, seq: u64) -> Result<Frame> {
        let shared = self.shared();
        let (first, last) = (lock(&shared.map).first_seq(), shared.head().0);
        if seq < first || seq > last {
            return Err(JournalError::NotFound { seq, first, last });
        }
        match page(shared, seq, 1)?.pop() {
            Some(frame) => Ok(frame),
            None => Err(JournalError::NotFound { seq, first, last }),
        }
    }

    /// Up to `limit` (at most [`MAX_PAGE`]) records from `from` on, in order, without a gap. Fewer than asked only
    /// at an epoch's or the journal's end; go on from the last one's seq plus one, an empty answer is the end.
    pub fn range(&self, from: u64, limit: usize) -> Result<Vec<Record>> {
        let frames = self.frames(from, limit)?;
        frames.into_iter().map(|frame| open_frame(self.shared(), frame)).collect()
    }

    /// As [`range`](Self::range), not opened.
    pub fn frames(&self, from: u64, limit: usize) -> Result<Vec<Frame>> {
        page(self.shared(), from, limit.min(MAX_PAGE))
    }

    /// All records about one payment, in order.
    pub fn by_subject(&self, subject: &Subject) -> Result<Vec<Record>> {
        let frames = self.frames_by_subject(subject)?;
        frames.into_iter().map(|frame| open_frame(self.shared(), frame)).collect()
    }

    /// As [`by_subject`](Self::by_subject), not opened.
    pub fn frames_by_subject(&self, subject: &Subject) -> Result<Vec<Frame>> {
        let shared = self.shared();
        // The tail first: what leaves it meanwhile is found in the store.
        let mut seqs: Vec<u64> = {
            let tail = shared.tail();
            tail.items.iter().filter(|i| i.subject == *subject).map(|i| i.seq).collect()
        };
        let epochs: Vec<u32> = lock(&shared.map).epochs.keys().copied().collect();
        // What a removal took meanwhile is no fault.
        let gone = |epoch: u32| !lock(&shared.map).epochs.contains_key(&epoch);
        for epoch in epochs {
            match store_of(shared, epoch).and_then(|store| store.by_subject(subject)) {
                Ok(found) => seqs.extend(found),
                Err(_) if gone(epoch) => {}
                Err(e) => return Err(e),
            }
        }
        seqs.sort_unstable();
        seqs.dedup();
        let mut out = Vec::with_capacity(seqs.len());
        for seq in seqs {
            match self.frame(seq) {
                Ok(frame) => out.push(frame),
                Err(JournalError::NotFound { first, .. }) if seq < first => {}
                Err(e) => return Err(e),
            }
        }
        Ok(out)
    }

    /// At most `limit` (at most [`MAX_PAGE`]) records about one subject with a seq above `after`, in order. Go on from the
    /// last one's seq; an empty answer is the end. For logs that are too long for [`by_subject`](Self::by_subject).
    pub fn by_subject_after(&self, subject: &Subject, after: u64, limit: usize) -> Result<Vec<Record>> {
        let shared = self.shared();
        let limit = limit.min(MAX_PAGE);
        // The tail first: what leaves it meanwhile is found in the store.
        let mut seqs: Vec<u64> = {
            let tail = shared.tail();
            tail.items.iter().filter(|i| i.subject == *subject && i.seq > after).map(|i| i.seq).collect()
        };
        let epochs: Vec<u32> = {
            let map = lock(&shared.map);
            // Epochs before the one that holds `after` have nothing to say, and are not opened.
            let (first, _) = map.epoch_of(after.max(map.first_seq()));
            map.epochs.keys().copied().filter(|e| *e >= first).collect()
        };
        let mut found = 0;
        for epoch in epochs {
            if found >= limit {
                break;
            }
            let some = store_of(shared, epoch)?.by_subject_after(subject, after, limit - found)?;
            found += some.len();
            seqs.extend(some);
        }
        seqs.sort_unstable();
        seqs.dedup();
        seqs.truncate(limit);
        seqs.into_iter().map(|seq| self.get(seq)).collect()
    }

    /// Gives every record from `from` on to `f`, in order, each one checked against the key and the chain.
    /// Returns the seq of the last one. For folding state at a start: pass 1, or what follows a snapshot.
    ///
    /// Read from the segments, one at a time, so that a start does not fill memory with the store's pages; what a
    /// segment does not hold comes from the store.
    pub fn replay(&self, from: u64, f: impl FnMut(&Record)) -> Result<u64> {
        walk(self.shared(), from, None, f)
    }

    /// As [`replay`](Self::replay), but no further than `to`.
    pub fn replay_range(&self, from: u64, to: u64, f: impl FnMut(&Record)) -> Result<u64> {
        walk(self.shared(), from, Some(to), f)
    }
}

/// The record of a frame. That its key went with its epoch, which somebody removed meanwhile, is no fault.
pub(crate) fn open_frame(shared: &Shared, frame: Frame) -> Result<Record> {
    let seq = frame.seq;
    frame.open(&shared.key).map_err(|e| {
        let (first, last) = (lock(&shared.map).first_seq(), shared.head().0);
        if seq < first { JournalError::NotFound { seq, first, last } } else { e.into() }
    })
}

/// Gives the records from `from` to `to` (`None`: to the head, also what is appended meanwhile) to `f`.
pub(crate) fn walk(
    shared: &Arc<Shared>,
    from: u64,
    to: Option<u64>,
    mut f: impl FnMut(&Record),
) -> Result<u64> {
    walk_frames(shared, from, to, |frame| {
        f(&open_frame(shared, frame.clone())?);
        Ok(())
    })
}

/// As [`walk`], not opened; ends with the first error of `f`.
pub(crate) fn walk_frames(
    shared: &Arc<Shared>,
    from: u64,
    to: Option<u64>,
    mut f: impl FnMut(&Frame) -> Result<()>,
) -> Result<u64> {
    let end = || to.map_or(u64::MAX, |to| to).min(shared.head().0);
    let mut at = from.max(lock(&shared.map).first_seq());
    let mut prev = None;
    let mut give = |record: &Frame, at: &mut u64| {
        if record.seq != *at || prev.is_some_and(|p| p != record.prev_hash) {
            return Err(damaged(shared, record.seq, "it does not follow the record before it"));
        }
        prev = Some(record.hash);
        *at = at.saturating_add(1);
        f(record)
    };
    while at <= end() {
        let (begun, last) = (at, end());
        let path = lock(&shared.map).segment_of(at).map(|s| s.path.clone());
        // An unreadable segment is no reason to stop: the store is asked below.
        if let Some(Ok(Ok(image))) = path.map(|p| Image::read(&p, &shared.key)) {
            for frame in image.frames.iter().filter(|f| f.seq >= begun && f.seq <= last) {
                let Some(record) = image.frame(frame) else { break };
                give(&record, &mut at)?;
            }
        }
        if at == begun {
            let limit = usize::try_from(last - at + 1).unwrap_or(usize::MAX).min(REPLAY_PAGE);
            for record in page(shared, at, limit)? {
                give(&record, &mut at)?;
            }
        }
        if at == begun {
            return Err(damaged(shared, at, "neither the store nor the segments hold it"));
        }
    }
    Ok(at.saturating_sub(1))
}

pub(crate) fn damaged(shared: &Shared, seq: u64, detail: &str) -> JournalError {
    JournalError::Damaged { dir: shared.options.dir.clone(), seq, detail: detail.to_owned() }
}

/// The store of an epoch; an older epoch's is probed and opened at its first use.
pub(crate) fn store_of(shared: &Arc<Shared>, epoch: u32) -> Result<Arc<Store>> {
    let opened = || lock(&shared.map).epochs.get(&epoch).map(|e| e.store.clone());
    if let Some(Some(store)) = opened() {
        return Ok(store);
    }
    // Not under the map's lock, which an append needs at a segment's end: probing takes its time.
    let _one_at_a_time = lock(&shared.opening);
    match opened() {
        Some(Some(store)) => return Ok(store),
        Some(None) => {}
        None => return Err(damaged(shared, 0, &format!("epoch {epoch} is not there"))),
    }
    let mut recovery = Recovery {
        options: &shared.options,
        key: &shared.key,
        now_ms: shared.clock.now().wall_ms,
        report: OpenReport::default(),
    };
    let store = recovery.open_old(epoch)?;
    lock(&shared.events).append(&mut recovery.report.events);
    if let Some(entry) = lock(&shared.map).epochs.get_mut(&epoch) {
        entry.store = Some(Arc::clone(&store));
    }
    Ok(store)
}

/// Up to `limit` checked records from `from` on, of one epoch; ends at the head.
pub(crate) fn page(shared: &Arc<Shared>, from: u64, limit: usize) -> Result<Vec<Frame>> {
    let head = shared.head().0;
    let (epoch, from, after) = {
        let map = lock(&shared.map);
        let from = from.max(map.first_seq());
        let (epoch, after) = map.epoch_of(from);
        (epoch, from, after)
    };
    let epoch_end = after.map_or(head, |seq| seq.saturating_sub(1).min(head));
    let last = epoch_end.min(from.saturating_add(limit as u64).saturating_sub(1));
    if from > last || limit == 0 {
        return Ok(Vec::new());
    }
    // The tail first: what leaves it meanwhile is in the store by then.
    let (tail_first, from_tail) = {
        let tail = shared.tail();
        let first = tail.items.front().map_or(u64::MAX, |i| i.seq);
        let frames: Vec<Arc<[u8]>> = tail
            .items
            .iter()
            .filter(|i| (from..=last).contains(&i.seq))
            .map(|i| Arc::clone(&i.frame))
            .collect();
        (first, frames)
    };
    let stored_to = last.min(tail_first.saturating_sub(1));
    let mut out = Vec::with_capacity(usize::try_from(last - from + 1).unwrap_or(0));
    if from <= stored_to {
        let store = store_of(shared, epoch)?;
        read_stored(shared, (epoch, &store), from, stored_to, &mut out)?;
    }
    for frame in from_tail {
        out.push(
            Frame::decode_exact(&frame, &shared.key).map_err(|e| damaged(shared, from, &e.to_string()))?,
        );
    }
    Ok(out)
}

fn read_stored(
    shared: &Arc<Shared>,
    (epoch, store): (u32, &Store),
    from: u64,
    to: u64,
    out: &mut Vec<Frame>,
) -> Result<()> {
    let count = usize::try_from(to - from + 1).unwrap_or(usize::MAX);
    // A store that fails here is answered record by record, from the segments where need be.
    let mut found = store.page(from, count).unwrap_or_default().into_iter().peekable();
    let mut repair = Repair { shared, image: None };
    for seq in from..=to {
        while found.next_if(|(k, _)| *k < seq).is_some() {}
        let good = found
            .next_if(|(k, _)| *k == seq)
            .and_then(|(_, bytes)| Frame::decode_exact(&bytes, &shared.key).ok())
            .filter(|record| record.seq == seq && record.epoch == epoch);
        match good {
            Some(record) => out.push(record),
            None => out.push(repair.fetch(store, seq)?),
        }
    }
    Ok(())
}

/// Takes records from the segments; keeps the last segment read, since damage comes in runs.
struct Repair<'a> {
    shared: &'a Arc<Shared>,
    image: Option<Image>,
}

impl Repair<'_> {
    fn fetch(&mut self, store: &Store, seq: u64) -> Result<Frame> {
        if self.image.as_ref().is_none_or(|i| i.frame_of(seq).is_none()) {
            let path = lock(&self.shared.map).segment_of(seq).map(|s| s.path.clone());
            self.image = match path {
                Some(path) => Image::read(&path, &self.shared.key)?.ok(),
                None => None,
            };
        }
        let bytes = self.image.as_ref().and_then(|i| i.frame_of(seq));
        let Some(bytes) = bytes else {
            return Err(damaged(self.shared, seq, "neither the store nor the segments hold it"));
        };
        let record = Frame::decode_exact(bytes, &self.shared.key)
            .map_err(|e| damaged(self.shared, seq, &e.to_string()))?;
        self.shared.repaired.fetch_add(1, Ordering::Relaxed);
        // Best effort: the answer is right whether or not the store can be mended now.
        let _ = store.put(seq, &record.subject, bytes);
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{DeviceKey, Journal, JournalError, NewRecord, Options, SystemClock, Urgency};

    fn journal(dir: &std::path::Path) -> Journal {
        let mut options = Options::new(dir);
        options.force_filesystem = true;
        (options.free_floor, options.ballast_bytes) = (0, 0);
        Journal::open(options, DeviceKey::new(&[5; 32]), Arc::new(SystemClock::new())).unwrap().0
    }

    fn append(journal: &Journal, n: u8) {
        let record = NewRecord { kind: 1, subject: [n; 16], payload: vec![n; 50] };
        journal.append(vec![record], Urgency::New).unwrap().wait().unwrap();
    }

    #[test]
    fn a_record_the_store_lost_is_served_and_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path());
        (1..=20).for_each(|n| append(&journal, n));
        journal.shared().drained().unwrap();
        let store = Arc::clone(&journal.shared().tail().store);
        for seq in [7, 20] {
            store.remove(seq).unwrap();
            assert_eq!(journal.get(seq).unwrap().payload, vec![u8::try_from(seq).unwrap(); 50]);
            assert!(store.get(seq).unwrap().is_some(), "not put back");
        }
        assert_eq!(journal.stats().repaired, 2);
        store.remove(9).unwrap();
        let seqs: Vec<u64> = journal.range(5, 10).unwrap().iter().map(|r| r.seq).collect();
        assert_eq!(seqs, (5..15).collect::<Vec<_>>(), "a page has a hole");
        store.remove(3).unwrap();
        assert_eq!(journal.verify().unwrap().store_damage, 1);
        assert!(journal.verify().unwrap().is_whole());
    }

    #[test]
    fn a_long_log_is_read_page_by_page_without_a_gap_and_without_others() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path());
        for n in 0..60_u8 {
            append(&journal, 1 + n % 3);
            if n == 30 {
                // Some in the store, some perhaps still in the tail.
                journal.shared().drained().unwrap();
            }
        }
        let whole: Vec<u64> = journal.by_subject(&[2; 16]).unwrap().iter().map(|r| r.seq).collect();
        assert_eq!(whole.len(), 20);
        for limit in [1, 7, 20, 1000] {
            let (mut at, mut got) = (0, Vec::new());
            loop {
                let page = journal.by_subject_after(&[2; 16], at, limit).unwrap();
                assert!(page.len() <= limit && page.iter().all(|r| r.subject == [2; 16]));
                let Some(last) = page.last() else { break };
                at = last.seq;
                got.extend(page.iter().map(|r| r.seq));
            }
            assert_eq!(got, whole, "pages of {limit}");
        }
        assert!(journal.by_subject_after(&[2; 16], u64::MAX, 10).unwrap().is_empty());
        assert!(journal.by_subject_after(&[9; 16], 0, 10).unwrap().is_empty());
    }

    #[test]
    fn after_a_failure_nothing_is_acknowledged_and_everything_is_still_read() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path());
        (1..=5).for_each(|n| append(&journal, n));
        journal.shared().poison(&JournalError::Store { what: "insert", detail: "a test".into() });
        let record = NewRecord { kind: 1, subject: [1; 16], payload: vec![] };
        let refused = journal.append(vec![record], Urgency::Finish).unwrap_err();
        assert!(matches!(refused, JournalError::Poisoned { .. }), "{refused}");
        assert_eq!(journal.range(1, 10).unwrap().len(), 5);
        assert!(journal.close().is_err(), "a poisoned journal does not close cleanly");
    }
}
