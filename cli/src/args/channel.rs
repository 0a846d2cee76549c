//! What is done with a channel.

use clap::Subcommand;

/// Commands of channels.
#[derive(Subcommand)]
pub enum ChannelCommand {
    /// No sale goes to it any more; what is under way is resolved, and refunds go on. Wants --operator.
    Suspend {
        /// Channel id.
        channel: String,
        /// Why; it stands in the journal and is shown to the cashier.
        #[arg(long)]
        reason: String,
    },
    /// It takes payments again, also when a rule suspended it. Wants --operator.
    Resume {
        /// Channel id.
        channel: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Who suspended and resumed channels, and why: the newest 64.
    History,
}
