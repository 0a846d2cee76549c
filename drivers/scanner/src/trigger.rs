//! Starting and stopping a scanner, where it can be told to: by its HID output report, or by its maker's own bytes on a line.

use till_hid::{Descriptor, Kind, Place, Usage, usage};

/// How a scanner is started and stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trigger {
    /// It reads by itself, or by its own button.
    #[default]
    None,
    /// HID POS: start a reading (60h) and prevent readings (5Fh), whichever of them the scanner has.
    Hid {
        /// 60h.
        start: Option<Place>,
        /// 5Fh.
        prevent: Option<Place>,
    },
    /// Bytes of the maker's.
    Bytes {
        /// Sent when a payment waits for a code, and again after each code while it does.
        start: Vec<u8>,
        /// Sent when it does not any more.
        stop: Vec<u8>,
    },
}

impl Trigger {
    /// What a HID scanner's descriptor offers as output reports. Feature reports are not used.
    pub fn of(descriptor: &Descriptor) -> Self {
        let find = |id| descriptor.find(Kind::Output, Usage { page: usage::SCANNER, id });
        match (find(0x60), find(0x5F)) {
            (None, None) => Self::None,
            (start, prevent) => Self::Hid { start, prevent },
        }
    }

    /// What to write: each entry is one report, or bytes for a line.
    pub fn messages(&self, on: bool) -> Vec<Vec<u8>> {
        match self {
            Self::None => Vec::new(),
            Self::Bytes { start, stop } => {
                let bytes = if on { start } else { stop };
                if bytes.is_empty() { Vec::new() } else { vec![bytes.clone()] }
            }
            Self::Hid { start, prevent } => {
                let mut reports: Vec<(u8, Vec<u8>)> = Vec::new();
                // Preventing is lifted before a reading is started, where the two are in different reports.
                for (place, value) in [(prevent, !on), (start, on)] {
                    let Some(place) = place else { continue };
                    let known = reports.iter().position(|(id, _)| *id == place.report);
                    let slot = known.unwrap_or(reports.len());
                    if known.is_none() {
                        reports.push((place.report, place.empty_report()));
                    }
                    place.set(&mut reports[slot].1, value);
                }
                reports.into_iter().map(|(_, report)| report).collect()
            }
        }
    }
}
