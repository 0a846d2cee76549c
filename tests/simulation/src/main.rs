//! `./simulate`: many worlds fast, or one of them to read.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use till_simulation::{Clock, Options, Plan, Tally, live, many};

/// A world is some thousand small pieces of memory that come and go: half of its time with the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the till's money machine through random worlds of faults and checks its books. Every world is a seed; the same
/// seed gives the same world.
#[derive(Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// Show one world as it happens, line by line.
    #[arg(long, conflicts_with_all = ["payments", "seconds", "first_seed"])]
    seed: Option<u64>,
    /// Stop after so many payments.
    #[arg(long, default_value_t = 1_000_000)]
    payments: u64,
    /// Run for so long instead.
    #[arg(long)]
    seconds: Option<u64>,
    /// Seed of the first world.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Worlds at the same time; 0: one a processor.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// What the wall clock does in the world of `--seed`: steady, jumping or wild.
    #[arg(long, default_value = "wild", value_parser = ["steady", "jumping", "wild"])]
    clock: String,
    /// Live this many worlds, whatever fails, and list each kind of failure with its smallest seed.
    #[arg(long, conflicts_with_all = ["seed", "payments", "seconds"])]
    survey: Option<u64>,
    /// Plant each fault, or this one, and say after how many payments it is noticed, from eight seeds each.
    #[cfg(feature = "planted")]
    #[arg(long, num_args = 0..=1, default_missing_value = "")]
    faults: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[cfg(feature = "planted")]
    if let Some(only) = &arguments.faults {
        return faults(arguments.first_seed, only);
    }
    if let Some(worlds) = arguments.survey {
        return survey(arguments.first_seed, worlds);
    }
    match arguments.seed {
        Some(seed) => {
            let clock = match arguments.clock.as_str() {
                "steady" => Clock::Steady,
                "jumping" => Clock::Jumping,
                _ => Clock::Wild,
            };
            one(seed, clock, arguments.json)
        }
        None => all(&arguments),
    }
}

fn one(seed: u64, clock: Clock, json: bool) -> ExitCode {
    let outcome = live(seed, Options { trace: true, clock, ..Options::default() });
    print!("{}", outcome.trace);
    report(&outcome.tally, json);
    match outcome.failure {
        Some(failure) => {
            eprintln!("the world of seed {seed} failed: {}", failure.text);
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

#[cfg(feature = "planted")]
fn faults(first: u64, only: &str) -> ExitCode {
    let mut all = true;
    for fault in till_core::planted::Fault::ALL.iter().filter(|f| f.name().starts_with(only)) {
        let mut worst = 0;
        let mut by = std::collections::BTreeSet::new();
        for start in 0..8 {
            let caught = till_simulation::planted::caught(*fault, first + start * 10_000, 200_000);
            if let Some((payments, failure)) = caught {
                worst = worst.max(payments);
                let text = failure.text.lines().nth(1).unwrap_or_default();
                by.insert(text.split(':').next().unwrap_or_default().chars().take(30).collect::<String>());
            } else {
                all = false;
                worst = u64::MAX;
            }
        }
        println!("{} {worst} {by:?}", fault.name());
    }
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn survey(first: u64, worlds: u64) -> ExitCode {
    let mut kinds: BTreeMap<String, (u64, u64, String)> = BTreeMap::new();
    for seed in first..first + worlds {
        if let Some(failure) = live(seed, Options::default()).failure {
            let place = failure.text.lines().next().unwrap_or_default().to_owned();
            kinds.entry(place).or_insert((0, seed, failure.text)).0 += 1;
        }
    }
    for (times, seed, text) in kinds.values() {
        println!("{times} times, first seed {seed}: {text}\n");
    }
    if kinds.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn all(arguments: &Arguments) -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if arguments.threads == 0 { cores } else { arguments.threads };
    let plan = Plan {
        first_seed: arguments.first_seed,
        payments: arguments.seconds.is_none().then_some(arguments.payments),
        time: arguments.seconds.map(Duration::from_secs),
        threads,
    };
    let start = Instant::now();
    let (tally, worlds, failure) = many(plan, Options::default(), |tally, worlds, took| {
        eprintln!("{} payments in {worlds} worlds, {} a second", tally.payments, rate(tally, took));
    });
    let took = start.elapsed();
    report(&tally, arguments.json);
    // What a core does when it is given whole: on a shared machine seconds of the clock say less.
    let of_processor = processor_time()
        .map(|time| format!(", {} payments per second of processor time", rate(&tally, time)))
        .unwrap_or_default();
    eprintln!(
        "{} payments, {} records, {worlds} worlds (seeds from {}) in {:.1} s on {threads} threads: {} payments a second{of_processor}",
        tally.payments,
        tally.records,
        plan.first_seed,
        took.as_secs_f64(),
        rate(&tally, took),
    );
    match failure {
        Some(failure) => {
            eprintln!(
                "the world of seed {0} failed: {1}\nsee it happen: ./simulate --seed {0}",
                failure.seed, failure.text
            );
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

/// Processor time of this process so far, all threads, in user and in kernel mode.
fn processor_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

fn rate(tally: &Tally, took: Duration) -> u128 {
    u128::from(tally.payments) * 1_000_000 / took.as_micros().max(1)
}

fn report(tally: &Tally, json: bool) {
    if json {
        match serde_json::to_string(tally) {
            Ok(text) => println!("{text}"),
            Err(e) => eprintln!("the figures cannot be written: {e}"),
        }
        return;
    }
    let parts = [
        ("records", &tally.record),
        ("payments", &tally.payment),
        ("alarms", &tally.alarm),
        ("deaths", &tally.died),
        ("seen", &tally.seen),
    ];
    for (title, counts) in parts {
        let line = counts.iter().map(|(what, n)| format!("{what} {n}")).collect::<Vec<_>>().join(", ");
        println!("{title}: {line}");
    }
}
