//! The protocol between the daemon and a plugin host: frames of postcard over a stream socket.
//!
//! A frame is a little-endian `u32` length and that many bytes of one [`ToHost`] or [`FromHost`]. Lengths over
//! [`MAX_FRAME`] end the connection. Requests carry ids; replies may come in any order. Because bytes are all that
//! crosses, the other end need not be written in Rust, nor be a `.so` at all.
//!
//! Evolution: [`PROTOCOL`] names the frame set and never changes meaning. Calls are numbered ([`method`]), events are
//! numbered ([`event`]), services are numbered ([`service`]); a message type never changes once released, a changed one
//! gets a new number. Golden bytes in this crate's tests hold that.

pub mod frame;
pub mod message;
pub mod service;
pub mod traffic;

pub use frame::{FrameBuffer, FrameError, encode_frame};
pub use message::{Create, FromHost, Hello, Layer, ToHost};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{ErrorCode, PluginError};

/// The frame set.
pub const PROTOCOL: u32 = 1;

/// Longest frame, bytes. A receipt is a few KiB; a flood or a wild length is refused before memory is taken.
pub const MAX_FRAME: usize = 256 * 1024;

/// Longest read a plugin can ask of its transport at once, bytes.
pub const MAX_READ: usize = 64 * 1024;

/// Largest total of an instance's stored values, bytes.
pub const MAX_STORE: usize = 64 * 1024;

/// Longest entry of an instance's log, bytes.
pub const MAX_LOG_ENTRY: usize = 2 * 1024;

/// Most entries that one read of an instance's log gives; a frame holds that many of the longest.
pub const MAX_LOG_PAGE: usize = 64;

/// Call numbers. The high byte is the area: 0 common, 1 drivers, 2 channels.
pub mod method {
    /// `() -> DriverDescription | ChannelDescription`
    pub const DESCRIBE_1: u32 = 0x0001;
    /// `() -> Vec<(String, u64)>`
    pub const STATISTICS_1: u32 = 0x0002;
    /// `HealthLevel -> Health`
    pub const HEALTH_1: u32 = 0x0100;
    /// `EnableRequest -> ()`
    pub const ENABLE_1: u32 = 0x0101;
    /// `() -> ()`
    pub const DISABLE_1: u32 = 0x0102;
    /// `PrintJob -> ()`
    pub const PRINT_1: u32 = 0x0110;
    /// `u64 -> ()`
    pub const CANCEL_PRINT_1: u32 = 0x0111;
    /// `OpenDrawer -> ()`
    pub const OPEN_DRAWER_1: u32 = 0x0120;
    /// `ShowContent -> ()`
    pub const SHOW_1: u32 = 0x0130;
    /// `Signal -> ()`
    pub const SIGNAL_1: u32 = 0x0140;
    /// `Sentence -> ()`
    pub const SAY_1: u32 = 0x0141;
    /// `Announcement -> ()`
    pub const SAY_2: u32 = 0x0142;
    /// `PinRequest -> ()`
    pub const ENTER_PIN_1: u32 = 0x0150;
    /// `SignIn -> SignedIn`
    pub const SIGN_IN_1: u32 = 0x0200;
    /// `() -> ()`
    pub const SIGN_OFF_1: u32 = 0x0201;
    /// `Authorise -> Result<Prepared, Decline>`
    pub const PREPARE_1: u32 = 0x0210;
    /// `(Authorise, Prepared) -> Outcome`
    pub const AUTHORISE_1: u32 = 0x0211;
    /// `FollowUp -> QueryOutcome`
    pub const QUERY_1: u32 = 0x0212;
    /// `(FollowUp, UndoReason) -> UndoOutcome`
    pub const UNDO_1: u32 = 0x0213;
    /// Retired: `Capture -> Outcome`
    pub const CAPTURE_1: u32 = 0x0220;
    /// Retired: `Void -> Outcome`
    pub const VOID_1: u32 = 0x0221;
    /// Retired: `Refund -> Outcome`
    pub const REFUND_1: u32 = 0x0222;
    /// Retired: `Refund -> QueryOutcome`
    pub const QUERY_REFUND_1: u32 = 0x0223;
    /// `() -> Vec<LegRule>`
    pub const LEG_RULES_1: u32 = 0x0224;
    /// `Follow -> Result<Prepared, Decline>`
    pub const PREPARE_FOLLOW_1: u32 = 0x0225;
    /// `(Follow, Prepared) -> Outcome`
    pub const FOLLOW_1: u32 = 0x0226;
    /// `(Follow, FollowUp) -> QueryOutcome`
    pub const QUERY_FOLLOW_1: u32 = 0x0227;
    /// `Settle -> SettleOutcome`
    pub const SETTLE_1: u32 = 0x0230;
    /// Retired: `Upload -> Outcome` without the records' recovery data
    pub const UPLOAD_1: u32 = 0x0231;
    /// `Upload -> Outcome`
    pub const UPLOAD_2: u32 = 0x0232;
    /// `Authorise -> Result<Money, Decline>`
    pub const BALANCE_1: u32 = 0x0240;
    /// `() -> Health`
    pub const PROBE_1: u32 = 0x0241;
    /// `Account -> Result<Prepared, Decline>`
    pub const PREPARE_ACCOUNT_1: u32 = 0x0250;
    /// `Account -> AccountOutcome`
    pub const ACCOUNT_1: u32 = 0x0251;
    /// `FollowUp -> QueryOutcome`
    pub const QUERY_ACCOUNT_1: u32 = 0x0252;
}

/// Event numbers.
pub mod event {
    /// A [`crate::driver::DriverEvent`].
    pub const DRIVER_1: u32 = 1;
    /// A [`crate::channel::ChannelEvent`].
    pub const CHANNEL_1: u32 = 2;
}

/// Encodes a message.
pub fn encode<T: Serialize + ?Sized>(message: &T) -> Result<Vec<u8>, PluginError> {
    postcard::to_stdvec(message)
        .map_err(|e| PluginError::new(ErrorCode::Internal, format!("a message cannot be encoded: {e}")))
}

/// Decodes a message; bytes left over are an error.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, PluginError> {
    let bad = |what: &str| {
        PluginError::new(ErrorCode::BadRequest, format!("a message of {} bytes {what}", bytes.len()))
    };
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(bad("has bytes left over")),
        Err(_) => Err(bad("cannot be decoded")),
    }
}
