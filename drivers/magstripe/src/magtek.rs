//! MagTek's swipe report over HID (vendor page FF00h, USB vendor 0801h).
//!
//! Layout: devices.md §1.1, from MagTek's public host library. One input report; its offsets are fixed, and a reader's own
//! descriptor names them by vendor usages only. A reader without keys, or with its encryption off, sends the tracks
//! in clear in the same places.

use thiserror::Error;
use till_plugin::instrument::EncryptedSwipe;

use crate::encrypted::Sealed;
use crate::track::Track;

/// Bytes of a report up to the end of what is read here (the absolute lengths).
pub const REPORT: usize = 856;
/// Bytes of one track's field.
const FIELD: usize = 112;
const STATUS: usize = 0;
const LENGTHS: usize = 3;
const TRACKS: [usize; 3] = [7, 119, 231];
const READER_STATUS: usize = 493;
const KSN: std::ops::Range<usize> = 495..505;
const MASKED_LENGTHS: usize = 505;
const MASKED: [usize; 3] = [508, 620, 732];
/// Digits that MagTek leaves clear in front; the mask behind them is of zeros.
const HEAD: usize = 4;

/// Bits of the reader's encryption status.
const EXHAUSTED: u16 = 1;
const ENCRYPTING: u16 = 1 << 2;

/// Why a report is no swipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MagtekFault {
    /// Shorter than the layout.
    #[error("the reader's report has {0} bytes, {REPORT} are needed: draw the card again, or check `input`")]
    Short(usize),
    /// A length goes beyond its field.
    #[error("the reader's report claims {length} bytes of {track}, {FIELD} fit: draw the card again")]
    Length {
        /// Which track.
        track: Track,
        /// As claimed.
        length: u8,
    },
    /// The reader has used up its keys.
    #[error("the card reader has used up its encryption keys: have new keys loaded")]
    Exhausted,
}

impl MagtekFault {
    /// Lower-kebab name, as it appears on D-Bus.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Short(_) | Self::Length { .. } => "bad-report",
            Self::Exhausted => "keys-exhausted",
        }
    }
}

/// What a report holds.
#[derive(Debug)]
pub enum Report<'a> {
    /// Ciphertext.
    Sealed(Sealed<'a>),
    /// Clear tracks 1 to 3, sentinels included; `None` where the reader could not read one.
    Clear([Option<&'a [u8]>; 3]),
}

/// Takes a report apart. `variant`: the key under which the reader was set up to encrypt.
pub fn read<'a>(report: &'a [u8], variant: Option<&'static str>) -> Result<Report<'a>, MagtekFault> {
    let report = report.get(..REPORT).ok_or(MagtekFault::Short(report.len()))?;
    let status = u16::from_be_bytes([report[READER_STATUS], report[READER_STATUS + 1]]);
    if status & EXHAUSTED != 0 {
        return Err(MagtekFault::Exhausted);
    }
    let unread = [0, 1, 2].map(|n| report[STATUS + n] & 1 != 0);
    let tracks = fields(report, LENGTHS, TRACKS)?;
    if status & ENCRYPTING == 0 {
        return Ok(Report::Clear([0, 1, 2].map(|n| (!unread[n]).then_some(tracks[n]))));
    }
    let masked = fields(report, MASKED_LENGTHS, MASKED)?;
    Ok(Report::Sealed(Sealed {
        scheme: variant.unwrap_or(EncryptedSwipe::TDES_PIN),
        ksn: &report[KSN],
        // A track that the reader could not decode is not there, whatever lies in its field.
        tracks: [0, 1, 2].map(|n| if unread[n] { &[][..] } else { tracks[n] }),
        masked: [0, 1, 2].map(|n| if unread[n] { &[][..] } else { masked[n] }),
        head: HEAD,
        unread,
    }))
}

fn fields(report: &[u8], lengths: usize, places: [usize; 3]) -> Result<[&[u8]; 3], MagtekFault> {
    let mut out: [&[u8]; 3] = [&[]; 3];
    for (n, track) in [Track::One, Track::Two, Track::Three].into_iter().enumerate() {
        let length = report[lengths + n];
        if usize::from(length) > FIELD {
            return Err(MagtekFault::Length { track, length });
        }
        out[n] = &report[places[n]..places[n] + usize::from(length)];
    }
    Ok(out)
}
