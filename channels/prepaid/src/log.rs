//! The ledger's log is the instance's log in the daemon's journal.

use till_plugin::Host;
use till_plugin::host;

use crate::ledger::{Log, LogError};

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
}
