//! GS1 element strings: application identifiers and their values (GS1 General Specifications, sections 3 and 7.8).
//!
//! The split needs only what the specification fixes for all time: how long an identifier is by its first two digits, and which
//! of them have a predefined length. Everything else ends at FNC1, which scanners send as GS (1Dh).

use thiserror::Error;

const GS: u8 = 0x1D;
/// The longest value of any identifier.
const MAX_VALUE: usize = 90;

/// One element; the value borrows from the scan.
#[derive(Clone, PartialEq, Eq)]
pub struct Element<'a> {
    /// Application identifier, two to four digits.
    pub ai: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// Why an element string is malformed. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Gs1Fault {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// No identifier begins like this.
    #[error("no application identifier at character {at}")]
    UnknownAi {
        /// Position.
        at: usize,
    },
    /// The value is shorter than its identifier fixes, or absent.
    #[error("the value at character {at} is cut short")]
    Short {
        /// Position.
        at: usize,
    },
    /// The value is longer than any may be.
    #[error("the value at character {at} is too long")]
    Long {
        /// Position.
        at: usize,
    },
    /// A character outside the set.
    #[error("character {at} is not allowed")]
    BadCharacter {
        /// Position.
        at: usize,
    },
    /// The check digit of a GTIN, SSCC or GLN is wrong.
    #[error("the check digit of the value at character {at} is wrong")]
    Check {
        /// Position.
        at: usize,
    },
    /// A date has no such month or day.
    #[error("the date at character {at} does not exist")]
    Date {
        /// Position.
        at: usize,
    },
}

/// Splits an element string.
pub fn elements(data: &[u8]) -> Result<Vec<Element<'_>>, Gs1Fault> {
    if data.is_empty() {
        return Err(Gs1Fault::Empty);
    }
    let mut found = Vec::new();
    let mut at = 0;
    while at < data.len() {
        let rest = &data[at..];
        let (ai_length, fixed) = shape(rest).ok_or(Gs1Fault::UnknownAi { at })?;
        let (ai, rest) = rest.split_at_checked(ai_length).ok_or(Gs1Fault::UnknownAi { at })?;
        if !ai.iter().all(u8::is_ascii_digit) {
            return Err(Gs1Fault::UnknownAi { at });
        }
        at += ai_length;
        let length = rest.iter().position(|b| *b == GS).unwrap_or(rest.len());
        let length = fixed.map_or(length, |fixed| fixed.min(length));
        if length == 0 || fixed.is_some_and(|fixed| length < fixed) {
            return Err(Gs1Fault::Short { at });
        }
        if length > MAX_VALUE {
            return Err(Gs1Fault::Long { at });
        }
        let value = &rest[..length];
        check(ai, value, fixed.is_some(), at)?;
        found.push(Element { ai, value });
        at += length;
        // A separator is due behind a variable value and tolerated behind a fixed one.
        if data.get(at) == Some(&GS) {
            at += 1;
        }
    }
    Ok(found)
}

/// Length of the identifier, and of its value where that is predefined, from the first two digits.
fn shape(rest: &[u8]) -> Option<(usize, Option<usize>)> {
    let &[tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] = rest else { return None };
    Some(match (tens - b'0') * 10 + (ones - b'0') {
        0 => (2, Some(18)),
        1..=3 => (2, Some(14)),
        4 => (2, Some(16)),
        11..=19 => (2, Some(6)),
        20 => (2, Some(2)),
        10 | 21 | 22 | 30 | 37 | 90..=99 => (2, None),
        31..=36 => (4, Some(6)),
        41 => (3, Some(13)),
        23..=25 | 40 | 42 | 71 => (3, None),
        39 | 43 | 70 | 72 | 80..=82 => (4, None),
        _ => return None,
    })
}

fn check(ai: &[u8], value: &[u8], digits_only: bool, at: usize) -> Result<(), Gs1Fault> {
    // Character set 82 (ISO/IEC 646 subset), digits for the predefined lengths.
    let allowed = |b: &u8| {
        b.is_ascii_digit()
            || (!digits_only && (b.is_ascii_alphabetic() || br#"!"%&'()*+,-./_:;<=>?"#.contains(b)))
    };
    if let Some(bad) = value.iter().position(|b| !allowed(b)) {
        return Err(Gs1Fault::BadCharacter { at: at + bad });
    }
    match ai {
        b"00" | b"01" | b"02" | b"03" | b"410" | b"411" | b"412" | b"413" | b"414" | b"415" | b"416"
        | b"417"
            if !check_digit_ok(value) =>
        {
            Err(Gs1Fault::Check { at })
        }
        [b'1', b'1' | b'2' | b'3' | b'5' | b'6' | b'7'] => {
            let two = |i: usize| (value[i] - b'0') * 10 + (value[i + 1] - b'0');
            // Day 00 stands for "some day of this month".
            if (1..=12).contains(&two(2)) && two(4) <= 31 { Ok(()) } else { Err(Gs1Fault::Date { at }) }
        }
        _ => Ok(()),
    }
}

/// The modulo-10 check of GTIN, SSCC and GLN: weights 3 and 1 from the right, the check digit included.
pub fn check_digit_ok(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, b)| u32::from(b.wrapping_sub(b'0')) * if i % 2 == 0 { 1 } else { 3 })
        .sum();
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) && sum.is_multiple_of(10)
}
