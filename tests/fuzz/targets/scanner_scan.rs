//! Bytes to codes, under every framing, cut anywhere: never a panic, and the cuts change nothing.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::time::Duration;

use till_driver_scanner::aim;
use till_driver_scanner::assemble::{Assembler, Framing, ScanFault, Suffix};
use till_driver_scanner::code::{self, AimPolicy, Charset};

fn scans(framing: &Framing, data: &[u8], chunk: usize) -> Vec<Result<Vec<u8>, ScanFault>> {
    let mut assembler = Assembler::new(framing.clone());
    let mut found = Vec::new();
    for part in data.chunks(chunk) {
        assembler.push(part, Duration::ZERO, |scan| found.push(scan.map(<[u8]>::to_vec)));
    }
    assembler.idle(|scan| found.push(scan.map(<[u8]>::to_vec)));
    found
}

pub(crate) fn run(data: &[u8]) {
    let Some((&head, data)) = data.split_first() else { return };
    let suffix = match head & 3 {
        0 => Suffix::Enter,
        1 => Suffix::Silence,
        2 => Suffix::Bytes(b"\r\n".to_vec()),
        _ => Suffix::Bytes(b"\x03".to_vec()),
    };
    let prefix = if head & 4 == 0 { Vec::new() } else { vec![2] };
    let framing = Framing { suffix, prefix, max: 64 + usize::from(head), ..Framing::default() };
    let whole = scans(&framing, data, usize::MAX);
    assert_eq!(scans(&framing, data, 1 + usize::from(head >> 3)), whole);
    for scan in whole.iter().flatten() {
        for charset in [Charset::Utf8, Charset::Gb18030, Charset::Latin1] {
            let _ = code::read(scan, AimPolicy::Auto, charset);
        }
        let _ = aim::identify(scan);
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
