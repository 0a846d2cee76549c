//! `tilld`: the payment-terminal service.

use std::alloc::System;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tilld::config::{self, Sources};
use tilld::{logging, service};
use zeroizing_alloc::ZeroAlloc;

/// What is given back is wiped first: by the bus, the parsers and the buffers of every library, too. In the plugins' processes
/// `till-plugin-host` does the same.
#[global_allocator]
static MEMORY: ZeroAlloc<System> = ZeroAlloc(System);

// The simulation's planted faults are never in a till.
const _: () = assert!(!till_core::planted::PLANTED, "tilld cannot be built with till-core's planted faults");

/// The payment-terminal service. Run by systemd; by hand for tests and demos.
///
/// Not certified by any payment scheme; not for live card acceptance without a certified reader and an acquirer's
/// approval.
#[derive(Parser)]
#[command(name = "tilld", version = concat!(env!("CARGO_PKG_VERSION"), " (uncertified)"))]
struct Args {
    /// Configuration file (and the folder FILE.d beside it), in place of /usr/lib/tilld and /etc/tilld.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration, say what is wrong, and end.
    #[arg(long)]
    check_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Try a journal store (tilld runs this itself before it opens one).
    #[command(hide = true)]
    JournalProbe {
        /// The store's directory.
        dir: PathBuf,
    },
    /// Maintain the journal while no tilld runs (`tillctl journal` does this).
    Journal {
        /// JSON on standard output.
        #[arg(long)]
        json: bool,
        /// What.
        #[command(subcommand)]
        order: tilld::offline::Order,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Command::JournalProbe { dir }) = &args.command {
        return till_journal::probe_main(dir);
    }
    let sources = args.config.as_deref().map_or_else(Sources::system, Sources::file);
    let config = match config::load(&sources) {
        Ok(config) => config,
        Err(e) => {
            eprintln!("tilld: {e}");
            return ExitCode::from(78); // EX_CONFIG
        }
    };
    if args.check_config {
        return check(&config);
    }
    if let Some(Command::Journal { json, order }) = &args.command {
        service::no_dumps();
        till_journal::install_panic_policy();
        return tilld::offline::run(&config, order, *json);
    }
    logging::start();
    service::no_dumps();
    till_journal::install_panic_policy();
    // Two threads: the actor must not wait behind a call that decodes a large message.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(service::run(config)),
        Err(e) => Err(service::ServiceError::System(e.to_string())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn check(config: &config::Config) -> ExitCode {
    let problems = service::problems(config);
    if problems.is_empty() {
        println!(
            "The configuration is well: {} devices, {} channels.",
            config.devices.len(),
            config.channels.len()
        );
        let unseen = service::secrets_of_the_unit(config);
        if !unseen.is_empty() {
            println!(
                "Not looked at, for the unit's LoadCredential= or LoadCredentialEncrypted= brings them at the start: {}.",
                unseen.join(", ")
            );
        }
        return ExitCode::SUCCESS;
    }
    for problem in &problems {
        eprintln!("tilld: {problem}");
    }
    ExitCode::from(78)
}
