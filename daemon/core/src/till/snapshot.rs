//! The whole state as bytes: where a start begins instead of at the first record.

use super::Till;

/// Version byte of snapshots; another one whenever a field of the state, or of what is in it, changes
/// (`tests/golden_snapshot.rs`). A snapshot of another version is not used: the records themselves are replayed.
pub const SNAPSHOT_VERSION: u8 = 7;

/// A snapshot that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Written by another version.
    #[error(
        "the snapshot has version {0}, this tilld reads {SNAPSHOT_VERSION}: the records are replayed instead"
    )]
    Version(u8),
    /// Not a snapshot.
    #[error("the snapshot of {0} bytes cannot be decoded: the records are replayed instead")]
    Undecodable(usize),
    /// Could not be written.
    #[error("the state cannot be encoded")]
    Unencodable,
}

impl Till {
    /// The whole state as bytes, for a snapshot in the journal.
    pub fn to_snapshot(&self) -> Result<Vec<u8>, SnapshotError> {
        let mut bytes = Vec::with_capacity(4096);
        bytes.push(SNAPSHOT_VERSION);
        postcard::to_extend(self, bytes).map_err(|_| SnapshotError::Unencodable)
    }

    /// The state of a snapshot; the records after it are applied to it.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        match bytes.split_first() {
            Some((&SNAPSHOT_VERSION, rest)) => match postcard::take_from_bytes(rest) {
                Ok((till, [])) => Ok(till),
                _ => Err(SnapshotError::Undecodable(bytes.len())),
            },
            Some((&version, _)) => Err(SnapshotError::Version(version)),
            None => Err(SnapshotError::Undecodable(0)),
        }
    }
}
