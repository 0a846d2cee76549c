//! The disk under the till: the journal's own frames in one file, cut as a crash or a power cut may leave them, and
//! recovered as the journal recovers (a frame counts when its checksum, its chain and its seal hold; what stands behind
//! the first that does not was never acknowledged, and goes).

use std::cell::RefCell;
use std::rc::Rc;

use till_core::{Durable, Payment, PaymentId, Record, Till};
use till_journal::{DeviceKey, FrameRef, Hash, MAX_PAYLOAD, Stamp};

use crate::rng::Rng;

/// What the disk takes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Well,
    /// Nothing that begins something fits; what finishes something takes from the ballast.
    Full,
    /// Not even that.
    Stuffed,
    /// The file system turned read-only under an error.
    ReadOnly,
}

/// What happens at an append.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It becomes durable and is answered.
    Well,
    /// The process dies before anything is written.
    Before,
    /// The power goes: the write had not been synced and is lost whole.
    Unsynced,
    /// The power goes: a part of the frame is on the disk.
    Torn,
    /// It is durable; the process dies before it knows.
    After,
    /// The sync reports an error: nobody knows whether it is durable, and nothing more is written before a restart.
    SyncFailed,
}

/// An append that was not answered with a place.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The process died; when, for the log.
    Died(&'static str),
    /// Refused; the process lives.
    Refused(&'static str),
}

/// The journal file.
pub(crate) struct Disk {
    bytes: Vec<u8>,
    /// Where each acknowledged (or recovered) frame begins; its seq is the index + 1.
    frames: Vec<usize>,
    /// What each frame says, read once from its bytes: they do not change any more, which `i23_the_chain_holds` looks
    /// at. Replays of a restart read the bytes again.
    records: Vec<(Rc<Record>, i64)>,
    /// Frames of each payment, by number of the payment in this world.
    of_payment: Vec<Vec<u32>>,
    key: DeviceKey,
    hash: Hash,
    boot: u8,
    pub(crate) health: Health,
    poisoned: bool,
    scratch: Vec<u8>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            bytes: SPARE.take(),
            frames: Vec::new(),
            records: Vec::new(),
            of_payment: Vec::new(),
            key: DeviceKey::new(&[0x5a; 32]),
            hash: [0; 32],
            boot: 1,
            health: Health::Well,
            poisoned: false,
            scratch: Vec::with_capacity(4096),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.frames.len() as u64
    }

    /// It takes nothing any more, until the process starts anew.
    pub(crate) const fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Appends one record as the committer does, or not.
    pub(crate) fn append(
        &mut self,
        rng: &mut Rng,
        fate: Fate,
        record: &Record,
        payload: Vec<u8>,
        wall_ms: i64,
        now: u64,
    ) -> Result<Durable, Trouble> {
        assert!(payload.len() <= MAX_PAYLOAD, "{} is too long for the journal", record.name());
        let full = self.health == Health::Full && !record.is_finishing();
        if self.poisoned || full || matches!(self.health, Health::Stuffed | Health::ReadOnly) {
            self.poisoned |= self.health == Health::ReadOnly;
            return Err(Trouble::Refused(if full { "storage-full" } else { "journal-broken" }));
        }
        if fate == Fate::Before {
            return Err(Trouble::Died("before the record"));
        }
        let mut frame = till_journal::Record {
            seq: self.len() + 1,
            epoch: 1,
            kind: till_core::record::KIND,
            group_left: 0,
            commit_index: 0,
            boot_id: [self.boot; 16],
            stamp: Stamp { wall_ms, boottime_ms: now, clock_ok: true },
            subject: record.payment().map_or([0; 16], |p| p.0),
            payload,
            prev_hash: self.hash,
            hash: [0; 32],
        };
        self.scratch.clear();
        frame.seal_into(&self.key, &mut self.scratch);
        match fate {
            Fate::Unsynced => return Err(Trouble::Died("with the write unsynced")),
            Fate::Torn => {
                self.tear(rng);
                return Err(Trouble::Died("in the middle of the write"));
            }
            Fate::SyncFailed => {
                self.poisoned = true;
                if rng.chance(50) {
                    self.bytes.extend_from_slice(&self.scratch);
                } else {
                    self.tear(rng);
                }
                return Err(Trouble::Refused("sync-failed"));
            }
            _ => {}
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&self.scratch);
        if fate == Fate::After {
            return Err(Trouble::Died("after the record"));
        }
        self.hash = frame.hash;
        self.note(at, frame.subject, wall_ms, &frame.payload);
        Ok(Durable::new(self.len(), wall_ms))
    }

    /// A prefix of the frame, or all its length with a hole of zeros where a sector was not written.
    fn tear(&mut self, rng: &mut Rng) {
        let cut = rng.index(self.scratch.len());
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&self.scratch[..cut]);
        if rng.chance(50) {
            self.bytes.resize(start + self.scratch.len(), 0);
        }
    }

    fn note(&mut self, at: usize, subject: [u8; 16], wall_ms: i64, payload: &[u8]) {
        let index = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
        self.frames.push(at);
        self.records.push((Rc::new(crate::check::read_back(payload)), wall_ms));
        if subject != [0; 16] {
            let n = number(PaymentId(subject));
            if self.of_payment.len() <= n {
                self.of_payment.resize_with(n + 1, Vec::new);
            }
            self.of_payment[n].push(index);
        }
    }

    /// Opens what a death left: keeps every frame that holds, drops what stands behind, and says how many records the
    /// daemon had not been told of (it died between the write and the answer).
    pub(crate) fn open(&mut self) -> u64 {
        self.boot = self.boot.wrapping_add(1);
        self.poisoned = false;
        let mut at = self.end();
        let mut found = 0;
        let bytes = std::mem::take(&mut self.bytes);
        while let Ok(frame) = FrameRef::decode(&bytes[at..]) {
            let next = frame.seq == self.len() + 1 && frame.prev_hash == self.hash;
            let Some(payload) = frame.payload().filter(|_| next && frame.is_authentic(&self.key)) else {
                break;
            };
            self.hash = frame.hash;
            self.note(at, frame.subject, frame.stamp.wall_ms, payload);
            at += frame.len();
            found += 1;
        }
        self.bytes = bytes;
        self.bytes.truncate(at);
        found
    }

    fn frame(&self, index: usize) -> FrameRef<'_> {
        match FrameRef::decode(&self.bytes[self.frames[index]..]) {
            Ok(frame) => frame,
            Err(e) => panic!("record {}, which was acknowledged, cannot be read: {e}", index + 1),
        }
    }

    /// Where the last acknowledged frame ends: what a failed sync left behind it was never acknowledged.
    fn end(&self) -> usize {
        self.frames.last().map_or(0, |last| last + self.frame(self.frames.len() - 1).len())
    }

    /// Time and bytes of a record, for a replay.
    pub(crate) fn read(&self, seq: u64) -> (Durable, &[u8]) {
        let frame = self.frame(usize::try_from(seq - 1).unwrap_or(usize::MAX));
        let Some(payload) = frame.payload() else { panic!("record {seq} is sealed") };
        (Durable::new(frame.seq, frame.stamp.wall_ms), payload)
    }

    /// A record as its bytes give it back, and its time.
    pub(crate) fn record(&self, seq: u64) -> (Rc<Record>, i64) {
        self.records[usize::try_from(seq - 1).unwrap_or(usize::MAX)].clone()
    }

    /// A payment's records, oldest first.
    pub(crate) fn of(&self, payment: PaymentId) -> impl DoubleEndedIterator<Item = (u64, i64, &Record)> {
        let indices = self.of_payment.get(number(payment)).map(Vec::as_slice).unwrap_or_default();
        indices.iter().map(|index| {
            let (record, wall) = &self.records[*index as usize];
            (u64::from(*index) + 1, *wall, &**record)
        })
    }

    /// A payment as its records before a seq make it, folded from them alone.
    pub(crate) fn payment(&self, id: PaymentId, before: u64) -> Option<Payment> {
        Till::fold_payment(id, self.of(id).take_while(|(seq, ..)| *seq < before))
    }

    /// Payments that the journal knows.
    pub(crate) fn payments(&self) -> usize {
        self.of_payment.iter().filter(|f| !f.is_empty()).count()
    }

    /// Their identities.
    pub(crate) fn identities(&self) -> Vec<PaymentId> {
        let firsts = self.of_payment.iter().filter_map(|frames| frames.first());
        firsts.filter_map(|first| self.records[*first as usize].0.payment()).collect()
    }

    /// I23: the chain holds from the first record to the last, and one changed bit or a missing record shows.
    pub(crate) fn i23_the_chain_holds(&mut self, rng: &mut Rng) {
        let end = self.end();
        assert!(self.holds(0, &self.bytes[..end]), "I23: the chain of the journal is broken");
        if self.frames.is_empty() {
            return;
        }
        // What stands before the damage is byte for byte what was just found whole: the reader comes to the damage with
        // what the last frame before it left, and goes on from there.
        let bit = rng.index(end * 8);
        let damaged = self.frames.partition_point(|at| *at <= bit / 8) - 1;
        self.bytes[bit / 8] ^= 1 << (bit % 8);
        let unnoticed = self.holds(damaged, &self.bytes[self.frames[damaged]..end]);
        self.bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!unnoticed, "I23: a changed bit of the journal is not noticed");
        let gone = rng.index(self.frames.len());
        let after = self.frames.get(gone + 1).copied().unwrap_or(end);
        let unnoticed = self.holds(gone, &self.bytes[after..end]);
        assert!(!unnoticed, "I23: a removed record is not noticed");
    }

    /// Whether the bytes are what the journal holds from a frame on, to its end.
    fn holds(&self, from: usize, mut rest: &[u8]) -> bool {
        let mut seq = from as u64;
        let mut hash = if from == 0 { [0; 32] } else { self.frame(from - 1).hash };
        while !rest.is_empty() {
            let Ok(frame) = FrameRef::decode(rest) else { return false };
            if frame.seq != seq + 1 || frame.prev_hash != hash || !frame.is_authentic(&self.key) {
                return false;
            }
            (rest, hash, seq) = (&rest[frame.len()..], frame.hash, frame.seq);
        }
        seq == self.len() && hash == self.hash
    }
}

thread_local! {
    /// The memory of the last world's file, for the next one.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.bytes.clear();
        SPARE.set(std::mem::take(&mut self.bytes));
    }
}

/// The number of a payment in this world: the operator counts them into the first half of their identities.
pub(crate) fn number(payment: PaymentId) -> usize {
    let mut half = [0; 8];
    half.copy_from_slice(&payment.0[..8]);
    usize::try_from(u64::from_be_bytes(half)).unwrap_or(usize::MAX)
}
