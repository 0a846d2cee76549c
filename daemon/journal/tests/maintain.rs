//! Maintenance by hand: a check says what is wrong and changes nothing, a rebuild mends from whichever copy has it and
//! destroys nothing.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{TestClock, copy, fill, key, numbers, open, open_with, options};
use till_journal::{
    CheckReport, Clock, DeviceKey, JournalError, OpenEvent, Options, RebuildReport, check, rebuild,
};

fn small(dir: &Path) -> Options {
    let mut options = options(dir);
    options.epoch_records = 500;
    options
}

/// 1400 records in three epochs, closed.
fn closed(dir: &Path) {
    let (journal, _) = open_with(small(dir)).unwrap();
    fill(&journal, 0, 1400);
    journal.verify().unwrap();
    journal.close().unwrap();
}

fn look(dir: &Path) -> CheckReport {
    check(&small(dir), &key(), &mut |_, _, _| ()).unwrap()
}

fn mend(dir: &Path, anew: bool) -> Result<RebuildReport, JournalError> {
    let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
    rebuild(&small(dir), &key(), &clock, anew, &mut |_, _, _| ())
}

/// Every record file's bytes.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(dir.join("segments"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.file_name().unwrap().into(), fs::read(&p).unwrap()))
        .collect()
}

#[test]
fn a_check_of_a_sound_journal_says_so_with_progress() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    let before = contents(dir.path());
    let mut steps = Vec::new();
    let report = check(&small(dir.path()), &key(), &mut |_, done, total| steps.push((done, total))).unwrap();
    assert!(report.problems.is_empty() && report.notes.is_empty(), "{report:?}");
    assert_eq!((report.first, report.records, report.epochs.len()), (1, report.last, 3));
    assert!(report.epochs.iter().all(|e| e.stored == Some(e.last - e.first + 1)), "{report:?}");
    assert_eq!(before, contents(dir.path()), "a check changed something");
    let files = steps.last().unwrap().1;
    assert_eq!(steps, (1..=files).map(|n| (n, files)).collect::<Vec<_>>());
    let (journal, _) = open_with(small(dir.path())).unwrap();
    assert_eq!(hex::encode(journal.head().hash), report.head_hash);
}

type Harm = fn(&Path);

/// What may be wrong with an old, a middle and the newest epoch, in either copy.
fn harms() -> Vec<(&'static str, &'static str, Harm)> {
    fn flip(path: &Path, at: usize) {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 4;
        fs::write(path, bytes).unwrap();
    }
    vec![
        ("a flipped record", "00000001-000001.log", |d| flip(&d.join("segments/00000001-000001.log"), 5000)),
        ("a flipped header", "00000002-000001.log", |d| flip(&d.join("segments/00000002-000001.log"), 20)),
        ("a segment gone", "00000001-000002.log", |d| {
            fs::remove_file(d.join("segments/00000001-000001.log")).unwrap();
        }),
        ("an epoch's segments gone", "epoch", |d| {
            for entry in fs::read_dir(d.join("segments")).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name().unwrap().to_str().unwrap().starts_with("00000002-") {
                    fs::remove_file(path).unwrap();
                }
            }
        }),
        ("a segment cut", "its length is wrong", |d| {
            let path = d.join("segments/00000003-000001.log");
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("a store gone", "store of epoch 2 is gone", |d| fs::remove_dir_all(d.join("00000002")).unwrap()),
        ("a store emptied", "store of epoch 1", |d| fs::write(d.join("00000001/db"), b"").unwrap()),
        ("a store's conf zeroed", "store of epoch 3", |d| {
            let path = d.join("00000003/conf");
            fs::write(&path, vec![0; fs::read(&path).unwrap().len()]).unwrap();
        }),
    ]
}

#[test]
fn every_harm_is_named_by_a_check_and_mended_by_a_rebuild() {
    let base = tempfile::tempdir().unwrap();
    let model = base.path().join("model");
    closed(&model);
    for (index, (what, named, harm)) in harms().into_iter().enumerate() {
        let dir = base.path().join(index.to_string());
        copy(&model, &dir);
        harm(&dir);
        let report = look(&dir);
        assert!(report.problems.iter().any(|p| p.contains(named)), "{what}: {report:?}");
        let done = mend(&dir, false).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(
            done.verified.is_whole() || !mend(&dir, false).unwrap().events.is_empty(),
            "{what}: {done:?}"
        );
        let report = look(&dir);
        assert!(report.problems.is_empty(), "{what}, after the rebuild: {report:?}");
        let (journal, _) = open_with(small(&dir)).unwrap();
        assert_eq!(numbers(&journal), (0..1400).collect::<Vec<_>>(), "{what}");
        assert!(journal.verify().unwrap().is_whole(), "{what}");
        fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn stores_made_anew_leave_the_old_ones_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    let done = mend(dir.path(), true).unwrap();
    assert!(done.verified.is_whole(), "{done:?}");
    let rebuilt = done.events.iter().filter(|e| matches!(e, OpenEvent::StoreRebuilt { .. })).count();
    assert_eq!(rebuilt, 3, "{done:?}");
    let kept: Vec<String> = fs::read_dir(dir.path().join("quarantine"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().all(|n| n.ends_with("made-anew-as-asked")), "{kept:?}");
    assert!(look(dir.path()).problems.is_empty());
}

#[test]
fn what_is_lost_in_both_copies_is_said_and_nothing_more_is_lost_by_trying() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    fs::remove_dir_all(dir.path().join("00000001")).unwrap();
    fs::remove_file(dir.path().join("segments/00000001-000001.log")).unwrap();
    let before = contents(dir.path());
    assert!(!look(dir.path()).problems.is_empty());
    let done = mend(dir.path(), true).unwrap();
    assert!(done.verified.lost > 0, "{done:?}");
    assert!(done.events.iter().any(|e| matches!(e, OpenEvent::EpochDamaged { epoch: 1, .. })), "{done:?}");
    let after = contents(dir.path());
    for (name, bytes) in before.iter().filter(|(n, _)| n.to_str().unwrap() < "00000003") {
        assert_eq!(after.get(name), Some(bytes), "{name:?} was changed");
    }
}

#[test]
fn no_check_beside_a_running_daemon_nor_with_a_wrong_key_nor_of_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 0, 5);
    let mut at_once = options(dir.path());
    at_once.lock_wait = std::time::Duration::ZERO;
    let locked = check(&at_once, &key(), &mut |_, _, _| ()).unwrap_err();
    assert!(matches!(locked, JournalError::Locked { .. }), "{locked}");
    drop(journal);
    let wrong = check(&at_once, &DeviceKey::new(&[1; 32]), &mut |_, _, _| ()).unwrap_err();
    assert!(matches!(wrong, JournalError::WrongKey { .. }), "{wrong}");
    let empty = dir.path().join("nothing");
    let none = check(&options(&empty), &key(), &mut |_, _, _| ()).unwrap_err();
    assert!(matches!(none, JournalError::NoJournal { .. }), "{none}");
    assert!(matches!(mend(&empty, false), Err(JournalError::NoJournal { .. })));
    assert!(!empty.exists(), "a check made a journal");
}
