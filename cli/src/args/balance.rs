//! What can be asked about a customer's card.

use clap::Args;

/// Whom to ask.
#[derive(Args)]
pub struct Balance {
    /// Channel to ask [default: the only one that tells balances].
    #[arg(long)]
    pub channel: Option<String>,
}
