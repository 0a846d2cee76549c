//! `till-plugin`: everything a plugin author needs, and nothing of the daemon.
//!
//! A driver implements [`Driver`], a channel implements [`Channel`], and one line exports it:
//!
//! ```ignore
//! till_plugin::export_driver!(MyScanner, id = "org.example.scanner");
//! ```
//!
//! The crate is built as `cdylib` (and `rlib` for its own tests), ships a `manifest.toml` ([`manifest::Manifest`]), and
//! runs in a process of its own, `till-plugin-host`. Calls are blocking, from one thread, with a deadline. There is no
//! async runtime, no D-Bus and no journal in that process; services come through [`Host`].

pub mod bus;
pub mod channel;
pub mod document;
pub mod driver;
pub mod error;
#[doc(hidden)]
pub mod export;
pub mod host;
pub mod instrument;
pub mod manifest;
pub mod money;
pub mod proto;
pub mod sensitive;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use channel::Channel;
pub use driver::Driver;
pub use error::{ErrorCode, PluginError};
pub use host::{Host, Settings};
pub use instrument::{Family, Instrument};
pub use money::{Currency, Money};
pub use sensitive::Sensitive;

/// The frozen binary contract, for the host process.
pub use till_plugin_abi1 as abi;

/// Small additions to a message: lower-kebab key to text. A receiver ignores keys it does not know.
pub type Extra = std::collections::BTreeMap<String, String>;

/// Version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Compiler of this build.
pub const RUSTC: &str = env!("TILL_PLUGIN_RUSTC");
/// Target of this build.
pub const TARGET: &str = env!("TILL_PLUGIN_TARGET");
