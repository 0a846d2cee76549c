//! The table at the end of a run.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cuts::{Failure, Verdict};

/// What a line has to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing may fail.
    Pass,
    /// Something must fail.
    Fail,
    /// This machine cannot do it.
    Skipped,
}

/// One line of the table.
#[derive(Debug)]
pub struct Line {
    /// What was tried.
    pub name: String,
    /// What it had to come to.
    pub expect: Expect,
    /// How much was tried, in words.
    pub tried: String,
    /// What failed.
    pub failed: Vec<Failure>,
    /// What opening did beyond opening, in words.
    pub told: String,
    /// How long it took.
    pub took: Duration,
}

impl Line {
    /// Of power cuts.
    pub fn cuts(name: &str, expect: Expect, verdict: Verdict) -> Self {
        let told: Vec<String> =
            verdict.events.iter().map(|(event, count)| format!("{event} ×{count}")).collect();
        Self {
            name: name.into(),
            expect,
            tried: format!("{} disks, {} questions", verdict.states, verdict.asked),
            failed: verdict.failed,
            told: told.join(", "),
            took: verdict.took,
        }
    }

    /// Of anything else.
    pub fn of(name: &str, tried: String, failed: Vec<Failure>, took: Duration) -> Self {
        Self { name: name.into(), expect: Expect::Pass, tried, failed, told: String::new(), took }
    }

    /// Of what this machine cannot do.
    pub fn skipped(name: &str, why: &str) -> Self {
        Self {
            name: name.into(),
            expect: Expect::Skipped,
            tried: format!("skipped: {why}"),
            failed: Vec::new(),
            told: String::new(),
            took: Duration::ZERO,
        }
    }

    /// As it had to be.
    pub fn is_right(&self) -> bool {
        match self.expect {
            Expect::Pass => self.failed.is_empty(),
            Expect::Fail => !self.failed.is_empty(),
            Expect::Skipped => true,
        }
    }
}

/// The table, and every failure that should not be.
pub fn table(lines: &[Line]) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "| what | tried | failed | had to | time |\n|---|---|---|---|---|");
    for line in lines {
        let had_to = match line.expect {
            Expect::Pass => "pass",
            Expect::Fail => "fail",
            Expect::Skipped => "–",
        };
        let right = if line.is_right() { "" } else { " **WRONG**" };
        let (name, tried, failed) = (&line.name, &line.tried, line.failed.len());
        let _ =
            writeln!(text, "| {name} | {tried} | {failed} | {had_to}{right} | {} s |", line.took.as_secs());
    }
    for line in lines.iter().filter(|l| !l.told.is_empty() && l.expect == Expect::Pass) {
        let _ = writeln!(text, "{}: opening said: {}", line.name, line.told);
    }
    for line in lines.iter().filter(|l| l.expect == Expect::Fail) {
        if let Some(first) = line.failed.first() {
            let _ = writeln!(text, "{}: {}: {}", line.name, first.cut, first.said);
        }
    }
    for line in lines.iter().filter(|l| !l.is_right()) {
        let _ = writeln!(text, "\nWRONG: {}", line.name);
        for Failure { cut, said } in &line.failed {
            let _ = writeln!(text, "  {cut}: {said}");
        }
    }
    text
}

/// Whether all is as it had to be.
pub fn is_green(lines: &[Line]) -> bool {
    lines.iter().all(Line::is_right)
}
