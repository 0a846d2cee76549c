//! What follows a payment: parts, holds, voids, refunds, top-ups, returns, people's decisions.

#![allow(clippy::expect_used)]

#[path = "../samples/mod.rs"]
mod samples;

mod holds;
mod parts;
mod people;
mod returns;
mod scene;
mod top_ups;
