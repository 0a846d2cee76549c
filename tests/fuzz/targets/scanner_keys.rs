//! Event bytes to typed symbols: never a panic, and reads may be cut anywhere.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_wedge::{CapsLock, Layout, Wedge};

pub(crate) fn run(data: &[u8]) {
    for (layout, caps) in [(Layout::Bits64, CapsLock::Apply), (Layout::Bits32, CapsLock::Ignore)] {
        let typed = |chunk: usize| {
            let mut wedge = Wedge::new(layout, caps);
            let mut all = Vec::new();
            for part in data.chunks(chunk) {
                wedge.push(part, |typed| all.push(typed));
            }
            all
        };
        assert!(typed(usize::MAX) == typed(5));
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
