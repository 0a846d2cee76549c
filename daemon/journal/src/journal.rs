//! The journal as its users see it.

use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::clock::Clock;
use crate::committer::{Committer, NewRecord, Order, Request, Urgency, run_chores};
use crate::disk;
use crate::error::{JournalError, Result};
use crate::frame::{FIRST_RESERVED_KIND, Hash, MAX_PAYLOAD};
use crate::key::DeviceKey;
use crate::landmarks::{self, Landmarks};
use crate::options::{MAX_GROUP, Options};
use crate::recover::{self, Begin, Deep};
use crate::report::{OpenEvent, OpenReport};
use crate::retain;
use crate::segment::Image;
use crate::shared::{Shared, feed_store, lock};
use crate::ticket::{Ticket, ticket};

/// The crash-safe journal. Cheap to clone; the last clone's drop closes it.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    orders: SyncSender<Order>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Where the newest record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its seq; zero in an empty journal.
    pub seq: u64,
    /// Its hash; zeros in an empty journal.
    pub hash: Hash,
}

/// Figures for status pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// First record kept.
    pub first_seq: u64,
    /// Newest record.
    pub head_seq: u64,
    /// The epoch being written.
    pub epoch: u32,
    /// Commits (each one sync) since the journal was opened.
    pub commits: u64,
    /// Records that are durable in the segments and not yet in the store.
    pub pending: u64,
    /// Records the store had lost or damaged and that were put back while reading.
    pub repaired: u64,
    /// Bytes free under the journal.
    pub free_bytes: u64,
    /// Bytes the ballast holds.
    pub ballast_bytes: u64,
    /// Appends are refused until a restart.
    pub poisoned: bool,
}

impl Journal {
    /// Opens the journal in `options.dir`, making it when there is none, repairing what it can.
    ///
    /// The report says what was found; an alarm in it belongs before a person. Takes as long as reading the live
    /// epoch's store once. Fails without changing anything when the shim is not active, the file system is
    /// unsuitable, another process has the journal, the disk is read-only or full, or the key is another device's.
    pub fn open(options: Options, key: DeviceKey, clock: Arc<dyn Clock>) -> Result<(Self, OpenReport)> {
        let mut opened = recover::open(&options, &key, clock.as_ref())?;
        let queue = options.queue;
        let shared = Arc::new(Shared::new(
            options,
            key,
            clock,
            (opened.lock, opened.ballast, opened.map, opened.live, opened.head),
        ));
        let landmarks = bring_up_old(&shared, &opened.deep, &mut opened.report)?;
        // Durable before the first record that is sealed with it.
        let live = lock(&shared.map).live;
        let sealer = shared.key.sealer(live)?;
        let marks = (landmarks, epoch_began(&shared)?);
        let (orders, incoming) = mpsc::sync_channel(queue);
        let (chores, chores_in) = mpsc::channel();
        let committer = Committer::new(Arc::clone(&shared), opened.writer, marks, (sealer, chores));
        let (for_store, for_chores) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            spawn(&shared, "till-journal-store", move || feed_store(&for_store))?,
            spawn(&shared, "till-journal-spare", move || run_chores(&for_chores, &chores_in))?,
            spawn(&shared, "till-journal-commit", move || committer.run(&incoming))?,
        ];
        Ok((Self(Arc::new(Inner { shared, orders, threads: Mutex::new(threads) })), opened.report))
    }

    /// Appends records as one atomic group: after any crash all of them are there, or none.
    ///
    /// The ticket is answered once they are durable. When the queue is full the call waits for room (a few
    /// milliseconds); [`try_append`](Self::try_append) does not.
    pub fn append(&self, records: Vec<NewRecord>, urgency: Urgency) -> Result<Ticket> {
        let (order, ticket) = self.order(records, urgency)?;
        // The committer is gone: the order (and so its answer) is dropped, the ticket says `Closed`.
        let _ = self.0.orders.send(order);
        Ok(ticket)
    }

    /// As [`append`](Self::append), but `Busy` instead of waiting for room in the queue.
    pub fn try_append(&self, records: Vec<NewRecord>, urgency: Urgency) -> Result<Ticket> {
        let (order, ticket) = self.order(records, urgency)?;
        match self.0.orders.try_send(order) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(ticket),
            Err(TrySendError::Full(_)) => Err(JournalError::Busy),
        }
    }

    fn order(&self, records: Vec<NewRecord>, urgency: Urgency) -> Result<(Order, Ticket)> {
        if records.is_empty() || records.len() > MAX_GROUP {
            return Err(JournalError::GroupSize { len: records.len(), max: MAX_GROUP });
        }
        for record in &records {
            if record.kind >= FIRST_RESERVED_KIND {
                return Err(JournalError::ReservedKind { kind: record.kind });
            }
            if record.payload.len() > MAX_PAYLOAD {
                return Err(JournalError::PayloadTooLarge { len: record.payload.len(), max: MAX_PAYLOAD });
            }
        }
        self.own_order(records, urgency)
    }

    /// Appends records of the journal's own kinds.
    pub(crate) fn append_own(&self, records: Vec<NewRecord>, urgency: Urgency) -> Result<Ticket> {
        let (order, ticket) = self.own_order(records, urgency)?;
        let _ = self.0.orders.send(order);
        Ok(ticket)
    }

    fn own_order(&self, records: Vec<NewRecord>, urgency: Urgency) -> Result<(Order, Ticket)> {
        if let Some(e) = self.0.shared.poisoned() {
            return Err(e);
        }
        let (answer, ticket) = ticket();
        Ok((Order::Append(Request { records, urgency, answer }), ticket))
    }

    /// Dropped, and so answered `Closed`, when the committer is gone.
    pub(crate) fn order_rotation(&self, order: Order) {
        let _ = self.0.orders.send(order);
    }

    /// The newest durable record.
    pub fn head(&self) -> Head {
        let (seq, hash) = self.0.shared.head();
        Head { seq, hash }
    }

    /// Figures for status pages.
    pub fn stats(&self) -> Stats {
        let shared = self.shared();
        let (first_seq, epoch) = {
            let map = lock(&shared.map);
            (map.first_seq(), map.live)
        };
        Stats {
            first_seq,
            head_seq: shared.head().0,
            epoch,
            commits: shared.commits.load(Ordering::Relaxed),
            pending: shared.tail().items.len() as u64,
            repaired: shared.repaired.load(Ordering::Relaxed),
            free_bytes: disk::free_bytes(&shared.options.dir),
            ballast_bytes: shared.ballast.held(),
            poisoned: shared.poisoned().is_some(),
        }
    }

    /// Has `f` called once when the journal stops accepting records (a failed write or sync; every append is refused
    /// from then on), at once when it already has. Called on a thread of the journal before the failed append is
    /// answered: it must not block or append. A service ends itself then, so that a restart recovers from disk.
    pub fn on_poison(&self, f: impl FnOnce(JournalError) + Send + 'static) {
        self.shared().on_poison(Box::new(f));
    }

    /// What was repaired since opening; each event is given out once.
    pub fn take_events(&self) -> Vec<OpenEvent> {
        std::mem::take(&mut *lock(&self.shared().events))
    }

    /// Writes the last checkpoint, brings the store up to date, ends the threads. Later appends get `Closed`;
    /// reads go on. The directory is free for another process once the last clone is dropped.
    pub fn close(&self) -> Result<()> {
        let (answer, ticket) = ticket();
        if self.0.orders.send(Order::Close(answer)).is_err() {
            return Ok(());
        }
        let answer = ticket.wait();
        self.0.join();
        match answer {
            Ok(_) | Err(JournalError::Closed) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// The directory of the journal.
    pub fn dir(&self) -> &Path {
        &self.shared().options.dir
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }
}

impl Inner {
    fn join(&self) {
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            // A callback on the committer may hold the last handle.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let (answer, ticket) = ticket();
        let own = lock(&self.threads).iter().any(|t| t.thread().id() == thread::current().id());
        if !own && self.orders.send(Order::Close(answer)).is_ok() {
            let _ = ticket.wait();
            self.join();
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("dir", &self.dir()).field("head", &self.head().seq).finish()
    }
}

fn spawn(shared: &Arc<Shared>, name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map_err(|e| JournalError::io("start a thread for", &shared.options.dir, e))
}

/// Finds the landmarks, then settles the epochs that are no longer written.
fn bring_up_old(shared: &Arc<Shared>, deep: &Deep, report: &mut OpenReport) -> Result<Landmarks> {
    let find = || {
        let found = landmarks::before(shared, shared.head().0)?;
        shared.last_snapshot.store(found.snapshot, Ordering::Release);
        shared.last_summary.store(found.summary, Ordering::Release);
        Ok((found, retain::newest(shared)?))
    };
    let mut found = find();
    if matches!(found, Err(JournalError::Damaged { .. })) {
        // They, or what they name, stand in an older epoch that is damaged: repaired first.
        report.events.append(&mut recover::settle_old(shared, deep, &Begin::WithWhatIsThere)?);
        found = find();
    }
    let (found, summary) = found?;
    let begin = summary.as_ref().map_or(Begin::First, Begin::After);
    report.events.append(&mut recover::settle_old(shared, deep, &begin)?);
    Deep::done(&shared.options.dir)?;
    Ok(found)
}

/// The first trusted time in the live epoch's first segment.
fn epoch_began(shared: &Arc<Shared>) -> Result<Option<i64>> {
    let path = {
        let map = lock(&shared.map);
        map.segments.iter().find(|s| s.epoch == map.live).map(|s| s.path.clone())
    };
    let Some(path) = path else { return Ok(None) };
    let Ok(image) = Image::read(&path, &shared.key)? else { return Ok(None) };
    let mut stamps = image.frames.iter().filter_map(|f| image.frame(f)).map(|f| f.stamp);
    Ok(stamps.find(|s| s.clock_ok).map(|s| s.wall_ms))
}
