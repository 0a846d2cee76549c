//! One message: type, bitmap, fields (channels.md §1.2).

use super::fields::{CodecError, FieldTable};
use std::collections::BTreeMap;
use std::fmt;

/// Fields that hold card data; their values never appear in any text this crate makes.
const SECRET: [u8; 9] = [2, 14, 35, 36, 45, 52, 55, 59, 62];

/// A message. Digits and text are kept as the characters they stand for, binary fields as bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    mti: [u8; 4],
    fields: BTreeMap<u8, Vec<u8>>,
}

impl Message {
    /// An empty message of a type such as `0210`.
    pub fn new(mti: &str) -> Result<Self, CodecError> {
        let mti: [u8; 4] = mti.as_bytes().try_into().map_err(|_| CodecError::Mti)?;
        if mti[0] != b'0' || mti[1] == b'0' || !mti.iter().all(u8::is_ascii_digit) {
            return Err(CodecError::Mti);
        }
        Ok(Self { mti, fields: BTreeMap::new() })
    }

    /// Reads MTI, bitmap and fields to the last byte.
    pub fn decode(table: &FieldTable, body: &[u8]) -> Result<Self, CodecError> {
        let (mti, rest) = body.split_first_chunk::<2>().ok_or(CodecError::Mti)?;
        let mut message = Self::new(&hex::encode(mti))?;
        let (bitmap, mut rest) = rest.split_first_chunk::<8>().ok_or(CodecError::Truncated(1))?;
        let bitmap = u64::from_be_bytes(*bitmap);
        if bitmap >> 63 == 1 {
            return Err(CodecError::SecondaryBitmap);
        }
        for field in (2..=64u8).filter(|f| bitmap >> (64 - u32::from(*f)) & 1 == 1) {
            let (value, used) = table.get(field)?.decode(field, rest)?;
            message.fields.insert(field, value);
            rest = rest.get(used..).unwrap_or_default();
        }
        if rest.is_empty() { Ok(message) } else { Err(CodecError::LeftOver(rest.len())) }
    }

    /// The bytes from MTI to the last field.
    pub fn encode(&self, table: &FieldTable) -> Result<Vec<u8>, CodecError> {
        let mut out = vec![bcd(self.mti[0], self.mti[1]), bcd(self.mti[2], self.mti[3])];
        let bitmap = self.fields.keys().fold(0u64, |map, field| map | 1 << (64 - u32::from(*field)));
        out.extend_from_slice(&bitmap.to_be_bytes());
        for (field, value) in &self.fields {
            table.get(*field)?.encode(*field, value, &mut out)?;
        }
        Ok(out)
    }

    /// The type, four digits.
    pub fn mti(&self) -> &str {
        std::str::from_utf8(&self.mti).unwrap_or_default()
    }

    /// An empty message of the type that answers `request`: third digit one higher (0200 → 0210).
    pub fn answering(request: &Self) -> Self {
        let [a, b, c, d] = request.mti;
        Self { mti: [a, b, if c < b'9' { c + 1 } else { c }, d], fields: BTreeMap::new() }
    }

    /// A field's value as it stands.
    pub fn get(&self, field: u8) -> Option<&[u8]> {
        self.fields.get(&field).map(Vec::as_slice)
    }

    /// A field's value as text; empty where it is absent or not UTF-8.
    pub fn text(&self, field: u8) -> &str {
        self.get(field).and_then(|v| std::str::from_utf8(v).ok()).unwrap_or_default()
    }

    /// Sets a field (field number from the table; checked when encoding).
    pub fn set(&mut self, field: u8, value: impl Into<Vec<u8>>) -> &mut Self {
        self.fields.insert(field, value.into());
        self
    }

    /// Takes a field out.
    pub fn remove(&mut self, field: u8) {
        self.fields.remove(&field);
    }

    /// Copies the named fields from another message, where it has them.
    pub fn copy(&mut self, from: &Self, fields: &[u8]) -> &mut Self {
        for field in fields {
            if let Some(value) = from.get(*field) {
                self.set(*field, value);
            }
        }
        self
    }
}

fn bcd(high: u8, low: u8) -> u8 {
    (high - b'0') << 4 | (low - b'0')
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        map.entry(&"mti", &self.mti());
        for (field, value) in &self.fields {
            if SECRET.contains(field) {
                map.entry(field, &format_args!("<{} bytes>", value.len()));
            } else {
                map.entry(field, &String::from_utf8_lossy(value));
            }
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn card_data_stays_out_of_debug_text() {
        let mut message = Message::new("0200").unwrap();
        message.set(2, "6200000000000005").set(35, "6200000000000005=2912").set(11, "000002");
        let text = format!("{message:?}");
        assert!(text.contains("000002") && !text.contains("62000000"), "{text}");
    }

    #[test]
    fn secondary_bitmaps_and_foreign_types_are_refused() {
        let table = FieldTable::cup().unwrap();
        let body = hex::decode("0200C000000000000000").unwrap();
        assert_eq!(Message::decode(&table, &body).err(), Some(CodecError::SecondaryBitmap));
        let body = hex::decode("F2000000000000000000").unwrap();
        assert_eq!(Message::decode(&table, &body).err(), Some(CodecError::Mti));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let table = FieldTable::cup().unwrap();
            if let Ok(message) = Message::decode(&table, &body) {
                // What was understood can be said again, and means the same.
                let again = message.encode(&table).unwrap();
                prop_assert_eq!(Message::decode(&table, &again).unwrap(), message);
            }
        }

        #[test]
        fn what_is_encoded_is_decoded(amount in 0u64..1_000_000_000_000, pan in "[0-9]{12,19}", track in "[0-9=]{1,37}",
                                      text in "[ -~]{8}", seq in "[0-9]{3}") {
            let table = FieldTable::cup().unwrap();
            let mut message = Message::new("0200").unwrap();
            message.set(2, pan).set(4, format!("{amount:012}")).set(35, track).set(41, text).set(23, seq);
            let body = message.encode(&table).unwrap();
            prop_assert_eq!(Message::decode(&table, &body).unwrap(), message);
        }
    }
}
