//! What can be asked about disputes and notices.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Cases of disputed payments. None of it moves money: `refund` does, when somebody decides so.
#[derive(Subcommand)]
pub enum DisputeCommand {
    /// Open a case. Wants --operator.
    Open {
        /// Payment id, idempotency key, or `active`.
        payment: String,
        /// Why, as the other side says.
        reason: String,
        /// How much is disputed, in the payment's currency [default: all of the attempt].
        #[arg(long)]
        amount: Option<String>,
        /// Which attempt of a payment that was paid in parts.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        attempt: Option<u32>,
        /// Its number at the network.
        #[arg(long)]
        reference: Option<String>,
        /// When the answer is due: 2026-11-22 (the shop's own time).
        #[arg(long, value_name = "TIME")]
        answer_by: Option<String>,
    },
    /// One case: the payment, what went back of it, and what was said.
    Show {
        /// Number of the case.
        dispute: u32,
    },
    /// Cases, newest first.
    List {
        /// In this state: open, answered, won, lost.
        #[arg(long)]
        state: Option<String>,
        /// How many at most (1-500).
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
    },
    /// Note something in a case. Wants --operator.
    Note {
        /// Number of the case.
        dispute: u32,
        /// What.
        text: String,
    },
    /// Write the payment's signed evidence into a file, and note its hash in the case. Wants --operator.
    Answer {
        /// Number of the case.
        dispute: u32,
        /// File to make (mode 0600).
        file: PathBuf,
        /// What is said with it.
        #[arg(long)]
        text: Option<String>,
    },
    /// Close a case. Wants --operator.
    Close {
        /// Number of the case.
        dispute: u32,
        /// How it ended.
        outcome: Outcome,
        /// Why.
        reason: String,
    },
}

/// How a case ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum Outcome {
    /// The shop keeps the money.
    Won,
    /// The shop gives way.
    Lost,
}

impl Outcome {
    /// As on the bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// Options of `notices`.
#[derive(Args)]
pub struct Notices {
    /// Whose cursor: the name of a receiver.
    #[arg(long, default_value = "tillctl")]
    pub receiver: String,
    /// How many at most (1-500).
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
    /// The receiver has these now: the next call begins behind them.
    #[arg(long)]
    pub take: bool,
    /// Receivers, and how far each is.
    #[arg(long, conflicts_with_all = ["take", "limit", "receiver"])]
    pub receivers: bool,
}
