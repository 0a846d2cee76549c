//! The field table as data, and the encoding of one field (channels.md §1.2).

use serde::Deserialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// The table every Chinese acquirer starts from.
const CUP: &str = include_str!("cup.toml");

/// Why bytes are not a message, or fields cannot become one. Never carries field contents.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    /// The field table is not usable.
    #[error("field table: {0}")]
    Table(String),
    /// The message type is not four BCD digits of a class this protocol has.
    #[error("message type is not one of 01xx to 09xx in BCD")]
    Mti,
    /// Bit 1 announces a second bitmap; this protocol has 64 fields.
    #[error("secondary bitmap announced; this protocol has 64 fields")]
    SecondaryBitmap,
    /// A bit is set for a field outside the table.
    #[error("field {0} is not in the field table")]
    UnknownField(u8),
    /// The message ends inside a field.
    #[error("message ends inside field {0}")]
    Truncated(u8),
    /// A length prefix or digit is not decimal.
    #[error("field {0} holds a nibble that is not a decimal digit")]
    NotBcd(u8),
    /// The value is longer than the table allows, or a fixed field has another length.
    #[error("field {field} has length {length}, the table allows {allowed}")]
    Length {
        /// Field number.
        field: u8,
        /// Length found, in the table's unit.
        length: usize,
        /// Length in the table.
        allowed: usize,
    },
    /// Bytes follow the last field.
    #[error("{0} bytes left over after the last field")]
    LeftOver(usize),
}

/// How a field's characters stand on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Decimal digits, two a byte.
    N,
    /// Track digits, two a byte, `=` as nibble D.
    Z,
    /// Letters and digits.
    An,
    /// Text.
    Ans,
    /// Bytes.
    B,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum RawLength {
    Fixed(usize),
    Variable(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSpec {
    format: Format,
    length: RawLength,
    max: Option<usize>,
    #[serde(default)]
    right: bool,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    format: Format,
    /// Digits of the length prefix: 0 = fixed, 2 = LL, 3 = LLL.
    prefix: usize,
    /// Fixed length, or the longest allowed; digits for n and z, bytes otherwise.
    max: usize,
    right: bool,
}

impl FieldSpec {
    fn is_digits(self) -> bool {
        matches!(self.format, Format::N | Format::Z)
    }

    /// Reads the field from the front of `input`; answers value and bytes used. Digits come as ASCII characters.
    pub(super) fn decode(self, field: u8, input: &[u8]) -> Result<(Vec<u8>, usize), CodecError> {
        let (length, start) = if self.prefix == 0 {
            (self.max, 0)
        } else {
            let bytes = self.prefix.div_ceil(2);
            let prefix = input.get(..bytes).ok_or(CodecError::Truncated(field))?;
            let mut length = 0;
            for byte in prefix {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 0x0F));
                if high > 9 || low > 9 {
                    return Err(CodecError::NotBcd(field));
                }
                length = length * 100 + high * 10 + low;
            }
            (length, bytes)
        };
        if length > self.max {
            return Err(CodecError::Length { field, length, allowed: self.max });
        }
        let bytes = if self.is_digits() { length.div_ceil(2) } else { length };
        let data = input.get(start..start + bytes).ok_or(CodecError::Truncated(field))?;
        let value = if self.is_digits() { self.unpack(field, data, length)? } else { data.to_vec() };
        Ok((value, start + bytes))
    }

    fn unpack(self, field: u8, data: &[u8], digits: usize) -> Result<Vec<u8>, CodecError> {
        let mut nibbles: Vec<u8> = data.iter().flat_map(|b| [b >> 4, b & 0x0F]).collect();
        if digits % 2 == 1 {
            let pad = if self.right { nibbles.remove(0) } else { nibbles.pop().unwrap_or(0) };
            // Terminals pad with 0; some track encoders pad with F. Anything else is a shifted field.
            if pad != 0 && pad != 0x0F {
                return Err(CodecError::NotBcd(field));
            }
        }
        nibbles
            .into_iter()
            .map(|n| match (n, self.format) {
                (0..=9, _) => Ok(b'0' + n),
                (0x0D, Format::Z) => Ok(b'='),
                _ => Err(CodecError::NotBcd(field)),
            })
            .collect()
    }

    /// Appends prefix and value to `out`.
    pub(super) fn encode(self, field: u8, value: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let length = value.len();
        if length > self.max || (self.prefix == 0 && length != self.max) {
            return Err(CodecError::Length { field, length, allowed: self.max });
        }
        if self.prefix == 3 {
            out.push(bcd_byte(length / 100));
        }
        if self.prefix > 0 {
            out.push(bcd_byte(length % 100));
        }
        if !self.is_digits() {
            out.extend_from_slice(value);
            return Ok(());
        }
        let mut nibbles = Vec::with_capacity(length + 1);
        for byte in value {
            nibbles.push(match (byte, self.format) {
                (b'0'..=b'9', _) => byte - b'0',
                (b'=', Format::Z) => 0x0D,
                _ => return Err(CodecError::NotBcd(field)),
            });
        }
        if length % 2 == 1 {
            nibbles.insert(if self.right { 0 } else { length }, 0);
        }
        out.extend(nibbles.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
        Ok(())
    }
}

fn bcd_byte(value: usize) -> u8 {
    u8::try_from(((value / 10 % 10) << 4) | (value % 10)).unwrap_or(0)
}

/// The whole table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldTable(BTreeMap<u8, FieldSpec>);

impl FieldTable {
    /// The common table of channels.md §1.2.
    pub fn cup() -> Result<Self, CodecError> {
        Self::from_toml(CUP)
    }

    /// The same where the PIN block (field 52) has sixteen bytes.
    pub fn cup_sm4() -> Result<Self, CodecError> {
        let mut table = Self::cup()?;
        table.0.insert(52, FieldSpec { format: Format::B, prefix: 0, max: 16, right: false });
        Ok(table)
    }

    /// A table in the form of `cup.toml`, for an acquirer's dialect.
    pub fn from_toml(text: &str) -> Result<Self, CodecError> {
        let rows: BTreeMap<String, RawSpec> =
            toml::from_str(text).map_err(|e| CodecError::Table(e.to_string()))?;
        let mut table = BTreeMap::new();
        for (name, raw) in rows {
            let field = name.parse::<u8>().ok().filter(|n| (2..=64).contains(n));
            let field = field
                .ok_or_else(|| CodecError::Table(format!("{name} is not a field number from 2 to 64")))?;
            let (prefix, max) = match (&raw.length, raw.max) {
                (RawLength::Fixed(n), None) => (0, Some(*n)),
                (RawLength::Variable(v), Some(max)) if v == "LL" && max <= 99 => (2, Some(max)),
                (RawLength::Variable(v), Some(max)) if v == "LLL" && max <= 999 => (3, Some(max)),
                _ => (0, None),
            };
            let max = max.ok_or_else(|| {
                CodecError::Table(format!(
                    "field {field}: length is a number, or LL/LLL with a max that fits it"
                ))
            })?;
            table.insert(field, FieldSpec { format: raw.format, prefix, max, right: raw.right });
        }
        Ok(Self(table))
    }

    pub(super) fn get(&self, field: u8) -> Result<FieldSpec, CodecError> {
        self.0.get(&field).copied().ok_or(CodecError::UnknownField(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(field: u8, value: &str) -> String {
        let mut out = Vec::new();
        FieldTable::cup().unwrap().get(field).unwrap().encode(field, value.as_bytes(), &mut out).unwrap();
        hex::encode_upper(out)
    }

    #[test]
    fn odd_digits_stand_left_except_field_23() {
        assert_eq!(wire(22, "021"), "0210");
        assert_eq!(wire(23, "001"), "0001");
        assert_eq!(wire(60, "22000012000"), "0011220000120000");
        assert_eq!(wire(35, "6200000000000005=2912"), "216200000000000005D29120");
    }

    #[test]
    fn a_dialect_is_a_table_not_code() {
        let table = FieldTable::from_toml("62 = { format = \"ans\", length = \"LL\", max = 9 }").unwrap();
        assert_eq!(table.get(62).unwrap().decode(62, b"\x03abcX").unwrap(), (b"abc".to_vec(), 4));
        assert_eq!(table.get(4).err(), Some(CodecError::UnknownField(4)));
        assert!(FieldTable::from_toml("65 = { format = \"n\", length = 1 }").is_err());
        assert!(FieldTable::from_toml("6 = { format = \"n\", length = \"LL\" }").is_err());
        assert!(FieldTable::from_toml("6 = { format = \"n\", length = 2, colour = 1 }").is_err());
    }

    #[test]
    fn a_length_that_is_not_bcd_is_refused() {
        let table = FieldTable::cup().unwrap();
        assert_eq!(table.get(2).unwrap().decode(2, &[0x1A, 0x62]).err(), Some(CodecError::NotBcd(2)));
        let too_long = CodecError::Length { field: 2, length: 20, allowed: 19 };
        assert_eq!(table.get(2).unwrap().decode(2, &[0x20; 30]).err(), Some(too_long));
    }
}
