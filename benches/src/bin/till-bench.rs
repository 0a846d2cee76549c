//! `./bench`: every measurement, one table.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use till_benches::payments::Day;
use till_benches::stock::Stock;
use till_benches::table::{Row, render};
use till_benches::till::Bench;
use till_benches::{
    Effort, Outcome, devices, hosts, journal, machine, rate, ready, routing, settling, size, switch, tap,
};

/// Measures the till's hot paths beside their bare counterparts and prints one table of ratios from one run.
#[derive(Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Args {
    /// The short form: under a minute, less certain.
    #[arg(long)]
    quick: bool,
    /// A folder on the disk to be measured; it must exist.
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    dir: PathBuf,
    /// Only these parts.
    #[arg(value_enum)]
    parts: Vec<Part>,
    #[command(subcommand)]
    helper: Option<Helper>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Durable appends beside a raw log and SQLite.
    Journal,
    /// Swipes, scans, TLV and receipts as bytes, with allocations.
    Devices,
    /// The choice of a channel.
    Routing,
    /// SelectChannel beside a bare method, with and without the disk.
    Switch,
    /// Calls through a plugin host beside a bare socketpair.
    Hosts,
    /// Scan to signal, cash payments, memory.
    Payments,
    /// Start to READY, up to a journal of a million records.
    Ready,
    /// Disk a payment, before and after old records are removed.
    Size,
    /// Durable payments a second beside the disk's syncs.
    Rate,
    /// Tap until the till is ready to authorise, beside a swipe.
    Tap,
    /// Sales while ten thousand payments are settled.
    Settling,
}

/// Processes that the measurements start.
#[derive(Subcommand)]
enum Helper {
    /// A service whose method returns at once.
    #[command(hide = true)]
    BareBus {
        /// Bus.
        address: String,
    },
    /// The other end of a bare socketpair.
    #[command(hide = true)]
    Echo,
    /// Tries a journal store before it is opened.
    #[command(hide = true)]
    Probe {
        /// The store's directory.
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.helper {
        Some(Helper::Probe { dir }) => return till_journal::probe_main(&dir),
        Some(Helper::Echo) => hosts::echo_main(),
        Some(Helper::BareBus { address }) => runtime().and_then(|r| r.block_on(switch::serve_bare(&address))),
        None => run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}

/// As the daemon's.
fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

fn run(args: &Args) -> Outcome {
    let effort = if args.quick { Effort::Quick } else { Effort::Full };
    let wanted = |part| args.parts.is_empty() || args.parts.contains(&part);
    println!("{}", machine::describe(&args.dir));
    let mut rows: Vec<Row> = Vec::new();
    if wanted(Part::Journal) {
        say("journal, raw log and SQLite");
        rows.extend(journal::rows(&args.dir, effort)?);
    }
    if wanted(Part::Devices) {
        say("what drivers make of bytes");
        rows.extend(devices::rows(effort)?);
    }
    if wanted(Part::Routing) {
        say("the choice of a channel");
        rows.extend(routing::rows(effort)?);
    }
    let runtime = runtime()?;
    runtime.block_on(till(&args.dir, effort, &wanted, &mut rows))?;
    println!("load at the end {}\n\n{}", machine::load(), render(&rows));
    Ok(())
}

async fn till(dir: &Path, effort: Effort, wanted: &impl Fn(Part) -> bool, rows: &mut Vec<Row>) -> Outcome {
    if wanted(Part::Hosts) {
        say("calls through a plugin host");
        rows.extend(hosts::rows(dir, effort).await?);
    }
    if wanted(Part::Switch) {
        say("switching, journal in memory");
        rows.push(switch::without_disk(effort).await?);
    }
    if wanted(Part::Rate) {
        say("payments a second");
        rows.extend(rate::rows(dir, effort).await?);
    }
    if wanted(Part::Tap) {
        say("taps and swipes");
        rows.extend(tap::rows(dir, effort).await?);
    }
    if wanted(Part::Settling) {
        say("sales while a batch is settled");
        rows.extend(settling::rows(dir, effort).await?);
    }
    if ![Part::Switch, Part::Payments, Part::Ready, Part::Size].into_iter().any(wanted) {
        return Ok(());
    }
    let mut bench = Bench::start(dir).await?;
    let done = on(&mut bench, effort, wanted, rows).await;
    if done.is_err() {
        bench.last_words();
    }
    bench.rig.stop_till();
    done
}

/// What is measured on one whole till, its journal on the disk.
async fn on(
    bench: &mut Bench,
    effort: Effort,
    wanted: &impl Fn(Part) -> bool,
    rows: &mut Vec<Row>,
) -> Outcome {
    if wanted(Part::Payments) || wanted(Part::Ready) || wanted(Part::Size) {
        say("a hundred payments");
        let mut day = Day::begin(bench).await?;
        let memory = day.memory().await?;
        if wanted(Part::Payments) {
            say("scans and cash");
            rows.extend(day.scans(effort).await?);
            rows.push(day.cash_sales(effort).await?);
            rows.extend(memory);
        }
    }
    if wanted(Part::Switch) {
        say("switching, journal on the disk");
        rows.push(switch::row(bench, "on disk", None, effort).await?);
    }
    if !wanted(Part::Ready) && !wanted(Part::Size) {
        return Ok(());
    }
    bench.rig.stop_till();
    let mut stock = Stock::of(&bench.rig.config_file())?;
    if wanted(Part::Ready) {
        say("starts");
        rows.extend(ready::rows(bench, &mut stock, effort)?);
    }
    if wanted(Part::Size) {
        say("disk a payment");
        rows.extend(size::rows(&mut stock, effort)?);
    }
    Ok(())
}

fn say(what: &str) {
    eprintln!("… {what}");
}
