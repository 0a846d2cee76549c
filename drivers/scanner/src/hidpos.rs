//! HID POS scanners (usage page 8Ch): reports to scans.
//!
//! Source: HID Point of Sale Usage Tables 1.02, bar code scanners: FBh to FDh the symbology identifier, FEh the code in a
//! buffer, FFh that it goes on in the next report; 60h starts a reading and 5Fh prevents one. Where the descriptor names a
//! byte count (Generic Desktop 3Bh) it says how much of the buffer is code; elsewhere the zeros at its end are padding,
//! from which a code's own cannot be told.

use std::time::Duration;

use till_hid::{Descriptor, Kind, Place, ReportFault, Usage, usage};
use zeroize::{Zeroize, Zeroizing};

use crate::assemble::ScanFault;

/// The pause after which the rest of a code does not come any more: scanners send it a polling interval later (255 ms at most).
pub const PATIENCE: Duration = Duration::from_millis(300);

const fn scanner(id: u16) -> Usage {
    Usage { page: usage::SCANNER, id }
}

/// Where a scanner's report holds what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PosLayout {
    data: Place,
    count: Option<Place>,
    identifier: Option<[Place; 3]>,
    continued: Option<Place>,
}

/// What one report holds.
struct Part<'a> {
    identifier: [u8; 3],
    code: &'a [u8],
    continued: bool,
}

impl PosLayout {
    /// From a descriptor that has decoded data.
    pub fn new(descriptor: &Descriptor) -> Option<Self> {
        let data = descriptor.find(Kind::Input, scanner(0xFE))?;
        let beside = |usage| descriptor.find_in(Kind::Input, data.report, usage);
        let identifier = match [0xFB, 0xFC, 0xFD].map(|id| beside(scanner(id))) {
            [Some(one), Some(two), Some(three)] => Some([one, two, three]),
            _ => None,
        };
        Some(Self { count: beside(usage::BYTE_COUNT), identifier, continued: beside(scanner(0xFF)), data })
    }

    /// `None` where it is another report of the device's.
    fn read<'a>(&self, report: &'a [u8]) -> Result<Option<Part<'a>>, ReportFault> {
        if !self.data.is_in(report) {
            return Ok(None);
        }
        let data = self.data.bytes(report)?;
        let code = match &self.count {
            Some(count) => data.get(..count.value(report, 0)? as usize).ok_or(ReportFault::NotBytes)?,
            None => &data[..data.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1)],
        };
        let mut identifier = [0; 3];
        for (byte, place) in identifier.iter_mut().zip(self.identifier.iter().flatten()) {
            *byte = place.bytes(report)?.first().copied().unwrap_or(0);
        }
        let continued = self.continued.as_ref().map_or(Ok(false), |place| place.any(report))?;
        Ok(Some(Part { identifier, code, continued }))
    }
}

/// Collects reports into scans. Memory is one buffer of fixed size, wiped after each.
pub struct PosReader {
    layout: PosLayout,
    held: Zeroizing<Vec<u8>>,
    max: usize,
    with_identifier: bool,
    /// Bytes of `held` that are the identifier.
    front: usize,
    pending: bool,
    swallow: bool,
}

impl PosReader {
    /// A reader with nothing held. `max`: most bytes of one code; `with_identifier`: whether the symbology identifier is put
    /// before the code, as a scanner on a line sends it.
    pub fn new(layout: PosLayout, max: usize, with_identifier: bool) -> Self {
        let held = Zeroizing::new(Vec::with_capacity(max));
        Self { layout, held, max, with_identifier, front: 0, pending: false, swallow: false }
    }

    /// Whether a code goes on in a report that has not come.
    pub const fn pending(&self) -> bool {
        self.pending
    }

    /// Feeds one report; `sink` gets the scan that it completes.
    pub fn push(&mut self, report: &[u8], mut sink: impl FnMut(Result<&[u8], ScanFault>)) {
        let Part { identifier, code, continued } = match self.layout.read(report) {
            Ok(Some(read)) => read,
            Ok(None) => return,
            Err(_) => {
                // What it was a part of cannot be whole any more.
                self.reset();
                sink(Err(ScanFault::BadReport));
                return;
            }
        };
        if !self.pending && self.with_identifier && identifier[0] == b']' {
            self.held.extend_from_slice(&identifier);
            self.front = identifier.len();
        }
        if !self.swallow && self.held.len() + code.len() > self.max {
            self.held.zeroize();
            self.swallow = true;
            sink(Err(ScanFault::TooLong { max: self.max }));
        }
        if !self.swallow {
            self.held.extend_from_slice(code);
        }
        self.pending = continued;
        if !continued {
            if !self.swallow {
                sink(if self.held.len() == self.front { Err(ScanFault::Empty) } else { Ok(&self.held) });
            }
            self.reset();
        }
    }

    /// The rest of a code did not come for [`PATIENCE`].
    pub fn idle(&mut self, mut sink: impl FnMut(Result<&[u8], ScanFault>)) {
        let cut = self.pending && !self.swallow;
        self.reset();
        if cut {
            sink(Err(ScanFault::Unfinished));
        }
    }

    /// The code under way is not wanted: its rest is dropped in silence.
    pub fn discard(&mut self) {
        if self.pending {
            self.held.zeroize();
            self.swallow = true;
        }
    }

    /// Drops what is held.
    pub fn reset(&mut self) {
        self.held.zeroize();
        self.front = 0;
        self.pending = false;
        self.swallow = false;
    }
}
