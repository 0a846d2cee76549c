//! What can go wrong, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::frame::OpenError;
use crate::keyring::KeyringError;

/// Every way the journal can refuse or fail.
///
/// The errors are `Clone` because one failed commit answers many callers.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The `sync_file_range` shim is not linked in, so the store's flush would not be durable.
    #[error(
        "the durability shim is not active in this program: sled's flush would lose acknowledged records \
         at a power cut; link till-journal's `sync_file_range` (do not strip or override the symbol)"
    )]
    ShimMissing,
    /// The directory lies on a file system whose syncs are not trusted.
    #[error(
        "journal directory {dir} is on {kind}, which does not keep the promise of fsync; \
         put it on ext4, xfs or f2fs, or force it knowingly"
    )]
    UnsuitableFilesystem {
        /// The journal directory.
        dir: PathBuf,
        /// Name of the file system.
        kind: &'static str,
    },
    /// Another process holds the journal.
    #[error("journal {dir} is in use by another process; stop that process and start again")]
    Locked {
        /// The journal directory.
        dir: PathBuf,
    },
    /// The disk below the journal cannot be written.
    #[error("journal path {path} is read-only; remount the file system read-write before taking payments")]
    ReadOnly {
        /// What was to be written.
        path: PathBuf,
    },
    /// Too little space left; nothing was written.
    #[error(
        "storage full: {free} bytes free under the journal, {needed} needed; free space, \
         then retry (started payments may still finish)"
    )]
    StorageFull {
        /// Bytes free now.
        free: u64,
        /// Bytes wanted free.
        needed: u64,
    },
    /// A system call failed.
    #[error("journal: cannot {what} {path}: {source}")]
    Io {
        /// The action, as a verb phrase.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// The store (sled) failed.
    #[error(
        "journal store: cannot {what}: {detail}; restart the service, the store is checked and rebuilt at start"
    )]
    Store {
        /// The action.
        what: &'static str,
        /// sled's reason.
        detail: String,
    },
    /// An earlier failure ended all appends: what the disk holds is no longer certain.
    #[error(
        "the journal stopped accepting records ({why}); restart the service so that it recovers from disk"
    )]
    Poisoned {
        /// The first failure.
        why: Arc<str>,
    },
    /// The queue to the committer is full (only from `try_append`).
    #[error("the journal is busy: its queue is full; wait for earlier records and retry")]
    Busy,
    /// The journal was closed.
    #[error("the journal is closed; nothing was written")]
    Closed,
    /// A record does not fit a frame.
    #[error(
        "record of {len} payload bytes does not fit the journal's frame (at most {max}); keep blobs outside it"
    )]
    PayloadTooLarge {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// An append held no record, or more than one atomic group may hold.
    #[error("an append holds 1 to {max} records, this one holds {len}")]
    GroupSize {
        /// Records given.
        len: usize,
        /// Records allowed.
        max: usize,
    },
    /// A state that is too large for a snapshot.
    #[error(
        "a snapshot of {len} bytes is too large (at most {max}); the state must shed what it need not remember"
    )]
    SnapshotTooLarge {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The system gave no random bytes.
    #[error("no random bytes from the system; nothing was written, try again")]
    NoRandomness,
    /// A kind the journal keeps for its own records.
    #[error("record kind {kind:#06x} is reserved for the journal; use kinds below 0xff00")]
    ReservedKind {
        /// The kind given.
        kind: u16,
    },
    /// The device key does not belong to this journal. Nothing was touched.
    #[error("the device key does not match journal {dir}; restore the right key, nothing was changed")]
    WrongKey {
        /// The journal directory.
        dir: PathBuf,
    },
    /// The key of an epoch's records is not there. Nothing was touched.
    #[error(
        "the key record-{epoch} of the keyring, which the journal's records of epoch {epoch} are sealed with, is not \
         there ({detail}); put the folder of keys back that belongs to this journal, nothing was changed"
    )]
    NoRecordKey {
        /// The epoch.
        epoch: u32,
        /// Why it is not there.
        detail: String,
    },
    /// The key of an epoch's records is another journal's. Nothing was touched.
    #[error(
        "the key record-{epoch} of the keyring does not open the journal's records of epoch {epoch}: it is another \
         journal's; put the folder of keys back that belongs to this journal, nothing was changed"
    )]
    WrongRecordKey {
        /// The epoch.
        epoch: u32,
    },
    /// The key that an epoch's records are to be sealed with could not be made, or an old one not be destroyed.
    #[error("the keys of the journal's records cannot be kept: {detail}")]
    RecordKeys {
        /// The keyring's reason, with what to do.
        detail: String,
    },
    /// A new device key could not be made durable. Nothing was changed.
    #[error(
        "the new device key was not stored ({detail}); the old one stays in force, mend that and try again"
    )]
    KeyNotKept {
        /// The caller's reason.
        detail: String,
    },
    /// Acknowledged records are lost or altered in both copies.
    #[error(
        "journal damaged in both copies at record {seq}: {detail}; keep {dir} as evidence, \
         move it aside and call for support before taking payments"
    )]
    Damaged {
        /// The journal directory.
        dir: PathBuf,
        /// First record concerned.
        seq: u64,
        /// What was found.
        detail: String,
    },
    /// The probe of the store did not end in time and cannot be stopped inside this process.
    #[error(
        "checking the journal store did not end within {seconds} s; restart the service with a probe command set"
    )]
    ProbeHung {
        /// The limit that passed.
        seconds: u64,
    },
    /// No such record.
    #[error("no record {seq}; the journal holds {first} to {last}")]
    NotFound {
        /// The record asked for.
        seq: u64,
        /// First record kept.
        first: u64,
        /// Newest record.
        last: u64,
    },
    /// An export that is read back does not hold.
    #[error("export line {line}: {detail}; do not rely on this file")]
    BadExport {
        /// Line, counted from 1.
        line: u64,
        /// What does not hold.
        detail: String,
    },
    /// There is no journal where one was to be looked at.
    #[error("there is no journal in {dir}; check the directory (journal.dir in tilld.toml)")]
    NoJournal {
        /// The directory.
        dir: PathBuf,
    },
    /// A backup does not hold.
    #[error("the backup is not usable: {detail}; nothing was restored, use another one")]
    BadBackup {
        /// What does not hold.
        detail: String,
    },
    /// The place to restore to is taken.
    #[error("{dir} is not empty; move what is there aside, then restore again (nothing was changed)")]
    NotEmpty {
        /// The journal directory.
        dir: PathBuf,
    },
    /// A setting makes no sense.
    #[error("journal option {option}: {detail}")]
    BadOption {
        /// Name of the option.
        option: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl From<OpenError> for JournalError {
    fn from(e: OpenError) -> Self {
        match e {
            OpenError::NoKey { epoch, detail } => Self::NoRecordKey { epoch, detail },
            OpenError::WrongKey { epoch } => Self::WrongRecordKey { epoch },
        }
    }
}

impl From<KeyringError> for JournalError {
    fn from(e: KeyringError) -> Self {
        Self::RecordKeys { detail: e.to_string() }
    }
}

impl JournalError {
    /// Wraps a system error, telling full and read-only disks apart from the rest.
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path: path.to_owned() },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::StorageFull { free: crate::disk::free_bytes(path), needed: 0 }
            }
            _ => Self::Io { what, path: path.to_owned(), source: Arc::new(source) },
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::StorageFull { .. })
    }
}

pub(crate) type Result<T> = std::result::Result<T, JournalError>;
