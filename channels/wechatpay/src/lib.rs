//! Payment channel: WeChat Pay (微信支付). The customer's code is scanned, or the till shows one.
//!
//! Protocol modules are bytes in, values out: [`ask`], [`seal`], [`resource`], [`v3`], [`v2`], [`reply`], [`codes`],
//! [`outcome`]. [`api`] makes single exchanges by either interface, [`plugin`] is the shell that gives it all to the SDK; what
//! every wallet needs is in [`till_wallet`]. The README says what is claimed and what is not.

pub mod api;
pub mod ask;
pub mod codes;
mod open;
pub mod outcome;
pub mod plugin;
pub mod reply;
pub mod resource;
pub mod seal;
pub mod settings;
pub mod v2;
pub mod v3;
