//! The US keyboard layout: characters as key codes (linux/input-event-codes.h) with Shift or Ctrl.

/// `KEY_ENTER`.
pub const ENTER: u16 = 28;
/// `KEY_LEFTSHIFT`.
pub const LEFT_SHIFT: u16 = 42;
/// `KEY_LEFTCTRL`.
pub const LEFT_CTRL: u16 = 29;

/// Which key is held while another is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modifier {
    /// None.
    Plain,
    /// Shift.
    Shift,
    /// Ctrl: control characters.
    Ctrl,
}

/// Rows of keys: first code, characters without and with Shift.
const ROWS: [(u16, &str, &str); 5] = [
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", "ASDFGHJKL:\"~"),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
];

/// The key that types a character; `None` for characters the layout does not have.
pub fn key(ch: char) -> Option<(u16, Modifier)> {
    match ch {
        '\n' | '\r' => return Some((ENTER, Modifier::Plain)),
        '\t' => return Some((15, Modifier::Plain)),
        // Ctrl clears the upper bits: Ctrl+] is GS.
        '\u{1}'..='\u{1A}' | '\u{1B}'..='\u{1F}' => {
            let base = char::from(u8::try_from(u32::from(ch)).ok()? | 0x40).to_ascii_lowercase();
            return find(base).map(|(code, _)| (code, Modifier::Ctrl));
        }
        _ => {}
    }
    find(ch)
}

fn find(ch: char) -> Option<(u16, Modifier)> {
    ROWS.iter().find_map(|(first, plain, shifted)| {
        let at = |row: &str| row.chars().position(|c| c == ch).and_then(|at| u16::try_from(at).ok());
        let plain = at(plain).map(|at| (first + at, Modifier::Plain));
        plain.or_else(|| at(shifted).map(|at| (first + at, Modifier::Shift)))
    })
}

/// The HID usage (page 07h) of a key, as kernels put it into `MSC_SCAN`.
pub fn scan_code(code: u16) -> u32 {
    let usage = match code {
        2..=10 => 0x1E + u32::from(code) - 2,
        11 => 0x27,
        ENTER => 0x28,
        15 => 0x2B,
        57 => 0x2C,
        12 => 0x2D,
        13 => 0x2E,
        26 => 0x2F,
        27 => 0x30,
        43 => 0x31,
        39 => 0x33,
        40 => 0x34,
        41 => 0x35,
        51 => 0x36,
        52 => 0x37,
        53 => 0x38,
        LEFT_CTRL => 0xE0,
        LEFT_SHIFT => 0xE1,
        _ => ROWS
            .iter()
            .find_map(|(first, plain, _)| {
                let at = usize::from(code.checked_sub(*first)?);
                plain.chars().nth(at).filter(char::is_ascii_lowercase)
            })
            .map_or(0, |letter| 0x04 + u32::from(letter) - u32::from('a')),
    };
    0x0007_0000 | usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_character_has_its_own_key() {
        let mut keys: Vec<_> = (0x20..0x7F).map(|c: u8| key(char::from(c)).unwrap()).collect();
        keys.sort_by_key(|(code, modifier)| (*code, *modifier as u8));
        keys.dedup();
        assert_eq!(keys.len(), 95);
        assert_eq!(key('A'), Some((30, Modifier::Shift)));
        assert_eq!(key('?'), Some((53, Modifier::Shift)));
        assert_eq!(key('\u{1D}'), Some((27, Modifier::Ctrl)));
        assert_eq!(key('中'), None);
    }

    #[test]
    fn scan_codes_are_hid_usages() {
        let usages: Vec<u32> =
            ['a', 'z', '1', '0', ';'].map(|c| scan_code(key(c).unwrap().0) & 0xFFFF).into();
        assert_eq!(usages, [0x04, 0x1D, 0x1E, 0x27, 0x33]);
        assert!((0x20..0x7F).all(|c: u8| scan_code(key(char::from(c)).unwrap().0) & 0xFFFF != 0));
    }
}
