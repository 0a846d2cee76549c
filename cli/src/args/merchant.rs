//! Arguments about merchants' passwords.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Where a password comes from. It is never an argument: those can be read by every user of the machine.
#[derive(Args)]
pub struct PasswordFrom {
    /// Read it from the first line of this file [default: the terminal, without echo, or standard input].
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// Commands about merchants.
#[derive(Subcommand)]
pub enum MerchantCommand {
    /// Say number and password, so that the channel takes sales of --operator.
    SignIn {
        /// Channel id.
        channel: String,
        /// Merchant number.
        number: String,
        /// Where the password comes from.
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// End that; what is under way goes on.
    SignOut {
        /// Channel id.
        channel: String,
    },
    /// Let people try again after too many wrong passwords. Wants --operator.
    Unlock {
        /// Channel id.
        channel: String,
    },
}
