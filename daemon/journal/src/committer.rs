//! The one thread that writes: takes what waits, writes it in one piece, syncs once, answers all.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use crate::body::{self, EpochKeys};
use crate::checkpoint::{self, Checkpoint};
use crate::clock::Stamp;
use crate::disk;
use crate::error::{JournalError, Result};
use crate::frame::{self, Frame, Hash, KIND_CHECKPOINT, Record, Subject};
use crate::landmarks::Landmarks;
use crate::map::{Epoch, SegmentAt};
use crate::recover::create_store;
use crate::report::OpenEvent;
use crate::retain::KIND_SUMMARY;
use crate::rotation::{KIND_KEY_LINK, KeyLink, Rotation, not_kept};
use crate::segment::{self, Header, Writer};
use crate::shared::{Shared, TailItem, lock};
use crate::snapshot;
use crate::ticket::{Answer, Appended};

/// Most appends of one commit.
const GROUP: usize = 64;

/// How much an append matters when space runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Begins something: refused with `StorageFull` while less than the floor is free.
    New,
    /// Finishes or reverses something begun: may use the last of the disk and the ballast.
    Finish,
}

/// A record to append.
#[derive(Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// What it is; below [`FIRST_RESERVED_KIND`](crate::FIRST_RESERVED_KIND).
    pub kind: u16,
    /// The payment it is about; zero for none.
    pub subject: Subject,
    /// The caller's bytes, at most [`MAX_PAYLOAD`](crate::MAX_PAYLOAD).
    pub payload: Vec<u8>,
}

pub(crate) struct Request {
    pub(crate) records: Vec<NewRecord>,
    pub(crate) urgency: Urgency,
    pub(crate) answer: Answer,
}

pub(crate) enum Order {
    Append(Request),
    /// A new device key; answered when the epoch under it has begun.
    Rotate(Box<Rotation>),
    /// Clean stop; answered when the last checkpoint is durable.
    Close(Answer),
}

pub(crate) struct Committer {
    shared: Arc<Shared>,
    writer: Writer,
    /// Asks the helper thread for the next spare segment.
    spare: Sender<Chore>,
    boot_id: [u8; 16],
    epoch: u32,
    epoch_first: u64,
    /// What the epoch's records are sealed with.
    sealer: Option<Arc<EpochKeys>>,
    /// Newest record encoded (durable once its commit is).
    seq: u64,
    /// Its time.
    stamp: Stamp,
    hash: Hash,
    /// The newest checkpoint, snapshot and summary encoded.
    marks: Landmarks,
    /// An epoch that could not be begun is tried again from here.
    next_epoch_at: u64,
    /// The epoch's first trusted time, ms.
    epoch_began: Option<i64>,
    /// Free bytes when the commit began.
    free: u64,
    // The commit being made.
    buffer: Vec<u8>,
    items: Vec<TailItem>,
    commit_first: u64,
    answers: Vec<(Answer, Appended)>,
}

/// Work that must not delay a commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chore {
    Spare,
    Ballast,
}

impl Committer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        writer: Writer,
        (marks, epoch_began): (Landmarks, Option<i64>),
        (sealer, spare): (Option<Arc<EpochKeys>>, Sender<Chore>),
    ) -> Self {
        let (seq, hash) = shared.head();
        let (epoch, epoch_first) = {
            let map = lock(&shared.map);
            (map.live, map.epochs.get(&map.live).map_or(1, |e| e.first_seq))
        };
        let next_epoch_at = epoch_first.saturating_add(shared.options.epoch_records);
        Self {
            boot_id: shared.clock.boot_id(),
            shared,
            writer,
            spare,
            epoch,
            epoch_first,
            sealer,
            seq,
            stamp: Stamp::default(),
            hash,
            marks,
            next_epoch_at,
            epoch_began,
            free: 0,
            buffer: Vec::new(),
            items: Vec::new(),
            commit_first: seq.saturating_add(1),
            answers: Vec::new(),
        }
    }

    /// Serves until told to close, or until the journal and all its handles are gone.
    pub(crate) fn run(mut self, orders: &Receiver<Order>) {
        let _ = self.spare.send(Chore::Spare);
        while let Ok(first) = orders.recv() {
            let mut close = None;
            let mut rotation = None;
            let mut requests = Vec::new();
            let mut next = Some(first);
            while let Some(order) = next.take() {
                match order {
                    Order::Append(request) => requests.push(request),
                    Order::Rotate(order) => {
                        rotation = Some(order);
                        break;
                    }
                    Order::Close(answer) => {
                        close = Some(answer);
                        break;
                    }
                }
                if requests.len() < GROUP {
                    next = orders.try_recv().ok();
                }
            }
            if let Err(e) = self.serve(requests) {
                self.shared.poison(&e);
            }
            if let Some(rotation) = rotation {
                self.rotate(*rotation);
            }
            if let Some(answer) = close {
                answer.give(self.stop());
                return;
            }
        }
        let _ = self.stop();
    }

    fn serve(&mut self, requests: Vec<Request>) -> Result<()> {
        self.free = disk::free_bytes(&self.shared.options.dir);
        let due = self.seq.saturating_add(1) >= self.next_epoch_at || self.is_old();
        if due && self.shared.poisoned().is_none() {
            self.begin_epoch()?;
        }
        for request in requests {
            self.add(request)?;
        }
        self.commit()?;
        if self.seq.saturating_sub(self.marks.checkpoint) >= checkpoint::EVERY {
            self.add_checkpoint(false)?;
            self.commit()?;
        }
        self.shared.has_room()
    }

    /// Whether the epoch has lasted its days. A clock that jumps ahead begins one epoch, not one after the other.
    fn is_old(&self) -> bool {
        let days = i64::from(self.shared.options.epoch_days);
        let Some(began) = self.epoch_began.filter(|_| days > 0) else { return false };
        let enough = self.epoch_first.saturating_add(checkpoint::EVERY);
        if self.seq < enough {
            return false;
        }
        let now = self.shared.clock.now();
        now.clock_ok && now.wall_ms.saturating_sub(began) > days.saturating_mul(86_400_000)
    }

    /// Takes one request into the commit, or refuses it cleanly. An error is the end of the journal.
    fn add(&mut self, request: Request) -> Result<()> {
        let Request { records, urgency, answer } = request;
        if let Some(e) = self.shared.poisoned() {
            answer.give(Err(e));
            return Ok(());
        }
        let bytes: usize = records.iter().map(|r| self.frame_len(r)).sum();
        match self.check_space(urgency).and_then(|()| self.make_room(bytes, urgency)) {
            Ok(()) => {}
            // Nothing of this request was written: it is refused, the journal goes on.
            Err(e) if e.is_full() => {
                answer.give(Err(e));
                return Ok(());
            }
            Err(e) => {
                // Poisoned before the caller hears of it, so that whatever it does next is refused.
                self.shared.poison(&e);
                answer.give(Err(e.clone()));
                return Err(e);
            }
        }
        let first = self.seq.saturating_add(1);
        let count = records.len();
        for (index, record) in records.into_iter().enumerate() {
            let left = u16::try_from(count - index - 1).unwrap_or(u16::MAX);
            if let Err(e) = self.encode(record, left) {
                self.drop_commit(&e);
                answer.give(Err(e.clone()));
                return Err(e);
            }
        }
        self.answers.push((answer, Appended { first, last: self.seq, stamp: self.stamp }));
        Ok(())
    }

    /// Bytes that a record takes in the segment.
    fn frame_len(&self, record: &NewRecord) -> usize {
        let sealed = self.sealer.is_some() && body::is_sealed_kind(record.kind);
        let len = record.payload.len();
        frame::frame_len(if sealed { body::sealed_len(len) } else { len })
    }

    /// What waits in the buffer is never written: half of an append may be in it.
    fn drop_commit(&mut self, why: &JournalError) {
        self.shared.poison(why);
        self.buffer.clear();
        self.items.clear();
        for (answer, _) in self.answers.drain(..) {
            answer.give(Err(why.clone()));
        }
    }

    fn encode(&mut self, record: NewRecord, group_left: u16) -> Result<()> {
        self.seq = self.seq.saturating_add(1);
        self.stamp = self.shared.clock.now();
        let mut record = Record {
            seq: self.seq,
            epoch: self.epoch,
            kind: record.kind,
            group_left,
            commit_index: u16::try_from(self.seq - self.commit_first).unwrap_or(u16::MAX),
            boot_id: self.boot_id,
            stamp: self.stamp,
            subject: record.subject,
            payload: record.payload,
            prev_hash: self.hash,
            hash: [0; 32],
        };
        if snapshot::is_seal(record.kind, &record.payload) {
            self.marks.snapshot = record.seq;
        } else if record.kind == KIND_SUMMARY {
            self.marks.summary = record.seq;
        }
        if self.epoch_began.is_none() && record.stamp.clock_ok {
            self.epoch_began = Some(record.stamp.wall_ms);
        }
        let start = self.buffer.len();
        let made = Frame::make_into(&mut record, &self.shared.key, self.sealer.as_deref(), &mut self.buffer);
        made.ok_or_else(|| JournalError::RecordKeys { detail: "the cipher refused the record".into() })?;
        self.hash = record.hash;
        self.items.push(TailItem {
            seq: record.seq,
            subject: record.subject,
            checkpoint: record.kind == KIND_CHECKPOINT,
            frame: Arc::from(&self.buffer[start..]),
        });
        Ok(())
    }

    /// Writes, syncs, publishes, answers: in this order and no other.
    fn commit(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.writer.commit(&self.buffer);
        self.buffer.clear();
        let answers = std::mem::take(&mut self.answers);
        if let Err(e) = written {
            self.shared.poison(&e);
            for (answer, _) in answers {
                answer.give(Err(e.clone()));
            }
            return Err(e);
        }
        self.shared.publish(std::mem::take(&mut self.items), (self.seq, self.hash));
        self.commit_first = self.seq.saturating_add(1);
        for (answer, place) in answers {
            answer.give(Ok(place));
        }
        Ok(())
    }

    fn check_space(&self, urgency: Urgency) -> Result<()> {
        let options = &self.shared.options;
        let free = self.free;
        let ballast = &self.shared.ballast;
        // A ballast that was given up is owed first: its space is not for new work.
        let needed = options.free_floor.saturating_add(ballast.wanted());
        if urgency == Urgency::New && free < needed {
            return Err(JournalError::StorageFull { free, needed });
        }
        if free < options.free_floor / 4 && ballast.held() > 0 {
            // The store needs a little space of its own, even when the segment has its blocks.
            let _ = ballast.release();
        } else if ballast.is_missing() && free > options.free_floor.saturating_add(ballast.wanted()) {
            let _ = self.spare.send(Chore::Ballast);
        }
        Ok(())
    }

    /// Sees to it that `bytes` fit the live segment, beginning the next one when they do not.
    fn make_room(&mut self, bytes: usize, urgency: Urgency) -> Result<()> {
        if (self.buffer.len() + bytes) as u64 <= self.writer.room() {
            return Ok(());
        }
        self.commit()?;
        if bytes as u64 <= self.writer.room() {
            return Ok(());
        }
        let number = self.writer.header.number.saturating_add(1);
        match self.begin_segment(self.epoch, number) {
            Err(e) if e.is_full() && urgency == Urgency::Finish && self.shared.ballast.held() > 0 => {
                let _ = self.shared.ballast.release();
                self.begin_segment(self.epoch, number)
            }
            other => other,
        }
    }

    fn begin_segment(&mut self, epoch: u32, number: u32) -> Result<()> {
        let options = &self.shared.options;
        let header = Header {
            epoch,
            number,
            first_seq: self.seq.saturating_add(1),
            size: options.segment_bytes,
            prev_hash: self.hash,
            fingerprint: self.shared.key.fingerprint(epoch),
        };
        let at =
            SegmentAt { first_seq: header.first_seq, epoch, number, path: header.path(&options.segments()) };
        self.writer = Writer::start(&options.segments(), header)?;
        lock(&self.shared.map).segments.push(at);
        let _ = self.spare.send(Chore::Spare);
        Ok(())
    }

    /// Closes the epoch and begins the next: a new store, then (what makes it real) a new segment.
    fn begin_epoch(&mut self) -> Result<()> {
        let next = self.epoch.saturating_add(1);
        // Durable before the epoch's first record. Without it the old epoch goes on under its own.
        let sealer = match self.shared.key.sealer(next) {
            Ok(sealer) => sealer,
            Err(e) => {
                lock(&self.shared.events).push(OpenEvent::RecordKeyTrouble { why: e.to_string() });
                self.next_epoch_at = self.seq.saturating_add(checkpoint::EVERY);
                self.epoch_began = None;
                return Ok(());
            }
        };
        match self.add_key_link(next) {
            // No space even for the hand-over: as below.
            Err(e) if e.is_full() => {
                self.next_epoch_at = self.seq.saturating_add(checkpoint::EVERY);
                return Ok(());
            }
            added => added?,
        }
        self.add_checkpoint(false)?;
        self.commit()?;
        self.shared.drained()?;
        let old = Arc::clone(&self.shared.tail().store);
        old.flush()?;
        let begun = create_store(&self.shared.options, next).and_then(|store| {
            self.begin_segment(next, 1)?;
            Ok(Arc::new(store))
        });
        let store = match begun {
            Ok(store) => store,
            // No space for a new epoch: the old one goes on, and this is tried again later.
            Err(e) if e.is_full() => {
                self.next_epoch_at = self.seq.saturating_add(checkpoint::EVERY);
                self.epoch_began = None;
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        self.epoch = next;
        self.sealer = sealer;
        self.epoch_began = None;
        self.epoch_first = self.seq.saturating_add(1);
        self.next_epoch_at = self.epoch_first.saturating_add(self.shared.options.epoch_records);
        let mut map = lock(&self.shared.map);
        map.live = next;
        map.epochs.insert(next, Epoch { first_seq: self.epoch_first, store: Some(Arc::clone(&store)) });
        drop(map);
        self.shared.tail().store = store;
        Ok(())
    }

    /// Puts a new device key in force, in an epoch of its own. A failure of what is written is the journal's end; a
    /// key that could not be kept, or a full disk, is not.
    fn rotate(&mut self, rotation: Rotation) {
        let Rotation { secret, persist, answer } = rotation;
        let next = self.epoch.saturating_add(1);
        let kept = match self.shared.poisoned() {
            Some(e) => Err(e),
            None => persist(next).map_err(not_kept),
        };
        if let Err(e) = kept {
            answer.give(Err(e));
            return;
        }
        self.shared.key.add(next, &secret);
        if let Err(e) = self.begin_epoch() {
            self.shared.poison(&e);
            answer.give(Err(e));
        } else if self.epoch != next && self.shared.key.sealer(next).is_err() {
            let detail =
                "the key of the next epoch's records was not made; the new key takes over with it".into();
            answer.give(Err(JournalError::RecordKeys { detail }));
        } else if self.epoch != next {
            answer.give(Err(JournalError::StorageFull {
                free: self.free,
                needed: self.shared.options.free_floor,
            }));
        } else {
            answer.give(Ok(Appended { first: self.seq, last: self.seq, stamp: self.stamp }));
        }
    }

    /// The hand-over to the key of the next epoch, when that is another one.
    fn add_key_link(&mut self, next: u32) -> Result<()> {
        let Some(payload) = KeyLink::encode(&self.shared.key, next, &self.hash) else { return Ok(()) };
        self.make_room(frame::frame_len(payload.len()), Urgency::Finish)?;
        // Room may have been made by a segment, never by a record: the chain still stands where the link says.
        self.encode(NewRecord { kind: KIND_KEY_LINK, subject: [0; 16], payload }, 0)
    }

    fn add_checkpoint(&mut self, clean_stop: bool) -> Result<()> {
        let payload = Checkpoint {
            epoch_records: self.seq.saturating_add(1).saturating_sub(self.epoch_first),
            total_records: self.seq,
            clean_stop,
            head: self.hash,
            last_snapshot: self.marks.snapshot,
            last_summary: self.marks.summary,
        }
        .encode();
        match self.make_room(frame::frame_len(payload.len()), Urgency::Finish) {
            Ok(()) => {
                self.encode(NewRecord { kind: KIND_CHECKPOINT, subject: [0; 16], payload }, 0)?;
                self.marks.checkpoint = self.seq;
                Ok(())
            }
            // A checkpoint is a convenience; the disk is left to records that matter.
            Err(e) if e.is_full() => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Last checkpoint, store up to date and flushed.
    fn stop(&mut self) -> Result<Appended> {
        let stopped = self.try_stop();
        if let Err(e) = &stopped {
            self.shared.poison(e);
        }
        self.shared.tail().closing = true;
        self.shared.moved.notify_all();
        self.shared.feed.notify_all();
        stopped
    }

    fn try_stop(&mut self) -> Result<Appended> {
        if let Some(e) = self.shared.poisoned() {
            return Err(e);
        }
        // Nothing since the last one: a stop adds nothing to it.
        if self.seq > self.marks.checkpoint {
            self.add_checkpoint(true)?;
            self.commit()?;
        }
        self.shared.drained()?;
        let store = Arc::clone(&self.shared.tail().store);
        store.flush()?;
        Ok(Appended { first: self.seq, last: self.seq, stamp: self.stamp })
    }
}

/// The helper thread: prepares the next segment and the ballast.
pub(crate) fn run_chores(shared: &Shared, chores: &Receiver<Chore>) {
    while let Ok(chore) = chores.recv() {
        match chore {
            Chore::Spare => {
                // Without a spare the committer makes the segment itself, and tells what is wrong.
                let free = disk::free_bytes(&shared.options.dir);
                if free > shared.options.free_floor.saturating_add(shared.options.segment_bytes) {
                    let _ = segment::prepare_spare(&shared.options.segments(), shared.options.segment_bytes);
                }
            }
            Chore::Ballast => {
                if shared.ballast.is_missing() {
                    let _ = shared.ballast.take();
                }
            }
        }
    }
}
