//! Any bytes as a snapshot of the whole state, behind its version: read or refused, written and read the same, and a record on
//! top of it is folded in.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_core::till::SNAPSHOT_VERSION;
use till_core::{Record, Till};

pub(crate) fn run(data: &[u8]) {
    let _ = Till::from_snapshot(data);
    // Without the version: a seed outlives the next one, as far as its layout does.
    let bytes = [&[SNAPSHOT_VERSION], data].concat();
    let Ok(mut till) = Till::from_snapshot(&bytes) else { return };
    let written = till.to_snapshot().expect("what was read can be written");
    assert!(Till::from_snapshot(&written).as_ref() == Ok(&till), "another state comes back");
    till.apply(1, 1_790_000_000_000, &Record::TrainingSet { on: true, operator: "01".into() });
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
