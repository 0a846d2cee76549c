//! Arguments about announced maintenance.

use std::path::PathBuf;

use clap::Subcommand;

/// Commands about maintenance.
#[derive(Subcommand)]
pub enum MaintenanceCommand {
    /// Announce it: a TOML file with id = "name" and `[[window]]` tables as in tilld.toml's `[[routing.window]]`.
    Announce {
        /// File, or `-` for standard input.
        file: PathBuf,
    },
    /// Take an announcement back; the newest signed message is called `signed`.
    Withdraw {
        /// Its name.
        id: String,
    },
    /// Bring a signed message.
    Deliver {
        /// File with the message.
        file: PathBuf,
        /// File with its Ed25519 signature, 64 bytes or their base64 (`openssl pkeyutl -sign -rawin -inkey KEY -in FILE`).
        signature: PathBuf,
    },
    /// Everything that was announced.
    List,
}
