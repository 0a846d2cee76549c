//! `till-sim acquirer`: a bank's host on TCP.

use super::{Outcome, Stop};
use clap::Args as ClapArgs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use till_simulators::acquirer::{Acquirer, AcquirerConfig, HostConfig};

/// Arguments of `till-sim acquirer`.
///
/// Without --config the host knows one terminal: 12345678 at merchant 123456789012345 with the master key
/// 0123456789ABCDEFFEDCBA9876543210, the published example.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Where terminals connect.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8583")]
    listen: SocketAddr,
    /// Where the control port listens: one JSON object a line, such as {"do":"ledger"}, {"do":"stats"} or
    /// {"do":"faults","script":{"rules":[{"on":"sale","fault":{"kind":"drop-after-booking"}}]}}.
    #[arg(long, value_name = "ADDR")]
    control: Option<SocketAddr>,
    /// Terminals, MAC algorithm and field table, as TOML.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A fault script to start with, as JSON: {"rules":[…]}.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Where the ledger is written at the end, as JSON with card numbers masked.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

/// Runs until Ctrl-C or SIGTERM.
pub(crate) fn run(args: &Args) -> Outcome {
    let read = |path: &PathBuf| std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()));
    let host = match &args.config {
        Some(path) => toml::from_str(&read(path)?).map_err(|e| format!("{}: {e}", path.display()))?,
        None => HostConfig::default(),
    };
    let acquirer = Acquirer::start(AcquirerConfig {
        listen: args.listen,
        control: args.control,
        host,
        observer: Some(Arc::new(|line: &str| println!("acquirer  {line}"))),
        ..AcquirerConfig::default()
    })?;
    if let Some(path) = &args.faults {
        acquirer.faults().load(&read(path)?)?;
    }
    let stop = Stop::listen()?;
    println!("acquirer  listening on {}", acquirer.addr());
    if let Some(control) = acquirer.control_addr() {
        println!("acquirer  control port {control}");
    }
    stop.wait();
    if let Some(path) = &args.ledger {
        let text = serde_json::to_string_pretty(&acquirer.ledger_json())?;
        std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}
