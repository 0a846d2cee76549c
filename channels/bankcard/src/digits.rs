//! Packed decimal: two digits a byte, strict in both directions.

use crate::dialect::Align;

/// Bytes that `count` digits take.
pub(crate) const fn packed_len(count: usize) -> usize {
    count.div_ceil(2)
}

/// Packs ASCII digits (and `=` as nibble `separator`, when given) onto `out`. `None` if a character does not fit.
pub(crate) fn pack(digits: &[u8], align: Align, separator: Option<u8>, out: &mut Vec<u8>) -> Option<()> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'=' => separator,
        _ => None,
    };
    let mut pending = (align == Align::Right && digits.len() % 2 == 1).then_some(0u8);
    for byte in digits {
        let low = nibble(*byte)?;
        match pending.take() {
            Some(high) => out.push(high << 4 | low),
            None => pending = Some(low),
        }
    }
    if let Some(high) = pending {
        out.push(high << 4);
    }
    Some(())
}

/// Unpacks `count` digits from `packed`, which must be exactly as long as they need. The nibble that fills an odd count
/// must be zero: anything else is a message written by other rules than ours.
pub(crate) fn unpack(packed: &[u8], count: usize, align: Align, separator: Option<u8>) -> Option<Vec<u8>> {
    if packed.len() != packed_len(count) {
        return None;
    }
    let mut digits = Vec::with_capacity(count + 1);
    for byte in packed {
        for nibble in [byte >> 4, byte & 15] {
            digits.push(match nibble {
                0..=9 => b'0' + nibble,
                other if Some(other) == separator => b'=',
                _ => return None,
            });
        }
    }
    if count % 2 == 1 {
        let filler = match align {
            Align::Left => digits.pop(),
            Align::Right => (!digits.is_empty()).then(|| digits.remove(0)),
        };
        if filler != Some(b'0') {
            return None;
        }
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_counts_fill_on_the_side_the_field_says() {
        let mut out = Vec::new();
        pack(b"021", Align::Left, None, &mut out).unwrap();
        pack(b"001", Align::Right, None, &mut out).unwrap();
        pack(b"62=29", Align::Left, Some(0xD), &mut out).unwrap();
        assert_eq!(out, [0x02, 0x10, 0x00, 0x01, 0x62, 0xD2, 0x90]);
        assert_eq!(unpack(&[0x02, 0x10], 3, Align::Left, None).unwrap(), b"021");
        assert_eq!(unpack(&[0x00, 0x01], 3, Align::Right, None).unwrap(), b"001");
        assert_eq!(unpack(&[0x62, 0xD2, 0x90], 5, Align::Left, Some(0xD)).unwrap(), b"62=29");
    }

    #[test]
    fn what_is_not_decimal_or_not_filled_with_zero_is_refused() {
        assert!(pack(b"12a4", Align::Left, None, &mut Vec::new()).is_none());
        assert!(pack(b"12=4", Align::Left, None, &mut Vec::new()).is_none());
        assert!(unpack(&[0x1A], 2, Align::Left, None).is_none());
        assert!(unpack(&[0x12, 0x34], 3, Align::Left, None).is_none());
        assert!(unpack(&[0x12, 0x34], 3, Align::Right, None).is_none());
        assert!(unpack(&[0x12], 4, Align::Left, None).is_none());
    }
}
