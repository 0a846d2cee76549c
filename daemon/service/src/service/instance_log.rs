//! The logs of plugin instances, kept in the till's own journal: chained, sealed from loss, rebuilt and backed up with it.
//!
//! An entry is a frame of kind [`KIND_INSTANCE_LOG`] whose subject is derived from the instance's id, so that an id (which
//! an integrator chose) never stands beside payments as one. Folding the till skips these frames.

use till_hosts::till_plugin::host::{LogEntry, LogError};
use till_hosts::{InstanceLog, LogFuture};
use till_journal::{Journal, JournalError, NewRecord, Subject, Urgency};

/// Journal frame kind of the entries of plugin instances' logs.
pub const KIND_INSTANCE_LOG: u16 = 2;

/// The subject of an instance's entries: the first 16 bytes of BLAKE3 over `instance log` and its id.
pub fn subject(instance: &str) -> Subject {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"instance log").update(instance.as_bytes());
    let mut subject = Subject::default();
    subject.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    subject
}

/// Keeps the logs in the journal.
#[derive(Clone, Debug)]
pub struct JournalLog {
    journal: Journal,
}

impl JournalLog {
    /// In this journal.
    pub const fn new(journal: Journal) -> Self {
        Self { journal }
    }
}

impl InstanceLog for JournalLog {
    fn append(&self, instance: &str, bytes: Vec<u8>) -> LogFuture<u64> {
        let journal = self.journal.clone();
        let record = NewRecord { kind: KIND_INSTANCE_LOG, subject: subject(instance), payload: bytes };
        Box::pin(async move {
            // A ledger entry finishes a payment whose own record stands already, so it may use the last of the disk. The
            // append itself waits for room in the journal's queue, which a runtime's thread must not.
            let queued =
                tokio::task::spawn_blocking(move || journal.append(vec![record], Urgency::Finish)).await;
            let ticket = match queued {
                Ok(Ok(ticket)) => ticket,
                Ok(Err(e)) => return Err(LogError::Refused { detail: e.to_string() }),
                Err(e) => return Err(LogError::Undecided { detail: e.to_string() }),
            };
            match ticket.await {
                Ok(appended) => Ok(appended.last),
                Err(e @ JournalError::StorageFull { .. }) => Err(LogError::Refused { detail: e.to_string() }),
                Err(e) => Err(LogError::Undecided { detail: e.to_string() }),
            }
        })
    }

    fn read(&self, instance: &str, after: u64, max: usize) -> LogFuture<Vec<LogEntry>> {
        let (journal, subject) = (self.journal.clone(), subject(instance));
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || journal.by_subject_after(&subject, after, max));
            let refused = |detail: String| LogError::Refused { detail };
            let records =
                read.await.map_err(|e| refused(e.to_string()))?.map_err(|e| refused(e.to_string()))?;
            // Two ids with the same half hash do not happen; a payment's id could only by a wrong journal.
            let entries = records.into_iter().filter(|r| r.kind == KIND_INSTANCE_LOG);
            Ok(entries.map(|r| LogEntry { seq: r.seq, bytes: r.payload }).collect())
        })
    }
}
