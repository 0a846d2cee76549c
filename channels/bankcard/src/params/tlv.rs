//! Strict data objects of field 62 (channels.md §1.3): everything a host may get wrong in a download is an error that says
//! where, and nothing it says of a length is believed before the bytes are there.
//!
//! Two forms. Keys and applications are BER-TLV (EMV Book 3, annex B), flat. Contactless parameters are text: a tag of six
//! hexadecimal characters, a length of three decimal digits, the value (two public clients read it so).

/// Longest field 62 that is looked at; field 62 of the shipped dialect has at most 999 bytes.
pub const MOST_BYTES: usize = 2048;
/// Most objects in it.
pub const MOST_OBJECTS: usize = 300;

/// What is wrong with the objects of a download.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlvError {
    /// Longer than any download.
    #[error("{0} bytes, where at most {MOST_BYTES} belong")]
    TooLong(usize),
    /// More objects than any download has.
    #[error("more than {MOST_OBJECTS} data objects")]
    TooMany,
    /// It ends inside an object.
    #[error("it ends inside the data object at byte {0}")]
    CutShort(usize),
    /// Not a tag of EMV: longer than three bytes, or not six hexadecimal characters.
    #[error("no tag at byte {0}")]
    Tag(usize),
    /// Not a length: indefinite, longer than it must be, or not three digits.
    #[error("no length at byte {0}")]
    Length(usize),
    /// An object with another length than it may have.
    #[error("data object {tag:X} has {got} bytes, {least} to {most} belong")]
    Size {
        /// Which.
        tag: u32,
        /// Its length.
        got: usize,
        /// Shortest.
        least: usize,
        /// Longest.
        most: usize,
    },
    /// One object twice.
    #[error("data object {0:X} is there twice")]
    Twice(u32),
    /// An object that must be there.
    #[error("data object {0:X} is missing")]
    Missing(u32),
    /// An object whose content makes no sense.
    #[error("data object {0:X} holds nothing that it may hold")]
    Value(u32),
}

/// A tag and its value.
pub type Object<'a> = (u32, &'a [u8]);

/// Reads flat BER-TLV.
pub fn ber(bytes: &[u8]) -> Result<Vec<Object<'_>>, TlvError> {
    many(bytes, |rest, at| {
        let tag = ber_tag(rest, at)?;
        let (length, used) = ber_length(rest.get(tag.1..).unwrap_or_default(), at)?;
        Ok((tag.0, tag.1 + used, length))
    })
}

/// Reads the text form.
pub fn text(bytes: &[u8]) -> Result<Vec<Object<'_>>, TlvError> {
    many(bytes, |rest, at| {
        let (tag, after) = rest.split_first_chunk::<6>().ok_or(TlvError::CutShort(at))?;
        let (length, _) = after.split_first_chunk::<3>().ok_or(TlvError::CutShort(at))?;
        if !tag.iter().all(u8::is_ascii_hexdigit) {
            return Err(TlvError::Tag(at));
        }
        let tag = std::str::from_utf8(tag).ok().and_then(|tag| u32::from_str_radix(tag, 16).ok());
        if !length.iter().all(u8::is_ascii_digit) {
            return Err(TlvError::Length(at));
        }
        let length = length.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        Ok((tag.ok_or(TlvError::Tag(at))?, 9, length))
    })
}

/// Objects one after the other; `head` gives an object's tag, the bytes of tag and length, and the length.
fn many<'a>(
    bytes: &'a [u8],
    head: impl Fn(&'a [u8], usize) -> Result<(u32, usize, usize), TlvError>,
) -> Result<Vec<Object<'a>>, TlvError> {
    if bytes.len() > MOST_BYTES {
        return Err(TlvError::TooLong(bytes.len()));
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if found.len() == MOST_OBJECTS {
            return Err(TlvError::TooMany);
        }
        let (tag, used, length) = head(rest, at)?;
        let end = used.saturating_add(length);
        found.push((tag, rest.get(used..end).ok_or(TlvError::CutShort(at))?));
        at += end;
    }
    Ok(found)
}

/// The tag, and how many bytes it has.
fn ber_tag(bytes: &[u8], at: usize) -> Result<(u32, usize), TlvError> {
    let first = *bytes.first().ok_or(TlvError::CutShort(at))?;
    if first == 0 {
        return Err(TlvError::Tag(at));
    }
    let mut tag = u32::from(first);
    if first & 0x1F != 0x1F {
        return Ok((tag, 1));
    }
    for used in 2..=3 {
        let next = *bytes.get(used - 1).ok_or(TlvError::CutShort(at))?;
        tag = tag << 8 | u32::from(next);
        if next & 0x80 == 0 {
            return Ok((tag, used));
        }
    }
    Err(TlvError::Tag(at))
}

/// The length, and how many bytes it has. Only the shortest form of a length is taken.
fn ber_length(bytes: &[u8], at: usize) -> Result<(usize, usize), TlvError> {
    match bytes {
        [] | [0x81 | 0x82] | [0x82, _] => Err(TlvError::CutShort(at)),
        [short @ 0..=0x7F, ..] => Ok((usize::from(*short), 1)),
        [0x81, length @ 0x80..=0xFF, ..] => Ok((usize::from(*length), 2)),
        [0x82, high @ 1..=0xFF, low, ..] => Ok((usize::from(*high) << 8 | usize::from(*low), 3)),
        _ => Err(TlvError::Length(at)),
    }
}

/// What may be said of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its tag.
    pub tag: u32,
    /// Shortest.
    pub least: usize,
    /// Longest.
    pub most: usize,
    /// Whether it must be there.
    pub must: bool,
}

/// Values by their tags, each checked against its rule. Objects without a rule are passed over: hosts add their own.
#[derive(Debug)]
pub struct Picked<'a>(Vec<Object<'a>>);

impl<'a> Picked<'a> {
    /// Checks objects.
    pub fn new(objects: Vec<Object<'a>>, rules: &[Rule]) -> Result<Self, TlvError> {
        let mut known: Vec<Object<'a>> = Vec::new();
        for (tag, value) in objects {
            let Some(rule) = rules.iter().find(|rule| rule.tag == tag) else { continue };
            let (least, most, got) = (rule.least, rule.most, value.len());
            if !(least..=most).contains(&got) {
                return Err(TlvError::Size { tag, got, least, most });
            }
            if known.iter().any(|(there, _)| *there == tag) {
                return Err(TlvError::Twice(tag));
            }
            known.push((tag, value));
        }
        let picked = Self(known);
        match rules.iter().find(|rule| rule.must && picked.get(rule.tag).is_none()) {
            Some(rule) => Err(TlvError::Missing(rule.tag)),
            None => Ok(picked),
        }
    }

    /// A value.
    pub fn get(&self, tag: u32) -> Option<&'a [u8]> {
        self.0.iter().find(|(there, _)| *there == tag).map(|(_, value)| *value)
    }

    /// A value that must be there.
    pub fn must(&self, tag: u32) -> Result<&'a [u8], TlvError> {
        self.get(tag).ok_or(TlvError::Missing(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let bytes = hex::decode("9F0605A000000333DF0281800102").unwrap();
        assert_eq!(ber(&bytes), Err(TlvError::CutShort(8)));
        let bytes = [&hex::decode("9F0605A0000003335F240130DF028180").unwrap()[..], &[7; 0x80]].concat();
        let tags: Vec<_> = ber(&bytes).unwrap().iter().map(|(tag, value)| (*tag, value.len())).collect();
        assert_eq!(tags, [(0x9F06, 5), (0x5F24, 1), (0xDF02, 0x80)]);
        assert_eq!(
            text(b"FF80540011FF8058012000000030000").unwrap(),
            [(0xFF_8054, &b"1"[..]), (0xFF_8058, b"000000030000")]
        );
    }

    #[test]
    fn lengths_that_promise_more_than_is_there_are_refused_before_anything_is_made() {
        for bad in ["9F", "9F06", "9F0605A0", "DF0282FFFF00", "DF0281", "DF0282", "DF028201"] {
            assert_eq!(ber(&hex::decode(bad).unwrap()), Err(TlvError::CutShort(0)), "{bad}");
        }
        for bad in ["9F0680", "9F0684FFFFFFFF00", "9F06817F", "9F0682007F"] {
            assert_eq!(ber(&hex::decode(bad).unwrap()), Err(TlvError::Length(0)), "{bad}");
        }
        assert_eq!(ber(&[0x9F, 0xFF, 0xFF, 0x01]), Err(TlvError::Tag(0)));
        assert_eq!(ber(&[0]), Err(TlvError::Tag(0)));
        assert_eq!(text(b"FF8054999"), Err(TlvError::CutShort(0)));
        assert_eq!(text(b"FF80540"), Err(TlvError::CutShort(0)));
        assert_eq!(text(b"+F80540011"), Err(TlvError::Tag(0)));
        assert_eq!(text(b"FF8054+011"), Err(TlvError::Length(0)));
    }

    #[test]
    fn ten_megabytes_and_a_thousand_objects_are_refused() {
        assert_eq!(ber(&vec![0x5A; 10 << 20]), Err(TlvError::TooLong(10 << 20)));
        assert_eq!(ber(&[0x5A, 0].repeat(MOST_OBJECTS)).unwrap().len(), MOST_OBJECTS);
        assert_eq!(ber(&[0x5A, 0].repeat(MOST_OBJECTS + 1)), Err(TlvError::TooMany));
    }

    #[test]
    fn what_is_known_has_its_length_and_is_there_once() {
        let rules = [
            Rule { tag: 0x9F06, least: 5, most: 5, must: true },
            Rule { tag: 0x9F22, least: 1, most: 1, must: false },
        ];
        let pick = |text: &str| {
            let bytes = hex::decode(text).unwrap();
            let picked = Picked::new(ber(&bytes)?, &rules)?;
            Ok(picked.get(0x9F22).map(<[u8]>::to_vec))
        };
        assert_eq!(pick("9F0605A0000003339F220109DF990100"), Ok(Some(vec![9])));
        assert_eq!(pick("9F0605A000000333"), Ok(None));
        assert_eq!(pick("9F220109"), Err(TlvError::Missing(0x9F06)));
        let size = TlvError::Size { tag: 0x9F06, got: 4, least: 5, most: 5 };
        assert_eq!(pick("9F0604A0000003"), Err(size));
        assert_eq!(pick("9F0605A0000003339F0605A000000333"), Err(TlvError::Twice(0x9F06)));
    }
}
