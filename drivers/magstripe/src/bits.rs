//! Raw stripe bits to track text: for readers that give F2F-decoded bits and leave parity and LRC to the host.
//!
//! ISO/IEC 7811-2: track 1 has 6 data bits a character on a base of 20h, tracks 2 and 3 have 4 on a base of 30h, each
//! with an odd parity bit behind them, lowest bit first. The character after the end sentinel is the LRC: the exclusive
//! or of all data bits from start to end sentinel, with a parity bit of its own. A card drawn the other way gives
//! the same bits in reverse, so both directions are tried.

use zeroize::Zeroizing;

use crate::track::{MAX_TRACK1, MAX_TRACK2, MAX_TRACK3, Track, TrackFault};

/// Most bits taken: the longest track with its LRC, at 7 bits, and as much clocking zeros again.
pub const MAX_BITS: usize = 2 * 7 * (MAX_TRACK3 + 1);

struct Coding {
    data_bits: usize,
    base: u8,
    start: u8,
    max: usize,
}

impl Coding {
    fn of(track: Track) -> Self {
        let (data_bits, base, start, max) = match track {
            Track::One => (6, 0x20, b'%', MAX_TRACK1),
            Track::Two => (4, 0x30, b';', MAX_TRACK2),
            Track::Three => (4, 0x30, b';', MAX_TRACK3),
        };
        Self { data_bits, base, start, max }
    }
}

/// What was decoded.
pub struct Decoded {
    /// The track with both sentinels, as a keyboard reader would type it.
    pub text: Zeroizing<String>,
    /// The LRC character on the stripe, which is right.
    pub lrc: char,
    /// The card was drawn backwards.
    pub backwards: bool,
}

/// Decodes one track's bits, first bit read first.
pub fn decode(bits: &[bool], track: Track) -> Result<Decoded, TrackFault> {
    if bits.len() > MAX_BITS {
        return Err(TrackFault::TooLong { length: bits.len(), max: MAX_BITS });
    }
    let coding = Coding::of(track);
    let ahead = one_way(bits.iter().copied(), &coding);
    let (ahead_fault, ahead_read) = match ahead {
        Ok((text, lrc)) => return Ok(Decoded { text, lrc, backwards: false }),
        Err(failed) => failed,
    };
    match one_way(bits.iter().rev().copied(), &coding) {
        Ok((text, lrc)) => Ok(Decoded { text, lrc, backwards: true }),
        // The direction that read further is the one the card was drawn in: its reason is the true one.
        Err((fault, read)) if read > ahead_read => Err(fault),
        Err(_) => Err(ahead_fault),
    }
}

type OneWay = Result<(Zeroizing<String>, char), (TrackFault, usize)>;

fn one_way(bits: impl Iterator<Item = bool>, coding: &Coding) -> OneWay {
    // Clocking zeros lead; the first one is the first bit of the start sentinel.
    let mut bits = bits.skip_while(|bit| !bit);
    let mut text = Zeroizing::new(String::with_capacity(coding.max));
    let mut lrc = 0u8;
    loop {
        let read = text.len();
        let (data, parity_ok) = character(&mut bits, coding).ok_or((TrackFault::Truncated, read))?;
        let symbol = char::from(coding.base + data);
        if read == 0 && symbol != char::from(coding.start) {
            return Err((TrackFault::Truncated, 0));
        }
        if !parity_ok {
            return Err((TrackFault::Parity { at: read }, read));
        }
        if read == coding.max {
            return Err((TrackFault::TooLong { length: read + 1, max: coding.max }, read));
        }
        lrc ^= data;
        text.push(symbol);
        if symbol == '?' {
            break;
        }
    }
    let read = text.len();
    let (found, parity_ok) = character(&mut bits, coding).ok_or((TrackFault::Truncated, read))?;
    if !parity_ok || found != lrc {
        return Err((TrackFault::Lrc, read));
    }
    Ok((text, char::from(coding.base + found)))
}

fn character(bits: &mut impl Iterator<Item = bool>, coding: &Coding) -> Option<(u8, bool)> {
    let (mut data, mut ones) = (0u8, 0u32);
    for place in 0..coding.data_bits {
        let bit = bits.next()?;
        data |= u8::from(bit) << place;
        ones += u32::from(bit);
    }
    ones += u32::from(bits.next()?);
    Some((data, ones % 2 == 1))
}
