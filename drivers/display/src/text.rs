//! Text for a display: every field is data, never a command.
//!
//! [`clean`] turns any string into one that the font can show: control characters vanish, full-width forms become their
//! ASCII ones where there is no Chinese font, accents are taken off, and what still cannot be shown is left out (a customer
//! display is too small for marks that stand for nothing). [`encode`] then produces only bytes from 20h to 7Eh and pairs of
//! 81h–FEh, 40h–FEh (never 7Fh), whatever it is given. Nothing else in this crate writes text.

use encoding_rs::{EncoderResult, GB18030};
use unicode_width::UnicodeWidthChar;

use crate::profile::Charset;

/// `text` with only what the font has, on one line.
pub fn clean(set: Charset, text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(1024));
    for c in text.chars() {
        if width(set, c) > 0 {
            out.push(c);
        } else if let Some(instead) = stand_in(c) {
            out.extend(instead.chars().filter(|c| width(set, *c) > 0));
        }
    }
    out
}

/// Columns of a character; 0: the font does not have it.
pub fn width(set: Charset, c: char) -> usize {
    code(set, c).map_or(0, |(_, len)| len)
}

/// Columns of a text.
pub fn columns(set: Charset, text: &str) -> usize {
    text.chars().map(|c| width(set, c)).sum()
}

/// Bytes of a text; what the font does not have is left out.
pub fn encode(set: Charset, text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len().min(1024));
    for c in text.chars() {
        if let Some((bytes, len)) = code(set, c) {
            out.extend_from_slice(&bytes[..len]);
        }
    }
    out
}

/// The part of a text that begins at column `from` and fills `room` columns; a wide character that does not fit at an edge
/// becomes blank, so that what follows stays in its column.
pub fn window(set: Charset, text: &str, from: usize, room: usize) -> String {
    let mut out = String::new();
    let (mut at, mut used) = (0, 0);
    for c in text.chars() {
        let wide = width(set, c);
        if wide == 0 {
            continue;
        }
        let (begin, end) = (at, at + wide);
        at = end;
        if end <= from {
            continue;
        }
        let inside = end.min(from + room) - begin.max(from);
        if begin >= from && end <= from + room {
            out.push(c);
        } else {
            out.extend(std::iter::repeat_n(' ', inside));
        }
        used += inside;
        if end >= from + room {
            break;
        }
    }
    out.extend(std::iter::repeat_n(' ', room.saturating_sub(used)));
    out
}

fn code(set: Charset, c: char) -> Option<([u8; 2], usize)> {
    let ascii = matches!(c, ' '..='~').then(|| ([u8::try_from(c).unwrap_or(b'?'), 0], 1));
    match set {
        Charset::Digits => ascii.filter(|_| c.is_ascii_digit() || matches!(c, '.' | '-' | ' ')),
        Charset::Ascii => ascii,
        Charset::Gb18030 => ascii.or_else(|| double_byte(c).map(|bytes| (bytes, 2))),
    }
}

/// The two-byte code of a character that the fonts of displays have: no private use, no controls, no four-byte codes.
fn double_byte(c: char) -> Option<[u8; 2]> {
    if matches!(u32::from(c), 0..=0x9F | 0xE000..=0xF8FF) || c.width().unwrap_or(0) == 0 {
        return None;
    }
    let (mut utf8, mut bytes) = ([0; 4], [0; 16]);
    let text: &str = c.encode_utf8(&mut utf8);
    let (result, _, written) =
        GB18030.new_encoder().encode_from_utf8_without_replacement(text, &mut bytes, true);
    let good = matches!(result, EncoderResult::InputEmpty) && written == 2;
    let pair = [bytes[0], bytes[1]];
    (good && pair[0] >= 0x81 && pair[1] >= 0x40 && pair[1] != 0x7F).then_some(pair)
}

/// What can stand for a character in ASCII.
fn stand_in(c: char) -> Option<String> {
    let text = match c {
        '\t' | '\n' | '\u{a0}' | '\u{2028}' | '\u{3000}' => " ",
        '¥' | '￥' => "Y",
        '€' => "EUR",
        '£' => "GBP",
        '，' | '、' => ",",
        '。' => ".",
        '：' => ":",
        '（' => "(",
        '）' => ")",
        '‘' | '’' => "'",
        '“' | '”' => "\"",
        '–' | '—' | '−' | '‐' | '‑' => "-",
        '…' => "...",
        '×' => "x",
        'à'..='å' => "a",
        'À'..='Å' => "A",
        'ç' => "c",
        'Ç' => "C",
        'è'..='ë' => "e",
        'È'..='Ë' => "E",
        'ì'..='ï' => "i",
        'Ì'..='Ï' => "I",
        'ñ' => "n",
        'Ñ' => "N",
        'ò'..='ö' | 'ø' => "o",
        'Ò'..='Ö' | 'Ø' => "O",
        'ù'..='ü' => "u",
        'Ù'..='Ü' => "U",
        'ß' => "ss",
        // Full-width forms of ASCII.
        '！'..='～' => {
            let narrow = char::from_u32(u32::from(c) - 0xFEE0)?;
            return Some(narrow.to_string());
        }
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETS: [Charset; 3] = [Charset::Ascii, Charset::Gb18030, Charset::Digits];

    #[test]
    fn a_shop_name_cannot_clear_the_display_or_open_the_drawer() {
        let name = "A\u{c}B\u{1b}@C\u{1f}\u{24}D\r\u{10}\u{14}\u{1}E\u{7f}\u{85}";
        assert_eq!(clean(Charset::Ascii, name), "AB@C$DE");
        assert_eq!(encode(Charset::Gb18030, name), b"AB@C$DE");
    }

    #[test]
    fn chinese_is_two_columns_where_there_is_a_font_and_left_out_where_not() {
        assert_eq!(columns(Charset::Gb18030, "应收12"), 6);
        assert_eq!(encode(Charset::Gb18030, "你"), [0xC4, 0xE3]);
        assert_eq!(clean(Charset::Ascii, "茶tea"), "tea");
    }

    #[test]
    fn what_has_an_ascii_form_gets_it() {
        assert_eq!(clean(Charset::Ascii, "１２８．５０ ￥ Café — “ok”"), "128.50 Y Cafe - \"ok\"");
        assert_eq!(clean(Charset::Gb18030, "王𠀀😀"), "王");
    }

    #[test]
    fn a_wide_character_at_the_edge_leaves_the_others_in_their_columns() {
        assert_eq!(window(Charset::Gb18030, "a茶b", 0, 2), "a ");
        assert_eq!(window(Charset::Gb18030, "a茶b", 2, 3), " b ");
        assert_eq!(window(Charset::Gb18030, "茶茶", 0, 4), "茶茶");
    }

    proptest! {
        #[test]
        fn no_text_becomes_a_control_byte(text in any::<String>()) {
            for set in SETS {
                for bytes in [encode(set, &text), encode(set, &clean(set, &text))] {
                    prop_assert!(bytes.iter().all(|b| *b >= 0x20 && *b != 0x7F), "{bytes:02x?}");
                }
            }
        }

        #[test]
        fn a_window_is_exactly_as_wide_as_asked(text in "[a-c茶水 ]{0,30}", from in 0_usize..40, room in 0_usize..25) {
            for set in SETS {
                prop_assert_eq!(encode(set, &window(set, &text, from, room)).len(), room);
            }
        }
    }
}
