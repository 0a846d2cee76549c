//! What readers that encrypt have in common: masked tracks to what may be shown, and key serial numbers that only go up.
//!
//! Nothing here opens a ciphertext, and no key is anywhere near.

use std::fmt;

use thiserror::Error;
use till_plugin::instrument::EncryptedSwipe;

/// A swipe as an encrypting reader gave it, in words that all readers share.
pub struct Sealed<'a> {
    /// Key management, one of [`EncryptedSwipe`]'s names.
    pub scheme: &'static str,
    /// Key serial number.
    pub ksn: &'a [u8],
    /// Ciphertext of tracks 1 to 3; empty where there is none.
    pub tracks: [&'a [u8]; 3],
    /// Masked text of tracks 1 to 3 with their sentinels; empty where there is none.
    pub masked: [&'a [u8]; 3],
    /// Leading digits of the account number that the reader leaves clear. What comes behind them may be a mask of
    /// digits (zeros), which cannot be told from the number itself.
    pub head: usize,
    /// The reader says that it could not decode this track.
    pub unread: [bool; 3],
}

impl fmt::Debug for Sealed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// Why an encrypted swipe cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealFault {
    /// The reader could not read a track that is needed.
    #[error("track {0} could not be read: draw the card again, evenly")]
    Unread(u8),
    /// A track that is needed is not there.
    #[error("track {0} is missing: draw the card again, or check the reader's track settings")]
    Missing(u8),
    /// Nothing was read at all.
    #[error("nothing on the stripe could be read: draw the card again, evenly")]
    Nothing,
    /// There is a masked track and no ciphertext of it.
    #[error("the reader gave masked tracks only: check that it holds keys and that its encryption is on")]
    MaskedOnly,
    /// A ciphertext is no whole number of blocks.
    #[error("the reader's ciphertext is damaged: draw the card again")]
    Blocks,
    /// The masked tracks name different accounts.
    #[error("the tracks belong to different cards: draw one card again")]
    TwoCards,
    /// No key serial number, or none of a known form.
    #[error("the reader names no key: check that it holds keys")]
    NoKey,
    /// This key was used for an earlier swipe: a recording of it, or a faulty reader.
    #[error(
        "the reader sent the key number of an earlier swipe: draw the card again; if it happens again, the reader is faulty or tampered with"
    )]
    KeyRepeated,
    /// The counter in the key serial number went back.
    #[error(
        "the reader's key number went back: draw the card again; if it happens again, the reader is faulty or tampered with"
    )]
    KeyWentBack,
}

impl SealFault {
    /// Lower-kebab name, as it appears on D-Bus.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unread(_) => "reader-error",
            Self::Missing(_) | Self::Nothing => "no-track",
            Self::MaskedOnly => "masked-only",
            Self::Blocks => "bad-report",
            Self::TwoCards => "two-cards",
            Self::NoKey => "no-key",
            Self::KeyRepeated => "key-repeated",
            Self::KeyWentBack => "key-went-back",
        }
    }
}

impl Sealed<'_> {
    /// Checks a swipe and makes the message of it. `track2_required`: whether track 1 alone is not enough.
    pub fn swipe(&self, track2_required: bool) -> Result<EncryptedSwipe, SealFault> {
        let [one, two, _] = self.tracks;
        if self.tracks.iter().all(|track| track.is_empty()) {
            return Err(if self.unread[1] || self.unread[0] {
                SealFault::Unread(if self.unread[1] { 2 } else { 1 })
            } else if self.masked.iter().any(|track| !track.is_empty()) {
                SealFault::MaskedOnly
            } else {
                SealFault::Nothing
            });
        }
        if two.is_empty() && (track2_required || one.is_empty()) {
            return Err(match (self.unread[1], self.masked[1].is_empty()) {
                (true, _) => SealFault::Unread(2),
                (false, false) => SealFault::MaskedOnly,
                (false, true) => SealFault::Missing(2),
            });
        }
        if self.tracks.iter().any(|track| !track.len().is_multiple_of(8)) {
            return Err(SealFault::Blocks);
        }
        let fields = [fields(self.masked[1], b';', b'='), fields(self.masked[0], b'%', b'^')];
        if let [Some(two), Some(one)] = &fields
            && two.pan != one.pan
        {
            return Err(SealFault::TwoCards);
        }
        let best = fields.iter().flatten().next();
        let tracks = (1_u8..).zip(self.tracks).filter(|(_, track)| !track.is_empty());
        Ok(EncryptedSwipe {
            scheme: self.scheme.into(),
            ksn: self.ksn.to_vec(),
            tracks: tracks.map(|(number, track)| (number, track.to_vec())).collect(),
            masked: best.map_or_else(|| "*".repeat(12), |fields| masked(fields.pan, self.head)),
            expiry: best.and_then(Fields::expiry),
            service_code: fields.iter().flatten().find_map(Fields::service_code),
        })
    }
}

/// The first fields of a masked track.
struct Fields<'a> {
    pan: &'a [u8],
    rest: &'a [u8],
}

/// A masked track's fields, where it has the shape of one.
fn fields(track: &[u8], start: u8, separator: u8) -> Option<Fields<'_>> {
    let inner = track.strip_prefix(&[start])?;
    let inner =
        if start == b'%' { inner.strip_prefix(b"B").or_else(|| inner.strip_prefix(b"*"))? } else { inner };
    let end = inner.iter().position(|b| *b == separator)?;
    let (pan, rest) = (inner.get(..end)?, inner.get(end + 1..)?);
    // On track 1 the name stands between.
    let rest = if start == b'%' { rest.get(rest.iter().position(|b| *b == separator)? + 1..)? } else { rest };
    (12..=19).contains(&pan.len()).then_some(Fields { pan, rest })
}

impl Fields<'_> {
    /// `YYMM` where it is shown, with a real month.
    fn expiry(&self) -> Option<String> {
        let text = std::str::from_utf8(self.rest.get(..4)?).ok()?;
        let month: u8 = text.get(2..)?.parse().ok()?;
        (text.bytes().all(|b| b.is_ascii_digit()) && (1..=12).contains(&month)).then(|| text.to_owned())
    }

    /// Three digits where they are shown. A mask of zeros is none: no service code begins so (ISO/IEC 7813).
    fn service_code(&self) -> Option<String> {
        let text = std::str::from_utf8(self.rest.get(4..7)?).ok()?;
        (text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0')).then(|| text.to_owned())
    }
}

/// Leading digits that the reader left clear (at most six), the last four, stars between: never more than PCI DSS 3.4.1
/// allows, also where the reader was set up to mask nothing.
fn masked(pan: &[u8], head: usize) -> String {
    let shown = pan.iter().take(head.min(6)).take_while(|b| b.is_ascii_digit()).count();
    let tail = pan.len() - 4;
    let show = |(at, byte): (usize, &u8)| {
        if byte.is_ascii_digit() && (at < shown || at >= tail) { char::from(*byte) } else { '*' }
    };
    pan.iter().enumerate().map(show).collect()
}

/// The last key serial number seen: each swipe of one reader has a greater one, so one that repeats or goes back is a
/// recording, or a reader that cannot be trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KsnGuard {
    last: Vec<u8>,
}

impl KsnGuard {
    /// Goes on from what was stored in an earlier run; anything that is no key serial number is as nothing.
    pub fn from_stored(stored: Option<Vec<u8>>) -> Self {
        Self { last: stored.filter(|ksn| split(ksn).is_some()).unwrap_or_default() }
    }

    /// What to store.
    pub fn stored(&self) -> &[u8] {
        &self.last
    }

    /// Takes the key serial number of a swipe. Another key set (a new reader, new keys) begins anew.
    pub fn take(&mut self, ksn: &[u8]) -> Result<(), SealFault> {
        let (set, counter) = split(ksn).ok_or(SealFault::NoKey)?;
        if let Some((last_set, last)) = split(&self.last)
            && last_set == set
        {
            match counter.cmp(&last) {
                std::cmp::Ordering::Equal => return Err(SealFault::KeyRepeated),
                std::cmp::Ordering::Less => return Err(SealFault::KeyWentBack),
                std::cmp::Ordering::Greater => {}
            }
        }
        self.last = ksn.to_vec();
        Ok(())
    }
}

/// Key set and transaction counter: the low 21 bits of 10 bytes (X9.24-1), the low 32 of 12 (X9.24-3).
fn split(ksn: &[u8]) -> Option<(Vec<u8>, u32)> {
    let mut set = ksn.to_vec();
    let low = set.len().checked_sub(4)?;
    let counter = u32::from_be_bytes(<[u8; 4]>::try_from(&ksn[low..]).ok()?);
    let mask = match ksn.len() {
        10 => 0x001F_FFFF,
        12 => u32::MAX,
        _ => return None,
    };
    set[low..].copy_from_slice(&(counter & !mask).to_be_bytes());
    if set.iter().all(|b| *b == 0) { None } else { Some((set, counter & mask)) }
}
