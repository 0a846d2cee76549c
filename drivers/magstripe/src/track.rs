//! The text of a card's tracks, as a reader types it: sentinels in, fields out, a typed reason where a track is unfit.
//!
//! Track 1 and 2: ISO/IEC 7813 (coding: ISO/IEC 7811-2). Track 3: ISO 4909, passed through unparsed; hosts take it whole
//! (field 36). Nothing is ever repaired: a track is right, or it is refused with its reason and its text is dropped.

use std::fmt;
use std::ops::Range;

use thiserror::Error;
use zeroize::Zeroizing;

/// Longest track 1 with both sentinels; the standard's 79 count the LRC, which readers do not type.
pub const MAX_TRACK1: usize = 78;
/// Longest track 2 with both sentinels (the standard's 40 count the LRC).
pub const MAX_TRACK2: usize = 39;
/// Longest track 3 with both sentinels (the standard's 107 count the LRC).
pub const MAX_TRACK3: usize = 106;
/// Shortest and longest account number taken (ISO/IEC 7812-1; UnionPay debit cards have 19 digits).
pub const PAN_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;
/// Longest cardholder name (ISO/IEC 7813).
const MAX_NAME: usize = 26;

/// Which track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Track {
    /// Track 1: alphanumeric, `%`.
    One,
    /// Track 2: digits, `;`.
    Two,
    /// Track 3: digits, `+` or a further `;`.
    Three,
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "track 1",
            Self::Two => "track 2",
            Self::Three => "track 3",
        })
    }
}

/// Why a track is unfit. Never holds anything of the track but positions and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TrackFault {
    /// The reader itself could not read it and typed its error mark (`%E?`, `;E?`, `+E?`).
    #[error("the reader could not read it")]
    ReaderMark,
    /// Start or end sentinel missing, or a field cut short.
    #[error("it is cut short")]
    Truncated,
    /// Nothing between the sentinels.
    #[error("it is empty")]
    Empty,
    /// Longer than the standard allows.
    #[error("it is {length} characters long, {max} are allowed")]
    TooLong {
        /// Characters with both sentinels.
        length: usize,
        /// Allowed with both sentinels.
        max: usize,
    },
    /// A character that this track cannot carry, or not at this place.
    #[error("character {at} is not allowed there")]
    BadCharacter {
        /// Position, start sentinel = 0.
        at: usize,
    },
    /// A format that is not a payment card's (`B`).
    #[error("its format is not that of a payment card")]
    Format,
    /// The account number has too few or too many digits.
    #[error("the account number has {digits} digits, 12 to 19 are allowed")]
    PanLength {
        /// Digits found.
        digits: usize,
    },
    /// The name is longer than 26 characters.
    #[error("the name is longer than 26 characters")]
    NameLength,
    /// The track came twice in one swipe.
    #[error("it came twice in one swipe")]
    Doubled,
    /// Raw bits only: a character fails its parity.
    #[error("character {at} fails its parity check")]
    Parity {
        /// Position, start sentinel = 0.
        at: usize,
    },
    /// Raw bits only: the longitudinal check character is wrong.
    #[error("its check character (LRC) is wrong")]
    Lrc,
}

/// A track 1 or 2 whose fields are known; wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Parsed {
    text: Zeroizing<String>,
    pan: Range<usize>,
    name: Option<Range<usize>>,
    expiry: Option<Range<usize>>,
    service: Option<Range<usize>>,
    discretionary: Range<usize>,
}

impl fmt::Debug for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parsed([redacted])")
    }
}

impl Parsed {
    /// Everything between the sentinels, as hosts want it.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The account number, 12–19 digits.
    pub fn pan(&self) -> &str {
        &self.text[self.pan.clone()]
    }
    /// Cardholder's name, trailing spaces removed (track 1 only).
    pub fn name(&self) -> Option<&str> {
        self.name.clone().map(|at| self.text[at].trim_end())
    }
    /// `YYMM`, four digits; `None` where the card leaves it out.
    pub fn expiry(&self) -> Option<&str> {
        self.expiry.clone().map(|at| &self.text[at])
    }
    /// Whether the expiry's month is one (01–12); `true` where there is no expiry.
    ///
    /// Whether the card has expired is the host's matter: the till's clock is no witness.
    pub fn expiry_valid(&self) -> bool {
        self.expiry().is_none_or(|yymm| {
            matches!(
                &yymm[2..],
                "01" | "02" | "03" | "04" | "05" | "06" | "07" | "08" | "09" | "10" | "11" | "12"
            )
        })
    }
    /// Three digits; `None` where the card leaves it out.
    pub fn service_code(&self) -> Option<&str> {
        self.service.clone().map(|at| &self.text[at])
    }
    /// What the issuer put behind the service code.
    pub fn discretionary(&self) -> &str {
        &self.text[self.discretionary.clone()]
    }
    /// Whether the account number passes the Luhn check (ISO/IEC 7812-1 annex B). A report, never a reason to change it.
    pub fn luhn(&self) -> bool {
        luhn(self.pan())
    }
}

/// Luhn check of a string of digits.
pub fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, b)| {
            let digit = u32::from(b.wrapping_sub(b'0'));
            match (i % 2, digit) {
                (0, d) => d,
                (_, d @ 0..=4) => d * 2,
                (_, d) => d * 2 - 9,
            }
        })
        .sum();
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && sum.is_multiple_of(10)
}

/// Parses track 1, sentinels included.
pub fn parse_track1(raw: &str) -> Result<Parsed, TrackFault> {
    let inner = frame(raw, Track::One, "%", MAX_TRACK1)?;
    // The 6-bit set is 20h–5Fh; lower case cannot be on the stripe.
    charset(inner, |b| (0x20..=0x5F).contains(&b) && !matches!(b, b'%' | b'?'))?;
    let mut fields = Fields { text: inner, at: 0 };
    if fields.next_byte() != Some(b'B') {
        return Err(TrackFault::Format);
    }
    let pan = fields.pan(b'^')?;
    let name = fields.until(b'^')?;
    if name.len() > MAX_NAME {
        return Err(TrackFault::NameLength);
    }
    fields.finish(inner, b'^', pan, Some(name))
}

/// Parses track 2, sentinels included.
pub fn parse_track2(raw: &str) -> Result<Parsed, TrackFault> {
    let inner = frame(raw, Track::Two, ";", MAX_TRACK2)?;
    charset(inner, |b| b.is_ascii_digit() || b == b'=')?;
    let mut fields = Fields { text: inner, at: 0 };
    let pan = fields.pan(b'=')?;
    fields.finish(inner, b'=', pan, None)
}

/// Checks track 3, sentinels included, and gives what stands between them; it is not parsed further.
pub fn parse_track3(raw: &str) -> Result<Zeroizing<String>, TrackFault> {
    let inner = frame(raw, Track::Three, ";+", MAX_TRACK3)?;
    // Digits and `=` by ISO 4909; some readers type its separator as `^`, as they do on track 1.
    charset(inner, |b| b.is_ascii_digit() || matches!(b, b'=' | b'^'))?;
    Ok(Zeroizing::new(inner.to_owned()))
}

fn frame<'a>(raw: &'a str, track: Track, starts: &str, max: usize) -> Result<&'a str, TrackFault> {
    let inner = raw.strip_prefix(|c| starts.contains(c)).ok_or(TrackFault::Truncated)?;
    // Count before looking for the end: an over-long track is that, whether its end came or not.
    if raw.len() > max {
        return Err(TrackFault::TooLong { length: raw.len(), max });
    }
    let inner = inner.strip_suffix('?').ok_or(TrackFault::Truncated)?;
    match inner {
        "" => Err(TrackFault::Empty),
        "E" => Err(TrackFault::ReaderMark),
        _ if track != Track::Three && inner.contains('?') => Err(TrackFault::Truncated),
        _ => Ok(inner),
    }
}

fn charset(inner: &str, allowed: impl Fn(u8) -> bool) -> Result<(), TrackFault> {
    match inner.bytes().position(|b| !allowed(b)) {
        // Position 0 is the start sentinel.
        Some(at) => Err(TrackFault::BadCharacter { at: at + 1 }),
        None => Ok(()),
    }
}

struct Fields<'a> {
    text: &'a str,
    at: usize,
}

impl Fields<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next_byte(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Everything up to the separator, which is consumed.
    fn until(&mut self, separator: u8) -> Result<Range<usize>, TrackFault> {
        let start = self.at;
        while let Some(byte) = self.next_byte() {
            if byte == separator {
                return Ok(start..self.at - 1);
            }
        }
        Err(TrackFault::Truncated)
    }

    fn pan(&mut self, separator: u8) -> Result<Range<usize>, TrackFault> {
        let pan = self.until(separator)?;
        let digits = &self.text.as_bytes()[pan.clone()];
        if let Some(bad) = digits.iter().position(|b| !b.is_ascii_digit()) {
            return Err(TrackFault::BadCharacter { at: pan.start + bad + 1 });
        }
        if PAN_DIGITS.contains(&pan.len()) {
            Ok(pan)
        } else {
            Err(TrackFault::PanLength { digits: pan.len() })
        }
    }

    /// `count` digits, or one separator where the card leaves the field out (ISO/IEC 7813 allows both).
    fn digits_or(&mut self, count: usize, separator: u8) -> Result<Option<Range<usize>>, TrackFault> {
        if self.peek() == Some(separator) {
            self.at += 1;
            return Ok(None);
        }
        let start = self.at;
        for _ in 0..count {
            match self.next_byte() {
                Some(b) if b.is_ascii_digit() => {}
                // `at` already counts the start sentinel, being one ahead.
                Some(_) => return Err(TrackFault::BadCharacter { at: self.at }),
                None => return Err(TrackFault::Truncated),
            }
        }
        Ok(Some(start..self.at))
    }

    fn finish(
        mut self,
        inner: &str,
        separator: u8,
        pan: Range<usize>,
        name: Option<Range<usize>>,
    ) -> Result<Parsed, TrackFault> {
        let expiry = self.digits_or(4, separator)?;
        let service = self.digits_or(3, separator)?;
        let discretionary = self.at..inner.len();
        Ok(Parsed { text: Zeroizing::new(inner.to_owned()), pan, name, expiry, service, discretionary })
    }
}
