//! What the journal's threads and its readers share.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::disk::Ballast;
use crate::error::{JournalError, Result};
use crate::frame::{Hash, Subject};
use crate::key::DeviceKey;
use crate::map::Map;
use crate::options::Options;
use crate::report::OpenEvent;
use crate::store::Store;

/// Records that may be durable in the segments but not yet in the store; then the committer waits.
pub(crate) const TAIL_LIMIT: usize = 8192;
/// With so many waiting the store is fed even while appends keep coming.
const FEED_AT: usize = TAIL_LIMIT / 2;
/// Without an append for so long the store is fed.
const QUIET: Duration = Duration::from_millis(2);

/// A record on its way into the store.
#[derive(Debug, Clone)]
pub(crate) struct TailItem {
    pub(crate) seq: u64,
    pub(crate) subject: Subject,
    pub(crate) checkpoint: bool,
    pub(crate) frame: Arc<[u8]>,
}

/// The newest records: durable, acknowledged, and read from here until the store has them.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) items: VecDeque<TailItem>,
    /// The store they go to.
    pub(crate) store: Arc<Store>,
    pub(crate) closing: bool,
    /// Someone waits for the store to be up to date.
    hurry: bool,
}

type OnPoison = Box<dyn FnOnce(JournalError) + Send>;

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) key: DeviceKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ballast: Ballast,
    pub(crate) map: Mutex<Map>,
    head: Mutex<(u64, Hash)>,
    tail: Mutex<Tail>,
    /// Told when the tail gets shorter, or poison is set.
    pub(crate) moved: Condvar,
    /// Told when there is work for the thread that feeds the store.
    pub(crate) feed: Condvar,
    poison: OnceLock<Arc<str>>,
    pub(crate) events: Mutex<Vec<OpenEvent>>,
    pub(crate) commits: AtomicU64,
    pub(crate) repaired: AtomicU64,
    /// Where the newest snapshot was closed; zero for none.
    pub(crate) last_snapshot: AtomicU64,
    /// Where the newest summary of removed records stands; zero for none.
    pub(crate) last_summary: AtomicU64,
    /// One snapshot, removal or backup at a time.
    pub(crate) maintenance: Mutex<()>,
    /// One older store opened (or removed) at a time; never taken under the map's lock.
    pub(crate) opening: Mutex<()>,
    on_poison: Mutex<Vec<OnPoison>>,
    /// Held for as long as the journal is open.
    _lock: File,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is one assignment or push: a panicked holder left nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        options: Options,
        key: DeviceKey,
        clock: Arc<dyn Clock>,
        opened: (File, Ballast, Map, Arc<Store>, (u64, Hash)),
    ) -> Self {
        let (file, ballast, map, store, head) = opened;
        Self {
            options,
            key,
            clock,
            ballast,
            map: Mutex::new(map),
            head: Mutex::new(head),
            tail: Mutex::new(Tail { items: VecDeque::new(), store, closing: false, hurry: false }),
            moved: Condvar::new(),
            feed: Condvar::new(),
            poison: OnceLock::new(),
            events: Mutex::new(Vec::new()),
            commits: AtomicU64::new(0),
            repaired: AtomicU64::new(0),
            last_snapshot: AtomicU64::new(0),
            last_summary: AtomicU64::new(0),
            maintenance: Mutex::new(()),
            opening: Mutex::new(()),
            on_poison: Mutex::new(Vec::new()),
            _lock: file,
        }
    }

    pub(crate) fn head(&self) -> (u64, Hash) {
        *lock(&self.head)
    }

    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        lock(&self.tail)
    }

    /// Waits on the tail's condition.
    pub(crate) fn wait<'a>(&self, tail: MutexGuard<'a, Tail>) -> MutexGuard<'a, Tail> {
        self.moved.wait(tail).unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes durable records visible to readers.
    pub(crate) fn publish(&self, items: Vec<TailItem>, head: (u64, Hash)) {
        let mut tail = self.tail();
        let before = tail.items.len();
        tail.items.extend(items);
        let wake = before == 0 || (before < FEED_AT && tail.items.len() >= FEED_AT);
        drop(tail);
        *lock(&self.head) = head;
        self.commits.fetch_add(1, Ordering::Relaxed);
        // Not at every commit: waking a thread costs as much as framing a record.
        if wake {
            self.feed.notify_one();
        }
    }

    /// Ends all appends. The first reason stays.
    pub(crate) fn poison(&self, why: &JournalError) {
        let first = self.poison.set(why.to_string().into()).is_ok();
        {
            // Under the lock, so that nobody checks before and sleeps after.
            let _tail = self.tail();
            self.moved.notify_all();
        }
        if first {
            self.tell_poisoned();
        }
    }

    /// Has `f` called once, when the journal is poisoned; at once when it is already.
    pub(crate) fn on_poison(&self, f: OnPoison) {
        lock(&self.on_poison).push(f);
        if self.poisoned().is_some() {
            self.tell_poisoned();
        }
    }

    fn tell_poisoned(&self) {
        let Some(e) = self.poisoned() else { return };
        // Each is taken out by one thread only, whoever comes first.
        for f in std::mem::take(&mut *lock(&self.on_poison)) {
            f(e.clone());
        }
    }

    pub(crate) fn poisoned(&self) -> Option<JournalError> {
        self.poison.get().map(|why| JournalError::Poisoned { why: Arc::clone(why) })
    }

    /// Waits until the store holds every record published so far.
    pub(crate) fn drained(&self) -> Result<()> {
        let target = self.head().0;
        let mut tail = self.tail();
        while tail.items.front().is_some_and(|item| item.seq <= target) {
            tail.hurry = true;
            self.feed.notify_one();
            if let Some(e) = self.poisoned() {
                return Err(e);
            }
            tail = self.wait(tail);
        }
        Ok(())
    }

    /// Waits until the tail has room again.
    pub(crate) fn has_room(&self) -> Result<()> {
        let mut tail = self.tail();
        while tail.items.len() > TAIL_LIMIT {
            if let Some(e) = self.poisoned() {
                return Err(e);
            }
            tail = self.wait(tail);
        }
        Ok(())
    }
}

/// The thread that moves records from the tail into the store, off the way of the acknowledgement.
pub(crate) fn feed_store(shared: &Shared) {
    // Behind those who wait for an answer. Refused or not, nothing depends on it.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 10);
    loop {
        let (store, batch) = {
            let mut tail = shared.tail();
            while tail.items.is_empty() {
                tail.hurry = false;
                if tail.closing {
                    return;
                }
                tail = shared.feed.wait(tail).unwrap_or_else(PoisonError::into_inner);
            }
            // sled's work would take the processor from appends that somebody waits for.
            let mut newest = tail.items.back().map(|item| item.seq);
            while !tail.hurry && !tail.closing && tail.items.len() < FEED_AT {
                tail = shared.feed.wait_timeout(tail, QUIET).unwrap_or_else(PoisonError::into_inner).0;
                let now = tail.items.back().map(|item| item.seq);
                if now == newest {
                    break;
                }
                newest = now;
            }
            let batch: Vec<TailItem> = tail.items.iter().take(128).cloned().collect();
            (Arc::clone(&tail.store), batch)
        };
        for item in &batch {
            let put = store.put(item.seq, &item.subject, &item.frame);
            let put = if item.checkpoint { put.and_then(|()| store.set_indexed_to(item.seq)) } else { put };
            if let Err(e) = put {
                // The segments hold the record; the store is brought up at the next open.
                shared.poison(&e);
                return;
            }
        }
        let mut tail = shared.tail();
        tail.items.drain(..batch.len());
        drop(tail);
        shared.moved.notify_all();
    }
}
