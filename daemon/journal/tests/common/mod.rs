//! What the tests share: a clock they set, small journals, and records.
#![allow(dead_code)] // each test file uses its part
#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use till_journal::{
    Clock, DeviceKey, Journal, JournalError, NewRecord, OpenReport, Options, Probe, Stamp, Subject, Urgency,
};

mod any_epoch;
pub(crate) use any_epoch::AnyEpoch;

/// A clock that goes one millisecond a look.
#[derive(Debug, Default)]
pub(crate) struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Stamp {
        let at = self.0.fetch_add(1, Ordering::Relaxed);
        Stamp {
            wall_ms: 1_800_000_000_000 + at.cast_signed(),
            boottime_ms: at,
            clock_ok: at.is_multiple_of(2),
        }
    }

    fn boot_id(&self) -> [u8; 16] {
        [0xb0; 16]
    }
}

/// A clock that a test sets.
#[derive(Debug, Default)]
pub(crate) struct SetClock {
    pub(crate) days: AtomicU64,
    pub(crate) suspect: std::sync::atomic::AtomicBool,
}

impl Clock for SetClock {
    fn now(&self) -> Stamp {
        let days = i64::try_from(self.days.load(Ordering::Relaxed)).unwrap();
        Stamp {
            wall_ms: 1_800_000_000_000 + days * 86_400_000,
            boottime_ms: 7,
            clock_ok: !self.suspect.load(Ordering::Relaxed),
        }
    }

    fn boot_id(&self) -> [u8; 16] {
        [0xb1; 16]
    }
}

pub(crate) fn open_at(options: Options, clock: &Arc<SetClock>) -> (Journal, OpenReport) {
    Journal::open(options, key(), Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

/// Bytes that a directory takes on the disk, in blocks.
pub(crate) fn disk_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| if p.is_dir() { disk_bytes(&p) } else { p.metadata().unwrap().blocks() * 512 })
        .sum()
}

/// Every file below a directory and what is in it, by name.
pub(crate) fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(files(&path));
        } else {
            out.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    out.sort();
    out
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The device key of these tests, with keys of the records: everything is sealed, as in a till.
pub(crate) fn key() -> DeviceKey {
    DeviceKey::new(&[42; 32]).sealing(AnyEpoch)
}

pub(crate) fn options(dir: &Path) -> Options {
    let mut options = Options::new(dir);
    options.force_filesystem = true;
    options.segment_bytes = 128 << 10;
    options.free_floor = 0;
    // A flipped bit makes sled hang now and then: the probe is killed then, here sooner than in a till.
    options.probe_limit = std::time::Duration::from_secs(10);
    options.ballast_bytes = 0;
    options.probe =
        Probe::Command { program: env!("CARGO_BIN_EXE_till-journal-lab").into(), args: vec!["probe".into()] };
    options
}

pub(crate) fn open_with(options: Options) -> Result<(Journal, OpenReport), JournalError> {
    Journal::open(options, key(), Arc::new(TestClock::default()))
}

pub(crate) fn open(dir: &Path) -> (Journal, OpenReport) {
    open_with(options(dir)).unwrap()
}

pub(crate) fn subject(n: u64) -> Subject {
    let mut out = [9; 16];
    out[..8].copy_from_slice(&n.to_be_bytes());
    out
}

pub(crate) fn record(n: u64) -> NewRecord {
    let len = usize::try_from(n * 31 % 300).unwrap();
    NewRecord { kind: 7, subject: subject(n / 3), payload: [&n.to_be_bytes()[..], &vec![0xa5; len]].concat() }
}

/// Appends records numbered `from..to`, many in flight, and waits for all.
pub(crate) fn fill(journal: &Journal, from: u64, to: u64) {
    let tickets: Vec<_> =
        (from..to).map(|n| journal.append(vec![record(n)], Urgency::New).unwrap()).collect();
    for ticket in tickets {
        ticket.wait().unwrap();
    }
}

/// Numbers of the writer's records, in journal order.
pub(crate) fn numbers(journal: &Journal) -> Vec<u64> {
    let mut out = Vec::new();
    journal
        .replay(1, |r| {
            if !r.is_control() {
                let n = u64::from_be_bytes(r.payload[..8].try_into().unwrap());
                assert_eq!(r.payload, record(n).payload);
                out.push(n);
            }
        })
        .unwrap();
    out
}
