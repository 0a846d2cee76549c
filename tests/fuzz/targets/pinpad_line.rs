//! Whatever a pad says: a request ends at most once.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_driver_pinpad::wire::Wire;
use till_plugin::driver::PinRequest;
use till_plugin::{Currency, Money, Sensitive};

pub(crate) fn run(data: &[u8]) {
    let mut wire = Wire::default();
    let request = PinRequest {
        pan: Sensitive::new("6200000000000005".into()),
        amount: Money::new(1, Currency::CNY),
        format: if data.len().is_multiple_of(2) { 0 } else { 4 },
        key: "pin".into(),
        timeout_ms: 30_000,
    };
    wire.ask(0, &request).unwrap();
    let mut ends = 0;
    wire.push(data, |_| ends += 1);
    assert!(ends <= 1 && (ends == 1) != wire.waits());
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
