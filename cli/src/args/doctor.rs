//! Arguments of `doctor` and `bundle`.

use std::path::PathBuf;

use clap::Args;

/// Which till is meant when it does not run.
#[derive(Args)]
pub struct Doctor {
    /// tilld's configuration, in place of /etc/tilld [default: that of the running tilld].
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
}

/// Options of `bundle`.
#[derive(Args)]
pub struct Bundle {
    /// File to make (mode 0600) [default: tilld-bundle-TIME.tar].
    pub file: Option<PathBuf>,
    /// Which till.
    #[command(flatten)]
    pub doctor: Doctor,
}
