//! Settings of a journal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{JournalError, Result};
use crate::probe::Probe;

/// Most records of one atomic append.
pub const MAX_GROUP: usize = 16;

/// Settings of a journal. Made with [`Options::new`], then changed field by field.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Directory of the journal; made when missing (its parent must exist).
    pub dir: PathBuf,
    /// How a store is tried before it is opened.
    pub probe: Probe,
    /// How long a probe may take.
    pub probe_limit: Duration,
    /// How long to wait for another process to let go of the journal.
    pub lock_wait: Duration,
    /// Accept a file system that is known not to keep the promise of fsync (tests, containers).
    pub force_filesystem: bool,
    /// Bytes of one segment, preallocated and zeroed; at least 128 KiB.
    pub segment_bytes: u64,
    /// Records after which a new epoch (a new store directory) is begun; at least 100.
    pub epoch_records: u64,
    /// Days (by trusted time) after which a new epoch is begun, so that a quiet till's old records can go at their time;
    /// zero for never. An epoch of fewer than 1000 records goes on.
    pub epoch_days: u32,
    /// Free bytes (besides what the ballast lacks) below which `Urgency::New` is refused.
    pub free_floor: u64,
    /// Bytes held back in a ballast file and given up for `Urgency::Finish` on a full disk; zero for none.
    pub ballast_bytes: u64,
    /// Appends that may wait for the committer; more make the caller wait.
    pub queue: usize,
}

impl Options {
    /// The settings for a till: probe in a thread (set a command in a daemon), 1 MiB segments, 200 000 records or
    /// 92 days an epoch, 64 MiB floor, 8 MiB ballast.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            probe: Probe::Thread,
            probe_limit: Duration::from_secs(30),
            lock_wait: Duration::from_secs(5),
            force_filesystem: false,
            segment_bytes: 1 << 20,
            epoch_records: 200_000,
            epoch_days: 92,
            free_floor: 64 << 20,
            ballast_bytes: 8 << 20,
            queue: 1024,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |option, detail: &str| Err(JournalError::BadOption { option, detail: detail.into() });
        if !(128 << 10..=1 << 30).contains(&self.segment_bytes) || !self.segment_bytes.is_multiple_of(4096) {
            return refuse("segment_bytes", "must be 128 KiB to 1 GiB and a multiple of 4096");
        }
        if self.epoch_records < 100 {
            return refuse("epoch_records", "must be at least 100");
        }
        if self.queue == 0 {
            return refuse("queue", "must be at least 1");
        }
        Ok(())
    }

    pub(crate) fn segments(&self) -> PathBuf {
        self.dir.join("segments")
    }

    pub(crate) fn store_dir(&self, epoch: u32) -> PathBuf {
        store_dir(&self.dir, epoch)
    }
}

/// Where the store of an epoch lies.
pub(crate) fn store_dir(dir: &Path, epoch: u32) -> PathBuf {
    dir.join(format!("{epoch:08}"))
}
