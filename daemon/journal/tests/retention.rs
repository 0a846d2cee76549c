//! Retention: old epochs go as a whole, the chain stays provable, and nothing that is still needed goes.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{SetClock, copy, disk_bytes, fill, numbers, open_at, options, record, subject};
use till_journal::{Journal, JournalError, OpenEvent, Options, Retention, Urgency};

const KEEP: Retention = Retention { keep_days: 558, min_records: 0, keep_from: None };

fn small(dir: &Path) -> Options {
    let mut options = options(dir);
    options.epoch_records = 400;
    options
}

fn snapshot(journal: &Journal) {
    journal.write_snapshot(journal.head().seq, &[7; 9000]).unwrap();
}

/// 2000 records in five epochs, two snapshots at the end, the clock 600 days on.
fn grown(dir: &Path) -> (Journal, Arc<SetClock>) {
    let clock = Arc::new(SetClock::default());
    let (journal, _) = open_at(small(dir), &clock);
    fill(&journal, 0, 2000);
    snapshot(&journal);
    snapshot(&journal);
    clock.days.store(600, Ordering::Relaxed);
    assert!(journal.stats().epoch >= 5);
    (journal, clock)
}

fn epochs(dir: &Path) -> Vec<String> {
    let mut out: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.starts_with("0000"))
        .collect();
    out.sort();
    out
}

#[test]
fn old_epochs_go_and_the_chain_still_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, clock) = grown(dir.path());
    let size = disk_bytes(dir.path());
    let all = numbers(&journal);
    let mut asked = None;
    let summary = journal
        .compact(KEEP, |removal| {
            asked = Some(removal.clone());
            b"2000 payments".to_vec()
        })
        .unwrap()
        .unwrap();
    let asked = asked.unwrap();
    assert_eq!((asked.first, asked.last, asked.previous), (1, summary.last, None));
    assert_eq!((summary.first, summary.prev_hash, summary.count), (1, [0; 32], summary.last));
    assert_eq!(journal.summary().unwrap().as_ref(), Some(&summary));
    assert_eq!(journal.stats().first_seq, summary.last + 1);
    assert_eq!(journal.get(summary.last + 1).unwrap().prev_hash, summary.head_hash);
    assert!(matches!(journal.get(summary.last), Err(JournalError::NotFound { .. })));
    assert!(journal.by_subject(&subject(1)).unwrap().is_empty());
    assert_eq!(journal.by_subject(&subject(600)).unwrap().len(), 3);
    assert_eq!(epochs(dir.path()), [format!("{:08}", summary.kept_epoch)]);
    assert!(disk_bytes(dir.path()) < size / 2, "{size} bytes became {}", disk_bytes(dir.path()));
    let kept = numbers(&journal);
    assert!(all.ends_with(&kept) && kept.len() > 100 && kept.len() < 500, "{}", kept.len());
    let report = journal.verify().unwrap();
    assert!(report.is_whole(), "{report:?}");
    assert!(journal.compact(KEEP, |_| Vec::new()).unwrap().is_none(), "there was nothing more to remove");
    drop(journal);

    // After a restart, and after a second removal on top of the first.
    let (journal, report) = open_at(small(dir.path()), &clock);
    assert!(report.events.is_empty(), "{report:?}");
    assert_eq!(journal.summary().unwrap().as_ref(), Some(&summary));
    assert_eq!(numbers(&journal), kept);
    fill(&journal, 2000, 4000);
    snapshot(&journal);
    snapshot(&journal);
    clock.days.store(1200, Ordering::Relaxed);
    let second = journal
        .compact(KEEP, |removal| {
            assert_eq!(removal.previous.as_ref(), Some(&summary));
            [&removal.previous.as_ref().unwrap().totals[..], b", 2000 more"].concat()
        })
        .unwrap()
        .unwrap();
    assert_eq!((second.first, second.prev_hash, second.count), (1, [0; 32], second.last));
    assert_eq!(second.totals, b"2000 payments, 2000 more");
    assert!(second.last > summary.last);
    drop(journal);
    let (journal, report) = open_at(small(dir.path()), &clock);
    assert!(report.events.is_empty(), "{report:?}");
    assert!(journal.verify().unwrap().is_whole());
    assert_eq!(journal.last_snapshot().unwrap().unwrap().state, [7; 9000]);
}

#[test]
fn nothing_that_is_needed_goes() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SetClock::default());
    let (journal, _) = open_at(small(dir.path()), &clock);
    let removed = |keep| journal.compact(keep, |_| Vec::new()).unwrap().map_or(0, |s| s.last);
    fill(&journal, 0, 500);
    journal.write_snapshot(300, b"covers 300").unwrap();
    fill(&journal, 500, 1500);
    clock.days.store(600, Ordering::Relaxed);
    assert_eq!(removed(KEEP), 0, "with one snapshot only");
    snapshot(&journal);
    assert_eq!(
        removed(KEEP),
        0,
        "the second newest snapshot needs what follows record 300, in the first epoch"
    );
    snapshot(&journal);
    clock.suspect.store(true, Ordering::Relaxed);
    assert_eq!(removed(KEEP), 0, "by a clock that is not trusted");
    clock.suspect.store(false, Ordering::Relaxed);
    assert_eq!(removed(Retention { keep_days: 600, ..KEEP }), 0, "younger than the retention");
    let head = journal.head().seq;
    assert_eq!(removed(Retention { min_records: head - 300, ..KEEP }), 0, "fewer than the least number stay");
    assert_eq!(removed(Retention { keep_from: Some(5), ..KEEP }), 0, "a ledger's entry in the first epoch");
    let least = Retention { min_records: head - 450, ..KEEP };
    let last = removed(least);
    assert!(last > 0 && last < 450, "{last}");
    assert!(journal.verify().unwrap().is_whole());
    // The newest epoch stays, whatever its age.
    assert!(removed(Retention { keep_days: 0, ..KEEP }) < head);
    assert!(journal.verify().unwrap().is_whole());
}

#[test]
fn a_quiet_tills_epochs_turn_by_time_and_a_wild_clock_turns_one_only() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SetClock::default());
    let mut slow = options(dir.path());
    slow.epoch_days = 90;
    let (journal, _) = open_at(slow.clone(), &clock);
    fill(&journal, 0, 1200);
    clock.days.store(80, Ordering::Relaxed);
    fill(&journal, 1200, 1300);
    assert_eq!(journal.stats().epoch, 1);
    drop(journal);
    let (journal, _) = open_at(slow, &clock);
    clock.days.store(91, Ordering::Relaxed);
    fill(&journal, 1300, 1400);
    assert_eq!(journal.stats().epoch, 2, "the time before the restart was forgotten");
    clock.days.store(40_000, Ordering::Relaxed);
    fill(&journal, 1400, 1500);
    assert_eq!(journal.stats().epoch, 2, "too few records for an epoch of their own");
    fill(&journal, 1500, 2600);
    clock.days.store(92, Ordering::Relaxed);
    fill(&journal, 2600, 3800);
    assert!(journal.stats().epoch <= 3, "{}", journal.stats().epoch);
    assert!(journal.verify().unwrap().is_whole());
}

#[test]
fn an_interrupted_removal_is_finished_at_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("journal");
    let (journal, clock) = grown(&root);
    drop(journal);
    let before = dir.path().join("before");
    copy(&root, &before);
    let (journal, _) = open_at(small(&root), &clock);
    let summary = journal.compact(KEEP, |_| Vec::new()).unwrap().unwrap();
    drop(journal);
    // What a cut may leave: some files of some epochs, in part.
    fs::copy(before.join("segments/00000001-000001.log"), root.join("segments/00000001-000001.log")).unwrap();
    copy(&before.join("00000002"), &root.join("00000002"));
    fs::remove_file(root.join("00000002/conf")).unwrap();
    let (journal, report) = open_at(small(&root), &clock);
    assert_eq!(report.events, [OpenEvent::RemovalFinished { below: summary.kept_epoch }]);
    assert_eq!(epochs(&root), [format!("{:08}", summary.kept_epoch)]);
    assert!(journal.verify().unwrap().is_whole());
    drop(journal);
    assert!(open_at(small(&root), &clock).1.events.is_empty());
}

/// The summary in the last record of one epoch and a checkpoint with its place two epochs on: a start finds where it
/// stands, and must repair that epoch to read it.
#[test]
fn an_epoch_with_the_summary_is_repaired_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    let (journal, clock) = grown(&model);
    let summary = journal.compact(KEEP, |_| Vec::new()).unwrap().unwrap();
    let epoch = journal.get(summary.seq).unwrap().epoch;
    fill(&journal, 2000, 3200);
    let live = journal.stats().epoch;
    assert!(summary.kept_epoch <= epoch && epoch + 1 < live, "{summary:?} in {epoch}, live {live}");
    let all = numbers(&journal);
    drop(journal);
    let named = |epoch: u32| format!("segments/{epoch:08}-000001.log");
    for (name, harmed) in [("its own", epoch), ("the next", epoch + 1), ("the live", live)] {
        for gone in [true, false] {
            let root = dir.path().join(format!("{name} {gone}"));
            copy(&model, &root);
            let path = root.join(named(harmed));
            if gone {
                fs::remove_file(&path).unwrap();
            } else {
                let mut bytes = fs::read(&path).unwrap();
                bytes[3] ^= 4;
                fs::write(&path, bytes).unwrap();
            }
            let (journal, report) = open_at(small(&root), &clock);
            assert_eq!(numbers(&journal), all, "{name}, gone: {gone}");
            assert_eq!(journal.summary().unwrap().as_ref(), Some(&summary), "{name}, gone: {gone}");
            assert!(journal.verify().unwrap().is_whole(), "{name}, gone: {gone}");
            // Told, and nothing that was removed long ago is told to be lost.
            let repaired =
                |e: &OpenEvent| matches!(e, OpenEvent::SegmentRepaired { path: p, .. } if *p == path);
            assert!(report.events.iter().any(repaired), "{name}, gone: {gone}: {report:?}");
            assert_eq!(report.events.len(), 1, "{name}, gone: {gone}: {report:?}");
            drop(journal);
            assert!(open_at(small(&root), &clock).1.events.is_empty(), "{name}, gone: {gone}");
        }
    }
}

#[test]
fn more_gone_than_the_summary_says_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    let (journal, clock) = grown(&model);
    // Six old epochs, so that one is kept besides the live one.
    let summary = journal.compact(Retention { min_records: 500, ..KEEP }, |_| Vec::new()).unwrap().unwrap();
    let (live, kept) = (journal.stats().epoch, summary.kept_epoch);
    assert!(kept < live);
    let all = numbers(&journal);
    drop(journal);
    let segments = |root: &Path| -> Vec<_> {
        let mut out: Vec<_> =
            fs::read_dir(root.join("segments")).unwrap().map(|e| e.unwrap().path()).collect();
        out.retain(|p| p.file_name().unwrap().to_str().unwrap().starts_with(&format!("{kept:08}-")));
        out.sort();
        out
    };

    // One segment: the store still has its records.
    let root = dir.path().join("segment");
    copy(&model, &root);
    fs::remove_file(&segments(&root)[0]).unwrap();
    let (journal, report) = open_at(small(&root), &clock);
    assert!(report.has_alarm(), "nobody is told: {report:?}");
    assert_eq!(numbers(&journal), all);
    assert!(journal.verify().unwrap().is_whole());
    drop(journal);

    // The whole epoch in both copies: told at the open, counted as lost, and refused when read.
    let root = dir.path().join("epoch");
    copy(&model, &root);
    for path in segments(&root) {
        fs::remove_file(path).unwrap();
    }
    fs::remove_dir_all(root.join(format!("{kept:08}"))).unwrap();
    for _ in 0..2 {
        let (journal, report) = open_at(small(&root), &clock);
        let told = |e: &OpenEvent| matches!(e, OpenEvent::EpochDamaged { epoch, .. } if *epoch == kept);
        assert!(report.events.iter().any(told), "{report:?}");
        let lost = journal.verify().unwrap();
        assert!(lost.lost >= 400, "{lost:?}");
        assert!(matches!(journal.replay(1, |_| ()), Err(JournalError::Damaged { .. })), "the loss is hidden");
        // The till goes on.
        journal.append(vec![record(9000)], Urgency::New).unwrap().wait().unwrap();
    }
}

#[test]
fn damage_is_not_summed_up() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, clock) = grown(dir.path());
    drop(journal);
    // In both copies.
    fs::remove_file(dir.path().join("segments/00000002-000001.log")).unwrap();
    fs::remove_dir_all(dir.path().join("00000002")).unwrap();
    let (journal, report) = open_at(small(dir.path()), &clock);
    assert!(report.has_alarm());
    let refused = journal.compact(KEEP, |_| panic!("summed up what is damaged"));
    assert!(matches!(refused, Err(JournalError::Damaged { .. })), "{refused:?}");
    assert!(dir.path().join("00000001").is_dir(), "evidence was removed");
}
