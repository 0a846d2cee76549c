//! Records on a stolen disk: nothing that they say is readable without the keys; with them everything is.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{SetClock, TestClock, copy, files, options};
use till_journal::{
    Clock, DeviceKey, Journal, JournalError, Keyring, KeyringError, NewRecord, OpenEvent, OpenReport,
    Options, RecordKeys, Retention, Urgency, check, check_without_key, rebuild, restore, verify_export,
};
use zeroize::Zeroizing;

const MASTER: [u8; 32] = [0x11; 32];
const AMOUNT: i64 = 1_234_567_890_123;
const TEXTS: [&str; 5] = [
    "620000******0005",
    "cashier Zhang Wei",
    "一杯咖啡 12345678901.23",
    "RRN 506112233445",
    "2026 order for table 9",
];

/// What a till's record says, in the shapes in which it could be found again.
fn payload(n: u64) -> Vec<u8> {
    let mut out = format!("{n} {} {}\n", TEXTS.join("\n"), AMOUNT).into_bytes();
    out.extend_from_slice(&AMOUNT.to_le_bytes());
    out.extend_from_slice(&varint(AMOUNT));
    out.extend_from_slice(&AMOUNT.to_be_bytes());
    out
}

/// As postcard writes an i64.
fn varint(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let mut out = Vec::new();
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap());
    out
}

fn needles() -> Vec<(String, Vec<u8>)> {
    let mut out: Vec<(String, Vec<u8>)> =
        TEXTS.iter().map(|text| ((*text).to_owned(), text.as_bytes().to_vec())).collect();
    out.extend(TEXTS.iter().map(|text| (format!("{text}, hexadecimal"), hex::encode(text).into_bytes())));
    out.push(("amount, text".into(), AMOUNT.to_string().into_bytes()));
    out.push(("amount, little endian".into(), AMOUNT.to_le_bytes().to_vec()));
    out.push(("amount, big endian".into(), AMOUNT.to_be_bytes().to_vec()));
    out.push(("amount, varint".into(), varint(AMOUNT)));
    out
}

fn found(dir: &Path) -> Vec<String> {
    let mut out = Vec::new();
    for (path, bytes) in files(dir) {
        for (name, needle) in needles() {
            if bytes.windows(needle.len()).any(|w| w == needle) {
                out.push(format!("{name} in {}", path.display()));
            }
        }
    }
    out
}

fn keyring(dir: &Path) -> Keyring {
    Keyring::load(&dir.join("keyring"), &MASTER).unwrap()
}

fn clear_key() -> DeviceKey {
    DeviceKey::new(&[42; 32])
}

fn key(dir: &Path) -> DeviceKey {
    clear_key().sealing(keyring(dir))
}

fn place(dir: &Path) -> Options {
    let mut options = options(&dir.join("journal"));
    options.epoch_records = 100;
    options
}

fn open(dir: &Path, key: DeviceKey) -> Result<(Journal, OpenReport), JournalError> {
    Journal::open(place(dir), key, Arc::new(TestClock::default()))
}

fn open_well(dir: &Path, key: DeviceKey) -> Journal {
    let (journal, report) = open(dir, key).unwrap();
    assert!(!report.has_alarm(), "{report:?}");
    journal
}

/// A few at a time: an epoch turns between two commits only.
fn append(journal: &Journal, from: u64, to: u64) {
    let one = |n| NewRecord { kind: 1, subject: [u8::try_from(n % 7 + 1).unwrap(); 16], payload: payload(n) };
    for begin in (from..to).step_by(10) {
        let records = (begin..to.min(begin + 10)).map(one).collect();
        journal.append(records, Urgency::New).unwrap().wait().unwrap();
    }
}

/// How many records say what was written; every one in order.
fn read(journal: &Journal) -> u64 {
    let mut n = 0;
    journal
        .replay(1, |record| {
            if !record.is_control() {
                assert_eq!(record.payload, payload(n));
                n += 1;
            }
        })
        .unwrap();
    n
}

/// A journal with records in three epochs, snapshots of what is in them, and a backup beside it.
fn live(dir: &Path, key: DeviceKey) {
    let journal = open_well(dir, key);
    append(&journal, 0, 150);
    journal.write_snapshot(journal.head().seq, &payload(7).repeat(40)).unwrap();
    append(&journal, 150, 250);
    let mut file = Vec::new();
    let summary = journal.backup(&mut file, &mut |_, _, _| ()).unwrap();
    assert!(summary.records > 250);
    fs::write(dir.join("backup.tar"), file).unwrap();
    // The stores have been read back and written to, too.
    assert!(journal.verify().unwrap().is_whole());
    assert_eq!(journal.by_subject(&[3; 16]).unwrap().len(), 36);
    journal.close().unwrap();
}

#[test]
fn s79_a_stolen_journal_and_its_backup_say_nothing_and_with_the_keys_everything() {
    let dir = tempfile::tempdir().unwrap();
    live(dir.path(), key(dir.path()));
    assert_eq!(found(dir.path()), Vec::<String>::new());
    let journal = open_well(dir.path(), key(dir.path()));
    assert_eq!(read(&journal), 250);
    assert_eq!(journal.last_snapshot().unwrap().unwrap().state, payload(7).repeat(40));
    assert!(journal.stats().epoch >= 3);

    // The search finds what is there: the same in clear.
    let dir = tempfile::tempdir().unwrap();
    live(dir.path(), clear_key());
    let all = found(dir.path());
    for (name, _) in needles().iter().filter(|(name, _)| !name.ends_with("hexadecimal")) {
        for place in ["segments", "00000001", "backup.tar"] {
            assert!(
                all.iter().any(|f| f.starts_with(name.as_str()) && f.contains(place)),
                "{name} in {place}"
            );
        }
    }
}

#[test]
fn s79_the_summary_of_removed_epochs_says_nothing_and_their_keys_go_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SetClock::default());
    let ring = keyring(dir.path());
    let begin = || {
        Journal::open(
            place(dir.path()),
            clear_key().sealing(ring.clone()),
            Arc::clone(&clock) as Arc<dyn Clock>,
        )
    };
    let (journal, _) = begin().unwrap();
    append(&journal, 0, 250);
    let shown = journal.export(1, 60, &mut Vec::new()).unwrap();
    clock.days.store(400, Ordering::Relaxed);
    for _ in 0..2 {
        journal.write_snapshot(journal.head().seq, &payload(7)).unwrap();
    }
    append(&journal, 250, 300);
    assert_eq!(ring.record_epochs(), (1..=journal.stats().epoch).collect::<Vec<_>>());
    let keep = Retention { keep_days: 100, min_records: 10, keep_from: None };
    let summary = journal.compact(keep, |_| payload(1)).unwrap().unwrap();
    assert!(summary.last > 100 && shown.records == 60);
    assert_eq!(journal.summary().unwrap().unwrap().totals, payload(1));
    assert_eq!(
        ring.record_epochs().first(),
        Some(&summary.kept_epoch),
        "the key of removed records is still there"
    );
    assert!(matches!(journal.get(5), Err(JournalError::NotFound { .. })));
    journal.close().unwrap();
    drop(journal);
    assert_eq!(found(dir.path()), Vec::<String>::new());
    let kept = keyring(dir.path());
    assert_eq!(kept.record_epochs().first(), Some(&summary.kept_epoch));

    // A key that a cut left behind goes at the next open.
    ring.make_record_key(1).unwrap();
    let (journal, report) = begin().unwrap();
    assert!(!report.has_alarm(), "{report:?}");
    assert_eq!(ring.record_epochs().first(), Some(&summary.kept_epoch));
    assert!(journal.verify().unwrap().is_whole());
}

#[test]
fn s71_a_journal_of_the_old_form_opens_goes_on_sealed_and_stays_readable_in_both_parts() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_well(dir.path(), clear_key());
    append(&journal, 0, 60);
    journal.close().unwrap();
    drop(journal);
    let before = files(&dir.path().join("journal/segments")).remove(0).1;
    let journal = open_well(dir.path(), key(dir.path()));
    append(&journal, 60, 250);
    assert_eq!(read(&journal), 250);
    let sealed: Vec<bool> = (1..=journal.head().seq).map(|seq| journal.frame(seq).unwrap().sealed).collect();
    assert_eq!(journal.frame(70).unwrap().epoch, 1, "the epoch of the old form went on");
    assert!(!sealed[..60].iter().any(|s| *s) && sealed[61] && sealed[248]);
    journal.close().unwrap();
    drop(journal);
    // The old records were not touched, and both copies hold.
    let frames = before.iter().rposition(|b| *b != 0).unwrap();
    assert!(
        files(&dir.path().join("journal/segments")).iter().any(|(_, now)| now[..frames] == before[..frames])
    );
    let report = check(&place(dir.path()), &key(dir.path()), &mut |_, _, _| ()).unwrap();
    assert!(report.problems.is_empty() && report.unopened == 0, "{report:?}");
    let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
    let done = rebuild(&place(dir.path()), &key(dir.path()), &clock, true, &mut |_, _, _| ()).unwrap();
    assert!(done.verified.is_whole() && done.verified.unopened == 0, "{done:?}");
    let journal = open_well(dir.path(), key(dir.path()));
    assert_eq!(read(&journal), 250);
    // An export of both forms is proved with the device key alone.
    let mut text = Vec::new();
    journal.export(1, journal.head().seq, &mut text).unwrap();
    assert!(verify_export(&text[..], Some(&clear_key())).unwrap().authenticated);
    let line = text.split(|b| *b == b'\n').nth(100).unwrap();
    let bad = String::from_utf8(line.to_vec()).unwrap().replacen("\"payload\":\"3", "\"payload\":\"4", 1);
    assert_ne!(bad.as_bytes(), line);
    let text = String::from_utf8(text.clone()).unwrap().replace(std::str::from_utf8(line).unwrap(), &bad);
    assert!(verify_export(text.as_bytes(), Some(&clear_key())).is_err(), "an altered payload passed");
}

#[test]
fn s71_without_the_right_key_the_journal_says_which_and_touches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    live(dir.path(), key(dir.path()));
    let newest = *keyring(dir.path()).record_epochs().last().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = keyring(elsewhere.path());
    (1..=newest).for_each(|epoch| drop(other.make_record_key(epoch).unwrap()));
    let empty = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let before = files(&journal);
    type Expected = fn(&JournalError) -> bool;
    let cases: [(DeviceKey, Expected, &str); 3] = [
        (key(empty.path()), |e| matches!(e, JournalError::NoRecordKey { .. }), "put the folder of keys back"),
        (
            clear_key().sealing(other),
            |e| matches!(e, JournalError::WrongRecordKey { .. }),
            "another journal's",
        ),
        (clear_key(), |e| matches!(e, JournalError::NoRecordKey { .. }), "without the keyring"),
    ];
    for (key, expected, says) in cases {
        let e = open(dir.path(), key).unwrap_err();
        assert!(expected(&e), "{e}");
        let text = e.to_string();
        assert!(text.contains(says) && text.contains(&format!("record-{newest}")), "{text}");
        assert!(text.contains("nothing was changed"), "{text}");
        assert!(files(&journal) == before, "a wrong key changed a file");
    }
    // A damaged key file is told as that, and never replaced.
    let file = dir.path().join(format!("keyring/1/record-{newest}"));
    let good = fs::read(&file).unwrap();
    fs::write(&file, &good[..50]).unwrap();
    let e = open(dir.path(), key(dir.path())).unwrap_err();
    assert!(e.to_string().contains("damaged") && matches!(e, JournalError::NoRecordKey { .. }), "{e}");
    assert_eq!(fs::read(&file).unwrap(), &good[..50]);
    fs::write(&file, good).unwrap();
    assert_eq!(read(&open_well(dir.path(), key(dir.path()))), 250);
}

#[test]
fn s71_the_master_key_is_rotated_in_place_and_every_record_still_opens() {
    let dir = tempfile::tempdir().unwrap();
    live(dir.path(), key(dir.path()));
    let before = files(&dir.path().join("journal"));
    keyring(dir.path()).rewrap(&[0x22; 32], || Ok(())).unwrap();
    assert!(files(&dir.path().join("journal")) == before, "a rotation rewrote the journal");
    assert!(matches!(
        Keyring::load(&dir.path().join("keyring"), &MASTER),
        Err(KeyringError::WrongMaster { .. })
    ));
    let ring = Keyring::load(&dir.path().join("keyring"), &[0x22; 32]).unwrap();
    let journal = open_well(dir.path(), clear_key().sealing(ring.clone()));
    assert_eq!(read(&journal), 250);
    // The chain's key, too: the records' keys are not of it.
    journal.rotate_key(&[9; 32], |_| Ok(())).unwrap();
    append(&journal, 250, 300);
    journal.close().unwrap();
    drop(journal);
    let journal = open_well(dir.path(), clear_key().with(4, &[9; 32]).sealing(ring));
    assert_eq!(read(&journal), 300);
    assert_eq!(found(dir.path()), Vec::<String>::new());
}

#[test]
fn s71_the_chain_is_checked_without_any_key_and_what_was_not_looked_into_is_said() {
    let dir = tempfile::tempdir().unwrap();
    live(dir.path(), key(dir.path()));
    let nobody = check_without_key(&place(dir.path()), &mut |_, _, _| ()).unwrap();
    assert!(nobody.problems.is_empty() && !nobody.authenticated, "{nobody:?}");
    assert!(nobody.unopened > 250 && nobody.records > nobody.unopened, "{nobody:?}");
    assert!(nobody.notes.iter().any(|n| n.contains("not who made")), "{:?}", nobody.notes);
    assert!(
        nobody.notes.iter().any(|n| n.contains("record") && n.contains("not looked into")),
        "{:?}",
        nobody.notes
    );
    // It is a check: a byte altered is noticed by it, too.
    let segment = dir.path().join("journal/segments/00000002-000001.log");
    let good = fs::read(&segment).unwrap();
    let mut bad = good.clone();
    bad[5000] ^= 1;
    fs::write(&segment, &bad).unwrap();
    assert!(!check_without_key(&place(dir.path()), &mut |_, _, _| ()).unwrap().problems.is_empty());
    fs::write(&segment, &good).unwrap();

    // One old epoch's key is gone: its chain holds, the rest is read, and the till goes on.
    fs::remove_file(dir.path().join("keyring/1/record-1")).unwrap();
    let report = check(&place(dir.path()), &key(dir.path()), &mut |_, _, _| ()).unwrap();
    assert!(report.authenticated && report.unopened > 90, "{report:?}");
    assert!(report.problems.iter().all(|p| p.contains("record-1") || p.contains("epoch 1")), "{report:?}");
    assert_eq!(report.problems.len(), 1, "{report:?}");
    let journal = open_well(dir.path(), key(dir.path()));
    assert!(matches!(journal.get(5), Err(JournalError::NoRecordKey { epoch: 1, .. })));
    assert_eq!(journal.last_snapshot().unwrap().unwrap().state, payload(7).repeat(40));
    assert!(journal.get(journal.head().seq - 3).is_ok());
    let verified = journal.verify().unwrap();
    assert!(verified.is_whole() && verified.unopened == report.unopened, "{verified:?}");
    assert!(verified.findings.iter().any(|f| f.contains("record-1")), "{verified:?}");
}

#[test]
fn s71_a_lost_store_is_made_anew_from_the_flight_recorder_without_opening_a_record() {
    let dir = tempfile::tempdir().unwrap();
    live(dir.path(), key(dir.path()));
    for epoch in ["00000001", "00000002", "00000003"] {
        fs::remove_dir_all(dir.path().join("journal").join(epoch)).unwrap();
    }
    let aside = dir.path().join("aside");
    for epoch in [1, 2] {
        let name = format!("record-{epoch}");
        fs::create_dir_all(&aside).unwrap();
        fs::rename(dir.path().join("keyring/1").join(&name), aside.join(&name)).unwrap();
    }
    let (journal, report) = open(dir.path(), key(dir.path())).unwrap();
    let rebuilt = report.events.iter().filter(|e| matches!(e, OpenEvent::StoreRebuilt { .. })).count();
    assert!(rebuilt >= 1 && journal.verify().unwrap().is_whole(), "{report:?}");
    journal.close().unwrap();
    drop(journal);
    for epoch in [1, 2] {
        let name = format!("record-{epoch}");
        fs::rename(aside.join(&name), dir.path().join("keyring/1").join(&name)).unwrap();
    }
    let (journal, _) = open(dir.path(), key(dir.path())).unwrap();
    assert_eq!(read(&journal), 250);
    assert_eq!(journal.by_subject(&[3; 16]).unwrap().len(), 36);
}

#[test]
fn s71_a_backup_goes_back_with_the_keys_and_says_what_it_needs_without() {
    let dir = tempfile::tempdir().unwrap();
    live(dir.path(), key(dir.path()));
    let bytes = fs::read(dir.path().join("backup.tar")).unwrap();
    let put_back = |to: &Path, key: DeviceKey| {
        let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
        restore(&mut &bytes[..], &place(to), key, clock, &mut |_, _, _| ())
    };
    let new = tempfile::tempdir().unwrap();
    let refused = put_back(new.path(), key(new.path())).unwrap_err();
    assert!(matches!(refused, JournalError::NoRecordKey { .. }), "{refused}");
    assert!(!new.path().join("journal").exists(), "a journal that nobody can go on with was put there");
    // With the keys of its day, as docs/integrators.md says.
    fs::remove_dir_all(new.path().join("keyring")).unwrap();
    copy(&dir.path().join("keyring"), &new.path().join("keyring"));
    let summary = put_back(new.path(), key(new.path())).unwrap();
    assert_eq!((summary.sealed_epochs.clone(), summary.unopened), (vec![1, 2, 3], 0));
    let journal = open_well(new.path(), key(new.path()));
    assert_eq!(read(&journal), 250);
    // It goes on from there while the old machine's disk has other records at the same places, under the same key.
    append(&journal, 250, 260);
    assert_eq!(read(&journal), 260);
    // With a copy of the keys from when there was one epoch.
    let first = tempfile::tempdir().unwrap();
    copy(&dir.path().join("keyring"), &first.path().join("keyring"));
    for epoch in [2, 3] {
        fs::remove_file(first.path().join(format!("keyring/1/record-{epoch}"))).unwrap();
    }
    assert_eq!(put_back(first.path(), key(first.path())).unwrap().unopened, 0);
    assert_eq!(read(&open_well(first.path(), key(first.path()))), 250);
    // An old backup, after retention took the keys of its first epochs: the rest is there, and what is not is counted.
    let late = tempfile::tempdir().unwrap();
    copy(&dir.path().join("keyring"), &late.path().join("keyring"));
    keyring(late.path()).destroy_record_keys_below(2).unwrap();
    let summary = put_back(late.path(), key(late.path())).unwrap();
    assert!(summary.unopened > 90, "{summary:?}");
    assert!(open_well(late.path(), key(late.path())).get(150).is_ok());
}

/// Keys that can be refused.
#[derive(Clone)]
struct Refusing(Keyring, Arc<AtomicBool>);

impl RecordKeys for Refusing {
    fn record_key(&self, epoch: u32) -> Result<Option<Zeroizing<[u8; 32]>>, KeyringError> {
        self.0.record_key(epoch)
    }

    fn make_record_key(&self, epoch: u32) -> Result<Zeroizing<[u8; 32]>, KeyringError> {
        if self.1.load(Ordering::Relaxed) && !self.0.record_epochs().contains(&epoch) {
            return Err(KeyringError::NoRandomness);
        }
        self.0.make_record_key(epoch)
    }

    fn destroy_record_keys_below(&self, epoch: u32) -> Result<(), KeyringError> {
        self.0.destroy_record_keys_below(epoch)
    }
}

#[test]
fn s71_no_epoch_begins_before_its_key_is_durable_and_nothing_is_ever_written_in_clear_instead() {
    let dir = tempfile::tempdir().unwrap();
    let refuse = Arc::new(AtomicBool::new(true));
    let keys = Refusing(keyring(dir.path()), Arc::clone(&refuse));
    let e = open(dir.path(), clear_key().sealing(keys.clone())).unwrap_err();
    assert!(matches!(e, JournalError::RecordKeys { .. }), "{e}");
    refuse.store(false, Ordering::Relaxed);
    let journal = open_well(dir.path(), clear_key().sealing(keys.clone()));
    refuse.store(true, Ordering::Relaxed);
    append(&journal, 0, 150);
    assert_eq!(journal.stats().epoch, 1, "an epoch began without its key");
    let events = journal.take_events();
    assert!(events.iter().any(|e| matches!(e, OpenEvent::RecordKeyTrouble { .. })), "{events:?}");
    let refused = journal.rotate_key(&[9; 32], |_| Ok(())).unwrap_err();
    assert!(matches!(refused, JournalError::RecordKeys { .. }), "{refused}");
    refuse.store(false, Ordering::Relaxed);
    append(&journal, 150, 1300);
    assert!(journal.stats().epoch > 1, "it was never tried again");
    assert_eq!(read(&journal), 1300);
    journal.close().unwrap();
    drop(journal);
    assert_eq!(found(dir.path()), Vec::<String>::new());
    assert_eq!(read(&open_well(dir.path(), clear_key().with(2, &[9; 32]).sealing(keys))), 1300);
}

#[test]
fn s79_forgotten_keys_open_nothing_and_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let device = key(dir.path());
    let journal = open_well(dir.path(), device.clone());
    append(&journal, 0, 20);
    journal.close().unwrap();
    device.forget();
    assert!(journal.get(3).is_err());
    drop(journal);
    assert_eq!(found(dir.path()), Vec::<String>::new());
}
