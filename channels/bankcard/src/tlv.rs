//! BER-TLV as chip data uses it (EMV Book 3, annex B): only what choosing objects for field 55 needs. The input is flat;
//! constructed objects are taken whole.

/// One data object: its tag and the whole object, tag and length included.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Object<'a> {
    /// Tag bytes.
    pub tag: &'a [u8],
    /// Content.
    pub value: &'a [u8],
    /// Tag, length and content.
    pub whole: &'a [u8],
}

/// Reads a list of objects. `None` if anything is cut short, longer than the input, or has a tag or length form that EMV
/// does not use. Zero bytes between objects are skipped, as EMV asks.
pub fn objects(mut bytes: &[u8]) -> Option<Vec<Object<'_>>> {
    let mut found = Vec::new();
    while let Some(first) = bytes.first() {
        if *first == 0 {
            bytes = &bytes[1..];
            continue;
        }
        let object = one(bytes)?;
        bytes = bytes.get(object.whole.len()..)?;
        found.push(object);
    }
    Some(found)
}

fn one(bytes: &[u8]) -> Option<Object<'_>> {
    let mut tag_len = 1;
    if bytes.first()? & 0x1F == 0x1F {
        while bytes.get(tag_len)? & 0x80 != 0 {
            tag_len += 1;
        }
        tag_len += 1;
        if tag_len > 3 {
            return None;
        }
    }
    let first = usize::from(*bytes.get(tag_len)?);
    let (length, value_at) = match first {
        0..=0x7F => (first, tag_len + 1),
        0x81 => (usize::from(*bytes.get(tag_len + 1)?), tag_len + 2),
        0x82 => {
            let high = usize::from(*bytes.get(tag_len + 1)?);
            (high << 8 | usize::from(*bytes.get(tag_len + 2)?), tag_len + 3)
        }
        _ => return None,
    };
    let end = value_at.checked_add(length)?;
    Some(Object { tag: &bytes[..tag_len], value: bytes.get(value_at..end)?, whole: bytes.get(..end)? })
}

/// The objects named in `tags` (upper-case hexadecimal), in that order, as they were written. `None` if the input is not
/// readable.
pub fn choose(bytes: &[u8], tags: &[String]) -> Option<Vec<u8>> {
    let objects = objects(bytes)?;
    let mut out = Vec::with_capacity(bytes.len());
    for tag in tags {
        if let Some(object) = objects.iter().find(|object| hex::encode_upper(object.tag) == *tag) {
            out.extend_from_slice(object.whole);
        }
    }
    Some(out)
}

/// The content of one tag.
pub fn find<'a>(bytes: &'a [u8], tag: &[u8]) -> Option<&'a [u8]> {
    objects(bytes)?.into_iter().find(|object| object.tag == tag).map(|object| object.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn chosen_objects_come_in_the_order_asked_for_and_the_rest_stays() {
        let data = hex::decode("9F360200125713620000000000000595050000000000").unwrap();
        assert_eq!(choose(&data, &tags(&["95"])), None, "57 announces 0x13 bytes that are not there");
        let data = hex::decode("9F36020012000095050000000000DF310101").unwrap();
        let chosen = choose(&data, &tags(&["95", "9F1E", "9F36"])).unwrap();
        assert_eq!(hex::encode_upper(chosen), "950500000000009F36020012");
    }

    #[test]
    fn long_lengths_are_read_and_endless_ones_refused() {
        let mut data = vec![0x9F, 0x10, 0x81, 0x80];
        data.extend([7; 0x80]);
        assert_eq!(find(&data, &[0x9F, 0x10]).unwrap().len(), 0x80);
        for bad in ["9F", "9F10", "9F1084FFFFFFFF", "9F1080", "9FFFFFFF01", "9F1082FFFF00", "9503"] {
            assert!(objects(&hex::decode(bad).unwrap()).is_none(), "{bad}");
        }
    }
}
