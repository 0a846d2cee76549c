//! Takes cuts of a recording and has each judged by a program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::model::{Disk, Left, Luck};
use super::{Op, Rng};

/// What a judge said of one disk.
pub(crate) struct Failure {
    at: usize,
    luck: Luck,
    acked: Vec<String>,
    pub(crate) said: String,
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { at, luck, acked, said } = self;
        write!(f, "cut behind operation {at} ({luck:?}), acknowledged {acked:?}: {said}")
    }
}

/// A number of different disks, and those whose judge was not content.
#[derive(Debug, Default)]
pub(crate) struct Result {
    pub(crate) states: usize,
    pub(crate) failed: Vec<Failure>,
}

struct State {
    at: usize,
    luck: Luck,
    acked: Vec<String>,
    left: Left,
}

/// Builds about `wanted` different disks, spread over the whole recording.
fn states(ops: &[Op], root: &str, wanted: usize, seed: u64) -> Vec<State> {
    const LUCKS: [Luck; 4] = [Luck::Nothing, Luck::Torn(512), Luck::Everything, Luck::Torn(4096)];
    let mut rng = Rng(seed);
    let mut disk = Disk::new(root);
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    let cuts = wanted.div_ceil(2).max(1);
    for (index, op) in ops.iter().enumerate() {
        disk.play(index, op);
        // Right behind an acknowledgement is where a loss shows first; elsewhere evenly.
        let due = (index + 1) * cuts / ops.len() > index * cuts / ops.len();
        if !due {
            continue;
        }
        for luck in [LUCKS[rng.below(4)], LUCKS[rng.below(4)], Luck::Nothing] {
            let left = disk.cut(luck, &mut rng);
            let acked: Vec<String> = disk.acked.iter().map(|(t, c)| format!("{t}:{c}")).collect();
            if seen.insert((left.fingerprint(), acked.clone())) {
                out.push(State { at: index, luck, acked, left });
            }
        }
    }
    out
}

/// Cuts and judges. `judge VERIFY DIR ACKED...` must end with 0; stops early once `enough` failed.
pub(crate) fn judge(
    ops: &[Op],
    root: &Path,
    program: &Path,
    wanted: usize,
    seed: u64,
    enough: usize,
) -> Result {
    let states = states(ops, root.to_str().unwrap(), wanted, seed);
    // Memory-backed where there is any: these disks need no durability of their own.
    let base = if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    let scratch = tempfile::tempdir_in(&base).or_else(|_| tempfile::tempdir()).unwrap();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(state) = states.get(index) else { return };
                    if failed.lock().unwrap().len() >= enough {
                        return;
                    }
                    let dir = scratch.path().join(index.to_string());
                    std::fs::create_dir(&dir).unwrap();
                    state.left.write(&dir);
                    let said = ask(program, &dir, &state.acked);
                    let _ = std::fs::remove_dir_all(&dir);
                    done.fetch_add(1, Ordering::Relaxed);
                    if let Err(said) = said {
                        let (at, luck, acked) = (state.at, state.luck, state.acked.clone());
                        failed.lock().unwrap().push(Failure { at, luck, acked, said });
                    }
                }
            });
        }
    });
    Result { states: done.into_inner(), failed: failed.into_inner().unwrap() }
}

/// Runs the judge with a time limit; a hang is a failure.
fn ask(program: &Path, dir: &Path, acked: &[String]) -> std::result::Result<(), String> {
    let mut child = Command::new("timeout")
        .args(["--signal=KILL", "60"])
        .arg(program)
        .arg("verify")
        .arg(dir)
        .args(acked)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let output = {
        let mut text = String::new();
        let _ = std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut text);
        let mut more = String::new();
        let _ = std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut more);
        text + &more
    };
    let status = child.wait().unwrap();
    // A cut is no damage: it must not send anybody looking for a bad disk.
    if status.success()
        && output.contains("fine")
        && !output.contains("damaged")
        && !output.contains("rewritten")
    {
        return Ok(());
    }
    let late = if begun.elapsed() > Duration::from_secs(59) { " (hung)" } else { "" };
    Err(format!("{status}{late}: {output}"))
}
