//! Bad disks under a journal of several epochs with snapshots and a removal behind it: every file, every kind of harm.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{SetClock, copy, fill, numbers, open_at, options};
use till_journal::{Journal, JournalError, OpenEvent, Options, Retention};

fn small(dir: &Path) -> Options {
    let mut options = options(dir);
    options.epoch_records = 300;
    options
}

fn clock() -> Arc<SetClock> {
    let clock = Arc::new(SetClock::default());
    clock.days.store(600, Ordering::Relaxed);
    clock
}

/// Three epochs are left of five; two snapshots in the newest. What an undamaged one gives is returned.
fn closed(dir: &Path) -> Vec<u64> {
    let early = Arc::new(SetClock::default());
    let (journal, _) = open_at(small(dir), &early);
    fill(&journal, 0, 1400);
    journal.write_snapshot(journal.head().seq, &[1; 9000]).unwrap();
    journal.write_snapshot(journal.head().seq, &[2; 9000]).unwrap();
    early.days.store(600, Ordering::Relaxed);
    let keep = Retention { min_records: 600, ..Retention::months(18, 0) };
    journal.compact(keep, |_| b"totals".to_vec()).unwrap().unwrap();
    assert!(journal.verify().unwrap().is_whole());
    journal.close().unwrap();
    numbers(&journal)
}

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, out) } else { out.push(path) }
    }
    out.sort();
}

/// Small, seedable, the same everywhere.
fn next(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 33).unwrap()
}

fn must_have_all(dir: &Path, all: &[u64], what: &str) -> Vec<OpenEvent> {
    let check = |journal: &Journal| {
        assert_eq!(numbers(journal), all, "{what}");
        assert_eq!(journal.last_snapshot().unwrap().unwrap().state, [2; 9000], "{what}");
        assert_eq!(journal.summary().unwrap().unwrap().totals, b"totals", "{what}");
    };
    let (journal, report) = open_at(small(dir), &clock());
    check(&journal);
    let mut events = report.events;
    journal.verify().unwrap_or_else(|e| panic!("{what}: {e}"));
    events.extend(journal.take_events());
    drop(journal);
    let (journal, report) = open_at(small(dir), &clock());
    events.extend(report.events);
    check(&journal);
    let report = journal.verify().unwrap();
    assert!(report.is_whole(), "{what}: {report:?}");
    events
}

#[test]
fn any_file_gone_emptied_or_cut_costs_nothing_and_is_said_in_plain_words() {
    let base = tempfile::tempdir().unwrap();
    let model = base.path().join("model");
    let all = closed(&model);
    let mut every = Vec::new();
    files(&model, &mut every);
    assert!(every.len() > 12, "{every:?}");
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 4] = [
        ("deleted", |p| fs::remove_file(p).unwrap()),
        ("emptied", |p| fs::write(p, b"").unwrap()),
        ("cut", |p| {
            let bytes = fs::read(p).unwrap();
            fs::write(p, &bytes[..bytes.len() * 2 / 3]).unwrap();
        }),
        ("filled with ones", |p| fs::write(p, vec![0xff; fs::read(p).unwrap().len()]).unwrap()),
    ];
    let mut told = 0;
    for (index, file) in every.iter().enumerate() {
        for (how, harm) in &harms {
            let name = file.strip_prefix(&model).unwrap();
            let dir = base.path().join(index.to_string());
            copy(&model, &dir);
            harm(&dir.join(name));
            let what = format!("{} {how}", name.display());
            let events = must_have_all(&dir, &all, &what);
            let alarms: Vec<String> =
                events.iter().filter(|e| e.is_alarm()).map(ToString::to_string).collect();
            assert!(alarms.iter().all(|a| a.contains(' ') && !a.contains('{')), "{what}: {alarms:?}");
            // A file of records, or what a store cannot be read without.
            if name.extension().is_some_and(|e| e == "log") || (name.ends_with("db") && *how != "cut") {
                assert!(!alarms.is_empty(), "{what}: nobody is told");
                told += 1;
            }
            fs::remove_dir_all(dir).unwrap();
        }
    }
    assert!(told > 20, "{told}");
}

/// `TILL_JOURNAL_FLIPS=2000` for the long run.
#[test]
fn any_flipped_bit_of_any_file_costs_nothing() {
    let wanted = std::env::var("TILL_JOURNAL_FLIPS").ok().and_then(|v| v.parse().ok()).unwrap_or(60);
    let base = tempfile::tempdir().unwrap();
    let model = base.path().join("model");
    let all = closed(&model);
    let mut every = Vec::new();
    files(&model, &mut every);
    every.retain(|p| fs::metadata(p).unwrap().len() > 0);
    let mut seed = 7;
    let mut alarms = 0;
    for turn in 0..wanted {
        let file = &every[turn % every.len()];
        let name = file.strip_prefix(&model).unwrap();
        let dir = base.path().join("it");
        copy(&model, &dir);
        let mut bytes = fs::read(file).unwrap();
        // Every other one within what is written, not the zeros behind it.
        let used = bytes.iter().rposition(|b| *b != 0).map_or(1, |at| at + 1);
        let at = next(&mut seed) % if turn % 2 == 0 { used } else { bytes.len() };
        let bit = next(&mut seed) % 8;
        bytes[at] ^= 1 << bit;
        fs::write(dir.join(name), bytes).unwrap();
        let events = must_have_all(&dir, &all, &format!("bit {bit} of byte {at} of {}", name.display()));
        alarms += usize::from(events.iter().any(OpenEvent::is_alarm));
        fs::remove_dir_all(dir).unwrap();
    }
    assert!(
        alarms > wanted / 4,
        "only {alarms} of {wanted} flips were noticed: they hit nothing that matters"
    );
}

#[test]
fn what_lies_beside_the_records_is_no_reason_to_stop() {
    let base = tempfile::tempdir().unwrap();
    let model = base.path().join("model");
    let all = closed(&model);
    type Mess = fn(&Path);
    let messes: [(&str, Mess); 6] = [
        ("a mark nobody wrote", |d| fs::write(d.join("check-at-next-open"), [0xff; 99]).unwrap()),
        ("a half-made spare", |d| fs::write(d.join("segments/making.new"), b"x").unwrap()),
        ("a half-made store", |d| fs::create_dir(d.join("00000009.new")).unwrap()),
        ("an empty store of an epoch to come", |d| fs::create_dir(d.join("00000009")).unwrap()),
        ("files of somebody else", |d| {
            fs::write(d.join("notes.txt"), b"hello").unwrap();
            fs::write(d.join("segments/readme.log"), b"hello").unwrap();
            fs::create_dir(d.join("lost+found")).unwrap();
        }),
        ("an unfinished snapshot of the store", |d| {
            for entry in fs::read_dir(d).unwrap().flatten().filter(|e| e.path().join("db").exists()) {
                fs::write(entry.path().join("snap.0000000000000009.generating"), b"x").unwrap();
            }
        }),
    ];
    for (what, mess) in messes {
        let dir = base.path().join("it");
        copy(&model, &dir);
        mess(&dir);
        must_have_all(&dir, &all, what);
        fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn files_that_may_not_be_read_are_named() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may read everything");
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("model");
    let all = closed(&dir);
    let segment = dir.join("segments");
    fs::set_permissions(&segment, fs::Permissions::from_mode(0o000)).unwrap();
    let refused = common::open_with(small(&dir)).unwrap_err();
    assert!(matches!(refused, JournalError::Io { .. }), "{refused}");
    assert!(refused.to_string().contains("segments"), "{refused}");
    assert!(!dir.join("quarantine").exists(), "what could not be read was taken for damage");
    fs::set_permissions(&segment, fs::Permissions::from_mode(0o700)).unwrap();
    must_have_all(&dir, &all, "readable again");
}
