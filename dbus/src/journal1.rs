//! `org.tilld.Journal1`.

use zbus::Fd;

use crate::types::Head;
use crate::{Error, Options};

/// org.tilld.Journal1: the journal, at /org/tilld/Till1.
#[zbus::proxy(
    interface = "org.tilld.Journal1",
    default_service = "org.tilld.Till1",
    default_path = "/org/tilld/Till1"
)]
pub trait Journal1 {
    /// Sequence number and hash (hexadecimal) of the newest durable record.
    #[zbus(property(emits_changed_signal = "false"))]
    fn head(&self) -> Result<Head, Error>;

    /// well, or what is wrong.
    #[zbus(property)]
    fn state(&self) -> Result<String, Error>;

    /// Checks every record, hash and link. Returns records checked and the problems found.
    fn verify(&self, options: Options<'_>) -> Result<(u64, Vec<String>), Error>;

    /// Writes records from..to (0: newest) as JSON lines into the caller's file; ends the file with the chain's head.
    /// Returns how many.
    fn export(&self, from: u64, to: u64, file: Fd<'_>, options: Options<'_>) -> Result<u64, Error>;
}
