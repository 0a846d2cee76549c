//! Payment channel: Alipay face-to-face payment (当面付).
//!
//! Protocol modules are bytes in, values out: [`sign`], [`reply`], [`amount`], [`calls`], [`codes`], [`outcome`],
//! [`http`]. [`link`] is the connection, [`plugin`] the shell that gives it all to the SDK. The README says what
//! is claimed and what is not.

pub mod amount;
pub mod calls;
pub mod codes;
mod der;
pub mod http;
pub mod link;
pub mod outcome;
pub mod plugin;
pub mod reply;
pub mod settings;
pub mod sign;
mod time;
mod words;
