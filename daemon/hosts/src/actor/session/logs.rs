//! The log of one instance, between its process and the keeper: appends and reads run beside everything else, so that a
//! slow disk stops neither pings nor kills.

use std::sync::Arc;

use till_plugin::host::LogError;
use till_plugin::proto::{MAX_LOG_ENTRY, MAX_LOG_PAGE, ToHost};
use tokio::task::JoinSet;

use super::serving::{Rate, protocol};
use crate::error::Failure;
use crate::log::InstanceLog;

/// Questions that may wait at once. The host process asks one after the other for each thread of its plugin.
const OPEN: usize = 16;

/// Appends and reads of one process.
pub(super) struct Logs {
    keeper: Arc<dyn InstanceLog>,
    instance: String,
    open: JoinSet<ToHost>,
    appends: Rate,
    appends_per_second: u32,
}

impl Logs {
    pub(super) fn new(keeper: Arc<dyn InstanceLog>, instance: &str, appends_per_second: u32) -> Self {
        Self {
            keeper,
            instance: instance.to_owned(),
            open: JoinSet::new(),
            appends: Rate::new(),
            appends_per_second,
        }
    }

    /// Begins an append.
    pub(super) fn append(&mut self, id: u64, bytes: Vec<u8>) -> Result<(), Failure> {
        self.crowded()?;
        let length = bytes.len();
        if length == 0 || length > MAX_LOG_ENTRY {
            return Err(protocol(&format!("it appends {length} bytes to its log")));
        }
        // Not a flood that kills: a till in a rush waits, it does not lose its channel.
        if self.appends.count() > self.appends_per_second {
            let detail = format!("more than {} entries in a second; try again", self.appends_per_second);
            let result = Err(LogError::Refused { detail });
            self.open.spawn(async move { ToHost::LogAppended { id, result } });
            return Ok(());
        }
        let done = self.keeper.append(&self.instance, bytes);
        self.open.spawn(async move { ToHost::LogAppended { id, result: done.await } });
        Ok(())
    }

    /// Begins a read.
    pub(super) fn read(&mut self, id: u64, after: u64, max: u32) -> Result<(), Failure> {
        self.crowded()?;
        let max = usize::try_from(max).unwrap_or(MAX_LOG_PAGE).min(MAX_LOG_PAGE);
        let done = self.keeper.read(&self.instance, after, max);
        self.open.spawn(async move { ToHost::LogPage { id, result: done.await } });
        Ok(())
    }

    /// Begins a trim.
    pub(super) fn trim(&mut self, id: u64, through: u64) -> Result<(), Failure> {
        self.crowded()?;
        let done = self.keeper.trim(&self.instance, through);
        self.open.spawn(async move { ToHost::LogTrimmed { id, result: done.await } });
        Ok(())
    }

    fn crowded(&self) -> Result<(), Failure> {
        if self.open.len() >= OPEN {
            return Err(protocol(&format!("more than {OPEN} questions to its log at once")));
        }
        Ok(())
    }

    /// The next answer. Cancel safe; never resolves while nothing is asked.
    pub(super) async fn answer(&mut self) -> ToHost {
        loop {
            match self.open.join_next().await {
                Some(Ok(answer)) => return answer,
                // The keeper panicked: the host waits in vain and says "undecided", which it is.
                Some(Err(e)) => {
                    tracing::error!(instance = self.instance, "the keeper of the log failed: {e}");
                }
                None => return std::future::pending().await,
            }
        }
    }
}
