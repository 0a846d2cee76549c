//! Snapshots: the caller's folded state, kept inside the chain, so that a start reads what came after it only.
//!
//! A state is cut into chunks, each one record of the kind [`KIND_SNAPSHOT`] with no subject. They go through the
//! committer like any append, a few at a time and each only after the ones before it are durable, so that no urgent
//! append waits for more than one of them; and while others append they wait for a pause, so that a sale of six
//! records meets one of them and not six. The last chunk (the *seal*) is written alone, when all others are on disk,
//! and says where the first one stands: a snapshot without its seal is not one.
//!
//! Payload of a chunk, integers little endian:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 8 | run: random, the same in all chunks of one snapshot |
//! | 9 | 4 | part, from 1 |
//! | 13 | 4 | parts |
//! | 17 | 8 | bytes of the whole state |
//! | 25 | 8 | newest record whose effect is in the state |
//! | 33 | 8 | seal only: seq of part 1; zero when the seal is part 1 |
//! | 41 | 8 | seal only: seq of the seal of the snapshot before; zero for none |
//! | 49 | 32 | BLAKE3 of the whole state |
//! | 81 | n | the part |

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::committer::{NewRecord, Urgency};
use crate::error::{JournalError, Result};
use crate::frame::{Hash, MAX_PAYLOAD, Record};
use crate::journal::Journal;
use crate::landmarks;
use crate::read::{open_frame, walk, walk_frames};
use crate::shared::{Shared, lock};

/// Kind of a snapshot's chunks.
pub const KIND_SNAPSHOT: u16 = 0xff01;
/// Largest state, bytes.
pub const MAX_SNAPSHOT: usize = 16 << 20;

const VERSION: u8 = 1;
const HEAD: usize = 81;
const PART: usize = MAX_PAYLOAD - HEAD;
/// Chunks of one append: what an urgent append may have to wait for, 16 KiB.
const AT_ONCE: usize = 4;
/// A pause: nobody else appended for so long.
const QUIET: Duration = Duration::from_millis(2);
/// Longest wait for a pause, each time: a journal that never rests gets its snapshots too.
const PATIENCE: Duration = Duration::from_millis(50);

/// A state that was read back whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Newest record whose effect is in the state: go on with the one after it.
    pub covers: u64,
    /// First record of the snapshot itself.
    pub first: u64,
    /// Last record of the snapshot itself.
    pub seal: u64,
    /// The state, as it was given.
    pub state: Vec<u8>,
    previous: u64,
}

// The state is the caller's and may hold what a log line must not.
impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("covers", &self.covers)
            .field("seal", &self.seal)
            .field("bytes", &self.state.len())
            .finish_non_exhaustive()
    }
}

struct Chunk<'a> {
    run: u64,
    part: u32,
    parts: u32,
    total: u64,
    covers: u64,
    first: u64,
    previous: u64,
    digest: Hash,
    data: &'a [u8],
}

impl<'a> Chunk<'a> {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + self.data.len());
        out.push(VERSION);
        out.extend_from_slice(&self.run.to_le_bytes());
        out.extend_from_slice(&self.part.to_le_bytes());
        out.extend_from_slice(&self.parts.to_le_bytes());
        for number in [self.total, self.covers, self.first, self.previous] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.digest);
        out.extend_from_slice(self.data);
        out
    }

    fn decode(payload: &'a [u8]) -> Option<Self> {
        if payload.len() < HEAD || payload[0] != VERSION {
            return None;
        }
        let u32_at = |at: usize| payload.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let u64_at = |at: usize| payload.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        Some(Self {
            run: u64_at(1)?,
            part: u32_at(9)?,
            parts: u32_at(13)?,
            total: u64_at(17)?,
            covers: u64_at(25)?,
            first: u64_at(33)?,
            previous: u64_at(41)?,
            digest: payload.get(49..HEAD)?.try_into().ok()?,
            data: &payload[HEAD..],
        })
    }

    fn record(&self) -> NewRecord {
        NewRecord { kind: KIND_SNAPSHOT, subject: [0; 16], payload: self.encode() }
    }
}

/// Whether a record closes a snapshot.
pub(crate) fn is_seal(kind: u16, payload: &[u8]) -> bool {
    kind == KIND_SNAPSHOT && Chunk::decode(payload).is_some_and(|c| c.part == c.parts)
}

impl Journal {
    /// Keeps a state that holds the effect of every record up to and including `covers`. Blocks until it is durable
    /// (call it off the way of payments); appends go on meanwhile. Returns the seq of its last record.
    ///
    /// Refused with `StorageFull` like new work when space runs out: an unfinished snapshot is never taken for one.
    pub fn write_snapshot(&self, covers: u64, state: &[u8]) -> Result<u64> {
        if state.len() > MAX_SNAPSHOT {
            return Err(JournalError::SnapshotTooLarge { len: state.len(), max: MAX_SNAPSHOT });
        }
        let shared = self.shared();
        let head = shared.head().0;
        if covers > head {
            return Err(JournalError::NotFound { seq: covers, first: self.stats().first_seq, last: head });
        }
        let _one_at_a_time = lock(&shared.maintenance);
        let mut run = [0u8; 8];
        getrandom::fill(&mut run).map_err(|_| JournalError::NoRandomness)?;
        let parts: Vec<&[u8]> = if state.is_empty() { vec![state] } else { state.chunks(PART).collect() };
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let mut chunk = Chunk {
            run: u64::from_le_bytes(run),
            part: 0,
            parts: count,
            total: state.len() as u64,
            covers,
            first: 0,
            previous: 0,
            digest: *blake3::hash(state).as_bytes(),
            data: &[],
        };
        let (seal, rest) = parts.split_last().map_or((&[][..], &[][..]), |(seal, rest)| (*seal, rest));
        let (mut first, mut last, mut others) = (0, head, false);
        for some in rest.chunks(AT_ONCE) {
            let_pass(shared, last, others);
            let mut records = Vec::with_capacity(some.len());
            for data in some {
                chunk.part += 1;
                chunk.data = data;
                records.push(chunk.record());
            }
            let place = self.append_own(records, Urgency::New)?.wait()?;
            first = if first == 0 { place.first } else { first };
            others = place.first > last + 1;
            last = place.last;
        }
        chunk.part = count;
        chunk.data = seal;
        chunk.first = first;
        chunk.previous = shared.last_snapshot.load(Ordering::Acquire);
        let place = self.append_own(vec![chunk.record()], Urgency::New)?.wait()?;
        shared.last_snapshot.store(place.last, Ordering::Release);
        Ok(place.last)
    }

    /// The newest whole snapshot. One that is damaged is passed over, and the one before it is given.
    pub fn last_snapshot(&self) -> Result<Option<Snapshot>> {
        newest_from(self.shared(), self.shared().last_snapshot.load(Ordering::Acquire))
    }

    /// The newest whole snapshot before `this`: for a caller that cannot read the state in `this`.
    pub fn snapshot_before(&self, this: &Snapshot) -> Result<Option<Snapshot>> {
        newest_from(self.shared(), this.previous)
    }
}

impl Snapshot {
    /// Seq of the seal of the snapshot before; zero for none.
    pub(crate) fn previous(&self) -> u64 {
        self.previous
    }
}

/// Waits for a pause if `others` append, or did since `own`.
fn let_pass(shared: &Shared, own: u64, others: bool) {
    let begun = Instant::now();
    let mut newest = if others { None } else { Some(own) };
    while newest != Some(shared.head().0) && begun.elapsed() < PATIENCE {
        newest = Some(shared.head().0);
        thread::sleep(QUIET);
    }
}

pub(crate) fn newest_from(shared: &Arc<Shared>, mut seal: u64) -> Result<Option<Snapshot>> {
    let first = lock(&shared.map).first_seq();
    while seal >= first && seal > 0 {
        match read(shared, seal) {
            Ok(Ok(found)) => return Ok(Some(found)),
            Ok(Err(Some(previous))) => seal = previous,
            // The seal itself cannot be read: what stands before it is looked for.
            Ok(Err(None)) | Err(JournalError::Damaged { .. }) => {
                let before = seal.saturating_sub(1);
                seal = landmarks::before(shared, before).map_or(0, |l| l.snapshot);
            }
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

/// `Ok(Err(previous))`: the snapshot closed at `seal` is not whole; `previous` when the seal could be read.
fn read(shared: &Arc<Shared>, seal: u64) -> Result<std::result::Result<Snapshot, Option<u64>>> {
    let mut last = None;
    walk(shared, seal, Some(seal), |record| last = Some(record.clone()))?;
    let Some(last) = last.filter(|r: &Record| r.seq == seal && is_seal(r.kind, &r.payload)) else {
        return Ok(Err(None));
    };
    let Some(closing) = Chunk::decode(&last.payload) else { return Ok(Err(None)) };
    let previous = closing.previous;
    let first = if closing.first == 0 { seal } else { closing.first };
    let whole = usize::try_from(closing.total).unwrap_or(usize::MAX);
    if first > seal || whole > MAX_SNAPSHOT || previous >= first {
        return Ok(Err(None));
    }
    let mut state = Vec::with_capacity(whole);
    let mut part = 0;
    let walked = walk_frames(shared, first, Some(seal), |frame| {
        if frame.kind != KIND_SNAPSHOT {
            return Ok(());
        }
        let record = open_frame(shared, frame.clone())?;
        if let Some(chunk) = Chunk::decode(&record.payload)
            && (chunk.run, chunk.part) == (closing.run, part + 1)
            && state.len() + chunk.data.len() <= whole
        {
            part += 1;
            state.extend_from_slice(chunk.data);
        }
        Ok(())
    });
    match walked {
        Ok(_) => {}
        Err(JournalError::Damaged { .. }) => return Ok(Err(Some(previous))),
        Err(e) => return Err(e),
    }
    if part != closing.parts || state.len() != whole || *blake3::hash(&state).as_bytes() != closing.digest {
        return Ok(Err(Some(previous)));
    }
    Ok(Ok(Snapshot { covers: closing.covers, first, seal, state, previous }))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::{DeviceKey, Options, SystemClock};

    fn journal(dir: &std::path::Path) -> Journal {
        let mut options = Options::new(dir);
        options.force_filesystem = true;
        (options.free_floor, options.ballast_bytes) = (0, 0);
        Journal::open(options, DeviceKey::new(&[5; 32]), Arc::new(SystemClock::new())).unwrap().0
    }

    fn state(len: usize, seed: u8) -> Vec<u8> {
        (0..len).map(|n| u8::try_from(n * 7 % 251).unwrap() ^ seed).collect()
    }

    /// Takes apart what `write_snapshot` wrote and writes it again, changed: both copies hold the change then.
    fn forge(journal: &Journal, of: &Snapshot, change: impl Fn(&mut Vec<NewRecord>)) -> u64 {
        let mut records = Vec::new();
        walk(journal.shared(), of.first, Some(of.seal), |r| {
            if let Some(mut chunk) = Chunk::decode(&r.payload).filter(|_| r.kind == KIND_SNAPSHOT) {
                chunk.run = 99;
                chunk.first = 0;
                records.push(chunk.record());
            }
        })
        .unwrap();
        change(&mut records);
        let first = journal.head().seq + 1;
        for mut record in records {
            if is_seal(record.kind, &record.payload) {
                let mut seal = Chunk::decode(&record.payload).unwrap();
                (seal.first, seal.previous) = (first, of.seal);
                record = seal.record();
            }
            let place = journal.append_own(vec![record], Urgency::New).unwrap().wait().unwrap();
            if is_seal_at(journal, place.last) {
                journal.shared().last_snapshot.store(place.last, Ordering::Release);
            }
        }
        journal.head().seq
    }

    fn is_seal_at(journal: &Journal, seq: u64) -> bool {
        let record = journal.get(seq).unwrap();
        is_seal(record.kind, &record.payload)
    }

    #[test]
    fn unfinished_and_damaged_ones_are_passed_over_also_after_a_restart() {
        type Change = fn(&mut Vec<NewRecord>);
        let changes: [(&str, Change); 5] = [
            ("without its seal", |r| drop(r.pop())),
            ("without a part", |r| drop(r.remove(2))),
            ("with two parts swapped", |r| r.swap(1, 2)),
            ("with a byte altered", |r| r[1].payload[HEAD + 9] ^= 1),
            ("with its end cut", |r| r[2].payload.truncate(100)),
        ];
        for (what, change) in changes {
            let dir = tempfile::tempdir().unwrap();
            let open = journal(dir.path());
            open.write_snapshot(0, &state(5000, 1)).unwrap();
            open.write_snapshot(2, &state(20_000, 2)).unwrap();
            let good = open.last_snapshot().unwrap().unwrap();
            assert_eq!((good.state == state(20_000, 2), good.covers), (true, 2));
            forge(&open, &good, change);
            assert_eq!(open.last_snapshot().unwrap().as_ref(), Some(&good), "{what}");
            drop(open);
            let open = journal(dir.path());
            assert_eq!(open.last_snapshot().unwrap().as_ref(), Some(&good), "{what}, after a restart");
            let before = open.snapshot_before(&good).unwrap().unwrap();
            assert_eq!((before.covers, before.state == state(5000, 1)), (0, true));
            assert!(open.snapshot_before(&before).unwrap().is_none());
        }
    }

    #[test]
    fn a_journal_that_never_rests_gets_its_snapshot_and_its_appends_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let open = journal(dir.path());
        let (over, begun) = (AtomicBool::new(false), Barrier::new(2));
        thread::scope(|scope| {
            let appends = scope.spawn(|| {
                let mut first = true;
                while !over.load(Ordering::Relaxed) {
                    let record = NewRecord { kind: 1, subject: [1; 16], payload: vec![7] };
                    open.append(vec![record], Urgency::Finish).unwrap().wait().unwrap();
                    if std::mem::take(&mut first) {
                        begun.wait();
                    }
                }
            });
            begun.wait();
            let before = open.head().seq;
            let seal = open.write_snapshot(before, &state(200_000, 3)).unwrap();
            over.store(true, Ordering::Relaxed);
            assert_eq!(open.last_snapshot().unwrap().unwrap().state, state(200_000, 3));
            // Each few parts let others pass.
            let groups = 200_000 / (AT_ONCE * PART);
            let others = usize::try_from(seal - before).unwrap() - 200_000_usize.div_ceil(PART);
            assert!(others > 4 * groups, "{others} appends passed {groups} groups of parts");
            appends.join().unwrap();
        });
    }

    #[test]
    fn a_forgery_that_changes_nothing_is_read() {
        // Else the test above would pass whatever it changed.
        let dir = tempfile::tempdir().unwrap();
        let open = journal(dir.path());
        open.write_snapshot(0, &state(20_000, 2)).unwrap();
        let good = open.last_snapshot().unwrap().unwrap();
        let seal = forge(&open, &good, |_| {});
        assert_eq!(open.last_snapshot().unwrap().unwrap().seal, seal);
    }
}
