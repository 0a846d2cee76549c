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

    /// Public key (Ed25519, PEM) that this till's evidence is verified with. Keep it where the till cannot change it.
    #[zbus(property(emits_changed_signal = "const"))]
    fn evidence_key(&self) -> Result<String, Error>;

    /// Checks every record, hash and link. Returns records checked and the problems found.
    fn verify(&self, options: Options<'_>) -> Result<(u64, Vec<String>), Error>;

    /// Writes records from..to (0: newest) as JSON lines into the caller's file; ends the file with the chain's head.
    /// Returns how many.
    fn export(&self, from: u64, to: u64, file: Fd<'_>, options: Options<'_>) -> Result<u64, Error>;

    /// Writes one payment's evidence, signed by this till, into the caller's file: for a third party, who needs the file
    /// and EvidenceKey only. Returns how many records are in it.
    fn export_evidence(&self, payment: &str, file: Fd<'_>, options: Options<'_>) -> Result<u64, Error>;

    /// Writes a backup (a tar file of records and a manifest, no keys) of everything up to the present head into the
    /// caller's file, and syncs it. Returns records in it, and sequence number and hash of the newest. Since: 0.2.
    fn backup(&self, file: Fd<'_>, options: Options<'_>) -> Result<(u64, u64, String), Error>;

    /// Replaces keys while sales go on: the key of the journal's chain (the next epoch begins under the new
    /// one; both vouch for the hand-over, and the old one makes no record any more), or the master key that
    /// wraps all others on disk. Everything that was written stays readable. Returns the journal's epoch.
    /// Errors: InvalidArgs, NotPossible (the master key is a credential of the system's: put the next one
    /// beside it), JournalUnavailable. Options: operator (s), wanted; which (s): chain, when absent;
    /// master; both. Since: 0.2.
    fn rotate_keys(&self, options: Options<'_>) -> Result<u32, Error>;
}
