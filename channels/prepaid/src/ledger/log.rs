//! What the ledger stands on: an append-only log whose appends are durable when they return.

use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

/// Longest entry, bytes: what the host's log service takes.
pub const MAX_ENTRY: usize = 2048;

/// An append-only, durable log. Positions grow, with gaps; 0 is before the first.
pub trait Log {
    /// Appends an entry and gives its position. Durable when it returns. After an error the entry may be there, or come
    /// to be there later.
    fn append(&mut self, bytes: &[u8]) -> Result<u64, LogError>;

    /// Entries behind a position, oldest first, at most `max` of them; none: the end.
    fn read(&mut self, after: u64, max: u32) -> Result<Vec<(u64, Vec<u8>)>, LogError>;

    /// Gives up the entries up to and with one of them: they are read no more. Durable when it returns.
    fn trim(&mut self, _through: u64) -> Result<(), LogError> {
        Err(LogError::NotWritten("this log is kept whole".into()))
    }

    /// Remembers where reading may begin. A hint: without it everything is read.
    fn remember(&mut self, _first: u64) {}

    /// What was remembered; 0: nothing.
    fn remembered(&mut self) -> u64 {
        0
    }
}

/// The log did not do it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// Nobody knows whether the entry is there.
    #[error(
        "the ledger could not write its entry ({0}); what became of it is asked for by its order number, never repeated under a new one"
    )]
    Append(String),
    /// The entry was refused before anything was written.
    #[error("the ledger's entry was not written ({0}); nothing was booked, try again when that is mended")]
    NotWritten(String),
    /// Nothing could be read.
    #[error("the ledger could not be read ({0}); nothing is booked until it can be")]
    Read(String),
}

/// A log in memory: for tests, shared by its clones.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog(Arc<Mutex<Vec<Vec<u8>>>>, Arc<Mutex<Aside>>);

/// What stands beside the entries.
#[derive(Debug, Default)]
struct Aside {
    trimmed: u64,
    remembered: u64,
    read: u64,
}

impl MemoryLog {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries that were handed out by `read` so far.
    pub fn entries_read(&self) -> u64 {
        self.aside().read
    }

    fn aside(&self) -> std::sync::MutexGuard<'_, Aside> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the entries behind the ledger's back: a test's planted damage.
    pub fn tamper(&self, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
        change(&mut self.entries());
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for MemoryLog {
    fn append(&mut self, bytes: &[u8]) -> Result<u64, LogError> {
        let mut entries = self.entries();
        entries.push(bytes.to_vec());
        Ok(entries.len() as u64)
    }

    fn read(&mut self, after: u64, max: u32) -> Result<Vec<(u64, Vec<u8>)>, LogError> {
        let after = after.max(self.aside().trimmed);
        let entries = self.entries();
        let from = usize::try_from(after).unwrap_or(usize::MAX).min(entries.len());
        let page: Vec<_> = (after + 1..).zip(entries[from..].iter().take(max as usize).cloned()).collect();
        drop(entries);
        self.aside().read += page.len() as u64;
        Ok(page)
    }

    fn trim(&mut self, through: u64) -> Result<(), LogError> {
        let mut aside = self.aside();
        aside.trimmed = aside.trimmed.max(through);
        Ok(())
    }

    fn remember(&mut self, first: u64) {
        self.aside().remembered = first;
    }

    fn remembered(&mut self) -> u64 {
        self.aside().remembered
    }
}
