//! What can be asked about the shop's own cards.

use clap::{Args, Subcommand};
use till_plugin::Sensitive;

use super::code;

/// Commands of the shop's own stored-value cards. The card is read by the till's reader; with `--number -` its number is
/// typed or scanned into standard input.
#[derive(Subcommand)]
pub enum PrepaidCommand {
    /// Issue a card, empty; `topup` puts money on it. Wants --operator.
    Issue {
        /// Which card.
        #[command(flatten)]
        card: CardArgs,
        /// In a holder's name.
        #[arg(long)]
        registered: bool,
        /// Idempotency key: the same key and card is one issue.
        #[arg(long)]
        key: Option<String>,
    },
    /// How a card stands.
    Query {
        /// Which card.
        #[command(flatten)]
        card: CardArgs,
    },
    /// A card's entries, newest first.
    History {
        /// Which card.
        #[command(flatten)]
        card: CardArgs,
        /// Rows (1-200).
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        /// Those before this number.
        #[arg(long, value_name = "N", default_value_t = 0)]
        before: u64,
    },
    /// Let nothing be taken from a card or loaded onto it. Wants --operator.
    Block {
        /// Why; goes into the ledger.
        reason: String,
        /// Which card.
        #[command(flatten)]
        card: CardArgs,
    },
    /// Lift a block. Wants --operator.
    Unblock {
        /// Why; goes into the ledger.
        reason: String,
        /// Which card.
        #[command(flatten)]
        card: CardArgs,
    },
    /// Make an expired card usable again; its balance was kept. Wants --operator.
    Reactivate {
        /// Which card.
        #[command(flatten)]
        card: CardArgs,
        /// Idempotency key: the same key and card is one reactivation.
        #[arg(long)]
        key: Option<String>,
    },
    /// Pay a card's whole balance out in cash and close the card for good. Wants --operator.
    Redeem {
        /// Why; goes into the journal with the drawer's opening.
        reason: String,
        /// Which card.
        #[command(flatten)]
        card: CardArgs,
        /// Idempotency key: the same key and card is paid out once.
        #[arg(long)]
        key: Option<String>,
    },
    /// Put money onto a card: paid as a sale is, then loaded; both or neither. Followed to its end.
    Topup {
        /// How much: digits with a point, such as 100.00.
        amount: String,
        /// Which card.
        #[command(flatten)]
        card: CardArgs,
        /// The customer handed over this much cash.
        #[arg(long, value_name = "TENDERED")]
        cash: Option<String>,
        /// Idempotency key: the same key and request is the same top-up, also after a restart.
        #[arg(long)]
        key: Option<String>,
        /// Print the payment's id and leave it open at the till.
        #[arg(long)]
        no_wait: bool,
    },
}

/// Which card.
#[derive(Args)]
pub struct CardArgs {
    /// `-`: read the card's number from standard input, without echo. A number is never an argument.
    #[arg(long, value_name = "-", allow_hyphen_values = true, value_parser = code())]
    pub number: Option<Sensitive<String>>,
    /// Channel that keeps the card [default: the only one that keeps cards].
    #[arg(long)]
    pub channel: Option<String>,
}

impl PrepaidCommand {
    /// Which card it is about.
    pub const fn card(&self) -> &CardArgs {
        match self {
            Self::Issue { card, .. }
            | Self::Query { card }
            | Self::History { card, .. }
            | Self::Block { card, .. }
            | Self::Unblock { card, .. }
            | Self::Reactivate { card, .. }
            | Self::Redeem { card, .. }
            | Self::Topup { card, .. } => card,
        }
    }
}
