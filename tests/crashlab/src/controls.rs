//! Stores and orders that are known to be wrong, put to the same test. One that passes makes the run red: a test that
//! catches nothing has shown nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use till_powercut::cuts::Plan;
use till_powercut::recorder::{AckedLines, record};
use till_powercut::{Op, Recording};

use crate::cuts::{Bench, Verdict, till};
use crate::report::{Expect, Line};
use crate::scenario::Recorded;
use crate::witness::SHREDDED;
use crate::{LabError, Programs};

/// Disks that a control may need to be caught.
const WANTED: usize = 400;
/// Failures that are enough to call it caught.
const ENOUGH: usize = 3;

/// A store under the recorder: made, written to, opened again, so often.
fn record_store(program: &Path, before: &[&str], size: &str, root: &Path) -> Result<Recording, LabError> {
    let mut recording = Recording::default();
    for _ in 0..3 {
        let mut command = Command::new(program);
        command.args(before).arg("write").arg(root).args(["25", size]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut out = None;
        let status = record(&mut command, root, &mut recording, &mut AckedLines, |child| {
            let pipe = child.stdout.take();
            out = Some(std::thread::spawn(move || pipe.map(std::io::read_to_string)));
        })?;
        drop(out.map(std::thread::JoinHandle::join));
        if status != 0 {
            return Err(LabError::Lab(format!("a control's writer ended with wait status {status:#x}")));
        }
    }
    Ok(recording)
}

/// One way of being wrong with sled alone.
struct Store {
    name: &'static str,
    stock: bool,
    size: &'static str,
    heal: &'static str,
    expect: Expect,
}

const STORES: &[Store] = &[
    Store {
        name: "control: sled as it comes (no shim)",
        stock: true,
        size: "300",
        heal: "heal",
        expect: Expect::Fail,
    },
    Store {
        name: "sled alone with shim and healing",
        stock: false,
        size: "300",
        heal: "heal",
        expect: Expect::Pass,
    },
    Store {
        name: "control: the same without healing of snap.*.generating",
        stock: false,
        size: "300",
        heal: "no-heal",
        expect: Expect::Fail,
    },
    Store {
        name: "control: the same with records of 20 kB",
        stock: false,
        size: "20000",
        heal: "heal",
        expect: Expect::Fail,
    },
];

/// Runs all controls. The till's own recording is used for those that are orders gone wrong.
pub fn run(recorded: &Recorded, programs: &Programs, workers: usize) -> Result<Vec<Line>, LabError> {
    let mut lines = Vec::new();
    for store in STORES {
        let verdict = sled_alone(store, programs, workers)?;
        lines.push(Line::cuts(store.name, store.expect, verdict));
    }
    let root = recorded.dir.path().canonicalize().map_err(LabError::file("recorded state"))?.join("state");
    for (name, recording) in [
        ("control: tilld, had it answered before the sync", answered_early(&recorded.recording)),
        ("control: tilld without syncs of its segments", without(&recorded.recording, is_segment)),
        ("control: tilld without syncs of directories", without(&recorded.recording, is_directory)),
        ("control: tilld without syncs of its keyring", without(&recorded.recording, is_of_keyring)),
        ("control: tilld, had it told of destroyed keys too early", shredded_early(&recorded.recording)),
    ] {
        let bench =
            Bench { recording: &recording, enough: ENOUGH, ..till(recorded, &root, programs, workers) };
        let verdict = bench.run(&Plan { wanted: WANTED, seed: 3, from: 0 })?;
        lines.push(Line::cuts(name, Expect::Fail, verdict));
    }
    Ok(lines)
}

fn sled_alone(store: &Store, programs: &Programs, workers: usize) -> Result<Verdict, LabError> {
    let dir = tempfile::tempdir().map_err(LabError::file("directory of a control"))?;
    let root = dir.path().canonicalize().map_err(LabError::file("directory of a control"))?;
    let (program, before): (PathBuf, &[&str]) =
        if store.stock { (programs.stock.clone(), &[]) } else { (programs.lab.clone(), &["store"]) };
    let recording = record_store(&program, before, store.size, &root)?;
    let mut args: Vec<String> = before.iter().map(ToString::to_string).collect();
    args.extend(["judge".into(), store.heal.into()]);
    let bench = Bench {
        recording: &recording,
        root: &root,
        base: None,
        owed: [0; 2],
        program,
        args,
        quiet: false,
        enough: ENOUGH,
        until: None,
        workers,
        title: String::new(),
    };
    bench.run(&Plan { wanted: WANTED, seed: 2, from: 0 })
}

/// The same till, had it told its clients and networks one step earlier: before the sync that each promise waited for.
fn answered_early(recording: &Recording) -> Recording {
    let mut recording = recording.clone();
    for ack in recording.acks.iter_mut().filter(|ack| ack.thread != SHREDDED) {
        let before = &recording.ops[..ack.at];
        ack.at = before.iter().rposition(|op| is_sync_of(op, is_segment)).unwrap_or(0);
    }
    recording
}

/// The same till, had its log told of destroyed keys before the intent to destroy them was in place.
fn shredded_early(recording: &Recording) -> Recording {
    let mut recording = recording.clone();
    recording.acks.retain(|ack| ack.thread == SHREDDED);
    for ack in &mut recording.acks {
        let floor = |op: &Op| matches!(op, Op::Rename { to, .. } if to.ends_with("/floor"));
        ack.at = recording.ops[..ack.at].iter().rposition(floor).unwrap_or(0);
    }
    recording
}

fn without(recording: &Recording, which: impl Fn(&str) -> bool) -> Recording {
    let mut recording = recording.clone();
    // A sync counts operations, so one that is taken away leaves a harmless one behind.
    for op in recording.ops.iter_mut().filter(|op| is_sync_of(op, &which)) {
        *op = Op::Nothing;
    }
    recording
}

fn is_sync_of(op: &Op, which: impl Fn(&str) -> bool) -> bool {
    matches!(op, Op::Sync { path, .. } if which(path))
}

fn is_segment(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|e| e == "log")
}

fn is_of_keyring(path: &str) -> bool {
    path.contains("/keyring")
}

/// By the names that the till gives its directories: the recorded ones are gone by now.
fn is_directory(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let epoch = name.len() == 8 && name.bytes().all(|b| b.is_ascii_digit());
    epoch || ["state", "journal", "segments", "keys", "blobs"].contains(&name)
}
