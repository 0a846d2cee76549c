//! `tilld`: the payment-terminal service.
//!
//! * [`config`] reads and checks the configuration;
//! * [`till`] is the shell around the pure core: one actor that decides, makes durable, publishes and runs effects, and
//!   the tasks that watch channels, readers and the printer;
//! * [`bus`] serves it all on D-Bus;
//! * [`receipts`] as the merchant wants them;
//! * [`evidence`] of one payment for third parties;
//! * [`announce`]: maintenance that files and messages announce;
//! * [`merchant`]: what a merchant's password is compared with;
//! * [`secrets`], [`keys`], [`logging`], [`service`] are what a daemon needs besides.

pub mod announce;
pub mod bus;
pub mod config;
pub mod evidence;
pub mod keys;
pub mod logging;
pub mod merchant;
pub mod offline;
mod power;
pub mod receipts;
pub mod secrets;
pub mod service;
pub mod till;
