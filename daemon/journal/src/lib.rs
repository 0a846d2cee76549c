//! The crash-safe journal: sled, a flight recorder beside it, one committer.
//!
//! The promise: an acknowledged record survives any kill and any power cut; opening never panics; damage is noticed
//! and repaired from the other copy, never silently shortened; every record is framed, checksummed and chained; one
//! payment's evidence can be verified off-line. README.md beside the source says on what it rests.
//!
//! No async runtime inside: [`Journal::append`] gives a [`Ticket`] that a thread can wait for, a callback can take,
//! or a task can await.

mod backup;
mod body;
mod checkpoint;
mod clock;
mod committer;
mod disk;
mod error;
mod evidence;
mod export;
mod frame;
mod journal;
mod key;
pub mod keyring;
mod landmarks;
mod maintain;
mod map;
mod options;
mod policy;
mod probe;
mod read;
mod records;
mod recover;
mod report;
mod retain;
mod rotation;
pub mod sealed;
mod segment;
mod shared;
mod shim;
mod snapshot;
mod store;
mod tar;
mod ticket;
mod verify;

pub use backup::{BackupSummary, restore};
pub use body::RecordKey;
pub use checkpoint::Checkpoint;
pub use clock::{Clock, Stamp, SystemClock};
pub use committer::{NewRecord, Urgency};
pub use error::JournalError;
pub use evidence::{EvidenceRecord, EvidenceSlice};
pub use export::{ExportSummary, verify_export};
pub use frame::{
    FIRST_RESERVED_KIND, Frame, FrameError, FrameHead, FrameRef, HASH_LEN, HEADER_LEN, Hash, KIND_CHECKPOINT,
    MAX_FRAME, MAX_PAYLOAD, OpenError, Record, Subject, decode,
};
pub use journal::{Head, Journal, Stats};
pub use key::{DeviceKey, Fingerprint};
pub use keyring::{Keyring, KeyringError};
pub use maintain::{
    CheckReport, EpochCheck, Progress, RebuildReport, check, check_without_key, in_use, rebuild,
};
pub use options::{MAX_GROUP, Options};
pub use policy::install_panic_policy;
pub use probe::{Probe, probe_line, probe_main};
pub use read::MAX_PAGE;
pub use records::RecordKeys;
pub use report::{OpenEvent, OpenReport};
pub use retain::{KIND_SUMMARY, MAX_TOTALS, Removal, Retention, Summary};
pub use rotation::{KIND_KEY_LINK, KeyLink};
pub use shim::shim_active;
pub use snapshot::{KIND_SNAPSHOT, MAX_SNAPSHOT, Snapshot};
pub use ticket::{Appended, Ticket};
pub use verify::VerifyReport;
