//! Payment channel: UnionPay QR (银联二维码). The customer's code is scanned, or the till shows one.
//!
//! Protocol modules are bytes in, values out: [`ask`], [`message`], [`form`], [`reply`], [`codes`], [`outcome`], [`day`].
//! [`api`] makes single exchanges, [`plugin`] is the shell that gives it all to the SDK; what every wallet needs is in
//! [`till_wallet`]. The README says what is claimed and what is not.

pub mod api;
pub mod ask;
pub mod codes;
pub mod day;
pub mod form;
pub mod legs;
pub mod message;
pub mod outcome;
pub mod plugin;
pub mod reply;
pub mod settings;
mod undo;
