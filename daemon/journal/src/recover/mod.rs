//! Opening: from whatever a kill, a cut or a bad disk left to two copies that agree.

mod mark;
mod old;
mod segments;
mod stores;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::body::is_sealed_kind;
use crate::clock::Clock;
use crate::disk::{self, Ballast};
use crate::error::{JournalError, Result};
use crate::frame::{self, Frame, Hash};
use crate::key::DeviceKey;
use crate::map::{Epoch, Map, SegmentAt};
use crate::options::Options;
use crate::report::{OpenEvent, OpenReport};
use crate::segment::{self, Header, Image, Tail, Writer};
use crate::shim::shim_active;
use crate::store::Store;

use segments::Known;

pub(crate) use mark::Deep;
pub(crate) use old::{Begin, remove_epochs, settle_old, store_epochs};
pub(crate) use stores::{Checked, create_store, open_checked};

/// What the parts of opening share.
pub(crate) struct Recovery<'a> {
    pub(crate) options: &'a Options,
    pub(crate) key: &'a DeviceKey,
    pub(crate) now_ms: i64,
    pub(crate) report: OpenReport,
}

/// A journal whose two copies agree.
pub(crate) struct Opened {
    pub(crate) lock: File,
    pub(crate) ballast: Ballast,
    pub(crate) map: Map,
    pub(crate) live: Arc<Store>,
    pub(crate) writer: Writer,
    /// Newest record; seq 0 when there is none.
    pub(crate) head: (u64, Hash),
    /// Epochs whose segments a verification found damaged.
    pub(crate) deep: Deep,
    pub(crate) report: OpenReport,
}

pub(crate) fn open(options: &Options, key: &DeviceKey, clock: &dyn Clock) -> Result<Opened> {
    options.check()?;
    if !shim_active() {
        return Err(JournalError::ShimMissing);
    }
    disk::make_dir(&options.dir)?;
    disk::check_filesystem(&options.dir, options.force_filesystem)?;
    let lock = take_lock(&options.dir, options.lock_wait)?;
    disk::make_dir(&options.segments())?;
    let mut recovery = Recovery { options, key, now_ms: clock.now().wall_ms, report: OpenReport::default() };
    let ballast = recovery.make_room()?;
    recovery.remove_leftovers()?;
    let deep = Deep::read(&options.dir)?;
    let (map, live, writer, head) = recovery.bring_up(&deep)?;
    if ballast.is_missing() && disk::free_bytes(&options.dir) > options.free_floor + ballast.wanted() {
        ballast.take()?;
    }
    disk::sync_path(&options.dir)?;
    Ok(Opened { lock, ballast, map, live, writer, head, deep, report: recovery.report })
}

/// One process at a time. An old one may still be exiting, so a while is waited.
pub(crate) fn take_lock(dir: &Path, wait: Duration) -> Result<File> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| JournalError::io("open", &path, e))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(e)) => return Err(JournalError::io("lock", &path, e)),
            Err(TryLockError::WouldBlock) if start.elapsed() >= wait => {
                return Err(JournalError::Locked { dir: dir.to_owned() });
            }
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

type Parts = (Map, Arc<Store>, Writer, (u64, Hash));

impl Recovery<'_> {
    /// sled cannot be opened on a full disk: it writes. The ballast is what makes a start possible then.
    fn make_room(&mut self) -> Result<Ballast> {
        let ballast = Ballast::new(&self.options.dir, self.options.ballast_bytes);
        let needed = self.options.segment_bytes.max(2 << 20);
        if disk::free_bytes(&self.options.dir) < needed && ballast.held() > 0 {
            ballast.release()?;
            self.report.add(OpenEvent::BallastReleased);
        }
        Ok(ballast)
    }

    /// Whatever is named `*.new` was not finished: a rename makes things exist.
    fn remove_leftovers(&mut self) -> Result<()> {
        for dir in [self.options.dir.clone(), self.options.segments()] {
            for path in disk::list(&dir)? {
                if path.extension().is_some_and(|e| e == "new") && !path.ends_with(segment::SPARE) {
                    let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                    gone.map_err(|e| JournalError::io("remove", &path, e))?;
                    self.report.add(OpenEvent::LeftoverRemoved(path));
                }
            }
        }
        Ok(())
    }

    fn bring_up(&mut self, deep: &Deep) -> Result<Parts> {
        let found = segment::find(&self.options.segments())?;
        self.check_key(&found)?;
        self.check_record_key(&found)?;
        let newest = found.iter().map(|f| f.epoch).max().unwrap_or(0);
        let mut epoch = newest;
        // A store beyond the segments is either an unfinished rotation (empty) or all that is left (not empty).
        for beyond in store_epochs(&self.options.dir)?.into_iter().filter(|e| *e > newest) {
            if let Checked::Good(store) = open_checked(self, beyond)?
                && store.last()?.is_some()
            {
                epoch = beyond;
            }
        }
        if epoch == 0 {
            return self.create();
        }
        let checked = open_checked(self, epoch)?;
        let before = self.link_before(epoch, &found, checked.store(), None)?;
        let deep = deep.names(epoch);
        let known = Known { store: checked.store(), before, deep, closed: false };
        let last = self.settle_segments(epoch, &found, &known)?;
        if deep && let Some(store) = checked.store() {
            store.clear_index()?;
        }
        let store = self.settle_store(epoch, checked, before, Some(&last))?;
        let map = self.map(epoch, &store, BTreeMap::new())?;
        let clean = last.tail == Tail::Clean;
        if !clean {
            self.report.add(OpenEvent::TailCut { path: last.path.clone(), next_seq: last.next_seq() });
        }
        let head = (last.next_seq() - 1, last.last_hash);
        let writer = Writer::resume(&last.path, last.header.clone(), last.end, clean)?;
        disk::sync_tree(&self.options.store_dir(epoch))?;
        disk::sync_path(&self.options.segments())?;
        Ok((map, store, writer, head))
    }

    /// A new journal: the store first, then the first segment.
    fn create(&mut self) -> Result<Parts> {
        let store = Arc::new(create_store(self.options, 1)?);
        let header = Header {
            epoch: 1,
            number: 1,
            first_seq: 1,
            size: self.options.segment_bytes,
            prev_hash: [0; 32],
            fingerprint: self.key.fingerprint(1),
        };
        let writer = Writer::start(&self.options.segments(), header)?;
        self.report.add(OpenEvent::Created);
        let map = self.map(1, &store, BTreeMap::new())?;
        Ok((map, store, writer, (0, [0; 32])))
    }

    /// A wrong key would make every record look damaged: told apart before anything is touched. So would a key that
    /// lacks a generation, for the epochs of that one: each epoch must know it.
    fn check_key(&self, found: &[segment::Found]) -> Result<()> {
        let mut epochs: BTreeMap<u32, bool> = BTreeMap::new();
        for file in found {
            if let Ok(header) = Header::decode(&read_start(&file.path)?) {
                let ours = header.fingerprint == self.key.fingerprint(header.epoch);
                *epochs.entry(header.epoch).or_default() |= ours;
            }
        }
        if epochs.values().all(|ours| *ours) {
            return Ok(());
        }
        Err(JournalError::WrongKey { dir: self.options.dir.clone() })
    }

    /// The key of the newest records, told apart before anything is touched: without it the till could neither know its
    /// state nor go on. The newest record that would be sealed says whether the journal is.
    fn check_record_key(&self, found: &[segment::Found]) -> Result<()> {
        for file in found.iter().rev() {
            // One that cannot be read is settled below, from the store.
            let Ok(image) = Image::read(&file.path, self.key)? else { continue };
            let mut frames = image.frames.iter().rev().filter_map(|at| image.frame(at));
            if let Some(frame) = frames.find(|frame| is_sealed_kind(frame.kind)) {
                frame.open(self.key)?;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Seq and hash the epoch's first record must follow.
    fn link_before(
        &self,
        epoch: u32,
        found: &[segment::Found],
        store: Option<&Arc<Store>>,
        known: Option<(u64, Hash)>,
    ) -> Result<(u64, Hash)> {
        // The epoch's own first segment says it.
        if let Some(file) = found.iter().find(|f| f.epoch == epoch && f.number == 1)
            && let Ok(header) = Header::decode(&read_start(&file.path)?)
        {
            return Ok((header.first_seq.saturating_sub(1), header.prev_hash));
        }
        if let Some(known) = known {
            return Ok(known);
        }
        // Else the last record of the epoch before it.
        if let Some(file) = found.iter().rev().find(|f| f.epoch.checked_add(1) == Some(epoch))
            && let Ok(image) = Image::read(&file.path, self.key)?
            && image.tail == Tail::Clean
        {
            return Ok((image.next_seq().saturating_sub(1), image.last_hash));
        }
        // Else the store's own first record.
        if let Some(store) = store
            && let Some(first) = store.first_seq()?
            && let Some(bytes) = store.get(first)?
        {
            return match Frame::decode_exact(&bytes, self.key) {
                Ok(record) => Ok((first.saturating_sub(1), record.prev_hash)),
                Err(frame::FrameError::Hash) => Err(JournalError::WrongKey { dir: self.options.dir.clone() }),
                Err(e) => Err(self.damaged(first, &e.to_string())),
            };
        }
        Ok((0, [0; 32]))
    }

    fn damaged(&self, seq: u64, detail: &str) -> JournalError {
        JournalError::Damaged { dir: self.options.dir.clone(), seq, detail: detail.to_owned() }
    }

    /// A place in quarantine for `name`, with the reason in its name; the directory is made.
    fn quarantine(&self, name: &str, why: &str) -> Result<PathBuf> {
        quarantine(&self.options.dir, self.now_ms, name, why)
    }

    /// Which epochs and segments there are, and what each begins with.
    ///
    /// `firsts`: where epochs begin, as settling found; else their segments say it.
    fn map(&self, live: u32, store: &Arc<Store>, firsts: BTreeMap<u32, u64>) -> Result<Map> {
        let mut epochs: BTreeMap<u32, Epoch> =
            firsts.into_iter().map(|(epoch, first_seq)| (epoch, Epoch { first_seq, store: None })).collect();
        let mut segments = Vec::new();
        for file in segment::find(&self.options.segments())? {
            // An older epoch's unreadable header is met (and told) when that segment is needed.
            let Ok(header) = Header::decode(&read_start(&file.path)?) else { continue };
            let entry =
                epochs.entry(file.epoch).or_insert(Epoch { first_seq: header.first_seq, store: None });
            entry.first_seq = entry.first_seq.min(header.first_seq);
            segments.push(SegmentAt {
                first_seq: header.first_seq,
                number: file.number,
                epoch: file.epoch,
                path: file.path,
            });
        }
        if let Some(epoch) = epochs.get_mut(&live) {
            epoch.store = Some(Arc::clone(store));
        }
        segments.sort_by_key(|s| (s.first_seq, s.epoch, s.number));
        Ok(Map { live, epochs, segments })
    }
}

/// The bytes of a segment's header (fewer when the file is shorter).
fn read_start(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut out = Vec::with_capacity(segment::HEADER_LEN);
    File::open(path)
        .and_then(|f| f.take(segment::HEADER_LEN as u64).read_to_end(&mut out))
        .map_err(|e| JournalError::io("read", path, e))?;
    Ok(out)
}

/// A place in quarantine for `name`, with the reason in its name; the directory is made.
pub(crate) fn quarantine(journal: &Path, now_ms: i64, name: &str, why: &str) -> Result<PathBuf> {
    let dir = journal.join("quarantine");
    disk::make_dir(&dir)?;
    let words: Vec<String> = why
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty())
        .take(8)
        .map(|w| w.chars().take(12).collect::<String>().to_ascii_lowercase())
        .collect();
    let why = words.join("-");
    let mut turn = 0u32;
    loop {
        let path = dir.join(format!("{now_ms}-{turn}-{name}-{why}"));
        if !path.exists() {
            return Ok(path);
        }
        turn += 1;
    }
}
