//! The supervisor with real host processes and real plugins, good and bad.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad;
mod bench;
mod calls;
mod follow;
mod good;
mod load;
mod orphan;
mod sandbox;
mod supervise;
mod transports;
mod udev;
