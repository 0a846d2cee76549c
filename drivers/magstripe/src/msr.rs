//! HID POS stripe readers (usage page 8Eh): a length and a buffer for each track, where the report descriptor says.
//!
//! Source: HID Point of Sale Usage Tables 1.02, magnetic stripe readers: 11h to 13h the lengths, 21h to 23h the data.

use till_hid::{Descriptor, Kind, Place, ReportFault, Usage, usage};

use crate::card::Tracks;
use crate::track::{Track, TrackFault};

const TRACKS: [(Track, u16); 3] = [(Track::One, 1), (Track::Two, 2), (Track::Three, 3)];

/// Where the tracks stand in the reader's report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MsrLayout {
    tracks: Vec<(Track, Place, Place)>,
}

impl MsrLayout {
    /// From a descriptor that has at least one track with its length.
    pub fn new(descriptor: &Descriptor) -> Option<Self> {
        let of = |id| Usage { page: usage::STRIPE, id };
        let mut report = None;
        let mut tracks = Vec::new();
        for (track, number) in TRACKS {
            let Some(data) = descriptor.find(Kind::Input, of(0x20 + number)) else { continue };
            // All tracks of a swipe are in one report: what stands in another is of another swipe.
            if *report.get_or_insert(data.report) != data.report {
                continue;
            }
            let Some(length) = descriptor.find_in(Kind::Input, data.report, of(0x10 + number)) else {
                continue;
            };
            tracks.push((track, length, data));
        }
        if tracks.is_empty() { None } else { Some(Self { tracks }) }
    }

    /// The tracks of a report; `None` where it is another report of the device's.
    pub fn read(&self, report: &[u8]) -> Result<Option<Tracks>, ReportFault> {
        if !self.tracks.first().is_some_and(|(_, _, data)| data.is_in(report)) {
            return Ok(None);
        }
        let mut tracks = Tracks::default();
        for (track, length, data) in &self.tracks {
            let (length, data) = (length.value(report, 0)? as usize, data.bytes(report)?);
            match data.get(..length) {
                Some([]) => {}
                Some(text) => tracks.add(*track, text),
                None => tracks.fail(*track, TrackFault::TooLong { length, max: data.len() }),
            }
        }
        Ok(Some(tracks))
    }
}
