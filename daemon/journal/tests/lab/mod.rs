//! Takes cuts of a recording and has each judged by a program.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use till_powercut::Recording;
use till_powercut::cuts::{Cut, Plan, cuts};
use till_powercut::model::{Luck, Rules};

/// What a judge said of one disk.
pub(crate) struct Failure {
    at: usize,
    how: (Luck, Rules),
    acked: Vec<String>,
    pub(crate) said: String,
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { at, how, acked, said } = self;
        write!(f, "cut before operation {at} {how:?}, acknowledged {acked:?}: {said}")
    }
}

/// A number of different disks, and those whose judge was not content.
#[derive(Debug, Default)]
pub(crate) struct Result {
    pub(crate) states: usize,
    pub(crate) failed: Vec<Failure>,
}

/// Cuts and judges. `judge VERIFY DIR ACKED...` must end with 0; stops early once `enough` failed.
pub(crate) fn judge(
    recording: &Recording,
    root: &Path,
    program: &Path,
    wanted: usize,
    seed: u64,
    enough: usize,
) -> Result {
    // Memory-backed where there is any: these disks need no durability of their own.
    let base = if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    let scratch = tempfile::tempdir_in(&base).or_else(|_| tempfile::tempdir()).unwrap();
    let failed = Mutex::new(Vec::new());
    let number = AtomicUsize::new(0);
    let (disks, queue) = mpsc::sync_channel::<Cut>(8);
    let queue = Mutex::new(queue);
    let states = std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().recv();
                    let Ok(cut) = next else { return };
                    let dir = scratch.path().join(number.fetch_add(1, Ordering::Relaxed).to_string());
                    std::fs::create_dir(&dir).unwrap();
                    cut.left.write(&dir).unwrap();
                    let acked: Vec<String> = cut.acked.iter().map(|(t, c)| format!("{t}:{c}")).collect();
                    let said = ask(program, &dir, &acked);
                    let _ = std::fs::remove_dir_all(&dir);
                    if let Err(said) = said {
                        let how = (cut.luck, cut.rules);
                        failed.lock().unwrap().push(Failure { at: cut.at, how, acked, said });
                    }
                }
            });
        }
        let plan = Plan { wanted, seed, from: 0 };
        let states = cuts(recording, root.to_str().unwrap(), None, &plan, |cut| {
            failed.lock().unwrap().len() < enough && disks.send(cut).is_ok()
        });
        drop(disks);
        states
    });
    Result { states, failed: failed.into_inner().unwrap() }
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
