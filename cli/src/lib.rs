//! The command line of tilld. `main` only starts this; what it prints is made by pure functions that tests hold.
//!
//! Exit codes: see [`exit`].

pub mod after;
pub mod args;
pub mod balance;
pub mod bill;
pub mod bundle;
pub mod cases;
mod channel;
mod command;
pub mod day;
pub mod doctor;
pub mod evidence;
pub mod exit;
pub mod fees;
pub mod follow;
pub mod json;
pub mod look;
pub mod maintenance;
pub mod merchant;
mod monitor;
mod offline;
mod pay;
pub mod prepaid;
pub mod receipt;
mod record;
pub mod redact;
mod secret_line;
mod session;
pub mod signal;
pub mod table;
pub mod view;
mod why;

pub use command::run;
