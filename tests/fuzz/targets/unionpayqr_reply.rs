//! Any answer: no panic, no seal forged; and any fields at all, even sealed ones, never approve another merchant, order or
//! amount. The checks are the channel's own, which its property tests ask of random bodies.
#![cfg_attr(feature = "libfuzzer", no_main)]

#[path = "../../../channels/unionpayqr/tests/property/mod.rs"]
mod property;

pub(crate) fn run(body: &[u8]) {
    property::check(body);
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
