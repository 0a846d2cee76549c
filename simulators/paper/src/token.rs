//! The byte stream cut into commands and characters, without a socket and without a page (devices.md §4.1).
//!
//! The cut needs the whole command table: a parameter byte taken for a command (or the other way round) is how real
//! printers open drawers by accident. Bytes that fit nothing come out as [`Token::Unknown`].

/// The character set of the printer's Chinese font.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Charset {
    /// GB18030 with its four-byte codes.
    Gb18030,
    /// Two bytes only; four-byte codes print as junk, as on most Chinese printers.
    #[default]
    Gbk,
}

/// One command or character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A single-byte character of the current code page (20h to FFh).
    Char(u8),
    /// A Chinese character, two or four bytes.
    Hanzi(Vec<u8>),
    /// LF, CR, HT, FF, CAN.
    Control(u8),
    /// A command: its introducer (ESC, FS, GS) and function byte, then its parameters.
    Command(u8, u8, Vec<u8>),
    /// DLE EOT, DLE ENQ, DLE DC4: acted on when received, even while the printer is offline.
    RealTime(u8, Vec<u8>),
    /// Bytes that are no command this printer knows.
    Unknown(Vec<u8>),
}

impl Token {
    /// Whether it must not wait in the buffer.
    pub(crate) fn is_real_time(&self) -> bool {
        matches!(self, Self::RealTime(..))
    }
}

/// The longest command taken; image data beyond it is refused as unknown.
const LONGEST: usize = 4 << 20;

const DLE: u8 = 0x10;
const ESC: u8 = 0x1B;
const FS: u8 = 0x1C;
const GS: u8 = 0x1D;

/// How many bytes a command has, told from its first bytes.
enum Size {
    /// That many, introducer included.
    Whole(usize),
    /// More bytes are needed to tell.
    More,
    /// No such command; that many bytes are taken as unknown.
    Unknown(usize),
}

/// Cuts a stream. Keeps what is incomplete; the connection may end and another go on.
#[derive(Debug)]
pub struct Tokenizer {
    pending: Vec<u8>,
    charset: Charset,
    kanji: bool,
    kanji_at_start: bool,
}

impl Tokenizer {
    /// `kanji_at_start`: Chinese models come up, and come back from ESC @, with double-byte mode on.
    pub fn new(charset: Charset, kanji_at_start: bool) -> Self {
        Self { pending: Vec::new(), charset, kanji: kanji_at_start, kanji_at_start }
    }

    /// Bytes held because their command is incomplete.
    pub fn incomplete(&self) -> usize {
        self.pending.len()
    }

    /// Takes bytes in, gives whole tokens out, each with the bytes it was made of.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<(Token, Vec<u8>)> {
        self.pending.extend_from_slice(bytes);
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some((token, size)) = self.next(at) {
            self.follow_modes(&token);
            let raw = self.pending.get(at..at + size).unwrap_or_default().to_vec();
            tokens.push((token, raw));
            at += size;
        }
        self.pending.drain(..at);
        tokens
    }

    fn follow_modes(&mut self, token: &Token) {
        match token {
            Token::Command(FS, b'&', _) => self.kanji = true,
            Token::Command(FS, b'.', _) => self.kanji = false,
            Token::Command(ESC, b'@', _) => self.kanji = self.kanji_at_start,
            _ => {}
        }
    }

    fn next(&self, at: usize) -> Option<(Token, usize)> {
        let rest = self.pending.get(at..)?;
        let first = *rest.first()?;
        let size = match first {
            DLE => dle(rest),
            ESC => esc(rest),
            FS => fs(rest),
            GS => gs(rest),
            0x09 | 0x0A | 0x0C | 0x0D | 0x18 => return Some((Token::Control(first), 1)),
            0x81..=0xFE if self.kanji => return self.hanzi(rest),
            0x20..=0xFF => return Some((Token::Char(first), 1)),
            _ => Size::Unknown(1),
        };
        match size {
            // Only the introducer is taken, so that what follows does not depend on how much has arrived.
            Size::Whole(size) if size > LONGEST => Some((Token::Unknown(rest.get(..2)?.to_vec()), 2)),
            Size::Whole(size) => {
                let raw = rest.get(..size)?;
                let (function, parameters) =
                    (raw.get(1).copied().unwrap_or(0), raw.get(2..).unwrap_or_default().to_vec());
                let token = if first == DLE {
                    Token::RealTime(function, parameters)
                } else {
                    Token::Command(first, function, parameters)
                };
                Some((token, size))
            }
            Size::Unknown(size) => Some((Token::Unknown(rest.get(..size)?.to_vec()), size)),
            Size::More => None,
        }
    }

    fn hanzi(&self, rest: &[u8]) -> Option<(Token, usize)> {
        let lead = *rest.first()?;
        let second = *rest.get(1)?;
        let whole = |size: usize| Some((Token::Hanzi(rest.get(..size)?.to_vec()), size));
        match second {
            0x40..=0x7E | 0x80..=0xFE => whole(2),
            0x30..=0x39 if self.charset == Charset::Gb18030 => {
                let (third, fourth) = (*rest.get(2)?, *rest.get(3)?);
                let four = (0x81..=0xFE).contains(&third) && (0x30..=0x39).contains(&fourth);
                if four { whole(4) } else { Some((Token::Char(lead), 1)) }
            }
            // Half a character: the lead byte prints as junk and what follows counts for itself.
            _ => Some((Token::Char(lead), 1)),
        }
    }
}

fn byte(rest: &[u8], at: usize) -> Option<usize> {
    rest.get(at).map(|b| usize::from(*b))
}

fn word(rest: &[u8], at: usize) -> Option<usize> {
    Some(byte(rest, at)? + byte(rest, at + 1)? * 256)
}

/// `base` bytes and then as many as `extra` says; `More` while `extra` cannot be read yet.
fn plus(base: usize, extra: Option<usize>) -> Size {
    extra.map_or(Size::More, |extra| Size::Whole(base.saturating_add(extra)))
}

/// Bytes up to and with the NUL that ends a list of at most `most` bytes after `base`.
fn until_nul(rest: &[u8], base: usize, most: usize) -> Size {
    match rest.get(base..).unwrap_or_default().iter().take(most).position(|b| *b == 0) {
        Some(at) => Size::Whole(base + at + 1),
        None if rest.len() >= base + most => Size::Unknown(2),
        None => Size::More,
    }
}

fn dle(rest: &[u8]) -> Size {
    match (rest.get(1), rest.get(2)) {
        (None, _) | (Some(0x04 | 0x05 | 0x14), None) => Size::More,
        (Some(0x04), Some(7 | 8 | 18)) | (Some(0x14), Some(7)) => Size::Whole(4),
        (Some(0x04 | 0x05), _) => Size::Whole(3),
        (Some(0x14), Some(1 | 2)) => Size::Whole(5),
        (Some(0x14), Some(3)) => Size::Whole(8),
        (Some(0x14), Some(8)) => Size::Whole(10),
        (Some(0x14), _) => Size::Unknown(3),
        _ => Size::Unknown(1),
    }
}

fn esc(rest: &[u8]) -> Size {
    let Some(function) = rest.get(1) else { return Size::More };
    match function {
        0x0C | b'2' | b'<' | b'@' | b'L' | b'S' | b'i' | b'm' | b'v' => Size::Whole(2),
        b' ' | b'!' | b'%' | b'-' | b'3' | b'=' | b'?' | b'A' | b'E' | b'G' | b'J' | b'K' | b'M' | b'R'
        | b'T' | b'U' | b'V' | b'a' | b'd' | b'e' | b'r' | b't' | b'u' | b'{' => Size::Whole(3),
        b'$' | b'\\' | b'B' | b'c' | b'f' => Size::Whole(4),
        b'p' => Size::Whole(5),
        b'W' => Size::Whole(10),
        b'D' => until_nul(rest, 2, 33),
        b'(' => plus(5, word(rest, 3)),
        b'*' => {
            let column = match rest.get(2) {
                None => return Size::More,
                Some(0 | 1) => 1,
                Some(32 | 33) => 3,
                Some(_) => return Size::Unknown(3),
            };
            plus(5, word(rest, 3).map(|columns| columns * column))
        }
        b'&' => {
            // y c1 c2, then for each character its width x and y * x bytes.
            let (Some(y), Some(from), Some(to)) = (byte(rest, 2), byte(rest, 3), byte(rest, 4)) else {
                return Size::More;
            };
            let mut end = 5;
            for _ in from..=to {
                let Some(x) = byte(rest, end) else { return Size::More };
                end += 1 + x * y;
            }
            Size::Whole(end)
        }
        _ => Size::Unknown(2),
    }
}

fn fs(rest: &[u8]) -> Size {
    let Some(function) = rest.get(1) else { return Size::More };
    match function {
        b'&' | b'.' => Size::Whole(2),
        b'!' | b'-' | b'C' | b'W' => Size::Whole(3),
        b'S' | b'p' | b'?' => Size::Whole(4),
        b'2' => Size::Whole(4 + 72),
        b'(' => plus(5, word(rest, 3)),
        b'q' => {
            let Some(images) = byte(rest, 2) else { return Size::More };
            let mut end = 3;
            for _ in 0..images {
                let (Some(x), Some(y)) = (word(rest, end), word(rest, end + 2)) else { return Size::More };
                end = end.saturating_add(4 + x * y * 8);
            }
            Size::Whole(end)
        }
        _ => Size::Unknown(2),
    }
}

fn gs(rest: &[u8]) -> Size {
    let Some(function) = rest.get(1) else { return Size::More };
    match function {
        b':' | b'c' => Size::Whole(2),
        b'!' | b'/' | b'B' | b'E' | b'H' | b'I' | b'T' | b'a' | b'b' | b'f' | b'h' | b'j' | b'r' | b'w'
        | b'x' => Size::Whole(3),
        b'$' | b'L' | b'P' | b'W' | b'\\' => Size::Whole(4),
        b'^' | b'z' => Size::Whole(5),
        b'(' => plus(5, word(rest, 3)),
        b'*' => plus(4, byte(rest, 2).zip(byte(rest, 3)).map(|(x, y)| x * y * 8)),
        b'8' => plus(7, word(rest, 3).zip(word(rest, 5)).map(|(low, high)| low + (high << 16))),
        b'V' => match rest.get(2) {
            None => Size::More,
            Some(0 | 1 | b'0' | b'1') => Size::Whole(3),
            Some(65 | 66 | 97 | 98 | 103 | 104) => Size::Whole(4),
            Some(_) => Size::Unknown(3),
        },
        b'g' => match rest.get(2) {
            None => Size::More,
            Some(b'0' | b'2') => Size::Whole(6),
            Some(_) => Size::Unknown(3),
        },
        b'k' => match rest.get(2) {
            None => Size::More,
            Some(0..=6) => until_nul(rest, 3, 256),
            Some(65..=79) => plus(4, byte(rest, 3)),
            Some(_) => Size::Unknown(3),
        },
        b'v' => plus(8, word(rest, 4).zip(word(rest, 6)).map(|(x, y)| x * y)),
        _ => Size::Unknown(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(charset: Charset, bytes: &[u8]) -> Vec<Token> {
        Tokenizer::new(charset, true).feed(bytes).into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn a_drawer_command_in_image_data_is_image_data() {
        let raster = [0x1D, 0x76, 0x30, 0, 5, 0, 1, 0, 0x10, 0x14, 1, 0, 1];
        assert_eq!(tokens(Charset::Gbk, &raster).len(), 1);
        assert_eq!(tokens(Charset::Gbk, &raster[8..]), [Token::RealTime(0x14, vec![1, 0, 1])]);
    }

    #[test]
    fn a_four_byte_character_is_junk_on_a_gbk_font() {
        let bytes = [0x95, 0x32, 0x82, 0x36];
        assert_eq!(tokens(Charset::Gb18030, &bytes), [Token::Hanzi(bytes.to_vec())]);
        let junk = [Token::Char(0x95), Token::Char(0x32), Token::Char(0x82), Token::Char(0x36)];
        assert_eq!(tokens(Charset::Gbk, &bytes), junk);
    }

    #[test]
    fn latin_text_is_chinese_until_the_mode_is_left() {
        assert_eq!(tokens(Charset::Gbk, b"\xE9t"), [Token::Hanzi(vec![0xE9, b't'])]);
        let left = tokens(Charset::Gbk, b"\x1C.\xE9t\x1B@\xE9t");
        assert_eq!(left[1..3], [Token::Char(0xE9), Token::Char(b't')]);
        assert_eq!(left[4], Token::Hanzi(vec![0xE9, b't']), "ESC @ brings the mode back");
    }

    #[test]
    fn esc_p_without_its_times_swallows_the_next_two_bytes() {
        assert_eq!(tokens(Charset::Gbk, b"\x1Bp\x00AB"), [Token::Command(0x1B, b'p', vec![0, b'A', b'B'])]);
    }

    #[test]
    fn a_picture_of_four_gigabytes_is_not_waited_for() {
        let tokens = tokens(Charset::Gbk, b"\x1Dv0\x00\xFF\xFF\xFF\xFFAB");
        assert_eq!(tokens[0], Token::Unknown(vec![0x1D, b'v']));
        assert_eq!(tokens.last(), Some(&Token::Char(b'B')));
    }

    proptest! {
        #[test]
        fn every_byte_belongs_to_one_token_however_the_stream_is_cut(
            bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0usize..400
        ) {
            let mut whole = Tokenizer::new(Charset::Gb18030, true);
            let expected = whole.feed(&bytes);
            let used: usize = expected.iter().map(|(_, raw)| raw.len()).sum();
            prop_assert_eq!(used + whole.incomplete(), bytes.len());
            let mut parts = Tokenizer::new(Charset::Gb18030, true);
            let (one, two) = bytes.split_at(cut.min(bytes.len()));
            let mut got = parts.feed(one);
            got.extend(parts.feed(two));
            prop_assert_eq!(got, expected);
        }
    }
}
