//! The subcommands of `till-sim`, one file each. To add one: its file, its `mod` line, its variant and its arm.

mod alipay;
mod bus;

use clap::Subcommand;

/// How a subcommand ends. The text of the error is what the user reads: what failed, on what, what to do.
pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The simulators.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run an Alipay gateway with its own books, keys and certificate authority.
    Alipay(alipay::Args),
    /// Run a private D-Bus message bus (embedded broker; no system package needed).
    Bus(bus::Args),
}

impl Command {
    /// Runs the chosen simulator until it is done or is told to stop (Ctrl-C, SIGTERM).
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Alipay(args) => alipay::run(args),
            Self::Bus(args) => bus::run(&args),
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) fn wait_for_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    })
}
