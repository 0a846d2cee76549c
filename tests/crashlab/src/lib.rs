//! The crash lab: what becomes of the till's records when the power goes, the daemon is killed, or the disk is bad.
//!
//! * [`scenario`] runs the real `tilld` with real plugin hosts and simulated networks under a recorder of its file
//!   calls; [`witness`] notes every promise it makes to a client or a network, at the moment it leaves the daemon;
//! * [`cuts`] builds the disks a power cut may leave at any moment of that, and has each opened by [`check`]: the code
//!   that `tilld` itself runs at its start ([`tilld::service::recover`]), in worker processes that may die ([`pool`]);
//!   [`facts`] is what must hold beyond the records: batches, shredded keys, removed epochs;
//! * [`controls`] puts stores and orders that are known to be wrong to the same test: a run in which one of them passes
//!   proves nothing, and is red;
//! * [`kills`] is `kill -9` ([`copies`]: of a backup or evidence that was being written), [`volume`] a real ext4 cut off while mounted, [`damage`] flipped bits, cut and lost files.
//!
//! Nothing in here is installed.

pub mod check;
pub mod controls;
pub mod copies;
pub mod cuts;
pub mod damage;
pub mod facts;
pub mod kills;
pub mod pool;
pub mod report;
pub mod rounds;
pub mod sale;
pub mod scenario;
pub mod truth;
pub mod volume;
pub mod warm;
pub mod witness;

use std::path::PathBuf;

use till_tests::RigError;

/// Why the lab itself does not work: no finding about the till.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The rig.
    #[error("rig: {0}")]
    Rig(#[from] RigError),
    /// The recorder.
    #[error("recorder: {0}")]
    Record(#[from] till_powercut::recorder::RecordError),
    /// Files of the lab's own.
    #[error("{what}: {error}")]
    File {
        /// What was to be done.
        what: String,
        /// Why not.
        error: std::io::Error,
    },
    /// A client's call.
    #[error("client: {0}")]
    Bus(#[from] zbus::Error),
    /// Anything else.
    #[error("{0}")]
    Lab(String),
}

impl LabError {
    /// For a file.
    pub fn file(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |error| Self::File { what, error }
    }
}

/// The lab's programs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `crashlab`: worker, probe, recovery.
    pub lab: PathBuf,
    /// `crashlab-ask`: tries a store by asking a process that lives on.
    pub ask: PathBuf,
    /// `crashlab-stock`: sled as it comes.
    pub stock: PathBuf,
    /// Moves the clock of what it is preloaded into (`tests/crashlab/clock`).
    pub clock: PathBuf,
}

impl Programs {
    /// Beside this program, where cargo puts them.
    pub fn beside() -> Result<Self, LabError> {
        let built = till_tests::staging::built()?;
        let there = |name: &str| {
            let path = built.join(name);
            let what = || path.display().to_string();
            path.is_file().then_some(path.clone()).ok_or_else(|| RigError::NotBuilt { what: what() })
        };
        Ok(Self {
            lab: there("crashlab")?,
            ask: there("crashlab-ask")?,
            stock: there("crashlab-stock")?,
            clock: there("libtill_lab_clock.so")?,
        })
    }
}

/// A directory for disks that need no durability of their own: in memory where there is any.
pub fn scratch() -> Result<tempfile::TempDir, LabError> {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .map_err(LabError::file("scratch directory"))
}
