//! AIM symbology identifiers: the `]cm` that a scanner may send before a code (ISO/IEC 15424), and what it promises.

use std::fmt;

use thiserror::Error;

use crate::gs1::{self, Gs1Fault};

/// An identifier: code character and modifier.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Aim {
    /// Which family of symbols.
    pub code: u8,
    /// Which option of it.
    pub modifier: u8,
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", char::from(self.code), char::from(self.modifier))
    }
}

impl fmt::Debug for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "]{self}")
    }
}

/// What the identifier says the symbol was, as far as a till cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Symbology {
    /// EAN-13 or UPC.
    Ean13,
    /// EAN-8.
    Ean8,
    /// Two- or five-digit add-on to an EAN.
    EanAddOn,
    /// EAN-13 with add-on.
    EanWithAddOn,
    /// Code 128.
    Code128,
    /// GS1-128.
    Gs1128,
    /// Code 39.
    Code39,
    /// Interleaved 2 of 5.
    Itf,
    /// GS1 `DataBar`, or a composite component.
    Gs1DataBar,
    /// Data Matrix.
    DataMatrix,
    /// GS1 Data Matrix.
    Gs1DataMatrix,
    /// QR code.
    Qr,
    /// GS1 QR code.
    Gs1Qr,
    /// PDF417.
    Pdf417,
    /// Aztec.
    Aztec,
    /// Another symbol known to the standard.
    Other,
}

impl Symbology {
    /// By its identifier; `None` where the standard has no such code character or modifier form.
    pub fn of(aim: Aim) -> Option<Self> {
        if !matches!(aim.modifier, b'0'..=b'9' | b'A'..=b'F') {
            return None;
        }
        Some(match (aim.code, aim.modifier) {
            (b'E', b'0') => Self::Ean13,
            (b'E', b'1' | b'2') => Self::EanAddOn,
            (b'E', b'3') => Self::EanWithAddOn,
            (b'E', b'4') => Self::Ean8,
            (b'C', b'1') => Self::Gs1128,
            (b'C', _) => Self::Code128,
            (b'A', _) => Self::Code39,
            (b'I', _) => Self::Itf,
            (b'e', _) => Self::Gs1DataBar,
            (b'd', b'2') => Self::Gs1DataMatrix,
            (b'd', _) => Self::DataMatrix,
            (b'Q', b'3') => Self::Gs1Qr,
            (b'Q', _) => Self::Qr,
            (b'L', _) => Self::Pdf417,
            (b'z', _) => Self::Aztec,
            (
                b'B' | b'D' | b'E' | b'F' | b'G' | b'H' | b'K' | b'M' | b'N' | b'O' | b'P' | b'R' | b'S'
                | b'T' | b'U' | b'X' | b'Z' | b'c' | b'h' | b'o' | b'p' | b's',
                _,
            ) => Self::Other,
            _ => return None,
        })
    }

    /// Whether the data is made of GS1 elements.
    pub fn is_gs1(self) -> bool {
        matches!(self, Self::Gs1128 | Self::Gs1DataBar | Self::Gs1DataMatrix | Self::Gs1Qr)
    }
}

/// Whether the identifier says that extended channel interpretations are in the data: `\` and six digits switch the
/// character set, and a literal `\` is doubled.
pub fn has_eci(aim: Aim) -> bool {
    matches!(
        (aim.code, aim.modifier),
        (b'Q', b'2' | b'4' | b'6')
            | (b'd', b'4'..=b'6')
            | (b'z', b'3'..=b'5' | b'9' | b'A' | b'B')
            | (b'L', b'1')
    )
}

/// Takes the identifier off; `None` where the code does not begin with one.
pub fn split(code: &[u8]) -> Option<(Aim, &[u8])> {
    match code {
        [b']', c, m, data @ ..] => {
            let aim = Aim { code: *c, modifier: *m };
            Symbology::of(aim).map(|_| (aim, data))
        }
        _ => None,
    }
}

/// Why data does not keep what its identifier promises. Holds nothing of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AimFault {
    /// There is no identifier, or none that the standard knows.
    #[error("the code has no symbology identifier")]
    NoIdentifier,
    /// An EAN has the wrong number of digits or something else than digits.
    #[error("the code is no {digits}-digit EAN, though the scanner says so: scan again")]
    EanForm {
        /// How many it must have.
        digits: usize,
    },
    /// An EAN's check digit is wrong.
    #[error("the check digit of the EAN is wrong: scan again")]
    EanCheck,
    /// GS1 elements are malformed.
    #[error("the GS1 data is malformed: {0}")]
    Gs1(#[from] Gs1Fault),
}

/// A code whose data keeps what its identifier promises.
#[derive(Clone, PartialEq, Eq)]
pub struct Identified<'a> {
    /// The identifier.
    pub aim: Aim,
    /// What it means.
    pub symbology: Symbology,
    /// The data, of a composite symbol its linear part.
    pub data: &'a [u8],
    /// The second part of a composite symbol, without its own `]e0`.
    pub composite: Option<&'a [u8]>,
}

/// Takes the identifier off and checks the data against it: digits, check digit, GS1 elements.
pub fn identify(code: &[u8]) -> Result<Identified<'_>, AimFault> {
    let (aim, whole) = split(code).ok_or(AimFault::NoIdentifier)?;
    let symbology = Symbology::of(aim).ok_or(AimFault::NoIdentifier)?;
    let linear = symbology.is_gs1() || matches!(symbology, Symbology::Ean13 | Symbology::Ean8);
    let (data, composite) = match whole.windows(4).position(|w| w == b"|]e0").filter(|_| linear) {
        Some(at) => (&whole[..at], Some(&whole[at + 4..])),
        None => (whole, None),
    };
    match symbology {
        Symbology::Ean13 => ean(data, 13)?,
        Symbology::Ean8 => ean(data, 8)?,
        gs1 if gs1.is_gs1() => {
            gs1::elements(data)?;
        }
        _ => {}
    }
    if let Some(second) = composite {
        gs1::elements(second)?;
    }
    Ok(Identified { aim, symbology, data, composite })
}

fn ean(data: &[u8], digits: usize) -> Result<(), AimFault> {
    if data.len() != digits || !data.iter().all(u8::is_ascii_digit) {
        return Err(AimFault::EanForm { digits });
    }
    if gs1::check_digit_ok(data) { Ok(()) } else { Err(AimFault::EanCheck) }
}
