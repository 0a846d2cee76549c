//! The error that a plugin gives: typed, plain, with what to do next.

use serde::{Deserialize, Serialize};

/// Class of a [`PluginError`]; an open set.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The plugin does not do this operation.
    Unsupported,
    /// A setting is missing or wrong; the message names it.
    Settings,
    /// The message could not be decoded or makes no sense.
    BadRequest,
    /// The device or network end is gone (unplugged, closed).
    TransportGone,
    /// The device or network did not answer in time.
    Timeout,
    /// The call was cancelled by the daemon.
    Cancelled,
    /// The device answered with a fault.
    Hardware,
    /// The other end broke its protocol.
    Protocol,
    /// Not ready for this now (not signed in, not enabled, out of paper).
    NotReady,
    /// Busy with another operation.
    Busy,
    /// A secret that the manifest names is not configured.
    SecretMissing,
    /// The plugin panicked; the instance is finished.
    Panicked,
    /// Anything else inside the plugin.
    Internal,
}

impl ErrorCode {
    /// Lower-kebab name, as shown on D-Bus and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::Settings => "settings",
            Self::BadRequest => "bad-request",
            Self::TransportGone => "transport-gone",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Hardware => "hardware",
            Self::Protocol => "protocol",
            Self::NotReady => "not-ready",
            Self::Busy => "busy",
            Self::SecretMissing => "secret-missing",
            Self::Panicked => "panicked",
            Self::Internal => "internal",
        }
    }
}

/// Why a plugin could not do what it was asked. Never contains card data, codes or keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct PluginError {
    /// Class.
    pub code: ErrorCode,
    /// One line: what failed, on what, and what to do next.
    pub message: String,
}

impl PluginError {
    /// An error of a class with its line.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The operation does not exist in this plugin.
    pub fn unsupported(operation: &str) -> Self {
        Self::new(ErrorCode::Unsupported, format!("this plugin does not do {operation}"))
    }

    /// A setting is wrong.
    pub fn settings(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Settings, message)
    }
}
