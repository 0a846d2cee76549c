//! What can be asked after a sale.

use clap::{Args, Subcommand, ValueEnum};
use till_plugin::Currency;

use super::currency;

/// Money back, taken back, or taken of a hold.
#[derive(Args)]
pub struct Leg {
    /// Payment id, idempotency key, or `active`.
    pub payment: String,
    /// The rest of what is asked.
    #[command(flatten)]
    pub how: LegOptions,
}

/// The same with an amount.
#[derive(Args)]
pub struct PartLeg {
    /// Payment id, idempotency key, or `active`.
    pub payment: String,
    /// How much, in the payment's currency: digits with a point, such as 28.50 [default: all that is left].
    pub amount: Option<String>,
    /// The rest of what is asked.
    #[command(flatten)]
    pub how: LegOptions,
}

/// Options of refund, void, capture, release.
#[derive(Args)]
pub struct LegOptions {
    /// Which attempt of a payment that was paid in parts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub attempt: Option<u32>,
    /// Idempotency key: the same key and request is done once, also after a restart.
    #[arg(long)]
    pub key: Option<String>,
    /// Why; goes into the journal.
    #[arg(long)]
    pub reason: Option<String>,
    /// Do not wait for its end.
    #[arg(long)]
    pub no_wait: bool,
}

/// A review takes two people: one proposes what happened, another one confirms it.
#[derive(Subcommand)]
pub enum ReviewCommand {
    /// The first person says what became of an attempt.
    Propose {
        /// What is decided.
        #[command(flatten)]
        case: Case,
        /// What that rests on, such as the network's statement.
        #[arg(long)]
        reason: String,
    },
    /// Another person says the same; that is what became of it.
    Confirm {
        /// What is decided.
        #[command(flatten)]
        case: Case,
    },
}

/// What a review is about.
#[derive(Args)]
pub struct Case {
    /// Payment id, idempotency key, or `active`.
    pub payment: String,
    /// The attempt; 0: the payment is accepted as it stands.
    #[arg(long, value_name = "N")]
    pub attempt: u32,
    /// Whether the money moved.
    pub verdict: Verdict,
}

/// Whether the money moved.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum Verdict {
    /// It did.
    Happened,
    /// It did not.
    DidNot,
}

impl Verdict {
    /// As on the bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Happened => "happened",
            Self::DidNot => "did-not",
        }
    }
}

/// Options of `bill`; all are to be met, also --operator: who opened it.
#[derive(Args, Default)]
pub struct Bill {
    /// Opened on this day or later: 2026-11-22, or 2026-11-22T08:00 (the shop's own time).
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Opened on this day or before.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// An attempt was on this channel.
    #[arg(long)]
    pub channel: Option<String>,
    /// In this state, such as paid or returned.
    #[arg(long)]
    pub state: Option<String>,
    /// Owed this much or more.
    #[arg(long, value_name = "AMOUNT")]
    pub min: Option<String>,
    /// Owed this much or less.
    #[arg(long, value_name = "AMOUNT")]
    pub max: Option<String>,
    /// Currency of --min and --max.
    #[arg(long, value_parser = currency)]
    pub currency: Option<Currency>,
    /// Rows of a page (1-500).
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
    /// Go on after this sequence number.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub after: u64,
    /// All pages.
    #[arg(long)]
    pub all: bool,
}
