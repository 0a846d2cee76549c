//! Who keeps the logs of plugin instances ([`till_plugin::Host::log_append`]).

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use till_plugin::host::{LogEntry, LogError};

/// What an [`InstanceLog`] answers with.
pub type LogFuture<T> = Pin<Box<dyn Future<Output = Result<T, LogError>> + Send>>;

/// The keeper of the instances' logs: append-only, one log an instance id. tilld keeps them in its journal.
///
/// An entry has 1 to [`till_plugin::proto::MAX_LOG_ENTRY`] bytes; the supervisor has checked that. Numbers grow within an
/// instance; they may have gaps, and are never given twice.
pub trait InstanceLog: fmt::Debug + Send + Sync {
    /// Appends an entry; resolves with its number once it is durable. [`LogError::Undecided`] wherever it may be durable
    /// all the same.
    fn append(&self, instance: &str, bytes: Vec<u8>) -> LogFuture<u64>;

    /// At most `max` entries numbered above `after`, oldest first.
    fn read(&self, instance: &str, after: u64, max: usize) -> LogFuture<Vec<LogEntry>>;

    /// Entries up to and with `through`, an entry of this instance, are needed no more: they are not read again.
    /// Resolves once that is durable.
    fn trim(&self, instance: &str, through: u64) -> LogFuture<()>;
}

/// Keeps nothing: every append is refused.
#[derive(Copy, Clone, Debug, Default)]
pub struct NoLog;

impl InstanceLog for NoLog {
    fn append(&self, _instance: &str, _bytes: Vec<u8>) -> LogFuture<u64> {
        Box::pin(async { Err(LogError::Refused { detail: "nobody keeps logs here".into() }) })
    }

    fn read(&self, _instance: &str, _after: u64, _max: usize) -> LogFuture<Vec<LogEntry>> {
        Box::pin(async { Err(LogError::Refused { detail: "nobody keeps logs here".into() }) })
    }

    fn trim(&self, _instance: &str, _through: u64) -> LogFuture<()> {
        Box::pin(async { Err(LogError::Refused { detail: "nobody keeps logs here".into() }) })
    }
}

/// Keeps logs in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryLog {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    entries: BTreeMap<String, Vec<LogEntry>>,
}

impl MemoryLog {
    /// An instance's entries.
    pub fn entries(&self, instance: &str) -> Vec<LogEntry> {
        self.lock().entries.get(instance).cloned().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InstanceLog for MemoryLog {
    fn append(&self, instance: &str, bytes: Vec<u8>) -> LogFuture<u64> {
        let mut all = self.lock();
        all.last += 1;
        let seq = all.last;
        all.entries.entry(instance.to_owned()).or_default().push(LogEntry { seq, bytes });
        Box::pin(async move { Ok(seq) })
    }

    fn read(&self, instance: &str, after: u64, max: usize) -> LogFuture<Vec<LogEntry>> {
        let page = self.entries(instance).into_iter().filter(|e| e.seq > after).take(max).collect();
        Box::pin(async move { Ok(page) })
    }

    fn trim(&self, instance: &str, through: u64) -> LogFuture<()> {
        let mut all = self.lock();
        let entries = all.entries.entry(instance.to_owned()).or_default();
        let known = entries.iter().any(|e| e.seq == through);
        if known {
            entries.retain(|e| e.seq > through);
        }
        let refused = LogError::Refused { detail: format!("it has no entry {through}") };
        Box::pin(async move { if known { Ok(()) } else { Err(refused) } })
    }
}
