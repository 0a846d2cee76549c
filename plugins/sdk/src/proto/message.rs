//! The frames of protocol 1.

use serde::{Deserialize, Serialize};

use crate::error::PluginError;
use crate::host::{Level, LogEntry, LogError, TransportInfo};
use crate::proto::traffic::{Masking, Piece};
use crate::sensitive::{Sensitive, wire};

/// From the daemon to a plugin host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToHost {
    /// Make the instance. Once, after [`FromHost::Hello`].
    Create(Create),
    /// Call the instance.
    Call {
        /// Given back in the reply.
        id: u64,
        /// [`super::method`].
        method: u32,
        /// Deadline from now, ms.
        timeout_ms: u32,
        /// The request message.
        payload: Vec<u8>,
    },
    /// The caller of this id no longer waits.
    Cancel {
        /// Id of the call.
        id: u64,
    },
    /// Are you there?
    Ping {
        /// Given back.
        nonce: u64,
    },
    /// Answer to [`FromHost::StorePut`].
    StoreDone {
        /// Id of the put.
        id: u64,
        /// Why it failed, or none.
        error: Option<String>,
    },
    /// Drop the instance and end.
    Stop,
    /// Answer to [`FromHost::LogAppend`].
    LogAppended {
        /// Id of the append.
        id: u64,
        /// Number of the entry, which is durable; or why not.
        result: Result<u64, LogError>,
    },
    /// Answer to [`FromHost::LogRead`].
    LogPage {
        /// Id of the read.
        id: u64,
        /// The entries, or why there are none.
        result: Result<Vec<LogEntry>, LogError>,
    },
    /// Answer to [`FromHost::LogTrim`].
    LogTrimmed {
        /// Id of the trim.
        id: u64,
        /// Done and durable, or why not.
        result: Result<(), LogError>,
    },
    /// Tell what passes the transport from now on ([`FromHost::Traffic`]), or stop telling.
    Record {
        /// What is kept of the bytes; `None`: stop.
        masking: Option<Masking>,
    },
}

/// Everything an instance is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// Settings as JSON.
    pub settings: String,
    /// Secrets that the manifest names and the configuration has.
    pub secrets: Vec<Secret>,
    /// The transport behind the inherited fd, if any.
    pub transport: Option<TransportInfo>,
    /// Stored values of earlier runs.
    pub store: Vec<(String, Vec<u8>)>,
}

/// A named secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// As the manifest names it.
    pub name: String,
    /// Its bytes.
    #[serde(with = "wire")]
    pub value: Sensitive<Vec<u8>>,
}

/// From a plugin host to the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromHost {
    /// The plugin is loaded and the sandbox is closed.
    Hello(Hello),
    /// The plugin cannot be loaded; the host ends.
    Refused {
        /// One line: which file, why, what to do.
        message: String,
    },
    /// The instance is made.
    Created {
        /// Its description message (`DESCRIBE_1`).
        description: Vec<u8>,
    },
    /// The instance could not be made; the host ends.
    CreateFailed(PluginError),
    /// Answer to a call.
    Reply {
        /// Id of the call.
        id: u64,
        /// The reply message or why there is none.
        result: Result<Vec<u8>, PluginError>,
    },
    /// Something happened.
    Event {
        /// [`super::event`].
        kind: u32,
        /// The event message.
        payload: Vec<u8>,
    },
    /// A log line.
    Log {
        /// Severity.
        level: Level,
        /// The line.
        message: String,
    },
    /// Answer to a ping.
    Pong {
        /// As sent.
        nonce: u64,
        /// How long the running call or poll has been running, ms; 0 when idle.
        busy_ms: u32,
    },
    /// Keep a value; answered by [`ToHost::StoreDone`] when durable.
    StorePut {
        /// Given back.
        id: u64,
        /// Name of the value.
        key: String,
        /// The value.
        value: Vec<u8>,
    },
    /// The instance is finished (device gone, panic); the host ends.
    Ended(PluginError),
    /// Append to the instance's log; answered by [`ToHost::LogAppended`] when durable.
    LogAppend {
        /// Given back.
        id: u64,
        /// The entry, at most [`super::MAX_LOG_ENTRY`] bytes.
        bytes: Vec<u8>,
    },
    /// Read the instance's log; answered by [`ToHost::LogPage`].
    LogRead {
        /// Given back.
        id: u64,
        /// Entries after this one; 0: from the first.
        after: u64,
        /// At most this many, and at most [`super::MAX_LOG_PAGE`].
        max: u32,
    },
    /// Entries of the instance's log are not needed any more; answered by [`ToHost::LogTrimmed`] when durable.
    LogTrim {
        /// Given back.
        id: u64,
        /// Up to and with this one.
        through: u64,
    },
    /// Something passed the transport while it is recorded.
    Traffic(Piece),
}

/// Who the host loaded and how it is confined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`super::PROTOCOL`].
    pub protocol: u32,
    /// Plugin id.
    pub plugin: String,
    /// Plugin version.
    pub version: String,
    /// SDK version it was built with.
    pub sdk: String,
    /// Compiler it was built with.
    pub rustc: String,
    /// Confinement, layer by layer.
    pub sandbox: Vec<Layer>,
}

/// A layer of confinement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// `no-new-privs`, `rlimits`, `no-dump`, `landlock`, `seccomp` …
    pub name: String,
    /// `full`, `partial: …`, `off: …`
    pub level: String,
}
