//! A scan's bytes to a code: identifier off, characters decoded. What the code is good for is the daemon's matter.

use std::fmt;

use encoding_rs::GB18030;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::aim::{self, Aim, AimFault};

/// The character set of codes that do not name one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, of which ASCII is a part.
    #[default]
    Utf8,
    /// GB18030, of which GBK and GB 2312 are parts: what many scanners set up for China send.
    Gb18030,
    /// ISO 8859-1.
    Latin1,
}

/// How to treat a symbology identifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AimPolicy {
    /// Taken off where there is one.
    #[default]
    Auto,
    /// Every code must have one.
    Required,
    /// A `]` is data like any other.
    Off,
}

/// Why a scan gives no code. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodeFault {
    /// Nothing is left behind the identifier.
    #[error("the code is empty: scan again")]
    Empty,
    /// The bytes are no text in the configured character set.
    #[error("the code is not text in {0:?}: check the device's `charset`")]
    NotText(Charset),
    /// The code switches to a character set that this driver does not have.
    #[error("the code asks for character set {0} (ECI), which is not supported")]
    UnknownEci(u32),
    /// A `\` in a code with character set switches is neither doubled nor followed by six digits.
    #[error("the code has a malformed character set switch (ECI): scan again")]
    BadEci,
    /// The identifier is missing where it is required, or the data does not keep what it promises.
    #[error(transparent)]
    Aim(#[from] AimFault),
}

/// A code as text.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    /// The symbology identifier, where the scanner sent one.
    pub aim: Option<Aim>,
    /// The text behind it.
    pub text: Zeroizing<String>,
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").field("aim", &self.aim).finish_non_exhaustive()
    }
}

/// Reads one scan.
pub fn read(scan: &[u8], policy: AimPolicy, charset: Charset) -> Result<Code, CodeFault> {
    let (aim, data) = match policy {
        AimPolicy::Off => (None, scan),
        AimPolicy::Auto => aim::split(scan).map_or((None, scan), |(aim, data)| (Some(aim), data)),
        AimPolicy::Required => {
            let (aim, data) = aim::split(scan).ok_or(AimFault::NoIdentifier)?;
            (Some(aim), data)
        }
    };
    if data.is_empty() {
        return Err(CodeFault::Empty);
    }
    // An EAN that fails its own check was damaged on the way. GS1 labels in the wild break rules and are no money: they pass.
    if aim.is_some()
        && let Err(fault @ (AimFault::EanForm { .. } | AimFault::EanCheck)) = aim::identify(scan)
    {
        return Err(fault.into());
    }
    let text = match aim {
        Some(aim) if aim::has_eci(aim) => with_eci(data, charset)?,
        _ => decode(data, charset)?,
    };
    Ok(Code { aim, text })
}

fn decode(data: &[u8], charset: Charset) -> Result<Zeroizing<String>, CodeFault> {
    // Decoders that grow their output would leave copies behind; each of these allocates once.
    let text = match charset {
        Charset::Utf8 => std::str::from_utf8(data).ok().map(str::to_owned),
        Charset::Gb18030 => GB18030
            .decode_without_bom_handling_and_without_replacement(data)
            .map(std::borrow::Cow::into_owned),
        Charset::Latin1 => {
            let mut text = String::with_capacity(data.len() * 2);
            text.extend(data.iter().map(|b| char::from(*b)));
            Some(text)
        }
    };
    text.map(Zeroizing::new).ok_or(CodeFault::NotText(charset))
}

/// Splits at ECI switches (AIM ECI specification: `\` and six digits; a literal `\` is doubled) and decodes each part.
fn with_eci(data: &[u8], default: Charset) -> Result<Zeroizing<String>, CodeFault> {
    // Three bytes a byte is the most that any of the sets becomes in UTF-8.
    let mut text = Zeroizing::new(String::with_capacity(data.len() * 3));
    let mut part = Zeroizing::new(Vec::with_capacity(data.len()));
    let mut charset = default;
    let mut rest = data;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            part.push(byte);
            continue;
        }
        if let Some(tail) = rest.strip_prefix(b"\\") {
            part.push(b'\\');
            rest = tail;
            continue;
        }
        let (digits, tail) = rest.split_first_chunk::<6>().ok_or(CodeFault::BadEci)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(CodeFault::BadEci);
        }
        let number = digits.iter().fold(0u32, |n, d| n * 10 + u32::from(d - b'0'));
        text.push_str(&decode(&part, charset)?);
        part.zeroize();
        charset = match number {
            1 | 3 => Charset::Latin1,
            26 | 27 => Charset::Utf8,
            29 | 32 => Charset::Gb18030,
            _ => return Err(CodeFault::UnknownEci(number)),
        };
        rest = tail;
    }
    text.push_str(&decode(&part, charset)?);
    if text.is_empty() { Err(CodeFault::Empty) } else { Ok(text) }
}
