//! HID reports to scans: the first byte is the length of each read, the rest is what came. Never a panic, never more than the
//! limit, and behind silence a whole code is read as itself.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_driver_scanner::code::{AimPolicy, Charset, read};
use till_driver_scanner::hidpos::{PosLayout, PosReader};
use till_hid::Descriptor;

const SCANNER: &[u8] = b"\x05\x8c\x09\x02\xa1\x01\x85\x02\x75\x08\x95\x01\x09\xfb\x81\x02\x09\xfc\x81\x02\x09\xfd\x81\x02\x95\x38\x09\xfe\x82\x02\x01\x75\x01\x95\x01\x09\xff\x81\x02\x95\x07\x81\x03\xc0";

pub(crate) fn run(data: &[u8]) {
    let Some((size, data)) = data.split_first() else { return };
    let Some(layout) = Descriptor::parse(SCANNER).ok().and_then(|d| PosLayout::new(&d)) else {
        panic!("the descriptor is good");
    };
    let mut reader = PosReader::new(layout, 300, true);
    for report in data.chunks(usize::from(*size).max(1)) {
        reader.push(report, |scan| {
            if let Ok(scan) = scan {
                assert!(!scan.is_empty() && scan.len() <= 300);
                let _ = read(scan, AimPolicy::Auto, Charset::Gb18030);
            }
        });
    }
    reader.idle(|scan| assert!(scan.is_err()));
    let mut whole = [0; 61];
    whole[0] = 2;
    whole[4] = b'7';
    let mut seen = 0;
    reader.push(&whole, |scan| seen += usize::from(scan == Ok(b"7".as_slice())));
    assert_eq!(seen, 1);
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
