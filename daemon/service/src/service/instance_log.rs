//! The logs of plugin instances, kept in the till's own journal: chained, sealed from loss, rebuilt and backed up with it.
//!
//! An entry is a frame of kind [`KIND_INSTANCE_LOG`] whose subject is derived from the instance's id, so that an id (which
//! an integrator chose) never stands beside payments as one. A trim is a frame of kind [`KIND_INSTANCE_LOG_TRIM`] under a
//! subject derived from that one. Folding the till skips both. Entries that are not trimmed hold the journal's retention
//! back ([`JournalLog::needed_from`]): a ledger is never shortened by age.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use till_hosts::till_plugin::host::{LogEntry, LogError};
use till_hosts::{InstanceLog, LogFuture};
use till_journal::{Journal, JournalError, NewRecord, Subject, Urgency};

/// Journal frame kind of the entries of plugin instances' logs.
pub const KIND_INSTANCE_LOG: u16 = 2;

/// Journal frame kind of the trims of those logs: the payload is the number of the last entry given up, a little-endian
/// `u64`.
pub const KIND_INSTANCE_LOG_TRIM: u16 = 3;

/// The subject of an instance's entries: the first 16 bytes of BLAKE3 over `instance log` and its id.
pub fn subject(instance: &str) -> Subject {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"instance log").update(instance.as_bytes());
    let mut subject = Subject::default();
    subject.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    subject
}

/// The subject of the trims of the log with this subject.
fn trims_of(log: &Subject) -> Subject {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"instance log trim").update(log);
    let mut subject = Subject::default();
    subject.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    subject
}

/// Keeps the logs in the journal. Clones share what they know.
#[derive(Clone, Debug)]
pub struct JournalLog {
    journal: Journal,
    /// The last entry given up, by subject, once it was asked for.
    trimmed: Arc<Mutex<HashMap<Subject, u64>>>,
}

impl JournalLog {
    /// In this journal.
    pub fn new(journal: Journal) -> Self {
        Self { journal, trimmed: Arc::default() }
    }

    /// The first record before `before` that some instance's log still needs: retention must keep from there on
    /// ([`till_journal::Retention::keep_from`]). Reads everything up to it; blocks.
    pub fn needed_from(&self, before: u64) -> Result<Option<u64>, JournalError> {
        let mut at = 1;
        while at < before {
            let page = self.journal.range(at, 512)?;
            let Some(last) = page.last().map(|r| r.seq) else { break };
            for record in page.iter().filter(|r| r.kind == KIND_INSTANCE_LOG && r.seq < before) {
                if record.seq > self.trimmed(&record.subject)? {
                    return Ok(Some(record.seq));
                }
            }
            at = last.saturating_add(1);
        }
        Ok(None)
    }

    /// The last entry given up; zero: none.
    fn trimmed(&self, log: &Subject) -> Result<u64, JournalError> {
        if let Some(known) = self.lock().get(log) {
            return Ok(*known);
        }
        let trims = self.journal.by_subject(&trims_of(log))?;
        let found = trims.iter().filter(|r| r.kind == KIND_INSTANCE_LOG_TRIM).filter_map(|r| {
            let through: [u8; 8] = r.payload.as_slice().try_into().ok()?;
            Some(u64::from_le_bytes(through))
        });
        let newest = found.max().unwrap_or(0);
        // Somebody may have trimmed meanwhile: never backwards.
        let mut all = self.lock();
        let known = all.entry(*log).or_insert(newest);
        *known = newest.max(*known);
        Ok(*known)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Subject, u64>> {
        self.trimmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Entries after `after` that are not given up.
    fn page(&self, log: &Subject, after: u64, max: usize) -> Result<Vec<LogEntry>, JournalError> {
        let after = after.max(self.trimmed(log)?);
        let records = self.journal.by_subject_after(log, after, max)?;
        // Two ids with the same half hash do not happen; a payment's id could only by a wrong journal.
        let entries = records.into_iter().filter(|r| r.kind == KIND_INSTANCE_LOG);
        Ok(entries.map(|r| LogEntry { seq: r.seq, bytes: r.payload }).collect())
    }

    /// Appends one record; resolves when it is durable.
    async fn write(&self, record: NewRecord) -> Result<u64, LogError> {
        let journal = self.journal.clone();
        // A ledger entry finishes a payment whose own record stands already, so it may use the last of the disk. The append
        // itself waits for room in the journal's queue, which a runtime's thread must not.
        let queued = tokio::task::spawn_blocking(move || journal.append(vec![record], Urgency::Finish)).await;
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
    }
}

/// Runs what blocks off the runtime's threads; what fails there has written nothing.
async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, LogError> {
    let refused = |detail: String| LogError::Refused { detail };
    let done = tokio::task::spawn_blocking(f).await.map_err(|e| refused(e.to_string()))?;
    done.map_err(|e| refused(e.to_string()))
}

impl InstanceLog for JournalLog {
    fn append(&self, instance: &str, bytes: Vec<u8>) -> LogFuture<u64> {
        let log = self.clone();
        let record = NewRecord { kind: KIND_INSTANCE_LOG, subject: subject(instance), payload: bytes };
        Box::pin(async move { log.write(record).await })
    }

    fn read(&self, instance: &str, after: u64, max: usize) -> LogFuture<Vec<LogEntry>> {
        let (log, subject) = (self.clone(), subject(instance));
        Box::pin(blocking(move || log.page(&subject, after, max)))
    }

    fn trim(&self, instance: &str, through: u64) -> LogFuture<()> {
        let (log, subject) = (self.clone(), subject(instance));
        Box::pin(async move {
            let reader = log.clone();
            let at = through.saturating_sub(1);
            let entry = blocking(move || reader.page(&subject, at, 1)).await?;
            if entry.first().map(|e| e.seq) != Some(through) {
                return Err(LogError::Refused { detail: format!("it has no entry {through}") });
            }
            let payload = through.to_le_bytes().to_vec();
            let record = NewRecord { kind: KIND_INSTANCE_LOG_TRIM, subject: trims_of(&subject), payload };
            log.write(record).await?;
            let mut all = log.lock();
            let known = all.entry(subject).or_insert(through);
            *known = through.max(*known);
            Ok(())
        })
    }
}
