//! What an instance tells: state changes, plugin events, log lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use till_plugin::channel::ChannelEvent;
use till_plugin::driver::DriverEvent;
use till_plugin::host::Level;
use tokio::sync::mpsc;

use crate::error::Failure;

/// State of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstanceState {
    /// Opening the transport, starting the process, making the instance.
    Starting,
    /// Takes calls.
    Ready,
    /// The device is not there or does not answer; tried again after `retry`. Not the plugin's fault.
    Offline {
        /// Why.
        failure: Failure,
        /// Time from this change to the next try.
        retry: Duration,
    },
    /// It failed and is started again after `retry`.
    Backoff {
        /// Why.
        failure: Failure,
        /// Time from this change to the next try.
        retry: Duration,
    },
    /// It failed and stays so until something is changed and [`crate::Instance::restart`] is asked for (bad file, bad
    /// settings, missing secret).
    Failed {
        /// Why.
        failure: Failure,
    },
    /// It failed too often, in this run or an earlier one; stays so until released or its file is replaced.
    Quarantined {
        /// One line: why and what to do.
        reason: String,
    },
    /// Stopped on request.
    Stopped,
}

impl InstanceState {
    /// Lower-kebab name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Offline { .. } => "offline",
            Self::Backoff { .. } => "backoff",
            Self::Failed { .. } => "failed",
            Self::Quarantined { .. } => "quarantined",
            Self::Stopped => "stopped",
        }
    }

    /// One line for people; empty when all is well.
    pub fn reason(&self) -> &str {
        match self {
            Self::Starting | Self::Ready | Self::Stopped => "",
            Self::Offline { failure, .. } | Self::Backoff { failure, .. } | Self::Failed { failure } => {
                &failure.reason
            }
            Self::Quarantined { reason } => reason,
        }
    }
}

/// Something that an instance tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstanceEvent {
    /// Its state changed.
    State(InstanceState),
    /// From a driver.
    Driver(DriverEvent),
    /// From a channel.
    Channel(ChannelEvent),
    /// A call with this mark was answered without an error ([`crate::Instance::call_marked`]): what is told behind this
    /// happened after it, what was told before it did not.
    Answered {
        /// The caller's.
        mark: u64,
    },
    /// A log line of the plugin, redacted.
    Log {
        /// Severity.
        level: Level,
        /// The line.
        message: String,
    },
}

/// The events of one instance, in the order in which they happened. Must be read: plugin events that nobody reads pile up
/// to a bound and then end the host as a flood. State changes are never lost.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::UnboundedReceiver<InstanceEvent>,
    waiting: Arc<AtomicUsize>,
}

impl Events {
    /// The next event; `None` when the instance is stopped and all is read. Cancel safe.
    pub async fn next(&mut self) -> Option<InstanceEvent> {
        let event = self.receiver.recv().await?;
        self.count(&event);
        Some(event)
    }

    /// The next event if there is one now.
    pub fn try_next(&mut self) -> Option<InstanceEvent> {
        let event = self.receiver.try_recv().ok()?;
        self.count(&event);
        Some(event)
    }

    fn count(&self, event: &InstanceEvent) {
        if !matches!(event, InstanceEvent::State(_)) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The sending end of [`Events`].
#[derive(Debug)]
pub(crate) struct EventSender {
    sender: mpsc::UnboundedSender<InstanceEvent>,
    waiting: Arc<AtomicUsize>,
}

impl EventSender {
    /// A new stream.
    pub(crate) fn new() -> (Self, Events) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        (Self { sender, waiting: waiting.clone() }, Events { receiver, waiting })
    }

    /// Sends; a reader that went away is not an error.
    pub(crate) fn send(&self, event: InstanceEvent) {
        if !matches!(event, InstanceEvent::State(_)) {
            self.waiting.fetch_add(1, Ordering::Relaxed);
        }
        if self.sender.send(event).is_err() {
            self.waiting.store(0, Ordering::Relaxed);
        }
    }

    /// Plugin events and log lines that are not read yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}
