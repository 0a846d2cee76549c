//! `crashlab`: the crash lab's command, and its own workers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use till_crashlab::check::{self, Question};
use till_crashlab::cuts::Failure;
use till_crashlab::report::{self, Expect, Line};
use till_crashlab::scenario::{self, Recorded, Size};
use till_crashlab::truth::Truth;
use till_crashlab::{LabError, Programs, controls, cuts, damage, kills, pool, volume};
use till_powercut::cuts::Plan;
use till_powercut::recorder::RecordError;
use tilld::config::Config;

#[path = "../store.rs"]
mod store;

/// The crash lab: the real tilld recorded, cut, killed and damaged, beside controls that must fail.
#[derive(Parser)]
#[command(name = "crashlab")]
struct Args {
    /// Different disks to build and judge, cuts during recovery among them.
    #[arg(long, default_value_t = 200_000)]
    states: usize,
    /// Seed of all choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Starts of the daemon that are recorded.
    #[arg(long, default_value_t = 8)]
    sessions: usize,
    /// Sales in each.
    #[arg(long, default_value_t = 25)]
    sales: usize,
    /// Rounds of kill -9.
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// Cuts of a real ext4 (root, loop device).
    #[arg(long, default_value_t = 10)]
    volumes: usize,
    /// Promises before each cut of the ext4.
    #[arg(long, default_value_t = 1_500)]
    acks: usize,
    /// Bits flipped in each file, besides the chosen ones.
    #[arg(long, default_value_t = 60)]
    flips: usize,
    /// Harms of each file under the real daemon.
    #[arg(long, default_value_t = 4)]
    harms: usize,
    /// Recoveries that are cut in their turn: a fifth of the disks is theirs. Default: one for 200 disks, at most 200.
    #[arg(long)]
    recoveries: Option<usize>,
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Judges in parallel; default: processors.
    #[arg(long)]
    workers: Option<usize>,
    #[command(subcommand)]
    command: Option<Hidden>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Cuts,
    Controls,
    Kills,
    Volume,
    Damage,
}

#[derive(Clone, Subcommand)]
enum Hidden {
    /// Tries a store, as `tilld journal-probe` does.
    #[command(hide = true)]
    JournalProbe { dir: PathBuf },
    /// Judges disks.
    #[command(hide = true)]
    Worker { config: PathBuf, truth: PathBuf },
    /// Judges damaged disks.
    #[command(hide = true)]
    DamageWorker { config: PathBuf, truth: PathBuf },
    /// Starts as tilld does, and stops.
    #[command(hide = true)]
    Recover { config: PathBuf, dir: PathBuf },
    /// Writes down what a journal holds.
    #[command(hide = true)]
    Truth { config: PathBuf, dir: PathBuf, to: PathBuf },
    /// sled alone, with the shim.
    #[command(hide = true)]
    Store {
        #[arg(trailing_var_arg = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.command.clone() {
        Some(Hidden::JournalProbe { dir }) => return till_journal::probe_main(&dir),
        Some(Hidden::Store { args }) => return store::main(true, &args),
        Some(Hidden::Worker { config, truth }) => worker(&config, &truth, check::judge),
        Some(Hidden::DamageWorker { config, truth }) => worker(&config, &truth, damage::judge),
        Some(Hidden::Recover { config, dir }) => recover(&config, &dir),
        Some(Hidden::Truth { config, dir, to }) => write_truth(&config, &dir, &to),
        None => return long(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("crashlab: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Everything, and the table.
fn long(args: &Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let lines = match runtime {
        Ok(runtime) => runtime.block_on(all(args)),
        Err(e) => Err(LabError::Lab(e.to_string())),
    };
    match lines {
        Ok(lines) => {
            println!("{}", report::table(&lines));
            if report::is_green(&lines) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(e) => {
            eprintln!("crashlab: the lab itself failed: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn all(args: &Args) -> Result<Vec<Line>, LabError> {
    let programs = Programs::beside()?;
    let workers =
        args.workers.or_else(|| Some(std::thread::available_parallelism().ok()?.get())).unwrap_or(1);
    let wants = |part| args.only.is_empty() || args.only.contains(&part);
    let mut lines = Vec::new();
    let add = |lines: &mut Vec<Line>, line: Line| {
        let word = if line.is_right() { "as it had to be" } else { "WRONG" };
        eprintln!("{}: {}, {} failed: {word}", line.name, line.tried, line.failed.len());
        lines.push(line);
    };
    if wants(Part::Cuts) || wants(Part::Controls) || wants(Part::Damage) {
        let size = Size { sessions: args.sessions, sales: args.sales, seed: args.seed };
        eprintln!("recording tilld: {} starts of {} sales …", size.sessions, size.sales);
        match scenario::run(size, &programs).await {
            Ok(recorded) => {
                let (ops, acks) = (recorded.recording.ops.len(), recorded.recording.acks.len());
                let records = recorded.truth.hashes.len();
                eprintln!("recorded: {ops} operations, {acks} promises, {records} records");
                let told =
                    recorded.broken.iter().map(|said| Failure { cut: "no cut".into(), said: said.clone() });
                let tried = format!("{acks} promises");
                let line = Line::of("what was told is in the journal", tried, told.collect(), Duration::ZERO);
                add(&mut lines, line);
                of_recording(args, &recorded, &programs, workers, wants, |line| add(&mut lines, line))?;
                if wants(Part::Damage) {
                    add(&mut lines, damage::in_process(&recorded, &programs, args.flips, args.seed)?);
                    add(&mut lines, damage::on_daemon(&recorded, args.harms, args.seed).await?);
                }
            }
            Err(LabError::Record(e @ RecordError::NotPermitted(_))) => {
                add(&mut lines, Line::skipped("power cuts, controls, damage", &e.to_string()));
            }
            Err(e) => return Err(e),
        }
    }
    if wants(Part::Kills) {
        add(&mut lines, kills::run(args.kills, args.seed).await?);
    }
    if wants(Part::Volume) {
        add(&mut lines, volume::run(args.volumes, args.acks, args.seed).await?);
    }
    Ok(lines)
}

fn of_recording(
    args: &Args,
    recorded: &Recorded,
    programs: &Programs,
    workers: usize,
    wants: impl Fn(Part) -> bool,
    mut add: impl FnMut(Line),
) -> Result<(), LabError> {
    if wants(Part::Controls) {
        controls::run(recorded, programs, workers)?.into_iter().for_each(&mut add);
    }
    if wants(Part::Cuts) {
        let root =
            recorded.dir.path().canonicalize().map_err(LabError::file("recorded state"))?.join("state");
        let bases = args.recoveries.unwrap_or_else(|| (args.states / 200).clamp(1, 200));
        let mut wanted = args.states;
        if let Some(each) = (args.states / 5).checked_div(bases) {
            let sizes = [bases, each.max(1)];
            let second = cuts::nested(recorded, &root, programs, workers, sizes, args.seed)?;
            // A recovery has not always so many different disks: the rest is cut elsewhere.
            wanted = args.states.saturating_sub(second.states);
            add(Line::cuts("power cuts of tilld's recovery", Expect::Pass, second));
        }
        let mut bench = cuts::till(recorded, &root, programs, workers);
        bench.title = "power cuts".into();
        let first = bench.run(&Plan { wanted, seed: args.seed, from: 0 })?;
        add(Line::cuts("power cuts of tilld", Expect::Pass, first));
    }
    Ok(())
}

type Judge = fn(&Config, &Truth, &Path, &Question) -> Result<String, String>;

fn worker(config: &Path, truth: &Path, judge: Judge) -> Result<(), String> {
    // As tilld: a panic in sled's threads ends the process.
    till_journal::install_panic_policy();
    let config = check::config(config).map_err(|e| e.to_string())?;
    let truth = Truth::load(truth).map_err(|e| e.to_string())?;
    pool::serve(|dir, question| judge(&config, &truth, dir, question));
    Ok(())
}

fn recover(config: &Path, dir: &Path) -> Result<(), String> {
    till_journal::install_panic_policy();
    let config = check::at(&check::config(config).map_err(|e| e.to_string())?, dir);
    check::start(&config)?.journal.close().map_err(|e| e.to_string())
}

fn write_truth(config: &Path, dir: &Path, to: &Path) -> Result<(), String> {
    let config = check::at(&check::config(config).map_err(|e| e.to_string())?, dir);
    let recovered = check::start(&config)?;
    let truth = Truth::of(&recovered.journal).map_err(|e| e.to_string())?;
    truth.save(to).map_err(|e| e.to_string())
}
