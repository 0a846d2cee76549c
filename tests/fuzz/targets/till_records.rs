//! Any bytes as the journal's records, each behind two bytes of length: decoded or refused, written and read the same; and
//! whatever records come in whatever order, the fold takes them, and its snapshot is the state.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_core::{Record, Till};
use till_fuzz::behind_lengths;

pub(crate) fn run(data: &[u8]) {
    let _ = Record::decode(data);
    let (mut till, mut seq) = (Till::new(), 0);
    for bytes in behind_lengths(data) {
        let Ok(record) = Record::decode(bytes) else { continue };
        let written = record.encode().expect("what was read can be written");
        assert_eq!(Record::decode(&written).as_ref(), Ok(&record));
        seq += 1;
        till.apply(seq, 1_790_000_000_000 + i64::from(bytes[0]), &record);
    }
    let snapshot = till.to_snapshot().expect("any state can be written");
    assert!(Till::from_snapshot(&snapshot).as_ref() == Ok(&till), "another state comes back");
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
