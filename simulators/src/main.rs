//! `till-sim`: everything outside the till, one subcommand a simulator.

mod cmd;

use clap::Parser;
use std::process::ExitCode;

/// Simulators of what stands around a till: payment networks, devices, and a private bus.
#[derive(Parser)]
#[command(name = "till-sim", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: cmd::Command,
}

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("till-sim: {error}");
            ExitCode::FAILURE
        }
    }
}
