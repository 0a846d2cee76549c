//! Payment channel: cash.
//!
//! [`change`] reckons, [`plugin`] is the shell that gives it to the SDK. No network, no secrets, no card data.

pub mod change;
pub mod plugin;
