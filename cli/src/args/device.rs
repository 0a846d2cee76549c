//! Arguments about one device.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Commands of one device.
#[derive(Subcommand)]
pub enum DeviceCommand {
    /// Restart it, also out of quarantine.
    Restart {
        /// Device id.
        id: String,
    },
    /// What it counted (swipes, prints, cuts …), over restarts.
    Statistics {
        /// Device id.
        id: String,
    },
    /// Begin its counters at zero.
    ResetStatistics {
        /// Device id.
        id: String,
    },
}

/// Options of `record`.
#[derive(Args)]
pub struct Record {
    /// Device id.
    pub device: String,
    /// File to make (mode 0600), or `-` for standard output [default: DEVICE.recording].
    pub file: Option<PathBuf>,
    /// Stop after this many seconds (1-3600).
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// Stop before the file is larger than this (4096-16777216).
    #[arg(long, default_value_t = 4 << 20, value_parser = clap::value_parser!(u64).range(4096..=16 << 20))]
    pub bytes: u64,
    /// Record every byte as it is, CARD NUMBERS AND CODES INCLUDED: with test cards, while the till is in training.
    #[arg(long)]
    pub raw_with_card_data: bool,
}
