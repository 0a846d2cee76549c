//! The journal beside a raw log and SQLite, in one run: `cargo run --release -p till-benches --bin bench-journal`.
//!
//! Give a directory on the disk to be measured as the only argument; else the current directory is used. Every
//! subject writes records of the same 300 bytes and says "done" only when they are durable. Rounds are interleaved,
//! so that a slow minute hits all of them; the table gives the median round and its ratio to the raw log.
#![allow(clippy::float_arithmetic, clippy::cast_precision_loss)] // figures for people

mod start;
mod subjects;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use subjects::{KINDS, Kind, Subject};

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 7;
const SINGLE: usize = 400;
const WRITERS: usize = 32;
const EACH: usize = 250;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["probe", dir] => return till_journal::probe_main(Path::new(dir)),
        ["start", dir] => start::once(Path::new(dir)),
        [] => run(Path::new(".")),
        [dir] => run(Path::new(dir)),
        _ => Err("usage: bench-journal [DIRECTORY]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench-journal: {e}");
            ExitCode::FAILURE
        }
    }
}

/// One subject's figures: a value a round.
#[derive(Default)]
struct Figures {
    p50: Vec<f64>,
    p99: Vec<f64>,
    rate: Vec<f64>,
    group_rate: Vec<f64>,
}

fn run(base: &Path) -> Outcome<()> {
    let mut all: Vec<Figures> = KINDS.iter().map(|_| Figures::default()).collect();
    for round in 0..ROUNDS {
        for offset in 0..KINDS.len() {
            // Another order each round: the one behind a big writer would pay for its leftovers.
            let index = (offset + round) % KINDS.len();
            let dir = tempfile::tempdir_in(base)?;
            single(KINDS[index], dir.path(), &mut all[index])?;
            let dir = tempfile::tempdir_in(base)?;
            many(KINDS[index], dir.path(), &mut all[index])?;
        }
    }
    table(&all);
    start::run(base)
}

fn single(kind: Kind, dir: &Path, figures: &mut Figures) -> Outcome<()> {
    let mut subject = Subject::start(kind, dir)?;
    for _ in 0..50 {
        subject.append()?;
    }
    let mut times = Vec::with_capacity(SINGLE);
    let begun = Instant::now();
    for _ in 0..SINGLE {
        let one = Instant::now();
        subject.append()?;
        times.push(one.elapsed());
    }
    figures.rate.push(SINGLE as f64 / begun.elapsed().as_secs_f64());
    times.sort_unstable();
    figures.p50.push(micros(times[SINGLE / 2]));
    figures.p99.push(micros(times[SINGLE * 99 / 100]));
    subject.stop()
}

fn many(kind: Kind, dir: &Path, figures: &mut Figures) -> Outcome<()> {
    let subject = Subject::start(kind, dir)?;
    let took = subject.group(WRITERS, EACH)?;
    figures.group_rate.push((WRITERS * EACH) as f64 / took.as_secs_f64());
    Ok(())
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn table(all: &[Figures]) {
    let raw = &all[0];
    println!("300-byte records, durable; medians of {ROUNDS} interleaved rounds; x = ratio to the raw log\n");
    println!("| subject | 1 writer p50 us | x | p99 us | x | rec/s | x | {WRITERS} writers rec/s | x |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for (kind, figures) in KINDS.iter().zip(all) {
        let cell = |pick: fn(&Figures) -> &Vec<f64>| {
            let value = median(pick(figures));
            // The ratio of each round, then the median: rounds differ more than subjects.
            let ratios: Vec<f64> = pick(figures).iter().zip(pick(raw)).map(|(a, b)| a / b).collect();
            format!("{value:.0} | {:.2}", median(&ratios))
        };
        println!(
            "| {} | {} | {} | {} | {} |",
            kind.name(),
            cell(|f| &f.p50),
            cell(|f| &f.p99),
            cell(|f| &f.rate),
            cell(|f| &f.group_rate)
        );
    }
}
