//! A HID POS scanner (usage page 8Ch): codes in reports, and a trigger that the till may pull.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::HidNode;
use crate::players::DeviceError;

/// Bytes of code in a report, as most scanners have it.
const ROOM: usize = 56;
const DATA_REPORT: u8 = 2;
const TRIGGER_REPORT: u8 = 4;
/// Bits of the trigger report: do not read; read now.
const PREVENT: u8 = 1;
const START: u8 = 1 << 1;

/// Scanned data (report 2): byte count, three identifier bytes, 56 bytes, a bit for "goes on" and seven of padding; triggers
/// (report 4): 5Fh prevent, 60h initiate, six of padding.
const DESCRIPTOR: &[u8] = &[
    0x05,
    0x8C,
    0x09,
    0x02,
    0xA1,
    0x01, // bar code scanner
    0x09,
    0x12,
    0xA1,
    0x02,
    0x85,
    DATA_REPORT, // scanned data report
    0x15,
    0x00,
    0x26,
    0xFF,
    0x00,
    0x75,
    0x08,
    0x95,
    0x01, //
    0x05,
    0x01,
    0x09,
    0x3B,
    0x81,
    0x02, // byte count
    0x05,
    0x8C,
    0x09,
    0xFB,
    0x81,
    0x02,
    0x09,
    0xFC,
    0x81,
    0x02,
    0x09,
    0xFD,
    0x81,
    0x02, // identifier
    0x95,
    0x38,
    0x09,
    0xFE,
    0x82,
    0x02,
    0x01, // decoded data
    0x25,
    0x01,
    0x75,
    0x01,
    0x95,
    0x01,
    0x09,
    0xFF,
    0x81,
    0x02,
    0x95,
    0x07,
    0x81,
    0x03, // continued
    0xC0,
    0x09,
    0x14,
    0xA1,
    0x02,
    0x85,
    TRIGGER_REPORT, // trigger report
    0x95,
    0x01,
    0x09,
    0x5F,
    0x91,
    0x02,
    0x09,
    0x60,
    0x91,
    0x02,
    0x95,
    0x06,
    0x91,
    0x03, //
    0xC0,
    0xC0,
];

/// What goes wrong with a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HidScanFault {
    /// The cable is pulled in the middle: of a long code behind its first report, of a short one in its report.
    Unplug {},
    /// A report of bytes that mean nothing comes before.
    Garbage {},
    /// The report of a code is this many bytes long.
    Length {
        /// Bytes sent, filled up with zeros.
        bytes: usize,
    },
    /// The byte count says more than there is room for.
    CountLie {},
    /// The reports behind the first never come.
    LostRest {},
    /// The same code again after a pause.
    Double {
        /// The pause, milliseconds.
        gap_ms: u64,
    },
}

/// The scanner did not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ScanRefused {
    /// The till has forbidden it, as while no payment waits.
    #[error("the till prevents readings: no payment waits for a code")]
    Prevented,
    /// Nobody has the scanner open.
    #[error("nobody has the scanner open: the code is lost")]
    Nobody,
}

/// A scanner. Dropping it unplugs it.
pub struct HidScanner {
    node: HidNode,
    /// One code at a time, as before a real window.
    hand: Mutex<()>,
}

/// Output reports that start a reading.
fn pulled(heard: &[Vec<u8>]) -> usize {
    let starts = |report: &&Vec<u8>| matches!(report.as_slice(), [TRIGGER_REPORT, bits] if bits & START != 0);
    heard.iter().filter(starts).count()
}

impl HidScanner {
    /// Listens at `path`.
    pub fn listen(path: &Path) -> Result<Self, DeviceError> {
        Ok(Self { node: HidNode::listen(path)?, hand: Mutex::new(()) })
    }

    /// The report descriptor in hex, for the till's `report-descriptor`.
    pub fn descriptor(&self) -> String {
        hex::encode(DESCRIPTOR)
    }

    /// The node, to wait at and to unplug.
    pub const fn node(&self) -> &HidNode {
        &self.node
    }

    /// Whether the till has pulled the trigger.
    pub fn triggered(&self) -> bool {
        self.trigger() & START != 0
    }

    /// How often the till has pulled the trigger.
    pub fn times_triggered(&self) -> usize {
        pulled(&self.node.heard())
    }

    /// Waits until the till has pulled the trigger for the `count`-th time; false after `timeout`.
    pub fn wait_triggered(&self, count: usize, timeout: Duration) -> bool {
        self.node.wait_heard(timeout, |heard| pulled(heard) >= count)
    }

    fn trigger(&self) -> u8 {
        self.node.last_heard(TRIGGER_REPORT).and_then(|report| report.get(1).copied()).unwrap_or(0)
    }

    /// Holds a code before the window; QR, as far as the identifier tells.
    pub fn scan(&self, code: impl AsRef<[u8]>, faults: &[HidScanFault]) -> Result<usize, ScanRefused> {
        let _one = self.hand.lock().unwrap_or_else(PoisonError::into_inner);
        if self.trigger() & PREVENT != 0 {
            return Err(ScanRefused::Prevented);
        }
        let mut tills = self.once(code.as_ref(), faults);
        for fault in faults {
            if let HidScanFault::Double { gap_ms } = fault {
                std::thread::sleep(Duration::from_millis(*gap_ms));
                tills = self.once(code.as_ref(), &[]);
            }
        }
        if tills == 0 && !faults.contains(&HidScanFault::Unplug {}) {
            Err(ScanRefused::Nobody)
        } else {
            Ok(tills)
        }
    }

    fn once(&self, code: &[u8], faults: &[HidScanFault]) -> usize {
        let mut tills = 0;
        if faults.contains(&HidScanFault::Garbage {}) {
            self.node.report(&[DATA_REPORT, 0xFF, 0x00, 0xA5, 0x5A]);
        }
        let parts: Vec<&[u8]> = if code.is_empty() { vec![&[]] } else { code.chunks(ROOM).collect() };
        for (n, part) in parts.iter().enumerate() {
            let mut report = vec![DATA_REPORT, u8::try_from(part.len()).unwrap_or(0), b']', b'Q', b'1'];
            report.extend_from_slice(part);
            report.resize(5 + ROOM, 0);
            report.push(u8::from(n + 1 < parts.len()));
            for fault in faults {
                match fault {
                    HidScanFault::Length { bytes } => report.resize(*bytes, 0),
                    HidScanFault::CountLie {} => report[1] = 0xFF,
                    HidScanFault::Unplug {} if parts.len() == 1 => report.truncate(20),
                    _ => {}
                }
            }
            tills = self.node.report(&report);
            if faults.contains(&HidScanFault::Unplug {}) {
                self.node.unplug();
                return 0;
            }
            if faults.contains(&HidScanFault::LostRest {}) {
                return tills;
            }
        }
        tills
    }
}
