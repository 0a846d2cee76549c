//! What can go wrong with the keys, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Every way the keyring can refuse or fail. The texts never hold a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// A system call failed.
    #[error("keyring: cannot {what} {path}: {source}; free space or mend the file system, then restart")]
    Io {
        /// The action, as a verb phrase.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The keys in the directory were wrapped under another master key. Nothing was touched.
    #[error(
        "the master key does not open the keyring {dir}; restore the master key it was made with, nothing was changed"
    )]
    WrongMaster {
        /// The keyring's directory.
        dir: PathBuf,
    },
    /// A key file was altered or cut.
    #[error("key file {path} is damaged; restore it from a backup of the keys, or do without what it opens")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes; no key was made")]
    NoRandomness,
    /// The keys were wiped from memory because the service stops.
    #[error("the keys were wiped from memory because the service stops; start it again")]
    Forgotten,
    /// A kept secret is never replaced.
    #[error("the keyring holds another secret named {name} already; it was not replaced")]
    Exists {
        /// Its name.
        name: String,
    },
    /// Not a name for a kept secret.
    #[error(
        "{name:?} is no name for a kept secret: small letters, digits and dashes, not epoch-, record- and not floor"
    )]
    Name {
        /// The name given.
        name: String,
    },
    /// The caller could not put the new master key in its place. Both masters still open everything.
    #[error(
        "the new master key was not put in its place ({detail}); restart the service, the old one still opens all keys"
    )]
    NotPersisted {
        /// The caller's reason.
        detail: String,
    },
}

impl KeyringError {
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }
}

pub(super) type Result<T> = std::result::Result<T, KeyringError>;
