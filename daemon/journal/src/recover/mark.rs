//! The mark that asks the next open to read segments thoroughly, and which.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use crate::disk;
use crate::error::{JournalError, Result};

/// Name of the mark: one epoch a line; empty for all.
const NAME: &str = "check-at-next-open";

/// Epochs whose segments are to be read thoroughly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deep {
    Some(BTreeSet<u32>),
    All,
}

impl Deep {
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(NAME);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::Some(BTreeSet::new())),
            Err(e) => return Err(JournalError::io("read", &path, e)),
        };
        let text = String::from_utf8_lossy(&text);
        let epochs: std::result::Result<BTreeSet<u32>, _> = text.lines().map(str::parse).collect();
        // Empty, cut off or not ours: everything is read, which is only slower.
        Ok(match epochs {
            Ok(epochs) if !epochs.is_empty() && text.ends_with('\n') => Self::Some(epochs),
            _ => Self::All,
        })
    }

    pub(crate) fn names(&self, epoch: u32) -> bool {
        match self {
            Self::Some(epochs) => epochs.contains(&epoch),
            Self::All => true,
        }
    }

    /// Adds epochs to the mark, durably.
    pub(crate) fn add(dir: &Path, more: &BTreeSet<u32>) -> Result<()> {
        let text = match Self::read(dir)? {
            Self::All => String::new(),
            Self::Some(before) => {
                before.union(more).fold(String::new(), |text, e| text + &e.to_string() + "\n")
            }
        };
        let path = dir.join(NAME);
        fs::write(&path, text).map_err(|e| JournalError::io("write", &path, e))?;
        disk::sync_path(&path)?;
        disk::sync_path(dir)
    }

    /// Asks for everything.
    pub(crate) fn add_all(dir: &Path) -> Result<()> {
        let path = dir.join(NAME);
        fs::write(&path, b"").map_err(|e| JournalError::io("write", &path, e))?;
        disk::sync_path(dir)
    }

    /// Takes the mark away: what it asked for was done.
    pub(crate) fn done(dir: &Path) -> Result<()> {
        let path = dir.join(NAME);
        match fs::remove_file(&path) {
            Ok(()) => disk::sync_path(dir),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(JournalError::io("remove", &path, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_was_added_and_an_unreadable_mark_names_all() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Deep::read(dir.path()).unwrap().names(3));
        Deep::add(dir.path(), &BTreeSet::from([3])).unwrap();
        Deep::add(dir.path(), &BTreeSet::from([17])).unwrap();
        let deep = Deep::read(dir.path()).unwrap();
        assert!(deep.names(3) && deep.names(17) && !deep.names(1));
        // Cut off: "1" of "17" must not be taken for epoch 1 alone.
        for bad in [&b""[..], b"3\n1", b"x\n", &[0; 9]] {
            fs::write(dir.path().join(NAME), bad).unwrap();
            assert_eq!(Deep::read(dir.path()).unwrap(), Deep::All, "{bad:?}");
        }
        Deep::add(dir.path(), &BTreeSet::from([2])).unwrap();
        assert_eq!(Deep::read(dir.path()).unwrap(), Deep::All, "adding forgot that all were asked for");
        Deep::done(dir.path()).unwrap();
        Deep::done(dir.path()).unwrap();
        assert!(!Deep::read(dir.path()).unwrap().names(2));
    }
}
