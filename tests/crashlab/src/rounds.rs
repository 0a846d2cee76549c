//! Power cuts of one recording after the other, until there were as many different disks as are wanted: many short recordings
//! come into more situations than a long one, and their disks are cheaper to judge.

use std::time::{Duration, Instant};

use till_powercut::cuts::Plan;

use crate::cuts::{self, Failure, Verdict};
use crate::report::{Expect, Line};
use crate::scenario::Recorded;
use crate::{LabError, Programs};

/// How much.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Different disks, cuts during recovery among them.
    pub states: usize,
    /// Disks of one recording.
    pub per_recording: usize,
    /// Recoveries of each recording that are cut in their turn; None: one for 200 disks, at most 200.
    pub recoveries: Option<usize>,
    /// No more disks after so long.
    pub minutes: Option<u64>,
}

/// What came of the recordings so far.
pub struct Rounds {
    wanted: Wanted,
    until: Option<Instant>,
    recordings: usize,
    promises: usize,
    broken: Vec<Failure>,
    first: Verdict,
    second: Verdict,
}

impl Rounds {
    /// Nothing yet; the time runs.
    pub fn new(wanted: Wanted) -> Self {
        let until = wanted.minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
        let (first, second) = (Verdict::default(), Verdict::default());
        Self { wanted, until, recordings: 0, promises: 0, broken: Vec::new(), first, second }
    }

    /// Counts what the till told while it was recorded, and what of it was not true even without a cut.
    pub fn told(&mut self, recorded: &Recorded) {
        self.recordings += 1;
        self.promises += recorded.recording.acks.len();
        let failure = |said: &String| Failure { cut: "no cut".into(), said: said.clone() };
        self.broken.extend(recorded.broken.iter().map(failure));
    }

    fn states(&self) -> usize {
        self.first.states + self.second.states
    }

    /// There were enough, the time is up, or something failed.
    pub fn are_over(&self) -> bool {
        let late = self.until.is_some_and(|until| Instant::now() >= until);
        let failed = !self.first.failed.is_empty() || !self.second.failed.is_empty();
        late || failed || self.states() >= self.wanted.states
    }

    /// Cuts a recording.
    pub fn cut(
        &mut self,
        seed: u64,
        recorded: &Recorded,
        programs: &Programs,
        workers: usize,
    ) -> Result<(), LabError> {
        let root =
            recorded.dir.path().canonicalize().map_err(LabError::file("recorded state"))?.join("state");
        let mut wanted = self.wanted.states.saturating_sub(self.states()).min(self.wanted.per_recording);
        let bases = self.wanted.recoveries.unwrap_or_else(|| (wanted / 200).clamp(1, 200));
        if let Some(each) = (wanted / 5).checked_div(bases) {
            let sizes = [bases, each.max(1)];
            let second = cuts::nested(recorded, &root, programs, workers, sizes, seed, self.until)?;
            // A recovery has not always so many different disks: the rest is cut elsewhere.
            wanted = wanted.saturating_sub(second.states);
            self.second.add(second);
        }
        let mut bench = cuts::till(recorded, &root, programs, workers);
        bench.title = format!("power cuts, after {}", self.states());
        bench.until = self.until;
        let first = bench.run(&Plan { wanted, seed, from: 0 })?;
        let found = first.states > 0;
        self.first.add(first);
        let none = || LabError::Lab(format!("the recording of seed {seed} gave no disk"));
        (found || self.are_over()).then_some(()).ok_or_else(none)
    }

    /// The table's lines; without the cuts where none were wanted.
    pub fn lines(self, cut: bool) -> Vec<Line> {
        let tried = format!("{} promises of {} recordings", self.promises, self.recordings);
        let mut lines = vec![Line::of("what was told is in the journal", tried, self.broken, Duration::ZERO)];
        if cut {
            lines.push(Line::cuts("power cuts of tilld's recovery", Expect::Pass, self.second));
            lines.push(Line::cuts("power cuts of tilld", Expect::Pass, self.first));
        }
        lines
    }
}
