//! Bad disks: whichever file of one copy is altered, cut or deleted, every record is served from the other copy, the
//! damage is told, and afterwards both copies are whole again.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{copy, fill, key, numbers, open, open_with, options};
use till_journal::{Frame, JournalError, OpenEvent};

const RECORDS: u64 = 900;

/// A closed journal of several segments.
fn closed(dir: &Path) {
    let (journal, _) = open(dir);
    fill(&journal, 0, RECORDS);
    journal.close().unwrap();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    out.retain(|p| p.is_file() && p.extension().is_none_or(|e| e != "new"));
    out.sort();
    out
}

/// Opens, checks that nothing is missing, lets verification mark what open does not read, and checks again.
fn must_recover(dir: &Path, what: &str) -> Vec<OpenEvent> {
    let (journal, report) = open(dir);
    assert_eq!(numbers(&journal), (0..RECORDS).collect::<Vec<_>>(), "{what}");
    let mut events = report.events;
    journal.verify().unwrap_or_else(|e| panic!("{what}: {e}"));
    drop(journal);
    let (journal, report) = open(dir);
    events.extend(report.events);
    let report = journal.verify().unwrap();
    assert!(report.is_whole(), "{what}: {report:?}");
    assert_eq!(numbers(&journal), (0..RECORDS).collect::<Vec<_>>(), "{what}");
    events
}

/// What is done to a file.
type Harm = fn(&Path);

fn flip(path: &Path, part: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = (bytes.len() - 1) * part / 8;
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn each_harm() -> Vec<(&'static str, Harm)> {
    vec![
        ("deleted", |p| fs::remove_file(p).unwrap()),
        ("emptied", |p| fs::write(p, b"").unwrap()),
        ("cut in half", |p| {
            let bytes = fs::read(p).unwrap();
            fs::write(p, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("zeroed", |p| fs::write(p, vec![0; fs::read(p).unwrap().len()]).unwrap()),
        ("flipped at its begin", |p| flip(p, 0)),
        ("flipped early", |p| flip(p, 1)),
        ("flipped in the middle", |p| flip(p, 4)),
        ("flipped at its end", |p| flip(p, 8)),
    ]
}

#[test]
fn any_damage_to_the_store_is_repaired_from_the_segments() {
    let base = tempfile::tempdir().unwrap();
    let model = base.path().join("model");
    closed(&model);
    let mut rebuilt = 0;
    for file in files(&model.join("00000001")) {
        for (index, (how, harm)) in each_harm().iter().enumerate() {
            let name = file.file_name().unwrap().to_str().unwrap();
            let dir = base.path().join(format!("{index}-{name}"));
            copy(&model, &dir);
            harm(&dir.join("00000001").join(name));
            let events = must_recover(&dir, &format!("store file {name} {how}"));
            rebuilt += usize::from(events.iter().any(|e| matches!(e, OpenEvent::StoreRebuilt { .. })));
            fs::remove_dir_all(dir).unwrap();
        }
    }
    assert!(rebuilt >= 5, "only {rebuilt} damages led to a rebuild: the test harms nothing that matters");
}

#[test]
fn a_store_gone_as_a_whole_is_rebuilt_and_said() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    fs::remove_dir_all(dir.path().join("00000001")).unwrap();
    let events = must_recover(dir.path(), "store directory deleted");
    assert!(events.iter().any(OpenEvent::is_alarm));
}

#[test]
fn any_damage_to_a_segment_is_repaired_from_the_store() {
    let base = tempfile::tempdir().unwrap();
    let model = base.path().join("model");
    closed(&model);
    let segments = files(&model.join("segments"));
    assert!(segments.len() >= 3, "{segments:?}");
    for file in [&segments[0], &segments[1], segments.last().unwrap()] {
        for (index, (how, harm)) in each_harm().iter().enumerate() {
            let name = file.file_name().unwrap().to_str().unwrap();
            let dir = base.path().join(format!("{index}-{name}"));
            copy(&model, &dir);
            harm(&dir.join("segments").join(name));
            must_recover(&dir, &format!("segment {name} {how}"));
            fs::remove_dir_all(dir).unwrap();
        }
    }
}

#[test]
fn all_segments_gone_are_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    fs::remove_dir_all(dir.path().join("segments")).unwrap();
    let events = must_recover(dir.path(), "segments deleted");
    assert!(events.iter().any(|e| matches!(e, OpenEvent::SegmentRepaired { .. })), "{events:?}");
}

/// Removes, swaps or doubles whole valid frames inside a segment: no checksum notices, the chain must.
#[test]
fn a_removed_swapped_or_doubled_record_is_found_and_undone() {
    type Edit = fn(&mut Vec<Vec<u8>>);
    let edits: [(&str, Edit); 3] = [
        ("removed", |f| drop(f.remove(20))),
        ("swapped", |f| f.swap(20, 21)),
        ("doubled", |f| f.insert(20, f[20].clone())),
    ];
    for (what, edit) in edits {
        let dir = tempfile::tempdir().unwrap();
        closed(dir.path());
        let path = dir.path().join("segments/00000001-000001.log");
        edit_frames(&path, edit);
        let (journal, _) = open(dir.path());
        let report = journal.verify().unwrap();
        assert!(report.segment_damage > 0, "a {what} record was not noticed");
        assert_eq!(report.lost, 0);
        drop(journal);
        must_recover(dir.path(), what);
    }
}

/// The same with the store gone: then the loss cannot be undone and must not be hidden.
#[test]
fn a_record_gone_from_both_copies_is_refused_not_hidden() {
    for from_end in [100, 3] {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = open(dir.path());
        for n in 0..40 {
            // One commit each: then a hole cannot be an unfinished commit.
            journal.append(vec![common::record(n)], till_journal::Urgency::New).unwrap().wait().unwrap();
        }
        journal.close().unwrap();
        drop(journal);
        let path = dir.path().join("segments/00000001-000001.log");
        let mut bytes = fs::read(&path).unwrap();
        let frames = cut_frames(&bytes);
        let (at, len) = frames[frames.len().saturating_sub(from_end).max(5)];
        bytes[at + len / 2] ^= 1;
        fs::write(&path, &bytes).unwrap();
        fs::remove_dir_all(dir.path().join("00000001")).unwrap();
        let refused = open_with(options(dir.path())).unwrap_err();
        assert!(matches!(refused, JournalError::Damaged { .. }), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "evidence was changed");
    }
}

/// A thief with the disk but without the key forges an amount and mends the CRC in both copies' bytes.
#[test]
fn a_forged_record_does_not_pass() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    let path = dir.path().join("segments/00000001-000002.log");
    edit_frames(&path, |frames| {
        let frame = &mut frames[4];
        frame[130] ^= 1;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&frame[..12]), &frame[16..]);
        frame[12..16].copy_from_slice(&crc.to_le_bytes());
        assert!(Frame::decode(frame).is_ok() && Frame::decode_exact(frame, &key()).is_err());
    });
    let (journal, _) = open(dir.path());
    assert!(journal.verify().unwrap().segment_damage > 0);
    assert_eq!(numbers(&journal), (0..RECORDS).collect::<Vec<_>>());
}

fn cut_frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut at = 512;
    let mut out = Vec::new();
    while let Ok((_, len)) = Frame::decode(&bytes[at..]) {
        out.push((at, len));
        at += len;
    }
    out
}

fn edit_frames(path: &Path, edit: impl Fn(&mut Vec<Vec<u8>>)) {
    let bytes = fs::read(path).unwrap();
    let mut frames: Vec<Vec<u8>> =
        cut_frames(&bytes).iter().map(|(at, len)| bytes[*at..at + len].to_vec()).collect();
    edit(&mut frames);
    let mut out = bytes[..512].to_vec();
    out.extend(frames.concat());
    out.resize(bytes.len(), 0);
    fs::write(path, out).unwrap();
}
