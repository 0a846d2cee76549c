//! The ledger's log is the instance's log in the daemon's journal.

use till_plugin::Host;
use till_plugin::host::{self, Level};

use crate::ledger::{Log, LogError};

/// Name of the stored value: log position of the newest checkpoint, eight bytes, little-endian.
const CHECKPOINT: &str = "checkpoint";

/// The host's log service.
#[derive(Clone, Debug)]
pub struct HostLog(Host);

impl HostLog {
    /// Of this instance.
    pub const fn new(host: Host) -> Self {
        Self(host)
    }
}

impl Log for HostLog {
    fn append(&mut self, bytes: &[u8]) -> Result<u64, LogError> {
        self.0.log_append(bytes).map_err(|e| match e {
            host::LogError::Refused { .. } => LogError::NotWritten(e.to_string()),
            host::LogError::Undecided { .. } => LogError::Append(e.to_string()),
        })
    }

    fn read(&mut self, after: u64, max: u32) -> Result<Vec<(u64, Vec<u8>)>, LogError> {
        let page = self.0.log_read(after, max).map_err(|e| LogError::Read(e.to_string()))?;
        Ok(page.into_iter().map(|entry| (entry.seq, entry.bytes)).collect())
    }

    fn trim(&mut self, through: u64) -> Result<(), LogError> {
        self.0.log_trim(through).map_err(|e| LogError::NotWritten(e.to_string()))
    }

    fn remember(&mut self, first: u64) {
        if let Err(e) = self.0.store(CHECKPOINT, &first.to_le_bytes()) {
            // The next start reads more; nothing else hangs on it.
            self.0.log(Level::Warn, format!("where the ledger may be read from is not remembered: {e}"));
        }
    }

    fn remembered(&mut self) -> u64 {
        let kept = self.0.load(CHECKPOINT).and_then(|bytes| bytes.try_into().ok());
        kept.map_or(0, u64::from_le_bytes)
    }
}
