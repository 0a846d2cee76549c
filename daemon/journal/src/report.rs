//! What opening the journal found and did, for the log and the operator.

use std::fmt;
use std::path::PathBuf;

/// One thing that opening the journal did beyond opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenEvent {
    /// A new journal was made.
    Created,
    /// The ballast was given up because the disk is full.
    BallastReleased,
    /// An unfinished file or directory of an interrupted run was removed.
    LeftoverRemoved(PathBuf),
    /// sled's snapshots were removed because the store did not open with them.
    SnapshotsRemoved {
        /// What the probe said.
        why: String,
    },
    /// The store was damaged: moved away, never deleted.
    StoreQuarantined {
        /// Where it lies now.
        to: PathBuf,
        /// What was wrong.
        why: String,
    },
    /// The store was made anew from the segments.
    StoreRebuilt {
        /// Its epoch.
        epoch: u32,
        /// Records put into it.
        records: u64,
    },
    /// Records the store had not yet on disk were taken from the segments (usual after a kill).
    StoreRefilled {
        /// Records put into it.
        records: u64,
    },
    /// A segment was damaged or gone and was written anew from the store.
    SegmentRepaired {
        /// The segment.
        path: PathBuf,
        /// What was wrong.
        why: String,
    },
    /// A removal of old epochs that was interrupted after its summary was finished.
    RemovalFinished {
        /// First epoch kept.
        below: u32,
    },
    /// An older epoch is lost in both copies from some record on. New payments go on; what is lost cannot be read.
    EpochDamaged {
        /// The epoch.
        epoch: u32,
        /// First record that is lost.
        seq: u64,
        /// What was found.
        why: String,
    },
    /// The key of a new epoch's records could not be made (the epoch before goes on), or one of removed records not be
    /// destroyed. It is tried again.
    RecordKeyTrouble {
        /// The keyring's reason.
        why: String,
    },
    /// An unfinished, never acknowledged commit was cut off.
    TailCut {
        /// The segment.
        path: PathBuf,
        /// Seq the next record takes.
        next_seq: u64,
    },
}

impl OpenEvent {
    /// Whether a person should hear of it: something on the disk was damaged.
    pub fn is_alarm(&self) -> bool {
        matches!(
            self,
            Self::StoreQuarantined { .. }
                | Self::StoreRebuilt { .. }
                | Self::SegmentRepaired { .. }
                | Self::SnapshotsRemoved { .. }
                | Self::EpochDamaged { .. }
                | Self::RecordKeyTrouble { .. }
        )
    }
}

impl fmt::Display for OpenEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("created a new journal"),
            Self::BallastReleased => f.write_str("disk full: gave up the ballast to open; free space soon"),
            Self::LeftoverRemoved(path) => write!(f, "removed unfinished {}", path.display()),
            Self::SnapshotsRemoved { why } => write!(f, "removed the store's snapshots ({why})"),
            Self::StoreQuarantined { to, why } => {
                write!(f, "store damaged ({why}); kept at {}", to.display())
            }
            Self::StoreRebuilt { epoch, records } => {
                write!(f, "store of epoch {epoch} rebuilt from segments, {records} records")
            }
            Self::StoreRefilled { records } => {
                write!(f, "{records} records taken from segments into the store")
            }
            Self::SegmentRepaired { path, why } => {
                write!(f, "segment {} rewritten from the store ({why})", path.display())
            }
            Self::RemovalFinished { below } => {
                write!(f, "finished removing what is older than epoch {below}; its summary is in the journal")
            }
            Self::EpochDamaged { epoch, seq, why } => write!(
                f,
                "old records lost in both copies, from {seq} on in epoch {epoch} ({why}); restore them from a backup, \
                 payments go on"
            ),
            Self::RecordKeyTrouble { why } => {
                write!(
                    f,
                    "a key of the journal's records could not be made or destroyed ({why}); it is tried again"
                )
            }
            Self::TailCut { path, next_seq } => {
                write!(f, "unfinished commit cut from {}; next record is {next_seq}", path.display())
            }
        }
    }
}

/// Everything opening did, in order. Empty after a clean stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// What was done.
    pub events: Vec<OpenEvent>,
}

impl OpenReport {
    /// Whether any event is an alarm.
    pub fn has_alarm(&self) -> bool {
        self.events.iter().any(OpenEvent::is_alarm)
    }

    pub(crate) fn add(&mut self, event: OpenEvent) {
        self.events.push(event);
    }
}
