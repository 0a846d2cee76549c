//! Reports and frames of readers, built field by field from the layouts in devices.md.
#![allow(dead_code, reason = "each test program uses its part")]

use till_driver_magstripe::msr::MsrLayout;
use till_hid::Descriptor;

/// Lengths and three tracks of 112 bytes, as in the shared vectors.
pub(crate) const MSR: &str =
    "058e0901a101150026ff00750895010911810209128102091381029570092182020195700922820201957009238202 01c0";

pub(crate) fn layout(hex_text: &str) -> MsrLayout {
    let bytes = hex::decode(hex_text.replace(' ', "")).unwrap();
    MsrLayout::new(&Descriptor::parse(&bytes).unwrap()).unwrap()
}

/// Settings for a reader that is no hidraw node.
pub(crate) fn settings(input: &str, more: &str) -> String {
    format!(r#"{{"input": "{input}", "report-descriptor": "{MSR}"{more}}}"#)
}

pub(crate) fn vector(file: &str, id: &str) -> Option<serde_json::Value> {
    let path = format!("{}/../../../shared/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared vectors");
        return None;
    };
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    all["cases"].as_array().unwrap().iter().find(|case| case["id"] == id).cloned()
}

fn put(report: &mut [u8], at: usize, bytes: &[u8]) {
    report[at..at + bytes.len()].copy_from_slice(bytes);
}

pub(crate) fn msr(one: &str, two: &str, three: &str) -> Vec<u8> {
    let mut report = vec![0; 339];
    for (n, track) in [one, two, three].into_iter().enumerate() {
        report[n] = u8::try_from(track.len()).unwrap();
        put(&mut report, 3 + n * 112, track.as_bytes());
    }
    report
}

/// MagTek's report as a reader without encryption fills it.
pub(crate) fn magtek_clear(one: &str, two: &str) -> Vec<u8> {
    let mut report = vec![0; 856];
    for (n, track) in [one, two].into_iter().enumerate() {
        report[3 + n] = u8::try_from(track.len()).unwrap();
        put(&mut report, 7 + n * 112, track.as_bytes());
    }
    report
}

/// A masked swipe with stand-ins for ciphertext (the driver never opens it).
#[derive(Clone)]
pub(crate) struct Encrypted {
    pub(crate) one: &'static str,
    pub(crate) two: &'static str,
    pub(crate) cipher: [usize; 3],
    pub(crate) ksn: [u8; 10],
    pub(crate) status: u16,
    pub(crate) unread: [u8; 3],
}

impl Encrypted {
    pub(crate) fn new(counter: u32) -> Self {
        let [_, high, mid, low] = counter.to_be_bytes();
        Self {
            one: "%B6200000000000005^TEST/CARD^30120000000000000?",
            two: ";6200000000000005=30120000000000?",
            cipher: [48, 40, 0],
            ksn: [0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0 | high, mid, low],
            status: 6,
            unread: [0; 3],
        }
    }

    pub(crate) fn magtek(&self) -> Vec<u8> {
        let mut report = vec![0; 856];
        put(&mut report, 0, &self.unread);
        for (n, length) in self.cipher.into_iter().enumerate() {
            report[3 + n] = u8::try_from(length).unwrap();
            put(&mut report, 7 + n * 112, &vec![0xC0 + u8::try_from(n).unwrap(); length.min(112)]);
        }
        put(&mut report, 493, &self.status.to_be_bytes());
        put(&mut report, 495, &self.ksn);
        for (n, masked) in [self.one, self.two].into_iter().enumerate() {
            report[505 + n] = u8::try_from(masked.len()).unwrap();
            put(&mut report, 508 + n * 112, masked.as_bytes());
        }
        report
    }

    /// ID TECH's frame: ciphertext as long as its masked track padded to eight.
    pub(crate) fn idtech(&self) -> Vec<u8> {
        let masked = [self.one, self.two];
        let mut counted = vec![0x80, 0x3F, 0, 0, 0, 0, 0x80];
        for (n, track) in masked.iter().enumerate() {
            counted[2 + n] = u8::try_from(track.len()).unwrap();
            if !track.is_empty() {
                counted[5] |= 1 << n;
                counted[6] |= 1 << n;
            }
        }
        for track in masked {
            counted.extend(track.as_bytes());
        }
        for track in masked {
            counted.extend(vec![0xC0; track.len().next_multiple_of(8)]);
        }
        counted.extend(self.ksn);
        framed(&counted)
    }
}

pub(crate) fn framed(counted: &[u8]) -> Vec<u8> {
    let mut frame = vec![2];
    frame.extend(u16::try_from(counted.len()).unwrap().to_le_bytes());
    frame.extend(counted);
    frame.push(counted.iter().fold(0, |lrc, b| lrc ^ b));
    frame.push(counted.iter().fold(0_u8, |sum, b| sum.wrapping_add(*b)));
    frame.push(3);
    frame
}

pub(crate) fn idtech_clear(one: &str, two: &str) -> Vec<u8> {
    let lengths = [one, two].map(|track| u8::try_from(track.len()).unwrap());
    let head = [0x83, 0x3F, lengths[0], lengths[1], 0, 3, 0];
    framed(&[&head[..], one.as_bytes(), two.as_bytes()].concat())
}
