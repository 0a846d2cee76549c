//! The subcommands of `till-sim`, one file each. To add one: its file, its `mod` line, its variant and its arm.

mod bus;

use clap::Subcommand;

/// How a subcommand ends. The text of the error is what the user reads: what failed, on what, what to do.
pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The simulators.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a private D-Bus message bus (embedded broker; no system package needed).
    Bus(bus::Args),
}

impl Command {
    /// Runs the chosen simulator until it is done or is told to stop (Ctrl-C, SIGTERM).
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Bus(args) => bus::run(&args),
        }
    }
}
