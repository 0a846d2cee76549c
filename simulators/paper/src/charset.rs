//! Characters behind the bytes: GB18030 for double-byte mode, code pages for the rest.

use encoding_rs::{Encoding, GB18030, IBM866, WINDOWS_1252};

/// What prints where a byte stands for nothing.
pub(crate) const JUNK: char = '\u{25A1}';

const CP437: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»",
    "░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}"
);
const CP850: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»",
    "░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀",
    "ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{AD}±‗¾¶§÷¸°¨·¹³²■\u{A0}"
);

/// The code page that ESC t selects; numbers as on the widespread Epson models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CodePage(pub(super) u8);

impl CodePage {
    /// The character for a byte, [`JUNK`] where this printer has no such page.
    pub(crate) fn character(self, byte: u8) -> char {
        if byte < 0x80 {
            return char::from(byte);
        }
        let at = usize::from(byte - 0x80);
        let table = |text: &str| text.chars().nth(at).unwrap_or(JUNK);
        match self.0 {
            0 => table(CP437),
            2 => table(CP850),
            19 => {
                if byte == 0xD5 {
                    '€'
                } else {
                    table(CP850)
                }
            }
            16 => one(WINDOWS_1252, &[byte]),
            17 => one(IBM866, &[byte]),
            _ => JUNK,
        }
    }

    /// Whether the page is drawn at all.
    pub(crate) fn is_known(self) -> bool {
        [0, 2, 16, 17, 19].contains(&self.0)
    }
}

fn one(encoding: &'static Encoding, bytes: &[u8]) -> char {
    let (text, failed) = encoding.decode_without_bom_handling(bytes);
    text.chars().next().filter(|_| !failed && text.chars().count() == 1).unwrap_or(JUNK)
}

/// A double-byte (or four-byte) character.
pub(crate) fn hanzi(bytes: &[u8]) -> char {
    one(GB18030, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_pages_have_their_places() {
        assert_eq!((CP437.chars().count(), CP850.chars().count()), (128, 128));
        assert_eq!(CodePage(0).character(0x9C), '£');
        assert_eq!(CodePage(19).character(0xD5), '€');
        assert_eq!(CodePage(16).character(0xE9), 'é');
        assert_eq!(CodePage(99).character(0xE9), JUNK);
        assert_eq!(hanzi(&[0xD6, 0xD0]), '中');
        assert_eq!(hanzi(&[0xFF, 0xFF]), JUNK);
    }
}
