//! Data object lists: a card's list of tags and lengths, and the bytes that answer it (EMV Book 3 §5.4).

use zeroize::Zeroizing;

use super::tlv;

/// Most bytes that a list may ask for: what fits into one short command beside template 83.
pub const MOST: usize = 252;
/// Most entries of a list.
const ENTRIES: usize = 64;

/// Why a list cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DolError {
    /// A tag or length is cut off.
    #[error("the card's data object list is cut off or malformed")]
    Malformed,
    /// More is asked for than a command can carry.
    #[error("the card's data object list asks for more than {MOST} bytes")]
    TooLong,
}

/// How a data object is fitted into another length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `n`: digits, right-aligned: cut or zero-padded on the left.
    Numeric,
    /// `cn`: digits, left-aligned: cut on the right, padded with `F`.
    Compressed,
    /// Everything else: cut or zero-padded on the right.
    Other,
}

/// Format of a data object (EMV Book 3 annex A; PBOC 3.0 for the 9F7x). Tags not named are [`Format::Other`].
pub fn format(tag: u32) -> Format {
    match tag {
        0x42
        | 0x5F24..=0x5F26
        | 0x5F28
        | 0x5F2A
        | 0x5F30
        | 0x5F34
        | 0x5F36
        | 0x9A
        | 0x9C
        | 0x9F01..=0x9F03
        | 0x9F11
        | 0x9F15
        | 0x9F19
        | 0x9F1A
        | 0x9F21
        | 0x9F35
        | 0x9F39
        | 0x9F3C
        | 0x9F3D
        | 0x9F41
        | 0x9F42
        | 0x9F51
        | 0x9F57
        | 0x9F73
        | 0x9F77..=0x9F79 => Format::Numeric,
        0x5A | 0x9F20 => Format::Compressed,
        _ => Format::Other,
    }
}

/// The entries of a list: tag and length.
pub fn entries(list: &[u8]) -> Result<Vec<(u32, usize)>, DolError> {
    let mut left = list;
    let mut found = Vec::new();
    while !left.is_empty() {
        let (tag, used) = tlv::tag(left).map_err(|_| DolError::Malformed)?;
        let length = *left.get(used).ok_or(DolError::Malformed)?;
        found.push((tag.0, usize::from(length)));
        if found.len() > ENTRIES {
            return Err(DolError::TooLong);
        }
        left = left.get(used + 1..).unwrap_or_default();
    }
    Ok(found)
}

/// Answers a list: each entry as long as asked for, from `value` (unknown tags are zeros).
pub fn build<'a>(
    list: &[u8],
    mut value: impl FnMut(u32) -> Option<&'a [u8]>,
) -> Result<Zeroizing<Vec<u8>>, DolError> {
    let entries = entries(list)?;
    let total: usize = entries.iter().map(|(_, length)| length).sum();
    if total > MOST {
        return Err(DolError::TooLong);
    }
    // The whole capacity at once: no copy of what is inside stays behind in freed memory.
    let mut out = Zeroizing::new(Vec::with_capacity(total));
    for (tag, length) in entries {
        fit(&mut out, value(tag), length, format(tag));
    }
    Ok(out)
}

fn fit(out: &mut Vec<u8>, value: Option<&[u8]>, length: usize, format: Format) {
    let Some(value) = value else {
        out.resize(out.len() + length, 0);
        return;
    };
    let missing = length.saturating_sub(value.len());
    let kept = value.len().min(length);
    match format {
        Format::Numeric => {
            out.resize(out.len() + missing, 0);
            out.extend_from_slice(&value[value.len() - kept..]);
        }
        Format::Compressed | Format::Other => {
            out.extend_from_slice(&value[..kept]);
            let pad = if format == Format::Compressed { 0xFF } else { 0 };
            out.resize(out.len() + missing, pad);
        }
    }
}
