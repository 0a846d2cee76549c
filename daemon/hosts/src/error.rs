//! Why a call has no answer, and why a host ended.

use std::fmt;
use std::time::Duration;

use till_plugin::channel::{Decline, DeclineClass, Outcome, Unknown, UnknownReason};
use till_plugin::{ErrorCode, PluginError};

/// Why a call to a plugin has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The instance was not running, or ended before the call was sent. **Nothing was sent.**
    #[error("{instance} is not running: {why}")]
    NotRunning {
        /// Instance id.
        instance: String,
        /// Its state in one line.
        why: String,
    },
    /// Another call held the plugin for the whole timeout. **Nothing was sent.**
    #[error("{instance} is busy: an earlier call took the whole {waited:?} that this one could wait")]
    Busy {
        /// Instance id.
        instance: String,
        /// How long the call waited for its turn.
        waited: Duration,
    },
    /// It was cancelled before its turn came. **Nothing was sent.**
    #[error("the call to {instance} was cancelled before its turn came")]
    Cancelled {
        /// Instance id.
        instance: String,
    },
    /// The request is too big for a frame. **Nothing was sent.**
    #[error("a request of {length} bytes to {instance} does not fit into a frame")]
    TooBig {
        /// Instance id.
        instance: String,
        /// Bytes of the request.
        length: usize,
    },
    /// The plugin answered with an error.
    #[error("{instance}: {error}")]
    Refused {
        /// Instance id.
        instance: String,
        /// What it said.
        error: PluginError,
    },
    /// The plugin's process ended while the call ran: what it did is **unknown**.
    #[error("{instance} ended during the call: {failure}")]
    Died {
        /// Instance id.
        instance: String,
        /// How it ended.
        failure: Failure,
    },
    /// The plugin did not answer by the deadline and was killed: what it did is **unknown**.
    #[error("{instance} did not answer within {after:?} and was killed")]
    TimedOut {
        /// Instance id.
        instance: String,
        /// The deadline.
        after: Duration,
    },
    /// The reply is not the message that the method has: what it did is **unknown**.
    #[error(
        "{instance} answered method {method:#06x} with {length} bytes that are not its reply: update the plugin"
    )]
    BadReply {
        /// Instance id.
        instance: String,
        /// [`till_plugin::proto::method`].
        method: u32,
        /// Length of the reply, bytes.
        length: usize,
    },
}

impl HostError {
    /// Whether the call certainly had no effect outside this machine. False means unknown.
    ///
    /// A plugin's own error counts as "nothing" only where the SDK's dispatcher gives it before the author's code runs
    /// (unknown method, undecodable request); a panic or an internal error may come after the first byte was sent.
    pub const fn nothing_happened(&self) -> bool {
        match self {
            Self::NotRunning { .. } | Self::Busy { .. } | Self::Cancelled { .. } | Self::TooBig { .. } => {
                true
            }
            Self::Refused { error, .. } => {
                matches!(error.code, ErrorCode::Unsupported | ErrorCode::BadRequest)
            }
            Self::Died { .. } | Self::TimedOut { .. } | Self::BadReply { .. } => false,
        }
    }

    /// What a money call that ended so is: `NotSent` or `Unknown`, never a decline.
    pub fn as_outcome(&self) -> Outcome {
        if self.nothing_happened() {
            Outcome::NotSent(Decline::local(DeclineClass::Channel, self.code(), self.to_string()))
        } else {
            Outcome::Unknown(Unknown::new(UnknownReason::PluginDied, self.to_string()))
        }
    }

    /// Lower-kebab name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotRunning { .. } => "plugin-not-running",
            Self::Busy { .. } => "plugin-busy",
            Self::Cancelled { .. } => "cancelled",
            Self::TooBig { .. } => "request-too-big",
            Self::Refused { .. } => "plugin-refused",
            Self::Died { .. } => "plugin-died",
            Self::TimedOut { .. } => "plugin-timed-out",
            Self::BadReply { .. } => "plugin-bad-reply",
        }
    }
}

/// How a host ended, for people: one line, and the last lines that its process wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Class.
    pub kind: FailureKind,
    /// One line: what happened and what to do.
    pub reason: String,
    /// Last lines of its standard error, redacted, oldest first; at most 20 of 200 bytes.
    pub last_lines: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Class of a [`Failure`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The transport could not be opened. Not the plugin's fault.
    Transport,
    /// The transport went away under the plugin, or its device does not answer. Not the plugin's fault.
    Gone,
    /// The host process could not be started.
    Spawn,
    /// The host refuses the plugin file (not a plugin, wrong generation, unsafe permissions). Stays until changed.
    Refused,
    /// The plugin refuses its settings or misses a secret. Stays until changed.
    Settings,
    /// The plugin could not make its instance.
    Create,
    /// The plugin panicked.
    Panicked,
    /// The plugin ended its instance with an error.
    Ended,
    /// The process exited with this status.
    Exited(i32),
    /// The process was ended by this signal.
    Signalled(i32),
    /// A call did not return by its deadline; killed.
    TimedOut,
    /// The process does not answer, or its poll does not return; killed.
    Unresponsive,
    /// Too many events; killed.
    Flood,
    /// It broke the frame protocol; killed.
    Protocol,
}

impl FailureKind {
    /// Lower-kebab name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::Gone => "gone",
            Self::Spawn => "spawn",
            Self::Refused => "refused",
            Self::Settings => "settings",
            Self::Create => "create",
            Self::Panicked => "panicked",
            Self::Ended => "ended",
            Self::Exited(_) => "exited",
            Self::Signalled(_) => "signalled",
            Self::TimedOut => "timed-out",
            Self::Unresponsive => "unresponsive",
            Self::Flood => "flood",
            Self::Protocol => "protocol",
        }
    }

    /// What the supervisor does after it.
    pub(crate) const fn remedy(self) -> Remedy {
        match self {
            Self::Transport | Self::Gone => Remedy::WaitForDevice,
            Self::Refused | Self::Settings => Remedy::WaitForPerson,
            _ => Remedy::Respawn,
        }
    }
}

/// What follows a failure.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Open the transport again, with back-off; not counted against the plugin.
    WaitForDevice,
    /// Nothing helps until somebody changes something and asks for a restart.
    WaitForPerson,
    /// Start it again, with back-off; counted towards quarantine.
    Respawn,
}
