//! EMVCo codes: the one that a shop shows (merchant-presented) and the one that a customer shows (consumer-presented).
//!
//! Sources: EMV QR Code Specification for Payment Systems, Merchant-Presented Mode 1.1 and Consumer-Presented Mode 1.1
//! (ids, lengths and the CRC as devices.md §2.1 states them); BER-TLV as in EMV Book 3 annex B. Nothing here is kept: the
//! functions answer what a code is, and the texts of their refusals hold nothing of it.

use thiserror::Error;

/// Most characters of a merchant-presented code (§3.2 of its specification: 512 alphanumerics; other scripts are allowed
/// in the language template, hence room).
const MAX_MERCHANT: usize = 1024;
/// Most characters of a consumer-presented code (§4 of its specification).
const MAX_CONSUMER: usize = 512;
/// Deepest nesting of templates.
const MAX_DEPTH: usize = 4;

/// Why a code that begins like an EMVCo code is none. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EmvcoFault {
    /// More than a code can have.
    #[error("it is too long")]
    TooLong,
    /// An id or a length is no number.
    #[error("an id or a length in it is no number")]
    NotANumber,
    /// A value runs beyond the end.
    #[error("it is cut short")]
    Truncated,
    /// The first object is not the format's, or is repeated later.
    #[error("its first field is not the one it must begin with")]
    Format,
    /// The checksum is missing or something stands behind it.
    #[error("its checksum does not stand at its end")]
    CrcPlace,
    /// The checksum is wrong: a character was misread.
    #[error("its checksum is wrong")]
    Crc,
    /// Not base64.
    #[error("it holds characters that it cannot have")]
    NotBase64,
    /// The objects inside are no BER-TLV.
    #[error("its data objects are malformed")]
    Tlv,
    /// No application is named in it.
    #[error("it names no application")]
    NoApplication,
}

/// A merchant-presented code whose checksum is right; its fields borrow from the code.
#[derive(Clone, PartialEq, Eq)]
pub struct MerchantCode<'a> {
    fields: Vec<(u8, &'a str)>,
}

impl<'a> MerchantCode<'a> {
    /// Reads a code. Lengths count characters, the checksum counts UTF-8 bytes.
    pub fn parse(text: &'a str) -> Result<Self, EmvcoFault> {
        if text.len() > 4 * MAX_MERCHANT || text.chars().count() > MAX_MERCHANT {
            return Err(EmvcoFault::TooLong);
        }
        let mut fields: Vec<(u8, &str)> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (id, tail) = number(rest)?;
            let (length, tail) = number(tail)?;
            let end = tail.char_indices().map(|(at, _)| at).chain([tail.len()]).nth(usize::from(length));
            let (value, tail) = tail.split_at(end.ok_or(EmvcoFault::Truncated)?);
            if fields.is_empty() && (id, value) != (0, "01") || fields.iter().any(|(seen, _)| *seen == id) {
                return Err(EmvcoFault::Format);
            }
            fields.push((id, value));
            if id == 63 {
                if !tail.is_empty() || value.len() != 4 {
                    return Err(EmvcoFault::CrcPlace);
                }
                // Over everything up to and with the checksum's own id and length.
                let covered = &text.as_bytes()[..text.len() - value.len()];
                // Some makers print it in lower case; the digits are the same.
                let said = u16::from_str_radix(value, 16).map_err(|_| EmvcoFault::Crc)?;
                if crc16(covered) != said {
                    return Err(EmvcoFault::Crc);
                }
                return Ok(Self { fields });
            }
            rest = tail;
        }
        Err(if fields.is_empty() { EmvcoFault::Format } else { EmvcoFault::CrcPlace })
    }

    /// The fields in their order, templates unopened.
    pub fn fields(&self) -> &[(u8, &'a str)] {
        &self.fields
    }

    /// One field's value.
    pub fn get(&self, id: u8) -> Option<&'a str> {
        self.fields.iter().find(|(own, _)| *own == id).map(|(_, value)| *value)
    }
}

/// Two decimal digits off the front.
fn number(text: &str) -> Result<(u8, &str), EmvcoFault> {
    let (digits, tail) = text.split_at_checked(2).ok_or(if text.len() < 2 {
        EmvcoFault::Truncated
    } else {
        EmvcoFault::NotANumber
    })?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(EmvcoFault::NotANumber);
    }
    digits.parse().map(|n| (n, tail)).map_err(|_| EmvcoFault::NotANumber)
}

/// CRC-16/CCITT-FALSE (polynomial 1021h, start FFFFh; ISO/IEC 13239).
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

/// The applications of a consumer-presented code, in its order.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerCode {
    /// Application identifiers (tag 4F), 5 to 16 bytes each.
    pub aids: Vec<Vec<u8>>,
}

impl CustomerCode {
    /// Reads a code: base64 of BER-TLV that begins with the format indicator (85: `CPV01`).
    pub fn parse(text: &str) -> Result<Self, EmvcoFault> {
        if text.len() > MAX_CONSUMER {
            return Err(EmvcoFault::TooLong);
        }
        let bytes = zeroize::Zeroizing::new(base64(text)?);
        let mut aids = Vec::new();
        let mut first = true;
        objects(&bytes, 0, &mut |tag, value, depth| {
            if std::mem::take(&mut first) && (tag, value) != (0x85, b"CPV01".as_slice()) {
                return Err(EmvcoFault::Format);
            }
            if tag == 0x4F && depth == 1 {
                if !(5..=16).contains(&value.len()) {
                    return Err(EmvcoFault::Tlv);
                }
                aids.push(value.to_vec());
            }
            Ok(())
        })?;
        if first {
            return Err(EmvcoFault::Format);
        }
        if aids.is_empty() { Err(EmvcoFault::NoApplication) } else { Ok(Self { aids }) }
    }
}

/// Standard base64 with or without its padding.
fn base64(text: &str) -> Result<Vec<u8>, EmvcoFault> {
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return Err(EmvcoFault::NotBase64);
    }
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in digits.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return Err(EmvcoFault::NotBase64),
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits & 0xFF) as u8);
        }
    }
    Ok(out)
}

type Found<'f> = &'f mut dyn FnMut(u32, &[u8], usize) -> Result<(), EmvcoFault>;

/// Walks BER-TLV objects, into templates too.
fn objects(bytes: &[u8], depth: usize, found: Found<'_>) -> Result<(), EmvcoFault> {
    let mut rest = bytes;
    while let Some((&head, mut tail)) = rest.split_first() {
        let mut tag = u32::from(head);
        if head & 0x1F == 0x1F {
            let (&next, more) = tail.split_first().ok_or(EmvcoFault::Truncated)?;
            // Tags of EMV have at most two bytes.
            if next & 0x80 != 0 {
                return Err(EmvcoFault::Tlv);
            }
            tag = tag << 8 | u32::from(next);
            tail = more;
        }
        let (&first, mut tail) = tail.split_first().ok_or(EmvcoFault::Truncated)?;
        let length = match first {
            0..=0x7F => usize::from(first),
            0x81 => {
                let (&length, more) = tail.split_first().ok_or(EmvcoFault::Truncated)?;
                tail = more;
                usize::from(length)
            }
            // The whole code is shorter than two bytes of length could say, but they may.
            0x82 => {
                let (high, more) = tail.split_first_chunk::<2>().ok_or(EmvcoFault::Truncated)?;
                tail = more;
                usize::from(u16::from_be_bytes(*high))
            }
            _ => return Err(EmvcoFault::Tlv),
        };
        let (value, tail) = tail.split_at_checked(length).ok_or(EmvcoFault::Truncated)?;
        found(tag, value, depth)?;
        if head & 0x20 != 0 {
            if depth == MAX_DEPTH {
                return Err(EmvcoFault::Tlv);
            }
            objects(value, depth + 1, &mut *found)?;
        }
        rest = tail;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
