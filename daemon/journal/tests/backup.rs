//! Backup while running: what was acknowledged before it is in it, whatever goes on meanwhile, and what does not hold
//! is never restored.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use common::{SetClock, TestClock, fill, key, numbers, open, open_at, options, record};
use till_journal::{BackupSummary, DeviceKey, Journal, JournalError, Options, Retention, Urgency, restore};

fn backup(journal: &Journal) -> (Vec<u8>, BackupSummary) {
    let mut out = Vec::new();
    let summary = journal.backup(&mut out, &mut |_, _, _| ()).unwrap();
    assert_eq!(summary.bytes, out.len() as u64);
    (out, summary)
}

fn put_back(bytes: &[u8], to: &Path, key: DeviceKey) -> Result<BackupSummary, JournalError> {
    restore(&mut &*bytes, &options(to), key, Arc::new(TestClock::default()), &mut |_, _, _| ())
}

#[test]
fn during_heavy_appends_everything_acknowledged_before_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(&dir.path().join("journal"));
    // Atomic groups over several segments' ends: a backup must not cut one in two.
    let groups: Vec<_> = (0..100u64)
        .map(|g| {
            let group = (g * 15..g * 15 + 15).map(record).collect();
            journal.append(group, Urgency::New).unwrap()
        })
        .collect();
    for group in groups {
        group.wait().unwrap();
    }
    let (stop, acked) = (AtomicBool::new(false), AtomicU64::new(1500));
    let (bytes, summary, before) = thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 1500;
            while !stop.load(Ordering::Acquire) {
                let group = (0..3).map(|i| record(n + i)).collect();
                journal.append(group, Urgency::New).unwrap().wait().unwrap();
                n += 3;
                acked.store(n, Ordering::Release);
            }
        });
        while acked.load(Ordering::Acquire) < 1600 {
            thread::yield_now();
        }
        let before = acked.load(Ordering::Acquire);
        let (bytes, summary) = backup(&journal);
        while acked.load(Ordering::Acquire) < before + 30 {
            thread::yield_now();
        }
        stop.store(true, Ordering::Release);
        (bytes, summary, before)
    });
    let head = journal.get(summary.last).unwrap();
    assert_eq!((head.hash, head.group_left), (summary.head_hash, 0), "the head is inside an atomic group");
    let to = dir.path().join("elsewhere");
    let placed = put_back(&bytes, &to, key()).unwrap();
    assert_eq!(
        (placed.last, placed.head_hash, placed.records),
        (summary.last, summary.head_hash, summary.records)
    );
    let (restored, report) = open(&to);
    assert!(report.events.is_empty(), "{report:?}");
    let there = numbers(&restored);
    assert!(there.len() as u64 >= before, "{} of {before} acknowledged", there.len());
    assert_eq!(there, (0..there.len() as u64).collect::<Vec<_>>());
    assert!(restored.verify().unwrap().is_whole());
    // It goes on.
    restored.append(vec![record(there.len() as u64)], Urgency::New).unwrap().wait().unwrap();
}

fn small(dir: &Path) -> Options {
    let mut options = options(dir);
    options.epoch_records = 400;
    options
}

#[test]
fn epochs_snapshots_and_what_was_removed_come_along() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SetClock::default());
    let (journal, _) = open_at(small(&dir.path().join("journal")), &clock);
    fill(&journal, 0, 1700);
    journal.write_snapshot(1700, b"first").unwrap();
    journal.write_snapshot(1700, b"second").unwrap();
    clock.days.store(600, Ordering::Relaxed);
    let keep = Retention { min_records: 900, ..Retention::months(18, 0) };
    let removed = journal.compact(keep, |_| b"totals".to_vec()).unwrap().unwrap();
    let (bytes, summary) = backup(&journal);
    assert_eq!(summary.first, removed.last + 1);
    let to = dir.path().join("elsewhere");
    put_back(&bytes, &to, key()).unwrap();
    let (restored, report) = open_at(small(&to), &clock);
    assert!(report.events.is_empty(), "{report:?}");
    assert_eq!(restored.summary().unwrap().unwrap(), removed);
    assert_eq!(restored.last_snapshot().unwrap().unwrap().state, b"second");
    assert_eq!(numbers(&restored), numbers(&journal));
    assert!(restored.verify().unwrap().is_whole());
}

#[test]
fn taken_of_a_damaged_journal_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("journal");
    let (journal, _) = open(&root);
    fill(&journal, 0, 900);
    journal.verify().unwrap();
    // While it is open: the store serves what a segment has lost.
    let segment = root.join("segments/00000001-000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[70_000] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let (bytes, _) = backup(&journal);
    let to = dir.path().join("elsewhere");
    put_back(&bytes, &to, key()).unwrap();
    assert_eq!(numbers(&open(&to).0), (0..900).collect::<Vec<_>>());
}

#[test]
fn what_does_not_hold_is_not_restored_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(&dir.path().join("journal"));
    fill(&journal, 0, 400);
    let (bytes, _) = backup(&journal);
    let to = dir.path().join("elsewhere");
    let mut refused = 0;
    // A byte in every part of the file, and every place it may be cut off.
    for at in (0..bytes.len()).step_by(bytes.len() / 60) {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        if put_back(&bad, &to, key()).is_err() {
            refused += 1;
            assert!(!to.exists() && !dir.path().join("elsewhere.restoring").exists());
        } else {
            // A byte of a tar header or of padding that says nothing about the records.
            assert_eq!(numbers(&open(&to).0), (0..400).collect::<Vec<_>>(), "byte {at} altered unseen");
            fs::remove_dir_all(&to).unwrap();
        }
        assert!(put_back(&bytes[..at], &to, key()).is_err(), "cut at {at} it passed");
    }
    assert!(refused > 50, "{refused}");
    // The last two blocks say nothing but that it is whole.
    for less in [1, 453, 512, 1023] {
        let short = &bytes[..bytes.len() - less];
        assert!(put_back(short, &to, key()).is_err(), "without its last {less} bytes it passed");
    }
    let wrong = put_back(&bytes, &to, DeviceKey::new(&[1; 32])).unwrap_err();
    assert!(matches!(wrong, JournalError::WrongKey { .. }), "{wrong}");
    assert!(!to.exists());

    // What is there is never written over.
    put_back(&bytes, &to, key()).unwrap();
    let taken = put_back(&bytes, &to, key()).unwrap_err();
    assert!(matches!(taken, JournalError::NotEmpty { .. }), "{taken}");
    assert_eq!(numbers(&open(&to).0).len(), 400);
}

#[test]
fn neither_keys_nor_anything_but_records_are_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(&dir.path().join("journal"));
    fill(&journal, 0, 10);
    let (bytes, _) = backup(&journal);
    let secret = [42u8; 32];
    assert!(!bytes.windows(32).any(|w| w == secret), "the device key is in the backup");
    let path = dir.path().join("x.tar");
    fs::write(&path, &bytes).unwrap();
    let Ok(said) = std::process::Command::new("tar").arg("tf").arg(&path).output() else {
        println!("skipped: no tar here");
        return;
    };
    let names = String::from_utf8(said.stdout).unwrap();
    assert_eq!(names, "segments/00000001-000001.log\nmanifest.json\nmanifest.mac\n");
}
