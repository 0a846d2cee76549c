//! ID TECH's enhanced encrypted swipe: a frame of bytes, over a serial line or in the reports of a HID reader.
//!
//! `02 lenL lenH type trackstat L1 L2 L3 maskstat encstat masked… encrypted… hashes… KSN LRC SUM 03` (devices.md §1.1, and the
//! field list in ID TECH's public Android interface): `len` counts from `type` to the KSN, LRC is the exclusive or and SUM the
//! sum of those bytes. A masked track has its plain length, a ciphertext that length padded to eight, a hash twenty
//! bytes.

use thiserror::Error;
use till_plugin::instrument::EncryptedSwipe;
use zeroize::{Zeroize, Zeroizing};

use crate::encrypted::Sealed;

/// Longest frame: three tracks masked, encrypted and hashed, and what stands around them.
pub const MAX_FRAME: usize = 1024;
/// Around the counted bytes: STX, two of length, LRC, SUM, ETX.
const AROUND: usize = 6;
const STX: u8 = 0x02;
const ETX: u8 = 0x03;
/// Counted bytes before the first track.
const HEADER: usize = 7;
const KSN: usize = 10;
const HASH: usize = 20;
/// Most digits that ID TECH leaves clear in front; its mask is of stars.
const HEAD: usize = 6;

/// Why there is no frame, or none that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameFault {
    /// Bytes that belong to no frame.
    #[error(
        "the reader sent bytes that are no swipe: draw the card again, or check `input` and the baud rate"
    )]
    Noise,
    /// It stopped before its end.
    #[error("the swipe stopped before its end: draw the card again")]
    Truncated,
    /// Its length is beyond any swipe.
    #[error("the reader claims a swipe of {0} bytes: draw the card again")]
    TooLong(usize),
    /// LRC, SUM or the end byte is wrong.
    #[error("the swipe was damaged on the way: draw the card again")]
    Check,
    /// Its fields do not fill it exactly.
    #[error(
        "the fields of the swipe do not add up: draw the card again; readers with AES keys are not served"
    )]
    Fields,
    /// Another format than the enhanced one.
    #[error("the reader sends format {0:02X}h: set it up to send its enhanced encrypted format (80h)")]
    Format(u8),
}

impl FrameFault {
    /// Lower-kebab name, as it appears on D-Bus.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::TooLong(_) => "too-long",
            Self::Noise | Self::Check | Self::Fields => "bad-report",
            Self::Format(_) => "bad-format",
        }
    }
}

/// Collects bytes into frames.
pub struct Frames {
    /// Full size at once: a buffer that grows leaves copies of cards behind.
    held: Zeroizing<Vec<u8>>,
    /// A faulty or unwanted frame is under way: everything is dropped until silence.
    swallow: bool,
    pending: bool,
}

impl Default for Frames {
    fn default() -> Self {
        Self { held: Zeroizing::new(Vec::with_capacity(MAX_FRAME)), swallow: false, pending: false }
    }
}

impl Frames {
    /// Whether a frame has begun and not ended: then [`Self::idle`] is due once nothing came for the silence.
    pub const fn pending(&self) -> bool {
        self.pending
    }

    /// Feeds bytes; `sink` gets each frame's counted bytes as it completes.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(Result<&[u8], FrameFault>)) {
        for byte in bytes {
            self.byte(*byte, &mut sink);
        }
    }

    fn byte(&mut self, byte: u8, sink: &mut impl FnMut(Result<&[u8], FrameFault>)) {
        if self.swallow {
            return;
        }
        if self.held.is_empty() && byte != STX {
            // HID reports are filled up with zeros behind a frame.
            if byte != 0 {
                self.give_up(FrameFault::Noise, sink);
            }
            return;
        }
        self.pending = true;
        self.held.push(byte);
        let Some(&[low, high]) = self.held.get(1..3) else { return };
        let length = usize::from(u16::from_le_bytes([low, high]));
        if length + AROUND > MAX_FRAME {
            self.give_up(FrameFault::TooLong(length), sink);
            return;
        }
        if self.held.len() < length + AROUND {
            return;
        }
        let counted = &self.held[3..3 + length];
        let lrc = counted.iter().fold(0, |lrc, b| lrc ^ b);
        let sum = counted.iter().fold(0_u8, |sum, b| sum.wrapping_add(*b));
        if self.held[3 + length..] == [lrc, sum, ETX] {
            sink(Ok(counted));
            self.reset();
        } else {
            self.give_up(FrameFault::Check, sink);
        }
    }

    /// The rest up to silence is dropped: the tail of a damaged frame must not look like another one.
    fn give_up(&mut self, fault: FrameFault, sink: &mut impl FnMut(Result<&[u8], FrameFault>)) {
        self.discard();
        sink(Err(fault));
    }

    /// Nothing came for the silence.
    pub fn idle(&mut self) -> Option<FrameFault> {
        let cut = self.pending && !self.swallow;
        self.reset();
        cut.then_some(FrameFault::Truncated)
    }

    /// The frame under way is not wanted, nor what follows without a pause.
    pub fn discard(&mut self) {
        self.held.zeroize();
        self.swallow = true;
        self.pending = true;
    }

    /// Drops what is held.
    pub fn reset(&mut self) {
        self.held.zeroize();
        self.swallow = false;
        self.pending = false;
    }
}

/// What a frame holds.
#[derive(Debug)]
pub enum Frame<'a> {
    /// Ciphertext.
    Sealed(Sealed<'a>),
    /// Clear tracks 1 to 3, sentinels included: what the reader does not take for a bank's card it does not encrypt.
    Clear([Option<&'a [u8]>; 3]),
}

/// Takes a frame's counted bytes apart. `variant`: the key under which the reader was set up to encrypt.
pub fn read<'a>(counted: &'a [u8], variant: Option<&'static str>) -> Result<Frame<'a>, FrameFault> {
    let (head, mut rest) = counted.split_at_checked(HEADER).ok_or(FrameFault::Fields)?;
    let (format, status, masks, sent) = (head[0], head[1], head[5], head[6]);
    if format & 0x80 == 0 {
        return Err(FrameFault::Format(format));
    }
    let lengths = [head[2], head[3], head[4]].map(usize::from);
    let mut cut = |length: usize| {
        let (field, tail) = rest.split_at_checked(length).ok_or(FrameFault::Fields)?;
        rest = tail;
        Ok::<_, FrameFault>(field)
    };
    let (mut masked, mut tracks): ([&[u8]; 3], [&[u8]; 3]) = ([&[]; 3], [&[]; 3]);
    for n in 0..3 {
        if masks >> n & 1 != 0 {
            masked[n] = cut(lengths[n])?;
        }
    }
    for n in 0..3 {
        if sent >> n & 1 != 0 {
            tracks[n] = cut(lengths[n].next_multiple_of(8))?;
        }
    }
    for n in 3..6 {
        if sent >> n & 1 != 0 {
            cut(HASH)?;
        }
    }
    let ksn = if sent & 0x80 == 0 { &[][..] } else { cut(KSN)? };
    if !rest.is_empty() {
        return Err(FrameFault::Fields);
    }
    // Decoded (bits 0 to 2) against sampled (3 to 5): there was something on the track and it could not be read.
    let unread = [0, 1, 2].map(|n| status >> n & 1 == 0 && status >> (n + 3) & 1 != 0);
    let starred = masked.iter().any(|track| track.contains(&b'*'));
    if tracks.iter().all(|track| track.is_empty()) && ksn.is_empty() && !starred {
        return Ok(Frame::Clear([0, 1, 2].map(|n| (!unread[n]).then_some(masked[n]))));
    }
    Ok(Frame::Sealed(Sealed {
        scheme: variant.unwrap_or(EncryptedSwipe::TDES_DATA),
        ksn,
        tracks,
        masked,
        head: HEAD,
        unread,
    }))
}
