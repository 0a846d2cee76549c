//! Numbers and messages of the host services that a plugin calls through `HostV1::service`.

use serde::{Deserialize, Serialize};

use crate::host::Level;

/// `LogLine -> ()`
pub const LOG_1: u32 = 1;
/// `() -> Now`
pub const NOW_1: u32 = 2;
/// `u64 (ms) -> bool`
pub const SLEEP_1: u32 = 3;
/// `ReadRequest -> Result<Read, TransportError>`
pub const READ_1: u32 = 4;
/// `WriteRequest -> Result<(), WriteError>`
pub const WRITE_1: u32 = 5;
/// `String -> Option<Vec<u8>>`
pub const SECRET_1: u32 = 6;
/// `String -> Option<Vec<u8>>`
pub const LOAD_1: u32 = 7;
/// `(String, Vec<u8>) -> Result<(), StoreError>`
pub const STORE_1: u32 = 8;
/// `(u32, Vec<u8>) -> ()`
pub const EMIT_1: u32 = 9;
/// `() -> Option<u64> (ms)`
pub const REMAINING_1: u32 = 10;
/// `() -> bool`
pub const CANCELLED_1: u32 = 11;
/// `Vec<u8> -> Result<u64, LogError>`
pub const LOG_APPEND_1: u32 = 12;
/// `LogReadRequest -> Result<Vec<LogEntry>, LogError>`
pub const LOG_READ_1: u32 = 13;
/// `u64 -> Result<(), LogError>`
pub const LOG_TRIM_1: u32 = 14;

/// `() -> Result<i32, TransportError>`: a duplicate of the transport's descriptor, which belongs to the plugin
pub const TRANSPORT_FD_1: u32 = 15;

/// A log line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Severity.
    pub level: Level,
    /// The line.
    pub message: String,
}

/// A read.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRequest {
    /// At most this many bytes.
    pub max: u32,
    /// Wait at most this long for the first byte, ms.
    pub wait_ms: u64,
}

/// A write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteRequest {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Wait at most this long in total, ms.
    pub wait_ms: u64,
}

/// A read of the instance's log.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReadRequest {
    /// Entries after this one; 0: from the first.
    pub after: u64,
    /// At most this many.
    pub max: u32,
}
