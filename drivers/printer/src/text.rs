//! Text for the wire: every field is data, never a command.
//!
//! Two steps keep that true. [`Charset::clean`] turns any string into one that the printer's font can show (control
//! characters gone, what cannot be shown replaced by a mark one can see), and [`Charset::encode`] turns characters into
//! bytes that are all `20h..=7Eh` or `80h..=FFh`, whatever it is given. Nothing else in this crate writes text.
//!
//! Sources: GB 18030 and GBK as in the WHATWG Encoding Standard (crate `encoding_rs`); ESC/POS `FS &`, `FS .`, `ESC t`.

use encoding_rs::{EncoderResult, Encoding, GB18030, GBK};
use unicode_width::UnicodeWidthChar;

/// What the firmware makes of bytes from 80h on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// Double-byte Chinese as GB 18030; four-byte codes are replaced, because the fonts of receipt printers lack them.
    Gb18030,
    /// Double-byte Chinese, GBK only.
    Gbk,
    /// The firmware decodes UTF-8 itself.
    Utf8,
    /// 7-bit only: everything else is replaced.
    Ascii,
    /// One single-byte code page, chosen with `ESC t page`.
    SingleByte {
        /// The WHATWG single-byte encoding.
        encoding: &'static Encoding,
        /// The printer's own number for it (model specific).
        page: u8,
    },
}

/// The mark for a character of one column that cannot be shown.
const NARROW_MARK: char = '?';
/// The mark for a character of two columns that cannot be shown (GBK A1F5h).
const WIDE_MARK: char = '□';

impl Charset {
    /// Whether Chinese double-byte mode is to be on (`FS &`), off (`FS .`), or not touched (`None`: UTF-8 firmware).
    pub fn kanji_mode(self) -> Option<bool> {
        match self {
            Self::Gb18030 | Self::Gbk => Some(true),
            Self::Utf8 => None,
            Self::Ascii | Self::SingleByte { .. } => Some(false),
        }
    }

    /// `text` with only what this printer can show, and line feeds.
    ///
    /// Control characters (C0, DEL, C1) vanish, tabs become a space, line and paragraph separators become a line feed,
    /// invisible formatting characters vanish, `¥` becomes `￥` where only that exists, and everything else that has no
    /// glyph becomes `?` or `□`, so that a reader sees that something stood there.
    pub fn clean(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\n' | '\u{2028}' | '\u{2029}' => out.push('\n'),
                '\t' | '\u{a0}' | '\u{2007}' | '\u{202f}' => out.push(' '),
                c if c.is_control() || is_invisible(c) => {}
                c => out.push(self.shown_as(c)),
            }
        }
        out
    }

    /// What stands on paper for `c` (a printable character).
    fn shown_as(self, c: char) -> char {
        if self.code(c).is_some() {
            return c;
        }
        let stand_in = match c {
            // The half-width yen sign has a four-byte code in GB 18030; the full-width one is in every Chinese font.
            '\u{a5}' => '￥',
            '\u{2011}' | '\u{2012}' | '\u{2212}' => '-',
            _ if c.width().unwrap_or(0) == 2 => WIDE_MARK,
            _ => NARROW_MARK,
        };
        if self.code(stand_in).is_some() { stand_in } else { NARROW_MARK }
    }

    /// Columns that `c` takes on paper in normal size; 0 for what [`clean`](Self::clean) would remove.
    ///
    /// In a Chinese character set that is the number of bytes, since the firmware draws every double-byte code two
    /// columns wide, Greek and Cyrillic letters too, which Unicode calls narrow.
    pub fn width(self, c: char) -> usize {
        match self {
            Self::Utf8 => self.code(c).map_or(0, |_| c.width().unwrap_or(0)),
            _ => self.code(c).map_or(0, |code| code.len),
        }
    }

    /// Bytes for one line of text. Characters without a code come out as `?`; no byte below 20h and no 7Fh is ever produced.
    pub fn encode(self, line: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(line.len());
        for c in line.chars().filter(|c| !c.is_control()) {
            match self.code(c) {
                Some(code) => out.extend_from_slice(&code.bytes[..code.len]),
                None => out.push(NARROW_MARK as u8),
            }
        }
        out
    }

    fn code(self, c: char) -> Option<Code> {
        if c.is_control() || is_invisible(c) || is_private(c) {
            return None;
        }
        if c.is_ascii() {
            return Some(Code { bytes: [c as u8, 0, 0, 0], len: 1 });
        }
        match self {
            Self::Ascii => None,
            // Fonts of UTF-8 firmware end with the basic plane; marks of no width would be lost without a trace.
            Self::Utf8 => (u32::from(c) <= 0xFFFF && c.width().unwrap_or(0) > 0).then(|| {
                let mut bytes = [0; 4];
                let len = c.encode_utf8(&mut bytes).len();
                Code { bytes, len }
            }),
            // Double-byte codes only: GBK's lone 80h (euro) and the four-byte codes are not in the fonts.
            Self::Gb18030 => raw(GB18030, c).filter(|code| code.len == 2),
            Self::Gbk => raw(GBK, c).filter(|code| code.len == 2),
            Self::SingleByte { encoding, .. } => raw(encoding, c).filter(|code| code.len == 1),
        }
    }
}

struct Code {
    bytes: [u8; 4],
    len: usize,
}

/// The code of `c` in `encoding`, if it is made of bytes that no printer takes for a control code.
fn raw(encoding: &'static Encoding, c: char) -> Option<Code> {
    let mut utf8 = [0; 4];
    let text: &str = c.encode_utf8(&mut utf8);
    let mut bytes = [0; 16];
    let (result, _, written) =
        encoding.new_encoder().encode_from_utf8_without_replacement(text, &mut bytes, true);
    let fits = matches!(result, EncoderResult::InputEmpty) && (1..=4).contains(&written);
    if !fits || bytes[..written].iter().any(|b| *b < 0x20 || *b == 0x7F) {
        return None;
    }
    let mut short = [0; 4];
    short[..written].copy_from_slice(&bytes[..written]);
    Some(Code { bytes: short, len: written })
}

/// Characters that mean nothing on paper: joiners, direction marks, variation selectors, byte order mark, tags.
fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xAD | 0x61C | 0x180E | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0xFE00..=0xFE0F | 0xFEFF
        | 0x1F3FB..=0x1F3FF | 0xE0000..=0xE0FFF)
}

/// Private-use characters have double-byte codes in GBK, but there the fonts are blank.
fn is_private(c: char) -> bool {
    matches!(u32::from(c), 0xE000..=0xF8FF | 0xF_0000..=0x10_FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn latin() -> Charset {
        Charset::SingleByte { encoding: encoding_rs::WINDOWS_1252, page: 16 }
    }

    fn any_charset() -> impl Strategy<Value = Charset> {
        prop_oneof![
            Just(Charset::Gb18030),
            Just(Charset::Gbk),
            Just(Charset::Utf8),
            Just(Charset::Ascii),
            Just(latin()),
        ]
    }

    #[test]
    fn a_product_name_cannot_open_the_drawer() {
        let name = "茶\u{10}\u{14}\u{1}\u{0}\u{1}\u{1b}@\u{1d}V\u{0}\u{7f}\u{85}杯";
        assert_eq!(Charset::Gb18030.clean(name), "茶@V杯");
        assert_eq!(Charset::Gb18030.encode("a\u{1b}@\u{10}\u{14}"), b"a@");
    }

    #[test]
    fn chinese_text_is_two_bytes_and_two_columns_a_character() {
        assert_eq!(Charset::Gb18030.encode("你好世界"), [0xC4, 0xE3, 0xBA, 0xC3, 0xCA, 0xC0, 0xBD, 0xE7]);
        assert_eq!(Charset::Gb18030.encode("￥"), [0xA3, 0xA4]);
        assert_eq!(Charset::Gb18030.width('你'), 2);
        assert_eq!(Charset::Gb18030.width('a'), 1);
        // Unicode calls these narrow; the firmware draws every double-byte code two columns wide.
        assert_eq!(Charset::Gb18030.width('α'), 2);
        assert_eq!(Charset::Gb18030.width('Я'), 2);
    }

    #[test]
    fn four_byte_codes_and_emoji_are_replaced_where_one_sees_it() {
        assert_eq!(Charset::Gb18030.clean("王𠀀"), "王□");
        assert_eq!(Charset::Gbk.clean("👨\u{200d}👩\u{200d}👧 ok"), "□□□ ok");
        assert_eq!(Charset::Ascii.clean("😀"), "?");
        assert_eq!(Charset::Ascii.encode("😀"), b"?");
        assert_eq!(Charset::Gbk.clean("\u{e000}"), "?");
    }

    #[test]
    fn the_yen_sign_survives_in_chinese_character_sets() {
        assert_eq!(Charset::Gb18030.clean("¥128.50"), "￥128.50");
        assert_eq!(Charset::Gbk.clean("¥128.50"), "￥128.50");
        assert_eq!(latin().encode(&latin().clean("¥1")), [0xA5, b'1']);
    }

    #[test]
    fn gbk_only_firmware_does_not_get_the_lone_80h_of_the_euro() {
        assert_eq!(Charset::Gbk.clean("€5"), "?5");
        assert_eq!(Charset::Gb18030.encode("€"), [0xA2, 0xE3]);
    }

    #[test]
    fn utf8_firmware_gets_utf8() {
        assert_eq!(Charset::Utf8.encode("你a"), "你a".as_bytes());
        assert_eq!(Charset::Utf8.width('你'), 2);
        assert_eq!(Charset::Utf8.clean("𠀀"), "□");
    }

    #[test]
    fn line_breaks_stay_and_carriage_returns_go() {
        assert_eq!(Charset::Gb18030.clean("a\r\nb\u{2028}c\td"), "a\nb\nc d");
    }

    proptest! {
        #[test]
        fn no_text_becomes_a_control_byte(set in any_charset(), text in any::<String>()) {
            for wire in [set.encode(&text), set.encode(&set.clean(&text))] {
                prop_assert!(wire.iter().all(|b| *b >= 0x20 && *b != 0x7F), "{wire:02x?}");
            }
        }

        #[test]
        fn cleaned_text_needs_no_second_cleaning(set in any_charset(), text in any::<String>()) {
            let once = set.clean(&text);
            prop_assert_eq!(set.clean(&once), once);
        }

        #[test]
        fn columns_on_paper_equal_bytes_on_the_wire(text in any::<String>()) {
            let clean = Charset::Gb18030.clean(&text).replace('\n', "");
            let width: usize = clean.chars().map(|c| Charset::Gb18030.width(c)).sum();
            prop_assert_eq!(width, Charset::Gb18030.encode(&clean).len());
        }
    }
}
