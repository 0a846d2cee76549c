//! Payment channel: a single merchant's stored-value cards.
//!
//! [`ledger`] keeps the books, [`token`] turns a card's number into what the books may hold, [`validity`] reckons dates;
//! [`plugin`] is the shell that gives them to the SDK. No network; the log is the daemon's journal.

pub mod ledger;
pub mod log;
pub mod plugin;
mod recovery;
pub mod settings;
pub mod token;
pub mod validity;
mod words;
