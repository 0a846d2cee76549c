//! The SDK's calls, typed, over an [`Instance`](crate::Instance).

mod channel;
mod driver;

pub use channel::ChannelClient;
pub use driver::DriverClient;
