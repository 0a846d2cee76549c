//! What a card told: its data objects by tag, bounded, wiped when dropped. A tag told twice with two contents is an error
//! (EMV Book 3 §7.5): which of two account numbers would be charged?

use zeroize::Zeroizing;

use super::tlv;

/// Most objects of a card.
const OBJECTS: usize = 128;
/// Most bytes of all of them.
const BYTES: usize = 8192;

/// Why an object is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Told twice, differently.
    #[error("the card tells {0:X} twice, with different contents")]
    Twice(u32),
    /// Too much.
    #[error("the card tells more than a card may")]
    Full,
    /// Not TLV.
    #[error("the card's data is malformed: {0}")]
    Tlv(#[from] tlv::TlvError),
}

/// Objects of one application. No `Debug`: it holds card data.
#[derive(Default)]
pub struct Store {
    objects: Vec<(u32, Zeroizing<Vec<u8>>)>,
    bytes: usize,
}

impl Store {
    /// Keeps one object.
    pub fn put(&mut self, tag: u32, value: &[u8]) -> Result<(), StoreError> {
        if let Some(known) = self.get(tag) {
            return if known == value { Ok(()) } else { Err(StoreError::Twice(tag)) };
        }
        if self.objects.len() == OBJECTS || self.bytes + value.len() > BYTES {
            return Err(StoreError::Full);
        }
        self.bytes += value.len();
        self.objects.push((tag, Zeroizing::new(value.to_vec())));
        Ok(())
    }

    /// Keeps every object of a level. The same tag twice on one level is an error even when equal.
    pub fn put_all(&mut self, level: &[u8]) -> Result<(), StoreError> {
        tlv::check(level)?;
        let mut seen = Vec::new();
        for object in tlv::objects(level) {
            let object = object?;
            if seen.contains(&object.tag.0) {
                return Err(StoreError::Twice(object.tag.0));
            }
            seen.push(object.tag.0);
            self.put(object.tag.0, object.value)?;
        }
        Ok(())
    }

    /// Content of a tag.
    pub fn get(&self, tag: u32) -> Option<&[u8]> {
        self.objects.iter().find(|(t, _)| *t == tag).map(|(_, v)| v.as_slice())
    }

    /// Content of a tag if it has exactly this many bytes.
    pub fn exact<const N: usize>(&self, tag: u32) -> Option<&[u8; N]> {
        self.get(tag).and_then(|v| v.try_into().ok())
    }
}
