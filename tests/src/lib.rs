//! The whole till for tests and the demo: a private bus, simulated networks and devices, and the real `tilld`.
//!
//! [`Rig`] starts the simulators in this process and `tilld` as the program it is, with real plugin hosts and `.so`
//! files, on a directory of its own. It can kill any of them and start them again. [`Client`] is a front-end.

pub mod books;
pub mod client;
mod cut_off;
pub mod login1;
pub mod memory;
mod mortal;
pub mod polkit;
pub mod rig;
pub mod scene;
pub mod search;
pub mod staging;
pub mod stranger;
pub mod tap;
pub mod wall;
pub mod wallets;
pub mod watch;

pub use client::{Client, PaymentClient};
pub use rig::{Rig, RigError, RigOptions};
pub use watch::Watch;
