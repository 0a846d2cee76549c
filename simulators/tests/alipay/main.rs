//! The Alipay gateway simulator, driven by requests that are built here from the published rules (channels.md §2.1): a
//! till's client must meet the same gateway that these tests describe.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)] // helpers of tests

mod certificates;
mod client;
mod faulty;
mod flows;
mod https;
mod requests;
mod vectors;
