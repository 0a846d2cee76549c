//! The journal beside a raw log and SQLite, in one run: `cargo run --release -p till-benches --bin bench-journal`.
//!
//! Give a directory on the disk to be measured as the only argument; else the current directory is used. This is the
//! journal's part of `./bench` with every subject in full, and the time and memory of opening 100,000 records.

use std::path::Path;
use std::process::ExitCode;

use till_benches::figures::{median, median_ratio};
use till_benches::journal::{self, Figures, WRITERS, start};
use till_benches::{Effort, Outcome};

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

fn run(base: &Path) -> Outcome {
    let all = journal::measure(base, Effort::Full)?;
    println!("300-byte records, durable; medians of interleaved rounds; x = ratio to the raw log\n");
    println!("| subject | 1 writer p50 us | x | p99 us | x | rec/s | x | {WRITERS} writers rec/s | x |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for figures in &all {
        let cell = |pick: fn(&Figures) -> &Vec<f64>| {
            format!("{:.0} | {:.2}", median(pick(figures)), median_ratio(pick(figures), pick(&all[0])))
        };
        println!(
            "| {} | {} | {} | {} | {} |",
            figures.kind.name(),
            cell(|f| &f.p50),
            cell(|f| &f.p99),
            cell(|f| &f.rate),
            cell(|f| &f.group_rate)
        );
    }
    start::run(base)
}
