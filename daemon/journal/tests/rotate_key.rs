//! A new device key in place: the old records hold under the old key, the new ones under the new, the chain over both.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{TestClock, fill, key, numbers, open, open_with, options, record};
use till_journal::{DeviceKey, Journal, JournalError, KIND_KEY_LINK, KeyLink, Urgency, verify_export};

const NEW: [u8; 32] = [77; 32];

fn open_keyed(dir: &Path, key: DeviceKey) -> Result<Journal, JournalError> {
    Journal::open(options(dir), key, Arc::new(TestClock::default())).map(|(journal, report)| {
        assert!(!report.has_alarm(), "{report:?}");
        journal
    })
}

fn links(journal: &Journal) -> Vec<(u32, KeyLink)> {
    let mut out = Vec::new();
    journal
        .replay(1, |r| {
            if r.kind == KIND_KEY_LINK {
                out.push((r.epoch, KeyLink::decode(&r.payload).unwrap()));
            }
        })
        .unwrap();
    out
}

#[test]
fn s71_the_device_key_is_rotated_in_place_and_the_chain_is_proved_over_it() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 0, 40);
    let epoch = journal.rotate_key(&NEW, |_| Ok(())).unwrap();
    assert_eq!(epoch, 2);
    fill(&journal, 40, 80);
    assert!(journal.verify().unwrap().is_whole(), "{:?}", journal.verify().unwrap().findings);
    journal.close().unwrap();
    drop(journal);

    let both = key().with(2, &NEW);
    let journal = open_keyed(dir.path(), both.clone()).unwrap();
    assert_eq!(numbers(&journal), (0..80).collect::<Vec<_>>());
    let report = journal.verify().unwrap();
    assert!(report.is_whole(), "{:?}", report.findings);
    let found = links(&journal);
    assert_eq!(found.len(), 1);
    let (old, new) = (key().fingerprint(1), DeviceKey::new(&NEW).fingerprint(1));
    assert_eq!((found[0].0, found[0].1.epoch, found[0].1.old, found[0].1.new), (1, 2, old, new));
    // Each record holds under the key of its time only.
    for seq in 1..=journal.head().seq {
        let frame = journal.frame(seq).unwrap();
        assert_eq!(frame.is_authentic(&key()), frame.epoch == 1, "record {seq}");
        assert_eq!(frame.is_authentic(&DeviceKey::new(&NEW)), frame.epoch == 2, "record {seq}");
    }
    let mut text = Vec::new();
    journal.export(1, journal.head().seq, &mut text).unwrap();
    assert!(verify_export(&text[..], Some(&both)).unwrap().authenticated);
    assert!(verify_export(&text[..], Some(&key())).is_err());
}

#[test]
fn without_one_of_the_keys_nothing_is_opened_and_nothing_touched() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 0, 40);
    journal.rotate_key(&NEW, |_| Ok(())).unwrap();
    fill(&journal, 40, 50);
    drop(journal);
    let files = || {
        let mut out: Vec<_> = fs::read_dir(dir.path().join("segments"))
            .unwrap()
            .map(|f| f.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "log"))
            .map(|p| (p.clone(), fs::read(p).unwrap()))
            .collect();
        out.sort();
        out
    };
    let before = files();
    for wrong in [key(), DeviceKey::new(&NEW), key().with(2, &[1; 32]), key().with(3, &NEW)] {
        let refused = open_keyed(dir.path(), wrong).unwrap_err();
        assert!(matches!(refused, JournalError::WrongKey { .. }), "{refused}");
    }
    assert!(files() == before, "a wrong key changed a segment");
    assert!(!dir.path().join("quarantine").exists());
    let journal = open_keyed(dir.path(), key().with(2, &NEW)).unwrap();
    assert_eq!(numbers(&journal).len(), 50);
}

#[test]
fn a_new_key_that_is_durable_before_a_crash_takes_over_with_the_next_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 0, 40);
    // As a crash between the key's storing and the first record under it leaves things: the next start knows the key.
    let refused = journal.rotate_key(&NEW, |epoch| Err(format!("cut at epoch {epoch}"))).unwrap_err();
    assert!(matches!(refused, JournalError::KeyNotKept { .. }) && refused.to_string().contains("epoch 2"));
    fill(&journal, 40, 50);
    drop(journal);
    let mut small = options(dir.path());
    small.epoch_records = 100;
    let open_small =
        || Journal::open(small.clone(), key().with(2, &NEW), Arc::new(TestClock::default())).unwrap().0;
    let journal = open_small();
    for n in 50..250 {
        fill(&journal, n, n + 1);
    }
    assert!(journal.stats().epoch > 2);
    assert_eq!(links(&journal).len(), 1, "the key changes once");
    assert!(journal.verify().unwrap().is_whole());
    drop(journal);
    let journal = open_small();
    assert_eq!(numbers(&journal), (0..250).collect::<Vec<_>>());
    assert!(journal.verify().unwrap().is_whole());
}

#[test]
fn appends_go_on_around_rotations_and_every_acknowledged_record_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4u64)
        .map(|id| {
            let (journal, done) = (journal.clone(), Arc::clone(&done));
            thread::spawn(move || {
                let mut n = 0;
                while !done.load(Ordering::Relaxed) || n < 50 {
                    journal.append(vec![record(id * 100_000 + n)], Urgency::New).unwrap().wait().unwrap();
                    n += 1;
                }
                n
            })
        })
        .collect();
    let mut kept = key();
    for n in 0..3u8 {
        let epoch = journal.rotate_key(&[100 + n; 32], |_| Ok(())).unwrap();
        kept = kept.with(epoch, &[100 + n; 32]);
    }
    done.store(true, Ordering::Relaxed);
    let written: u64 = writers.into_iter().map(|w| w.join().unwrap()).sum();
    drop(journal);
    let journal = open_keyed(dir.path(), kept).unwrap();
    assert_eq!(numbers(&journal).len() as u64, written);
    let report = journal.verify().unwrap();
    assert!(report.is_whole(), "{:?}", report.findings);
}

#[test]
fn a_closed_or_poisoned_journal_keeps_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open_with(options(dir.path())).unwrap();
    journal.close().unwrap();
    let asked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&asked);
    let refused = journal.rotate_key(&NEW, move |_| {
        seen.store(true, Ordering::Relaxed);
        Ok(())
    });
    assert!(matches!(refused, Err(JournalError::Closed)));
    assert!(!asked.load(Ordering::Relaxed), "a key was stored that nothing is written with");
}
