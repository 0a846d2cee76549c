//! The journal beside a raw log and SQLite.
//!
//! Every subject writes records of the same 300 bytes and says "done" only when they are durable. Rounds are
//! interleaved, so that a slow minute hits all of them, and figures are medians of the rounds.

pub mod start;
pub mod subjects;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::figures::{Spread, median, median_ratio, time};
use crate::table::Row;
use crate::{Effort, Outcome};
use subjects::{KINDS, Kind, Subject};

/// Threads of the many-writers line.
pub const WRITERS: usize = 32;

/// One subject's figures: a value a round.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Which subject.
    pub kind: Kind,
    /// One writer, microseconds.
    pub p50: Vec<f64>,
    /// One writer, microseconds.
    pub p99: Vec<f64>,
    /// One writer, records a second.
    pub rate: Vec<f64>,
    /// [`WRITERS`] writers, records a second.
    pub group_rate: Vec<f64>,
}

/// Measures all subjects in `base`.
pub fn measure(base: &Path, effort: Effort) -> Outcome<Vec<Figures>> {
    let none = |kind| Figures { kind, p50: vec![], p99: vec![], rate: vec![], group_rate: vec![] };
    let mut all: Vec<Figures> = KINDS.map(none).into();
    for round in 0..effort.pick(9, 3) {
        for offset in 0..all.len() {
            // Another order each round: the one behind a big writer would pay for its leftovers.
            let index = (offset + round) % all.len();
            let dir = tempfile::tempdir_in(base)?;
            single(dir.path(), &mut all[index], effort.pick(400, 150))?;
            let dir = tempfile::tempdir_in(base)?;
            many(dir.path(), &mut all[index], effort.pick(250, 60))?;
        }
    }
    Ok(all)
}

fn single(dir: &Path, figures: &mut Figures, count: usize) -> Outcome {
    let mut subject = Subject::start(figures.kind, dir)?;
    for _ in 0..50 {
        subject.append()?;
    }
    let mut times = Vec::with_capacity(count);
    let begun = Instant::now();
    for _ in 0..count {
        let one = Instant::now();
        subject.append()?;
        times.push(one.elapsed());
    }
    figures.rate.push(per_second(count, begun.elapsed()));
    let spread = Spread::of(&times);
    figures.p50.push(spread.p50);
    figures.p99.push(spread.p99);
    subject.stop()
}

fn many(dir: &Path, figures: &mut Figures, each: usize) -> Outcome {
    let took = Subject::start(figures.kind, dir)?.group(WRITERS, each)?;
    figures.group_rate.push(per_second(WRITERS * each, took));
    Ok(())
}

fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// Lines of the table.
pub fn rows(base: &Path, effort: Effort) -> Outcome<Vec<Row>> {
    let all = measure(base, effort)?;
    let of = |kind: Kind| all.iter().find(|f| f.kind == kind).ok_or("a subject is missing");
    let (journal, raw, sqlite) = (of(Kind::Journal)?, of(Kind::Raw)?, of(Kind::Sqlite)?);
    let mut rows = Vec::new();
    for beside in [raw, of(Kind::RawAllocated)?, of(Kind::RawZeroed)?, sqlite] {
        let ratio = median_ratio(&journal.p50, &beside.p50);
        let row = Row::new("durable append of 300 B, one writer, p50", time(median(&journal.p50)))
            .beside(format!("{}, {}", beside.kind.name(), time(median(&beside.p50))), ratio);
        rows.push(if beside.kind == Kind::Raw { row.aim("≤ 1.2", ratio <= 1.2) } else { row });
    }
    let tail = median_ratio(&journal.p99, &raw.p99);
    rows.push(
        Row::new("the same, p99", time(median(&journal.p99)))
            .beside(format!("{}, {}", raw.kind.name(), time(median(&raw.p99))), tail),
    );
    let rate = |f: &Figures| format!("{:.0}/s", median(&f.group_rate));
    for beside in [raw, of(Kind::RawAllocated)?, of(Kind::RawZeroed)?, sqlite] {
        let ratio = median_ratio(&journal.group_rate, &beside.group_rate);
        let row = Row::new(format!("durable appends, {WRITERS} writers, group commit"), rate(journal))
            .beside(format!("{}, {}", beside.kind.name(), rate(beside)), ratio);
        rows.push(if beside.kind == Kind::Raw { row.aim("≥ 0.7", ratio >= 0.7) } else { row });
    }
    Ok(rows)
}
