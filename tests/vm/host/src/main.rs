//! `till-vm-host`: the host's part of `tests/vm/cuts`.

mod acks;
mod judge;
mod log;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use till_powercut::Rng;

use judge::Recording;
use log::{Log, Loss};

/// The host's part of tests/vm/cuts.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// Notes what the guest says at SOCKET, and how long LOG was then.
    Listen { socket: PathBuf, log: PathBuf, acks: PathBuf },
    /// Cuts at random entries, mounts each disk and opens its journal.
    Judge {
        #[command(flatten)]
        of: Of,
        /// Disks.
        #[arg(long, default_value_t = 200)]
        cuts: usize,
    },
    /// Makes one disk of a cut, and a list of the payments it must know.
    Disk {
        #[command(flatten)]
        of: Of,
        image: PathBuf,
        expected: PathBuf,
    },
    /// A store that may not bear to be opened.
    #[command(hide = true)]
    JournalProbe { dir: PathBuf },
}

/// A recording.
#[derive(clap::Args)]
struct Of {
    /// Folder with base.raw, log.raw and acks.
    folder: PathBuf,
    /// Of the choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Of which the journal's settings count.
const CONFIG: &str = "[terminal]\nid = \"T0000001\"\n";

fn judge(of: &Of, cuts: usize) -> Result<bool, String> {
    let said = |e: std::io::Error| format!("{}: {e}", of.folder.display());
    let log = Log::open(&of.folder.join("log.raw")).map_err(said)?;
    let acks = acks::read(&of.folder.join("acks")).map_err(said)?;
    let config = of.folder.join("tilld.toml");
    std::fs::write(&config, CONFIG).map_err(said)?;
    let recording = Recording { base: &of.folder.join("base.raw"), log: &log, acks: &acks, work: &of.folder };
    println!("{} writes, {} flushes, {} things told", log.len(), log.flushes(), acks.len());
    let mut rng = Rng(of.seed);
    let (mut bad, mut promised, mut lost) = (0, 0, 0);
    let from = Instant::now();
    for number in 0..cuts {
        let (cut, loss) = place(&log, &mut rng);
        match recording.judge(&config, cut, loss, &mut rng) {
            Ok(good) => {
                promised += good.promised;
                lost += good.lost;
            }
            Err(e) => {
                bad += 1;
                println!("FAIL cut {number}, after write {cut}, lost: {loss:?}: {e}");
            }
        }
        if (number + 1) % 20 == 0 {
            println!("   {} of {cuts} disks, {bad} bad", number + 1);
        }
    }
    println!(
        "{} {cuts} disks: {promised} things told were asked for, {lost} writes or sectors were lost, {:.0?}",
        if bad == 0 { "ok  " } else { "FAIL" },
        from.elapsed()
    );
    Ok(bad == 0 && promised > 0)
}

/// A moment, and what a disk loses at it.
fn place(log: &Log, rng: &mut Rng) -> (usize, Loss) {
    let cut = rng.below(log.len()) + 1;
    let losses = [Loss::All, Loss::Writes, Loss::Sectors, Loss::Sectors, Loss::None];
    (cut, losses.get(rng.below(losses.len())).copied().unwrap_or(Loss::All))
}

fn disk(of: &Of, image: &Path, expected: &Path) -> Result<bool, String> {
    let said = |e: std::io::Error| format!("{}: {e}", of.folder.display());
    let log = Log::open(&of.folder.join("log.raw")).map_err(said)?;
    let acks = acks::read(&of.folder.join("acks")).map_err(said)?;
    let recording = Recording { base: &of.folder.join("base.raw"), log: &log, acks: &acks, work: &of.folder };
    let mut rng = Rng(of.seed);
    // Behind the first thing that was told: before it there is nothing to ask for.
    let first = acks.first().map_or(0, |a| a.entries);
    let (cut, loss) = loop {
        let (cut, loss) = place(&log, &mut rng);
        if cut > first {
            break (cut, loss);
        }
    };
    let lost = recording.disk(image, cut, loss, &mut rng)?;
    let promised = recording.promised(cut);
    let lines: Vec<String> =
        promised.iter().map(|(payment, ack)| format!("{payment} {}", ack.state)).collect();
    std::fs::write(expected, lines.join("\n")).map_err(said)?;
    println!(
        "cut after write {cut} of {}, {loss:?}, {lost} lost, {} payments were told",
        log.len(),
        promised.len()
    );
    Ok(true)
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        What::Listen { socket, log, acks } => {
            acks::listen(&socket, &log, &acks).map(|()| true).map_err(|e| e.to_string())
        }
        What::Judge { of, cuts } => judge(&of, cuts),
        What::Disk { of, image, expected } => disk(&of, &image, &expected),
        What::JournalProbe { dir } => return till_journal::probe_main(&dir),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("till-vm-host: {e}");
            ExitCode::FAILURE
        }
    }
}
