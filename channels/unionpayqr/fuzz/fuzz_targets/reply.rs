//! Any answer: no panic, no seal forged; and any fields at all, even sealed ones, never approve another merchant, order or
//! amount. The checks are [`check`], which the crate's tests run over the seeds and over random bodies too.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/property/mod.rs"]
mod property;

fuzz_target!(|body: &[u8]| property::check(body));
