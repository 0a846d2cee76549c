//! Snapshots: a start that reads what came after one gets what a full replay would, and payments do not wait for them.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{fill, open, open_with, options, record};
use till_journal::{Journal, JournalError, KIND_SNAPSHOT, MAX_SNAPSHOT, Urgency};

fn state(len: usize) -> Vec<u8> {
    (0..len).map(|n| u8::try_from(n % 253).unwrap()).collect()
}

/// Seqs of the writer's records from `from` on.
fn after(journal: &Journal, from: u64) -> Vec<u64> {
    let mut out = Vec::new();
    journal.replay(from, |r| out.extend((!r.is_control()).then_some(r.seq))).unwrap();
    out
}

#[test]
fn a_state_of_any_size_comes_back_with_what_followed_it() {
    for len in [0, 1, 3871, 3872, 4 * 3871, 100_000, 700_000] {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = open(dir.path());
        assert!(journal.last_snapshot().unwrap().is_none());
        fill(&journal, 0, 20);
        let covers = journal.head().seq;
        // What is appended before the snapshot is on disk is not in its state.
        fill(&journal, 20, 30);
        journal.write_snapshot(covers, &state(len)).unwrap();
        fill(&journal, 30, 40);
        let all = after(&journal, 1);
        drop(journal);
        for _ in 0..2 {
            let (journal, _) = open(dir.path());
            let found = journal.last_snapshot().unwrap().unwrap();
            assert_eq!((found.covers, found.state == state(len)), (covers, true), "{len} bytes");
            assert_eq!(after(&journal, found.covers + 1), all[20..], "{len} bytes");
            assert!(journal.verify().unwrap().is_whole());
        }
    }
}

#[test]
fn found_at_a_start_however_far_back_and_over_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = options(dir.path());
    small.epoch_records = 700;
    let (journal, _) = open_with(small.clone()).unwrap();
    fill(&journal, 0, 100);
    journal.write_snapshot(100, b"the state").unwrap();
    fill(&journal, 100, 600);
    drop(journal);
    let mut at = 600;
    for turn in 0..5 {
        let (journal, report) = open_with(small.clone()).unwrap();
        assert!(report.events.is_empty(), "{report:?}");
        let found = journal.last_snapshot().unwrap().expect("lost sight of");
        assert_eq!((found.covers, found.state.as_slice()), (100, &b"the state"[..]), "start {turn}");
        fill(&journal, at, at + 1300);
        at += 1300;
    }
}

#[test]
fn no_commit_holds_more_than_a_few_chunks_and_appends_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let done = AtomicBool::new(false);
    let appended = thread::scope(|scope| {
        scope.spawn(|| {
            journal.write_snapshot(0, &state(1 << 20)).unwrap();
            done.store(true, Ordering::Release);
        });
        let mut n = 0;
        while !done.load(Ordering::Acquire) {
            journal.append(vec![record(n)], Urgency::New).unwrap().wait().unwrap();
            n += 1;
        }
        n
    });
    let mut chunks: BTreeMap<u64, u32> = BTreeMap::new();
    let (mut between, mut seen) = (0, 0);
    journal
        .replay(1, |r| {
            if r.kind == KIND_SNAPSHOT {
                *chunks.entry(r.seq - u64::from(r.commit_index)).or_default() += 1;
                seen += 1;
            } else if !r.is_control() && seen > 0 && seen < 275 {
                between += 1;
            }
        })
        .unwrap();
    assert_eq!(chunks.values().sum::<u32>(), 275);
    assert!(chunks.values().all(|n| *n <= 4), "an append had to wait for {:?} chunks", chunks.values().max());
    assert!(between > 20, "of {appended} appends only {between} were let in between the chunks");
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    assert!(matches!(journal.write_snapshot(1, b"of the future"), Err(JournalError::NotFound { .. })));
    let refused = journal.write_snapshot(0, &vec![0; MAX_SNAPSHOT + 1]);
    assert!(matches!(refused, Err(JournalError::SnapshotTooLarge { .. })));
    assert_eq!(journal.head().seq, 0);
}
