//! Payment channel: Alipay face-to-face payment (当面付).
//!
//! Protocol modules are bytes in, values out: [`sign`], [`seal`], [`papers`], [`reply`], [`calls`], [`codes`], [`outcome`]. [`link`] is
//! the connection, [`plugin`] the shell that gives it all to the SDK; what every wallet needs is in [`till_wallet`]. The README
//! says what is claimed and what is not.

pub mod calls;
pub mod codes;
mod exchange;
pub mod link;
pub mod mode;
pub mod outcome;
pub mod papers;
pub mod plugin;
pub mod reply;
pub mod seal;
pub mod settings;
pub mod sign;

pub use till_wallet::{amount, http};
