//! `crashlab`: the crash lab's command, and its own workers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use till_crashlab::check;
use till_crashlab::report::{self, Line};
use till_crashlab::rounds::{Rounds, Wanted};
use till_crashlab::scenario::{self, Recorded, Size};
use till_crashlab::truth::Truth;
use till_crashlab::warm::{self, Warm};
use till_crashlab::{LabError, Programs, controls, damage, kills, pool, volume};
use till_powercut::recorder::RecordError;

#[path = "../store.rs"]
mod store;

/// The crash lab: the real tilld recorded, cut, killed and damaged, beside controls that must fail.
#[derive(Parser)]
#[command(name = "crashlab")]
struct Args {
    /// Different disks to build and judge, cuts during recovery among them.
    #[arg(long, default_value_t = 200_000)]
    states: usize,
    /// Disks of one recording; then the till is recorded anew, with the next seed.
    #[arg(long, default_value_t = 5_000)]
    per_recording: usize,
    /// Build no more disks after so many minutes, however many there were: a long run can be had in parts, each with
    /// another seed.
    #[arg(long)]
    minutes: Option<u64>,
    /// Seed of all choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Starts of the daemon that are recorded.
    #[arg(long, default_value_t = 4)]
    sessions: usize,
    /// Sales in each.
    #[arg(long, default_value_t = 12)]
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
    /// Recoveries of each recording that are cut in their turn: a fifth of the disks is theirs. Default: one for 200
    /// disks, at most 200.
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
    /// Tries stores for those who ask, one after the other.
    #[command(hide = true)]
    ProbeServer,
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
        Some(Hidden::Worker { config, truth }) => worker(&config, &truth, true),
        Some(Hidden::DamageWorker { config, truth }) => worker(&config, &truth, false),
        Some(Hidden::ProbeServer) => warm::serve().map_err(|e| e.to_string()),
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
        let mut rounds = Rounds::new(Wanted {
            states: args.states,
            per_recording: args.per_recording,
            recoveries: args.recoveries,
            minutes: args.minutes,
        });
        for seed in args.seed.. {
            let recorded = match record(args, seed, &programs).await {
                Ok(recorded) => recorded,
                Err(LabError::Record(e @ RecordError::NotPermitted(_))) => {
                    add(&mut lines, Line::skipped("power cuts, controls, damage", &e.to_string()));
                    break;
                }
                Err(e) => return Err(e),
            };
            rounds.told(&recorded);
            if seed == args.seed && wants(Part::Controls) {
                let controls = controls::run(&recorded, &programs, workers)?;
                for line in controls {
                    add(&mut lines, line);
                }
            }
            if wants(Part::Cuts) {
                rounds.cut(seed, &recorded, &programs, workers)?;
            }
            if seed == args.seed && wants(Part::Damage) {
                add(&mut lines, damage::in_process(&recorded, &programs, args.flips, args.seed)?);
                add(&mut lines, damage::on_daemon(&recorded, &programs, args.harms, args.seed).await?);
            }
            if !wants(Part::Cuts) || rounds.are_over() {
                for line in rounds.lines(wants(Part::Cuts)) {
                    add(&mut lines, line);
                }
                break;
            }
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

async fn record(args: &Args, seed: u64, programs: &Programs) -> Result<Recorded, LabError> {
    let size = Size { sessions: args.sessions, sales: args.sales, seed };
    eprintln!("recording tilld with seed {seed}: {} starts of {} sales …", size.sessions, size.sales);
    let recorded = scenario::run(size, programs).await?;
    let (ops, acks) = (recorded.recording.ops.len(), recorded.recording.acks.len());
    eprintln!("recorded: {ops} operations, {acks} promises, {} records", recorded.truth.hashes.len());
    Ok(recorded)
}

fn worker(config: &Path, truth: &Path, of_cuts: bool) -> Result<(), String> {
    // As tilld: a panic in sled's threads ends the process.
    till_journal::install_panic_policy();
    let config = check::config(config).map_err(|e| e.to_string())?;
    let truth = Truth::load(truth).map_err(|e| e.to_string())?;
    let mut warm =
        Warm::new(Programs::beside().map_err(|e| e.to_string())?.ask).map_err(|e| e.to_string())?;
    pool::serve(|dir, question| {
        if of_cuts {
            let probe = warm.probe().map_err(|e| e.to_string())?;
            check::judge(&config, &truth, dir, question, &probe)
        } else {
            damage::judge(&config, &truth, dir, question)
        }
    });
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
