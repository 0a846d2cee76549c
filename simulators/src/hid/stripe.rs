//! Stripe readers over HID: one of usage page 8Eh that reads in clear, and a MagTek one that encrypts with test keys.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::HidNode;
use crate::counter::dukpt::{Variant, initial_key, next_ksn, seal_track};
use crate::players::DeviceError;

/// The standards' example base key; opens nothing.
const BASE_KEY: [u8; 16] =
    [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10];
/// The standards' example key serial number, no swipe counted.
const FIRST_KSN: [u8; 10] = [0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0x00, 0x00];

/// Bytes of a track's field.
const FIELD: usize = 112;

/// Page 8Eh: three lengths, three buffers.
const POS: &[u8] = &[
    0x05, 0x8E, 0x09, 0x01, 0xA1, 0x01, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, 0x95, 0x01, //
    0x09, 0x11, 0x81, 0x02, 0x09, 0x12, 0x81, 0x02, 0x09, 0x13, 0x81, 0x02, //
    0x95, 0x70, 0x09, 0x21, 0x82, 0x02, 0x01, 0x09, 0x22, 0x82, 0x02, 0x01, 0x09, 0x23, 0x82, 0x02,
    0x01, //
    0xC0,
];
/// Page FF00h: one report of 856 bytes whose places only the maker's papers tell.
const MAGTEK: &[u8] = &[
    0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, //
    0x96, 0x58, 0x03, 0x09, 0x20, 0x82, 0x02, 0x01, 0xC0,
];
const MAGTEK_REPORT: usize = 856;

/// What goes wrong with a swipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum StripeFault {
    /// The cable is pulled in the middle of the report.
    Unplug {},
    /// A report of bytes that mean nothing comes before.
    Garbage {},
    /// The report is this many bytes long.
    Length {
        /// Bytes sent, filled up with zeros.
        bytes: usize,
    },
    /// Track 2 claims more bytes than there is room for.
    LengthLie {},
    /// The same report again after a pause.
    Double {
        /// The pause, milliseconds.
        gap_ms: u64,
    },
    /// The head could not decode this track.
    Unread {
        /// 1 to 3.
        track: usize,
    },
    /// Encrypting readers: the keys are used up.
    Exhausted {},
    /// Encrypting readers: masked tracks and no ciphertext.
    MaskedOnly {},
    /// Encrypting readers: the last swipe's report again, as somebody who recorded it would send it.
    Replay {},
}

/// A swipe that came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SwipeRefused {
    /// Not what a stripe holds.
    #[error("these are no tracks: write %B…?;…?+…? with their sentinels, each of at most {FIELD} characters")]
    NoTracks,
    /// This reader cannot do that fault.
    #[error("a reader in clear has no keys to use up, to mask or to replay")]
    NoKeys,
    /// Nobody has the reader open.
    #[error("nobody has the reader open: the swipe is lost")]
    Nobody,
}

struct Keys {
    ksn: [u8; 10],
    last: Option<Vec<u8>>,
}

/// A reader. Dropping it unplugs it.
pub struct HidStripe {
    node: HidNode,
    /// `None`: it reads in clear.
    keys: Option<Mutex<Keys>>,
}

impl HidStripe {
    /// A HID POS reader that listens at `path`.
    pub fn pos(path: &Path) -> Result<Self, DeviceError> {
        Ok(Self { node: HidNode::listen(path)?, keys: None })
    }

    /// A MagTek reader that encrypts and listens at `path`.
    pub fn magtek(path: &Path) -> Result<Self, DeviceError> {
        let keys = Mutex::new(Keys { ksn: FIRST_KSN, last: None });
        Ok(Self { node: HidNode::listen(path)?, keys: Some(keys) })
    }

    /// The report descriptor in hex, for the till's `report-descriptor`.
    pub fn descriptor(&self) -> String {
        hex::encode(if self.keys.is_some() { MAGTEK } else { POS })
    }

    /// The node, to wait at and to unplug.
    pub const fn node(&self) -> &HidNode {
        &self.node
    }

    /// Ciphertext of a track at the n-th swipe (from 1), as the acquirer who holds the base key would compute it.
    pub fn sealed(track: &str, swipe: u32) -> Option<([u8; 10], Vec<u8>)> {
        let ksn = (0..swipe).try_fold(FIRST_KSN, |ksn, _| next_ksn(ksn))?;
        Some((ksn, seal_track(initial_key(BASE_KEY, ksn), ksn, Variant::Pin, track.as_bytes())))
    }

    /// Draws a card; answers how many tills took the report.
    pub fn swipe(&self, tracks: &str, faults: &[StripeFault]) -> Result<usize, SwipeRefused> {
        let tracks = split(tracks)?;
        let mut report = match &self.keys {
            None => pos(&tracks, faults)?,
            Some(keys) => {
                let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
                let replayed = keys.last.clone().filter(|_| faults.contains(&StripeFault::Replay {}));
                let report = replayed.unwrap_or_else(|| magtek(&mut keys, &tracks, faults));
                keys.last = Some(report.clone());
                report
            }
        };
        if faults.contains(&StripeFault::Garbage {}) {
            self.node.report(&[0xFF, 0x00, 0xA5, 0x5A, 0x01]);
        }
        for fault in faults {
            match fault {
                StripeFault::Length { bytes } => report.resize(*bytes, 0),
                // Track 2's length: behind track 1's; with MagTek behind three bytes of status.
                StripeFault::LengthLie {} => report[if self.keys.is_some() { 4 } else { 1 }] = 0xFF,
                StripeFault::Unplug {} => report.truncate(report.len() / 2),
                _ => {}
            }
        }
        let mut tills = self.node.report(&report);
        for fault in faults {
            if let StripeFault::Double { gap_ms } = fault {
                std::thread::sleep(Duration::from_millis(*gap_ms));
                tills = self.node.report(&report);
            }
        }
        if faults.contains(&StripeFault::Unplug {}) {
            self.node.unplug();
            return Ok(0);
        }
        if tills == 0 { Err(SwipeRefused::Nobody) } else { Ok(tills) }
    }
}

/// Tracks 1 to 3 with their sentinels; empty where there is none.
fn split(tracks: &str) -> Result<[&str; 3], SwipeRefused> {
    let mut out = [""; 3];
    let mut rest = tracks;
    while let Some(start) = rest.chars().next() {
        let n = match start {
            '%' => 0,
            ';' => 1,
            '+' => 2,
            _ => return Err(SwipeRefused::NoTracks),
        };
        let end = rest.find('?').ok_or(SwipeRefused::NoTracks)? + 1;
        if end > FIELD || !out[n].is_empty() || !rest.is_ascii() {
            return Err(SwipeRefused::NoTracks);
        }
        (out[n], rest) = rest.split_at(end);
    }
    if out.iter().all(|track| track.is_empty()) { Err(SwipeRefused::NoTracks) } else { Ok(out) }
}

fn put(report: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in report.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

fn length(bytes: &[u8]) -> u8 {
    u8::try_from(bytes.len()).unwrap_or(u8::MAX)
}

fn unread(faults: &[StripeFault], n: usize) -> bool {
    faults.contains(&StripeFault::Unread { track: n + 1 })
}

fn pos(tracks: &[&str; 3], faults: &[StripeFault]) -> Result<Vec<u8>, SwipeRefused> {
    let keys = [StripeFault::Exhausted {}, StripeFault::MaskedOnly {}, StripeFault::Replay {}];
    if faults.iter().any(|fault| keys.contains(fault)) {
        return Err(SwipeRefused::NoKeys);
    }
    let mut report = vec![0; 3 + 3 * FIELD];
    for (n, track) in tracks.iter().enumerate() {
        let track = match (unread(faults, n), n) {
            (false, _) => *track,
            (true, 0) => "%E?",
            (true, 1) => ";E?",
            (true, _) => "+E?",
        };
        report[n] = length(track.as_bytes());
        put(&mut report, 3 + n * FIELD, track.as_bytes());
    }
    Ok(report)
}

/// A swipe uses a key up, also one that could not be decoded.
fn magtek(keys: &mut Keys, tracks: &[&str; 3], faults: &[StripeFault]) -> Vec<u8> {
    let mut report = vec![0; MAGTEK_REPORT];
    // Reader status: initial key loaded and encryption on, or the keys used up.
    let exhausted = faults.contains(&StripeFault::Exhausted {});
    let next = if exhausted { None } else { next_ksn(keys.ksn) };
    report[494] = if next.is_some() { 0b110 } else { 0b111 };
    keys.ksn = next.unwrap_or(keys.ksn);
    put(&mut report, 495, &keys.ksn);
    if next.is_none() {
        return report;
    }
    let initial = initial_key(BASE_KEY, keys.ksn);
    for (n, track) in tracks.iter().enumerate().filter(|(_, track)| !track.is_empty()) {
        if unread(faults, n) {
            report[n] = 1;
            continue;
        }
        if !faults.contains(&StripeFault::MaskedOnly {}) {
            let sealed = seal_track(initial, keys.ksn, Variant::Pin, track.as_bytes());
            report[3 + n] = length(&sealed);
            put(&mut report, 7 + n * FIELD, &sealed);
        }
        let masked = masked(track);
        report[505 + n] = length(masked.as_bytes());
        put(&mut report, 508 + n * FIELD, masked.as_bytes());
        report[852 + n] = length(track.as_bytes());
    }
    report
}

/// As MagTek masks by default: of the account the first four and last four digits, name and expiry stay; all else is 0.
fn masked(track: &str) -> String {
    let (start, separator) = if track.starts_with('%') { (2, '^') } else { (1, '=') };
    let mut fields = track.split(separator);
    let account = fields.next().unwrap_or_default();
    let count = account.len().saturating_sub(start);
    let hide = |(at, ch): (usize, char)| {
        let digit = at.wrapping_sub(start);
        if at >= start && (4..count.saturating_sub(4)).contains(&digit) { '0' } else { ch }
    };
    let mut out: String = account.chars().enumerate().map(hide).collect();
    let last = fields.clone().count();
    for (n, field) in fields.enumerate() {
        out.push(separator);
        if n + 1 < last {
            out.push_str(field);
        } else {
            // Expiry, then zeros up to the end sentinel.
            out.extend(field.chars().enumerate().map(|(at, ch)| if at < 4 || ch == '?' { ch } else { '0' }));
        }
    }
    out
}
