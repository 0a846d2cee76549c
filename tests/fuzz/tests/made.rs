//! The seeds that nobody can write by hand: of the golden bytes of messages, records and snapshots, and of what our own code
//! makes. `UPDATE=1 cargo test -p till-fuzz --test made` writes them; without it they must still be what is read today.
#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use till_channel_prepaid::ledger::{Action, Class, Clock, Ledger, Limits, Medium, MemoryLog, Request};
use till_evidence::{Entry, Evidence, Identity, verify_evidence};
use till_journal::{DeviceKey, Journal, NewRecord, Options, SystemClock, Urgency, restore, verify_export};
use till_plugin::proto::{FromHost, encode_frame};
use till_plugin::{Currency, Money};

#[path = "../../../daemon/journal/tests/common/any_epoch.rs"]
mod any_epoch;

use any_epoch::AnyEpoch;

fn update() -> bool {
    std::env::var_os("UPDATE").is_some()
}

fn seed(target: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target).join(name)
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Writes the seed, or holds that it is these bytes.
fn is(target: &str, name: &str, bytes: &[u8]) {
    let path = seed(target, name);
    if update() {
        write(&path, bytes);
    }
    let there = fs::read(&path).unwrap_or_default();
    assert!(there == bytes, "{} is not what is made today: UPDATE=1 writes it", path.display());
}

/// Name and bytes of every line of a golden file.
fn golden(text: &str) -> Vec<(&str, Vec<u8>)> {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.filter_map(|(name, digits)| Some((name, hex::decode(digits).ok()?))).collect()
}

/// Each behind its length.
fn joined<'a>(parts: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    parts.into_iter().flat_map(|p| [&u16::try_from(p.len()).unwrap().to_le_bytes()[..], p].concat()).collect()
}

#[test]
fn messages_of_plugins() {
    let text = include_str!("../../../plugins/sdk/tests/golden/protocol1.txt");
    let messages = golden(text);
    let is_frame = |name: &str| name.starts_with("from-host") || name.starts_with("to-host");
    let frames = |make: &dyn Fn(Vec<u8>) -> FromHost| -> Vec<u8> {
        let carried = messages.iter().filter(|(name, _)| !is_frame(name));
        carried.flat_map(|(_, bytes)| encode_frame(&make(bytes.clone())).unwrap().to_vec()).collect()
    };
    // Whatever a frame can carry, as the reply to a call and as an event.
    let replies = frames(&|bytes| FromHost::Reply { id: 1, result: Ok(bytes) });
    let events = frames(&|payload| FromHost::Event { kind: 1, payload });
    is("plugin_frames", "every-reply", &[&[200][..], &replies].concat());
    is("plugin_frames", "every-event", &[&[40][..], &events].concat());
    let framed = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_le_bytes()[..], bytes].concat();
    let own = messages.iter().filter(|(name, _)| name.starts_with("from-host"));
    let all: Vec<u8> = own.flat_map(|(_, bytes)| framed(bytes)).collect();
    is("plugin_frames", "every-frame", &[&[7][..], &all].concat());
    is("plugin_frames", "half", &[&[3][..], &all[..all.len() - 3]].concat());
    is("plugin_frames", "huge-length", &[1, 0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn records_and_snapshots() {
    let records = golden(include_str!("../../../daemon/core/tests/golden/records.txt"));
    assert!(records.len() > 30);
    is("till_records", "every-record", &joined(records.iter().map(|(_, bytes)| bytes)));
    for (n, some) in records.chunks(12).enumerate() {
        is("till_records", &format!("some-{n}"), &joined(some.iter().map(|(_, bytes)| bytes)));
    }
    let snapshot = include_str!("../../../daemon/core/tests/golden/snapshot.txt").lines().nth(2).unwrap();
    is("till_snapshot", "one-of-each", &hex::decode(snapshot).unwrap()[1..]);
    is("till_snapshot", "empty", &till_core::Till::new().to_snapshot().unwrap()[1..]);
}

const NOW: Clock = Clock { wall_ms: 1_790_000_000_000, trusted: true };

#[test]
fn ledgers() {
    let (log, money) = (MemoryLog::new(), |minor| Money::new(minor, Currency::CNY));
    let limits = Limits {
        bearer_cap: 100_000,
        registered_cap: 500_000,
        number_cap: 500_000,
        uid_cap: 20_000,
        redeem_bearer: true,
    };
    let ledger = Ledger::open(log.clone(), Currency::CNY, limits, [1; 16], NOW).unwrap();
    let mut ledger = ledger.with_checkpoint_every(1);
    let class = Class { registered: true, medium: Medium::Number };
    let issue = |card, amount| Action::Issue {
        card,
        class,
        last4: *b"0005",
        expires_ms: None,
        amount: money(amount),
    };
    let (one, other) = ([5; 16], [6; 16]);
    let mut asked = |n: u32, action| {
        ledger.submit(&Request::new(format!("T{n:08}"), action).by("01"), NOW).map(drop).unwrap();
    };
    asked(1, issue(one, 10_000));
    asked(2, issue(other, 0));
    asked(3, Action::Load { card: other, amount: money(500) });
    asked(4, Action::Debit { card: one, amount: money(2_500) });
    asked(5, Action::Refund { of: "T00000004".into(), amount: money(500), card: None });
    asked(6, Action::Debit { card: other, amount: money(500) });
    asked(7, Action::Void { of: "T00000006".into(), card: Some(other) });
    asked(8, Action::Block { card: other, reason: "lost".into() });
    asked(9, Action::Unblock { card: other, reason: "found".into() });
    asked(10, Action::Redeem { card: other });
    ledger.settle("T00000011", NOW).unwrap();
    let entries = || {
        let mut all = Vec::new();
        log.tamper(|entries| all.clone_from(entries));
        all
    };
    // The target begins the ledger itself; with an odd first byte it takes the log as it is.
    let before = entries();
    is("prepaid_ledger", "every-entry", &[&[0][..], &joined(&before[1..])].concat());
    is("prepaid_ledger", "as-it-is", &[&[1][..], &joined(&before)].concat());
    while ledger.upkeep(NOW).unwrap() && entries().len() < before.len() + 4 {}
    let with = entries();
    let first = u8::try_from(before.len() + 1).unwrap();
    is("prepaid_ledger", "checkpoint", &[&[first << 1][..], &joined(&with[1..])].concat());
}

fn key(sealed: bool) -> DeviceKey {
    let key = DeviceKey::new(&[42; 32]);
    if sealed { key.sealing(AnyEpoch) } else { key }
}

fn options(dir: &Path) -> Options {
    let mut options = Options::new(dir);
    options.force_filesystem = true;
    options.segment_bytes = 128 << 10;
    (options.free_floor, options.ballast_bytes) = (0, 0);
    options
}

const OURS: [u8; 16] = [0xee; 16];

/// A payment's evidence, without its seal, which the target makes.
fn evidence(journal: &Journal) -> Vec<u8> {
    let slice = journal.evidence(&OURS).unwrap();
    let entries = slice.records.into_iter().map(|r| Entry {
        frame: r.frame,
        key: r.key.map(|key| key.to_bytes()),
        kind: "note".into(),
        says: String::from_utf8(r.record.payload).unwrap().into(),
    });
    let identity = Identity::new(&[7; 32]).unwrap();
    let evidence = Evidence {
        software: "test".into(),
        terminal: "TILL0001".into(),
        payment: OURS,
        exported_ms: 1,
        journal: slice.journal,
        entries: entries.collect(),
        stretches: slice.stretches,
        receipt: Some("128.50".into()),
    };
    let file = evidence.sign(&identity).unwrap();
    assert!(verify_evidence(&file, Some(&identity.public())).is_ok());
    let seal = file[..file.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    file[..=seal].to_vec()
}

/// They hold times and random keys: not the same bytes twice, so they are only written when they are asked for.
#[test]
fn files_of_a_journal() {
    for (sealed, name) in [(false, "clear"), (true, "sealed")] {
        let dir = tempfile::tempdir().unwrap();
        let (export, backup) = (seed("journal_export", name), seed("journal_backup", name));
        if update() {
            let clock = Arc::new(SystemClock::default());
            let (journal, _) = Journal::open(options(&dir.path().join("made")), key(sealed), clock).unwrap();
            for text in ["first", "second", "third"] {
                let record = |subject| NewRecord { kind: 1, subject, payload: text.into() };
                let both = vec![record(OURS), record([9; 16])];
                journal.append(both, Urgency::New).unwrap().wait().unwrap();
            }
            write(&seed("evidence_file", name), &evidence(&journal));
            let mut out = Vec::new();
            journal.export(1, journal.head().seq, &mut out).unwrap();
            write(&export, &out);
            out.clear();
            journal.export_subject(&OURS, &mut out).unwrap();
            write(&seed("journal_export", &format!("{name}-one-payment")), &out);
            out.clear();
            journal.backup(&mut out, &mut |_, _, _| ()).unwrap();
            write(&backup, &out);
        }
        let export = fs::read(export).unwrap();
        assert!(verify_export(&*export, Some(&key(sealed))).unwrap().authenticated);
        let clock = Arc::new(SystemClock::default());
        let backup = fs::read(backup).unwrap();
        let restored =
            restore(&mut &*backup, &options(&dir.path().join("back")), key(sealed), clock, &mut |_, _, _| ());
        assert!(restored.unwrap().records >= 6);
    }
}
