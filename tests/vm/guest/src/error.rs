//! Why a scenario failed.

use std::path::Path;

/// A scenario that did not go as a shop would want it, or a guest in which it cannot be tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VmError {
    /// A file of the guest.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program.
    #[error("{what}: {said}")]
    Command {
        /// Its command line.
        what: String,
        /// What it said.
        said: String,
    },
    /// tilld, over the bus.
    #[error("tilld: {0}")]
    Bus(#[from] zbus::Error),
    /// Waited for in vain, or a part of the rig.
    #[error(transparent)]
    Rig(#[from] till_tests::RigError),
    /// Not what a user would want.
    #[error("{0}")]
    Wrong(String),
}

impl VmError {
    /// A file.
    pub(crate) fn file(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().display().to_string();
        move |source| Self::File { path, source }
    }

    /// Anything that a simulator or the system says.
    pub(crate) fn wrong(what: impl std::fmt::Display) -> Self {
        Self::Wrong(what.to_string())
    }
}

/// Fails in these words unless it holds.
pub(crate) fn claim(holds: bool, what: impl std::fmt::Display) -> Result<(), VmError> {
    if holds { Ok(()) } else { Err(VmError::wrong(what)) }
}
