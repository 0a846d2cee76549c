//! BER-TLV as EMV uses it (EMV Book 3 annex B): definite lengths of at most four bytes, `00` between objects skipped.
//!
//! [`Objects`] walks one level of borrowed bytes and never recurses; [`find`] descends a stated path. What may nest
//! without end in a hostile card is refused by [`check`], which bounds depth and size before anything else looks.

use std::fmt;

/// Most bytes of one card answer that is looked at.
pub const MOST: usize = 4096;
/// Deepest nesting that is followed.
pub const DEPTH: usize = 8;

/// Why bytes are no TLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlvError {
    /// The tag is cut off.
    #[error("a tag is cut off")]
    Tag,
    /// A tag of more than four bytes.
    #[error("a tag has more than four bytes")]
    LongTag,
    /// The length is cut off, or has more than four bytes.
    #[error("a length is cut off or has more than four bytes")]
    Length,
    /// Indefinite length, which EMV does not use.
    #[error("a length is indefinite, which EMV forbids")]
    Indefinite,
    /// The value runs past the end.
    #[error("a value runs past the end of the data")]
    Value,
    /// Nested too deep.
    #[error("templates are nested more than {DEPTH} deep")]
    Deep,
    /// Too much data.
    #[error("the data has more than {MOST} bytes")]
    Large,
}

/// A tag of one to four bytes, as it stands on the wire (`0x9F02`, `0x5A`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u32);

impl Tag {
    /// Its bytes without leading zeros.
    pub fn bytes(self) -> ([u8; 4], usize) {
        let all = self.0.to_be_bytes();
        let skip = all.iter().take_while(|b| **b == 0).count().min(3);
        (all, skip)
    }

    /// Appends its bytes.
    pub fn write(self, to: &mut Vec<u8>) {
        let (all, skip) = self.bytes();
        to.extend_from_slice(&all[skip..]);
    }

    /// Whether objects of this tag hold objects (bit 6 of the first byte).
    pub fn constructed(self) -> bool {
        let (all, skip) = self.bytes();
        all[skip] & 0x20 != 0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", self.0)
    }
}

/// One data object, borrowed. No `Debug`: values of a card are card data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Object<'a> {
    /// Tag.
    pub tag: Tag,
    /// Content.
    pub value: &'a [u8],
    /// Tag, length and content as they were sent.
    pub whole: &'a [u8],
}

/// The objects of one level. Ends after the first error.
pub struct Objects<'a> {
    left: &'a [u8],
}

/// The objects of one level.
pub const fn objects(bytes: &[u8]) -> Objects<'_> {
    Objects { left: bytes }
}

impl<'a> Iterator for Objects<'a> {
    type Item = Result<Object<'a>, TlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((0, rest)) = self.left.split_first() {
            self.left = rest;
        }
        if self.left.is_empty() {
            return None;
        }
        let found = one(self.left);
        self.left = match &found {
            Ok(object) => self.left.get(object.whole.len()..).unwrap_or_default(),
            Err(_) => &[],
        };
        Some(found)
    }
}

/// Reads a tag; gives it and its length.
pub fn tag(bytes: &[u8]) -> Result<(Tag, usize), TlvError> {
    let first = *bytes.first().ok_or(TlvError::Tag)?;
    let mut tag = u32::from(first);
    let mut used = 1;
    if first & 0x1F == 0x1F {
        loop {
            let next = *bytes.get(used).ok_or(TlvError::Tag)?;
            used += 1;
            if used > 4 {
                return Err(TlvError::LongTag);
            }
            tag = tag << 8 | u32::from(next);
            if next & 0x80 == 0 {
                break;
            }
        }
    }
    Ok((Tag(tag), used))
}

/// The first object of `bytes`, which does not begin with padding.
fn one(bytes: &[u8]) -> Result<Object<'_>, TlvError> {
    let (tag, mut used) = tag(bytes)?;
    let first = *bytes.get(used).ok_or(TlvError::Length)?;
    used += 1;
    let length = match first {
        0..=0x7F => usize::from(first),
        0x80 => return Err(TlvError::Indefinite),
        0x81..=0x84 => {
            let more = usize::from(first & 0x7F);
            let digits = bytes.get(used..used + more).ok_or(TlvError::Length)?;
            used += more;
            digits.iter().fold(0usize, |n, d| n << 8 | usize::from(*d))
        }
        _ => return Err(TlvError::Length),
    };
    let end = used.checked_add(length).ok_or(TlvError::Value)?;
    let value = bytes.get(used..end).ok_or(TlvError::Value)?;
    Ok(Object { tag, value, whole: bytes.get(..end).ok_or(TlvError::Value)? })
}

/// Checks a whole answer: size, form at every level that is constructed, depth. Each byte is looked at once a level.
pub fn check(bytes: &[u8]) -> Result<(), TlvError> {
    if bytes.len() > MOST {
        return Err(TlvError::Large);
    }
    level(bytes, 0)
}

fn level(bytes: &[u8], depth: usize) -> Result<(), TlvError> {
    if depth > DEPTH {
        return Err(TlvError::Deep);
    }
    for object in objects(bytes) {
        let object = object?;
        if object.tag.constructed() {
            level(object.value, depth + 1)?;
        }
    }
    Ok(())
}

/// The content of the first object with this tag on this level.
pub fn first(bytes: &[u8], tag: u32) -> Option<&[u8]> {
    objects(bytes).map_while(Result::ok).find(|o| o.tag.0 == tag).map(|o| o.value)
}

/// The content at the end of a path of tags (`[0x6F, 0xA5, 0x9F38]`).
pub fn find<'a>(bytes: &'a [u8], path: &[u32]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |level, tag| first(level, *tag))
}

/// The content of a template that must be all there is (padding aside).
pub fn only(bytes: &[u8], tag: u32) -> Option<&[u8]> {
    let mut all = objects(bytes);
    let found = all.next()?.ok().filter(|o| o.tag.0 == tag)?;
    all.next().is_none().then_some(found.value)
}

/// Appends an object with a definite length of the shortest form.
pub fn write(to: &mut Vec<u8>, tag: Tag, value: &[u8]) {
    tag.write(to);
    let bytes = value.len().to_be_bytes();
    let skip = bytes.iter().take_while(|b| **b == 0).count();
    match (value.len(), bytes.get(skip..).unwrap_or_default()) {
        (0..=0x7F, _) => to.push(bytes[bytes.len() - 1]),
        (_, digits) => {
            to.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            to.extend_from_slice(digits);
        }
    }
    to.extend_from_slice(value);
}
