//! Batches, settlement and limits on the whole machine: S50, S64–S67, S72; I12, I13, I16, I19.

#![allow(clippy::expect_used, clippy::panic)]

#[path = "../samples/mod.rs"]
mod samples;

mod days;
mod fees;
mod fold;
mod postings;
mod settle;
mod shop;
mod slip;
