//! One ISO 8583 message in the clear, apart from how it is written.

use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// A message type and its fields. Values are ASCII digits for `n`, digits with `=` for `z`, bytes otherwise; what a value
/// may hold is checked when it is encoded. Memory is wiped on drop and nothing of a value is ever printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    mti: [u8; 4],
    fields: BTreeMap<u8, Zeroizing<Vec<u8>>>,
}

impl Message {
    /// An empty message of the given type, e.g. `*b"0200"`.
    pub fn new(mti: [u8; 4]) -> Self {
        Self { mti, fields: BTreeMap::new() }
    }

    /// The message type as four ASCII digits.
    pub fn mti_bytes(&self) -> [u8; 4] {
        self.mti
    }

    /// The message type as text; `????` for bytes that are no text.
    pub fn mti(&self) -> &str {
        std::str::from_utf8(&self.mti).unwrap_or("????")
    }

    /// Sets field `number`, replacing what was there.
    pub fn set(&mut self, number: u8, value: impl AsRef<[u8]>) -> &mut Self {
        self.fields.insert(number, Zeroizing::new(value.as_ref().to_vec()));
        self
    }

    /// Sets field `number` unless the value is empty (acquirers that leave a field out configure it empty).
    pub fn set_unless_empty(&mut self, number: u8, value: impl AsRef<[u8]>) -> &mut Self {
        if value.as_ref().is_empty() { self } else { self.set(number, value) }
    }

    /// Takes field `number` out.
    pub fn remove(&mut self, number: u8) {
        self.fields.remove(&number);
    }

    /// The value of field `number`.
    pub fn get(&self, number: u8) -> Option<&[u8]> {
        self.fields.get(&number).map(|value| value.as_slice())
    }

    /// The value of field `number` where it is text.
    pub fn text(&self, number: u8) -> Option<&str> {
        self.get(number).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Numbers and values, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.fields.iter().map(|(number, value)| (*number, value.as_slice()))
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Message {} with fields", self.mti())?;
        self.fields.keys().try_for_each(|number| write!(out, " {number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_which_fields_but_no_value() {
        let mut message = Message::new(*b"0200");
        message.set(2, "6200000000000005").set(35, "6200000000000005=2912").set_unless_empty(53, "");
        assert_eq!(format!("{message:?}"), "Message 0200 with fields 2 35");
    }
}
