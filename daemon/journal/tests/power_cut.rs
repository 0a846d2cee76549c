//! Power cuts: after any of them every acknowledged record is there and the chain is whole, opened with the
//! journal's own recovery. The controls are programs and recordings that must lose records in the same laboratory:
//! if one of them passes, this test proves nothing and fails.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod lab;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use lab::{Op, recorder, run};

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
fn record(program: &Path, root: &Path, sessions: &[&[&str]]) -> Option<Vec<Op>> {
    let mut ops = Vec::new();
    for session in sessions {
        let mut command = Command::new(program);
        command.arg("write").arg(root).args(*session);
        match recorder::record(&mut command, root, std::mem::take(&mut ops)) {
            Ok(more) => ops = more,
            Err(e) => {
                println!("skipped: this system does not allow ptrace ({e})");
                return None;
            }
        }
    }
    Some(ops)
}

fn journal_recording(root: &Path) -> Option<Vec<Op>> {
    // A fresh start; a second start that begins a new epoch; group commit from several threads.
    record(&lab_program(), root, &[&["40", "1", "200000"], &["30", "2", "100"], &["40", "4", "200000"]])
}

fn acks(ops: &[Op]) -> usize {
    ops.iter().filter(|o| matches!(o, Op::Ack { .. })).count()
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
    let Some(ops) = journal_recording(&root) else { return };
    println!("{} operations, {} acknowledgements, recorded in {:?}", ops.len(), acks(&ops), begun.elapsed());
    assert!(acks(&ops) > 80, "the recording is too short to mean anything");
    let result = run::judge(&ops, &root, &lab_program(), wanted(), 1, 5);
    println!("{} disks judged in {:?}", result.states, begun.elapsed());
    assert!(result.failed.is_empty(), "{:#?}", result.failed);
    assert!(result.states >= wanted() / 2, "too few different disks: {}", result.states);
}

#[test]
fn control_stock_sled_without_the_shim_loses_records() {
    let dir = tempfile::tempdir().unwrap();
    let root = new_root(&dir);
    let Some(ops) = record(&stock_program(), &root, &[&["60"]]) else { return };
    let result = run::judge(&ops, &root, &stock_program(), 60, 2, 3);
    let lost = result.failed.iter().filter(|f| f.said.contains("LOST")).count();
    println!("stock sled: {} of {} disks failed", result.failed.len(), result.states);
    assert!(lost > 0, "the laboratory did not catch a store that does not sync");
}

#[test]
fn control_acknowledging_before_the_sync_loses_records() {
    let dir = tempfile::tempdir().unwrap();
    let root = new_root(&dir);
    let Some(mut ops) = record(&lab_program(), &root, &[&["40", "1", "200000"]]) else { return };
    // The same program, had it answered one step earlier: each acknowledgement moves before the sync it waited for.
    for at in 0..ops.len() {
        if matches!(ops[at], Op::Ack { .. }) {
            let sync = ops[..at].iter().rposition(is_segment_sync).unwrap();
            let ack = ops.remove(at);
            ops.insert(sync, ack);
        }
    }
    expect_loss(&ops, &root, "ack before sync");
}

#[test]
fn control_a_flight_recorder_that_never_syncs_loses_records() {
    let dir = tempfile::tempdir().unwrap();
    let root = new_root(&dir);
    let Some(mut ops) = record(&lab_program(), &root, &[&["40", "1", "200000"]]) else { return };
    ops = without_segment_syncs(ops);
    expect_loss(&ops, &root, "no sync");
}

/// A sync's `since` counts operations, so a dropped one leaves a harmless one behind.
fn without_segment_syncs(mut ops: Vec<Op>) -> Vec<Op> {
    for op in &mut ops {
        if is_segment_sync(op) {
            *op = Op::Ack { thread: 99, count: 0 };
        }
    }
    ops
}

fn is_segment_sync(op: &Op) -> bool {
    matches!(op, Op::Sync { path, .. } if Path::new(path).extension().is_some_and(|e| e == "log"))
}

fn expect_loss(ops: &[Op], root: &Path, what: &str) {
    let result = run::judge(ops, root, &lab_program(), 80, 3, 3);
    let lost = result.failed.iter().filter(|f| f.said.contains("LOST")).count();
    println!("{what}: {} of {} disks failed", result.failed.len(), result.states);
    assert!(lost > 0, "the laboratory did not catch a journal with {what}: {:#?}", result.failed);
}
