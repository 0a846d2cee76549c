//! Power cuts: after any of them every acknowledged record is there and the chain is whole, opened with the
//! journal's own recovery. The controls are programs and recordings that must lose records in the same laboratory:
//! if one of them passes, this test proves nothing and fails.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod lab;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use std::process::Stdio;
use till_powercut::recorder::{AckedLines, record as trace};
use till_powercut::{Op, Recording};

fn lab_program() -> PathBuf {
    env!("CARGO_BIN_EXE_till-journal-lab").into()
}

fn stock_program() -> PathBuf {
    env!("CARGO_BIN_EXE_till-journal-stock").into()
}

/// More states for the long run: `TILL_JOURNAL_CUTS=5000 cargo test -p till-journal --test power_cut`.
fn wanted() -> usize {
    std::env::var("TILL_JOURNAL_CUTS").ok().and_then(|v| v.parse().ok()).unwrap_or(300)
}

/// Records sessions one after the other in one directory; `None` (and a word) where ptrace is not allowed.
fn record(program: &Path, root: &Path, sessions: &[&[&str]]) -> Option<Recording> {
    let mut recording = Recording::default();
    for session in sessions {
        let mut command = Command::new(program);
        command.arg("write").arg(root).args(*session);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut out = None;
        let ended = trace(&mut command, root, &mut recording, &mut AckedLines, |child| {
            // The pipe must be emptied, or the subject waits for us while we wait for it.
            let mut pipe = child.stdout.take().unwrap();
            out = Some(std::thread::spawn(move || std::io::read_to_string(&mut pipe)));
        });
        match ended {
            Ok(status) => {
                assert_eq!(status, 0, "the subject failed while being recorded: {:?}", out.unwrap().join());
            }
            Err(e) => {
                println!("skipped: {e}");
                return None;
            }
        }
    }
    Some(recording)
}

fn journal_recording(root: &Path) -> Option<Recording> {
    // A fresh start; a second start that begins a new epoch; group commit from several threads.
    record(&lab_program(), root, &[&["40", "1", "200000"], &["30", "2", "100"], &["40", "4", "200000"]])
}

fn new_root(dir: &tempfile::TempDir) -> PathBuf {
    let root = dir.path().canonicalize().unwrap().join("journal");
    std::fs::create_dir(&root).unwrap();
    root
}

#[test]
fn every_acknowledged_record_survives_every_cut() {
    let dir = tempfile::tempdir().unwrap();
    let root = new_root(&dir);
    let begun = Instant::now();
    let Some(seen) = journal_recording(&root) else { return };
    let (ops, acks) = (seen.ops.len(), seen.acks.len());
    println!("{ops} operations, {acks} acknowledgements, recorded in {:?}", begun.elapsed());
    assert!(acks > 80, "the recording is too short to mean anything");
    let result = lab::judge(&seen, &root, &lab_program(), wanted(), 1, 5);
    println!("{} disks judged in {:?}", result.states, begun.elapsed());
    assert!(result.failed.is_empty(), "{:#?}", result.failed);
    assert!(result.states >= wanted() / 2, "too few different disks: {}", result.states);
}

#[test]
fn snapshots_and_removals_are_whole_or_not_there_at_every_cut() {
    let dir = tempfile::tempdir().unwrap();
    let root = new_root(&dir);
    let begun = Instant::now();
    // Two sessions, so that a removal of the first is also seen by a start.
    let Some(seen) = record(&lab_program(), &root, &[&["keep", "6"], &["keep", "4"]]) else { return };
    let of = |wanted| seen.acks.iter().filter(|ack| ack.thread == wanted).count();
    println!("{} operations, {} snapshots, {} removals", seen.ops.len(), of(90), of(91));
    assert!(of(90) >= 10 && of(91) >= 3, "{} snapshots, {} removals", of(90), of(91));
    let result = lab::judge(&seen, &root, &lab_program(), wanted(), 4, 5);
    println!("{} disks judged in {:?}", result.states, begun.elapsed());
    assert!(result.failed.is_empty(), "{:#?}", result.failed);
    assert!(result.states >= wanted() / 2, "too few different disks: {}", result.states);
}

#[test]
fn control_stock_sled_without_the_shim_loses_records() {
    let dir = tempfile::tempdir().unwrap();
    let root = new_root(&dir);
    let Some(seen) = record(&stock_program(), &root, &[&["60"]]) else { return };
    let result = lab::judge(&seen, &root, &stock_program(), 60, 2, 3);
    let lost = result.failed.iter().filter(|f| f.said.contains("LOST")).count();
    println!("stock sled: {} of {} disks failed", result.failed.len(), result.states);
    assert!(lost > 0, "the laboratory did not catch a store that does not sync");
}

#[test]
fn control_acknowledging_before_the_sync_loses_records() {
    let dir = tempfile::tempdir().unwrap();
    let root = new_root(&dir);
    let Some(mut seen) = record(&lab_program(), &root, &[&["40", "1", "200000"]]) else { return };
    // The same program, had it answered one step earlier: each acknowledgement moves before the sync it waited for.
    for ack in &mut seen.acks {
        ack.at = seen.ops[..ack.at].iter().rposition(is_segment_sync).unwrap();
    }
    expect_loss(&seen, &root, "ack before sync");
}

#[test]
fn control_a_flight_recorder_that_never_syncs_loses_records() {
    let dir = tempfile::tempdir().unwrap();
    let root = new_root(&dir);
    let Some(mut seen) = record(&lab_program(), &root, &[&["40", "1", "200000"]]) else { return };
    // A sync's `since` counts operations, so a dropped one leaves a harmless one behind.
    for op in seen.ops.iter_mut().filter(|op| is_segment_sync(op)) {
        *op = Op::Nothing;
    }
    expect_loss(&seen, &root, "no sync");
}

fn is_segment_sync(op: &Op) -> bool {
    matches!(op, Op::Sync { path, .. } if Path::new(path).extension().is_some_and(|e| e == "log"))
}

fn expect_loss(recording: &Recording, root: &Path, what: &str) {
    let result = lab::judge(recording, root, &lab_program(), 80, 3, 3);
    let lost = result.failed.iter().filter(|f| f.said.contains("LOST")).count();
    println!("{what}: {} of {} disks failed", result.failed.len(), result.states);
    assert!(lost > 0, "the laboratory did not catch a journal with {what}: {:#?}", result.failed);
}
