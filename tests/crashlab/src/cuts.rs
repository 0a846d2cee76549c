//! Power cuts all over a recording: every different disk is judged by a worker.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use till_powercut::Recording;
use till_powercut::cuts::{Cut, Plan, cuts};
use till_powercut::model::Left;
use till_powercut::recorder::{AckedLines, record};

use crate::check::Question;
use crate::pool::{Recipe, Worker};
use crate::scenario::Recorded;
use crate::witness::SHREDDED;
use crate::{LabError, Programs};

/// A disk that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Where it came from.
    pub cut: String,
    /// What the judge said.
    pub said: String,
}

/// What came of many disks.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Different disks, by content.
    pub states: usize,
    /// Questions asked: a disk is asked again when more had been promised by the time it could be left.
    pub asked: usize,
    /// Disks on which something was promised.
    pub promised: usize,
    /// Those that failed.
    pub failed: Vec<Failure>,
    /// What opening did beyond opening, and how often.
    pub events: std::collections::BTreeMap<String, usize>,
    /// How long it took.
    pub took: Duration,
}

impl Verdict {
    /// Takes in what came of other disks.
    pub fn add(&mut self, other: Self) {
        self.states += other.states;
        self.asked += other.asked;
        self.promised += other.promised;
        self.failed.extend(other.failed);
        for (event, count) in other.events {
            *self.events.entry(event).or_default() += count;
        }
        self.took += other.took;
    }
}

/// How the disks of one recording are judged.
pub struct Bench<'a> {
    /// What to cut.
    pub recording: &'a Recording,
    /// Directory that was recorded.
    pub root: &'a Path,
    /// What was there before; None: nothing.
    pub base: Option<&'a Left>,
    /// Promised before the recording began: records, and destroyed keys.
    pub owed: [u64; 2],
    /// Judge's program and arguments.
    pub program: PathBuf,
    /// Arguments.
    pub args: Vec<String>,
    /// An alarm is a failure.
    pub quiet: bool,
    /// Stop once so many failed.
    pub enough: usize,
    /// Stop then, however few there were.
    pub until: Option<Instant>,
    /// Workers.
    pub workers: usize,
    /// Said with each line of progress; empty: no progress.
    pub title: String,
}

impl Bench<'_> {
    /// Cuts and judges.
    pub fn run(&self, plan: &Plan) -> Result<Verdict, LabError> {
        let begun = Instant::now();
        let scratch = crate::scratch()?;
        let root = self.root.to_str().ok_or_else(|| LabError::Lab("the root is no plain text".into()))?;
        let verdict = Mutex::new(Verdict::default());
        let broken: Mutex<Option<LabError>> = Mutex::default();
        let (disks, queue) = sync_channel::<Cut>(2 * self.workers);
        let queue = Mutex::new(queue);
        let states = std::thread::scope(|scope| {
            for number in 0..self.workers {
                let (queue, verdict, broken, scratch) = (&queue, &verdict, &broken, scratch.path());
                scope.spawn(move || {
                    if let Err(e) = self.work(number, queue, verdict, scratch) {
                        *lock(broken) = Some(e);
                    }
                    // Whoever still sends must not wait for a worker that is gone.
                    while lock(broken).is_some() && lock(queue).recv().is_ok() {}
                });
            }
            let last = AtomicUsize::new(0);
            let states = cuts(self.recording, root, self.base, plan, |cut| {
                let late = self.until.is_some_and(|until| Instant::now() >= until);
                let go_on = !late && lock(&verdict).failed.len() < self.enough && lock(&broken).is_none();
                self.progress(begun, &last, &lock(&verdict), plan.wanted);
                go_on && disks.send(cut).is_ok()
            });
            drop(disks);
            states
        });
        if let Some(e) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(e);
        }
        let mut verdict = verdict.into_inner().unwrap_or_else(PoisonError::into_inner);
        verdict.states = states;
        verdict.took = begun.elapsed();
        Ok(verdict)
    }

    fn progress(&self, begun: Instant, last: &AtomicUsize, so_far: &Verdict, wanted: usize) {
        let turn = usize::try_from(begun.elapsed().as_secs() / 10).unwrap_or(0);
        if self.title.is_empty() || last.swap(turn, Ordering::Relaxed) == turn {
            return;
        }
        let seconds = begun.elapsed().as_secs().max(1);
        let rate = so_far.asked as u64 / seconds;
        let (asked, failed) = (so_far.asked, so_far.failed.len());
        eprintln!("{}: {asked} of about {wanted} disks judged, {failed} failed, {rate}/s", self.title);
    }

    fn work(
        &self,
        number: usize,
        queue: &Mutex<Receiver<Cut>>,
        verdict: &Mutex<Verdict>,
        scratch: &Path,
    ) -> Result<(), LabError> {
        let errors = scratch.join(format!("errors-{number}"));
        let recipe = Recipe { program: self.program.clone(), args: self.args.clone(), errors };
        let mut worker = Worker::new(recipe);
        let dir = scratch.join(format!("disk-{number}"));
        loop {
            let next = lock(queue).recv();
            let Ok(cut) = next else { return Ok(()) };
            let _gone = std::fs::remove_dir_all(&dir);
            std::fs::create_dir(&dir)
                .and_then(|()| cut.left.write(&dir))
                .map_err(LabError::file("disk of a cut"))?;
            let [need, shredded] = promised(&cut, self.owed);
            let answer = worker.ask(&dir, &Question { need, shredded, quiet: self.quiet })?;
            let mut verdict = lock(verdict);
            verdict.asked += 1;
            verdict.promised += usize::from(need > 0);
            match answer {
                Ok(told) => {
                    for event in told.split("; ").filter(|e| !e.is_empty()) {
                        *verdict.events.entry(kind_of(event)).or_default() += 1;
                    }
                }
                Err(said) => {
                    let from = format!(
                        "before operation {} of {}, {:?}, {:?}, {need} promised, keys below {shredded} destroyed",
                        cut.at,
                        self.recording.ops.len(),
                        cut.luck,
                        cut.rules
                    );
                    verdict.failed.push(Failure { cut: from, said });
                }
            }
        }
    }
}

/// The newest promise of every kind by the time of a cut: records, and destroyed keys.
fn promised(cut: &Cut, owed: [u64; 2]) -> [u64; 2] {
    let newest = |which: &dyn Fn(u64) -> bool, owed: u64| {
        cut.acked.iter().filter(|(who, _)| which(*who)).map(|(_, count)| *count).fold(owed, u64::max)
    };
    // A store of the controls counts records by thread.
    [newest(&|who| who != SHREDDED, owed[0]), newest(&|who| who == SHREDDED, owed[1])]
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An event without its numbers and paths, for counting.
fn kind_of(event: &str) -> String {
    let words = event.split(['(', ';']).next().unwrap_or_default().split_whitespace();
    let plain = |w: &&str| !w.contains('/') && !w.chars().any(|c| c.is_ascii_digit());
    words.filter(plain).collect::<Vec<_>>().join(" ")
}

/// The till's own disks: `wanted` of them, judged as `tilld` starts.
pub fn till<'a>(recorded: &'a Recorded, root: &'a Path, programs: &Programs, workers: usize) -> Bench<'a> {
    Bench {
        recording: &recorded.recording,
        root,
        base: None,
        owed: [0; 2],
        program: programs.lab.clone(),
        args: vec![
            "worker".into(),
            recorded.config_file().display().to_string(),
            recorded.truth_file().display().to_string(),
        ],
        quiet: true,
        enough: 20,
        until: None,
        workers,
        title: String::new(),
    }
}

/// Cuts during recovery: takes `bases` disks of the recording, has the daemon's recovery run on each under the
/// recorder, and cuts that, `each` times.
pub fn nested(
    recorded: &Recorded,
    root: &Path,
    programs: &Programs,
    workers: usize,
    [bases, each]: [usize; 2],
    seed: u64,
    until: Option<Instant>,
) -> Result<Verdict, LabError> {
    let mut starts = Vec::new();
    let plan = Plan { wanted: bases, seed, from: recorded.recording.ops.len() / 10 };
    cuts(&recorded.recording, &root.display().to_string(), None, &plan, |cut| {
        starts.push(cut);
        true
    });
    let mut all = Verdict::default();
    for (number, start) in starts.iter().enumerate() {
        if until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        let scratch = tempfile::tempdir().map_err(LabError::file("directory for a recovery"))?;
        let dir =
            scratch.path().canonicalize().map_err(LabError::file("directory for a recovery"))?.join("state");
        std::fs::create_dir(&dir)
            .and_then(|()| start.left.write(&dir))
            .map_err(LabError::file("disk of a cut"))?;
        let mut command = Command::new(&programs.lab);
        command.arg("recover").arg(recorded.config_file()).arg(&dir);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut recording = Recording::default();
        let status = record(&mut command, &dir, &mut recording, &mut AckedLines, |_| {})?;
        let owed = promised(start, [0; 2]);
        if status != 0 {
            let cut = format!("before operation {}, {:?}, {:?}", start.at, start.luck, start.rules);
            all.failed.push(Failure { cut, said: format!("recovery ended with wait status {status:#x}") });
            continue;
        }
        let bench = Bench {
            recording: &recording,
            root: &dir,
            base: Some(&start.left),
            owed,
            enough: 5,
            until,
            ..till(recorded, root, programs, workers)
        };
        let one = bench.run(&Plan { wanted: each, seed: seed + number as u64, from: 0 })?;
        let place =
            |f: Failure| Failure { cut: format!("recovery of operation {}: {}", start.at, f.cut), ..f };
        let failed = one.failed.into_iter().map(place).collect();
        all.add(Verdict { failed, ..one });
        if bases > 10 && (number + 1) % 10 == 0 {
            let (asked, failed) = (all.asked, all.failed.len());
            eprintln!(
                "cuts of {} of {} recoveries: {asked} disks judged, {failed} failed",
                number + 1,
                starts.len()
            );
        }
    }
    Ok(all)
}
