//! Any bytes as a descriptor: never a panic, never a place beyond its report.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_hid::descriptor::MAX_REPORT;
use till_hid::{Descriptor, Kind, Usage};

pub(crate) fn run(data: &[u8]) {
    let Ok(descriptor) = Descriptor::parse(data) else { return };
    for page in [0x01, 0x8C, 0x8E, 0xFF00] {
        for id in 0..=0xFF {
            for kind in [Kind::Input, Kind::Output, Kind::Feature] {
                let Some(place) = descriptor.find(kind, Usage { page, id }) else { continue };
                assert!(place.report_bytes <= MAX_REPORT);
                let mut report = vec![0; place.report_bytes];
                if descriptor.numbered() {
                    report[0] = place.report;
                }
                assert!(place.size > 32 || place.value(&report, place.count - 1) == Ok(0));
                let mut out = place.empty_report();
                place.set(&mut out, true);
            }
        }
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
