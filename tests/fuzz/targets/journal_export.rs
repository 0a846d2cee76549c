//! Any file as an export of the journal: read or refused with its line. Without the key none is authentic, and what is checked
//! without one has as many records as it says, or fewer by those it says are withheld.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_journal::{DeviceKey, verify_export};

pub(crate) fn run(data: &[u8]) {
    // The seeds are made with another.
    let key = DeviceKey::new(&std::hint::black_box([1; 32]));
    assert!(verify_export(data, Some(&key)).is_err(), "an export was forged");
    let Ok(summary) = verify_export(data, None) else { return };
    assert!(!summary.authenticated && summary.withheld <= summary.records);
    assert_eq!(summary.records, summary.last - summary.first + 1);
    assert!(summary.records <= data.split(|byte| *byte == b'\n').count() as u64);
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
