//! Messages to bytes and back, strictly: what a dialect does not allow is an error, never a partial result.
//!
//! Layout (ISO 8583:1987 as channels.md §1.1–1.2 writes it): TPDU, header, MTI, one 64-bit bitmap, fields ascending.
//! Allocation is bounded by the input: every length is checked against the bytes that are really there.

use crate::dialect::{Align, Alphabet, Dialect, FieldSpec, Kind, Size};
use crate::digits;
use crate::message::Message;
use std::ops::Range;
use zeroize::Zeroizing;

/// Why a message cannot be written or read. Texts name fields, never values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Fewer bytes than TPDU, header, MTI and bitmap take.
    #[error("message ends before its bitmap is complete")]
    Short,
    /// The MTI is not four decimal digits of the 1987 version.
    #[error("message type is not one of ISO 8583:1987")]
    Mti,
    /// The bitmap announces a second one, or is not readable.
    #[error("bitmap is not a single 64-bit one")]
    Bitmap,
    /// The dialect has no such field.
    #[error("field {0} is not in this dialect's table; add it to `dialect_toml` if the acquirer uses it")]
    UnknownField(u8),
    /// A length prefix is not decimal or exceeds the field.
    #[error("field {0}: its length is not readable or above what the dialect allows")]
    Length(u8),
    /// A value holds characters its kind does not allow, or has the wrong length.
    #[error("field {0}: its content does not fit its form")]
    Content(u8),
    /// The message ends inside a field.
    #[error("message ends inside field {0}")]
    Truncated(u8),
    /// Bytes remain after the last field.
    #[error("{0} bytes are left over after the last field")]
    Trailing(usize),
    /// Longer than the dialect's frame cap.
    #[error("message is longer than the frame cap")]
    TooLong,
}

/// A decoded message with what the MAC needs from the wire.
#[derive(Debug)]
pub struct Decoded {
    /// The message.
    pub message: Message,
    /// The received header, as bytes (some hosts ask for work in it).
    pub header: Vec<u8>,
    /// Where the MTI starts in the payload.
    start: usize,
    /// Where field 64 starts, or the end of the message.
    mac_at: usize,
    spans: Vec<(u8, Range<usize>)>,
}

impl Decoded {
    /// The wire bytes from the MTI up to field 64.
    pub fn covered<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        payload.get(self.start..self.mac_at).unwrap_or_default()
    }

    /// The wire bytes of field `number`'s value without its length (0 is the MTI).
    pub fn wire_value<'a>(&self, payload: &'a [u8], number: u8) -> Option<&'a [u8]> {
        let (_, span) = self.spans.iter().find(|(known, _)| *known == number)?;
        payload.get(span.clone())
    }
}

/// A message with its envelope, encoded, ready for a MAC and a frame.
#[derive(Debug)]
pub struct Encoded {
    /// TPDU, header and message. Wiped on drop; printing is left to [`Message`].
    pub payload: Zeroizing<Vec<u8>>,
    /// Positions, as in a received message.
    pub layout: Decoded,
}

/// Encodes `message` behind the dialect's own envelope.
pub fn encode(dialect: &Dialect, message: &Message) -> Result<Zeroizing<Vec<u8>>, CodecError> {
    let layout = &dialect.layout;
    let mut out = Zeroizing::new(Vec::with_capacity(dialect.frame.max_bytes));
    out.extend_from_slice(&dialect.envelope.tpdu);
    out.extend_from_slice(&dialect.envelope.header);
    let mti = message.mti_bytes();
    if mti[0] != b'0' || !mti.iter().all(u8::is_ascii_digit) {
        return Err(CodecError::Mti);
    }
    match layout.mti {
        Alphabet::Ascii => out.extend_from_slice(&mti),
        _ => digits::pack(&mti, Align::Left, None, &mut out).ok_or(CodecError::Mti)?,
    }
    let mut bitmap = 0u64;
    for (number, _) in message.iter() {
        if !(2..=64).contains(&number) || dialect.field(number).is_none() {
            return Err(CodecError::UnknownField(number));
        }
        bitmap |= 1 << (64 - number);
    }
    match layout.bitmap {
        Alphabet::Hex => out.extend_from_slice(format!("{bitmap:016X}").as_bytes()),
        _ => out.extend_from_slice(&bitmap.to_be_bytes()),
    }
    for (number, value) in message.iter() {
        let spec = dialect.field(number).ok_or(CodecError::UnknownField(number))?;
        put_field(dialect, number, *spec, value, &mut out)?;
    }
    if out.len() > dialect.frame.max_bytes { Err(CodecError::TooLong) } else { Ok(out) }
}

/// Decodes a whole frame's payload.
pub fn decode(dialect: &Dialect, payload: &[u8]) -> Result<Decoded, CodecError> {
    if payload.len() > dialect.frame.max_bytes {
        return Err(CodecError::TooLong);
    }
    let layout = &dialect.layout;
    let mut cursor = Cursor { bytes: payload, at: 0 };
    cursor.take(layout.tpdu_bytes).ok_or(CodecError::Short)?;
    let header = cursor.take(layout.header_bytes).ok_or(CodecError::Short)?.to_vec();
    let start = cursor.at;
    let mti: Vec<u8> = match layout.mti {
        Alphabet::Ascii => cursor.take(4).ok_or(CodecError::Short)?.to_vec(),
        _ => digits::unpack(cursor.take(2).ok_or(CodecError::Short)?, 4, Align::Left, None)
            .ok_or(CodecError::Mti)?,
    };
    let mti: [u8; 4] = mti.try_into().map_err(|_| CodecError::Mti)?;
    if mti[0] != b'0' || !mti.iter().all(u8::is_ascii_digit) {
        return Err(CodecError::Mti);
    }
    let mut spans = vec![(0, start..cursor.at)];
    let bitmap = match layout.bitmap {
        Alphabet::Hex => upper_hex(cursor.take(16).ok_or(CodecError::Short)?).ok_or(CodecError::Bitmap)?,
        _ => <[u8; 8]>::try_from(cursor.take(8).ok_or(CodecError::Short)?)
            .map(u64::from_be_bytes)
            .map_err(|_| CodecError::Short)?,
    };
    if bitmap >> 63 == 1 {
        return Err(CodecError::Bitmap);
    }
    let mut message = Message::new(mti);
    let mut mac_at = payload.len();
    for number in (2..=64u8).filter(|number| bitmap >> (64 - number) & 1 == 1) {
        let spec = *dialect.field(number).ok_or(CodecError::UnknownField(number))?;
        if number == 64 {
            mac_at = cursor.at;
        }
        let (value, span) = take_field(dialect, number, spec, &mut cursor)?;
        message.set(number, value);
        spans.push((number, span));
    }
    match payload.len() - cursor.at {
        0 => Ok(Decoded { message, header, start, mac_at, spans }),
        left => Err(CodecError::Trailing(left)),
    }
}

/// Encodes a message and reads it back, so that a MAC can be computed over the very bytes that leave.
pub fn encode_checked(dialect: &Dialect, message: &Message) -> Result<Encoded, CodecError> {
    let payload = encode(dialect, message)?;
    let layout = decode(dialect, &payload)?;
    Ok(Encoded { payload, layout })
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }
}

fn upper_hex(text: &[u8]) -> Option<u64> {
    if !text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

/// The nibble that stands for `=`, for a track field.
fn separator_nibble(dialect: &Dialect, kind: Kind) -> Option<u8> {
    let nibble = dialect.layout.track_separator.to_digit(16)?;
    (kind == Kind::Track).then(|| u8::try_from(nibble).ok()).flatten()
}

fn put_field(
    dialect: &Dialect,
    number: u8,
    spec: FieldSpec,
    value: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    match spec.size {
        Size::Fixed(length) if value.len() != length => return Err(CodecError::Content(number)),
        Size::Fixed(_) => {}
        Size::Var { digits: width, max } => {
            if value.len() > max {
                return Err(CodecError::Length(number));
            }
            put_length(dialect, width, value.len(), out).ok_or(CodecError::Length(number))?;
        }
    }
    check_content(spec.kind, value).ok_or(CodecError::Content(number))?;
    if spec.is_digits() && dialect.layout.digits == Alphabet::Bcd {
        digits::pack(value, spec.align, separator_nibble(dialect, spec.kind), out)
            .ok_or(CodecError::Content(number))
    } else if spec.kind == Kind::Track {
        let mut stand_in = [0; 4];
        let stand_in = dialect.layout.track_separator.encode_utf8(&mut stand_in).as_bytes();
        for byte in value {
            out.extend_from_slice(if *byte == b'=' { stand_in } else { std::slice::from_ref(byte) });
        }
        Ok(())
    } else {
        out.extend_from_slice(value);
        Ok(())
    }
}

fn take_field(
    dialect: &Dialect,
    number: u8,
    spec: FieldSpec,
    cursor: &mut Cursor<'_>,
) -> Result<(Zeroizing<Vec<u8>>, Range<usize>), CodecError> {
    let count = match spec.size {
        Size::Fixed(length) => length,
        Size::Var { digits: width, max } => {
            let count = take_length(dialect, width, cursor, number)?;
            if count > max {
                return Err(CodecError::Length(number));
            }
            count
        }
    };
    let packed = spec.is_digits() && dialect.layout.digits == Alphabet::Bcd;
    let wire = if packed { digits::packed_len(count) } else { count };
    let from = cursor.at;
    let bytes = cursor.take(wire).ok_or(CodecError::Truncated(number))?;
    let value = if packed {
        digits::unpack(bytes, count, spec.align, separator_nibble(dialect, spec.kind))
            .ok_or(CodecError::Content(number))?
    } else if spec.kind == Kind::Track {
        let stand_in =
            u8::try_from(dialect.layout.track_separator).map_err(|_| CodecError::Content(number))?;
        if stand_in != b'=' && bytes.contains(&b'=') {
            return Err(CodecError::Content(number));
        }
        bytes.iter().map(|byte| if *byte == stand_in { b'=' } else { *byte }).collect()
    } else {
        bytes.to_vec()
    };
    let value = Zeroizing::new(value);
    check_content(spec.kind, &value).ok_or(CodecError::Content(number))?;
    Ok((value, from..cursor.at))
}

fn check_content(kind: Kind, value: &[u8]) -> Option<()> {
    let fits = match kind {
        Kind::Digits => value.iter().all(u8::is_ascii_digit),
        Kind::Track => value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'='),
        Kind::Alnum => value.iter().all(|byte| matches!(byte, b' '..=b'~')),
        Kind::Text | Kind::Binary => true,
    };
    fits.then_some(())
}

fn put_length(dialect: &Dialect, width: u8, length: usize, out: &mut Vec<u8>) -> Option<()> {
    let text = format!("{length:0width$}", width = usize::from(width));
    match dialect.layout.lengths {
        Alphabet::Ascii => {
            out.extend_from_slice(text.as_bytes());
            Some(())
        }
        // LLL is three digits in two bytes, right-aligned: `0016`.
        _ => digits::pack(text.as_bytes(), Align::Right, None, out),
    }
}

fn take_length(
    dialect: &Dialect,
    width: u8,
    cursor: &mut Cursor<'_>,
    number: u8,
) -> Result<usize, CodecError> {
    let width = usize::from(width);
    let text = if dialect.layout.lengths == Alphabet::Ascii {
        cursor.take(width).ok_or(CodecError::Truncated(number))?.to_vec()
    } else {
        let packed = cursor.take(digits::packed_len(width)).ok_or(CodecError::Truncated(number))?;
        digits::unpack(packed, width, Align::Right, None).ok_or(CodecError::Length(number))?
    };
    text.iter().try_fold(0usize, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + usize::from(byte - b'0')).ok_or(CodecError::Length(number))
    })
}
