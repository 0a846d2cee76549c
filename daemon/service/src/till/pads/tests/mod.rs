#![allow(clippy::unwrap_used)] // helpers of tests

mod desk;
mod time;
