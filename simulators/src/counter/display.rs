//! A customer display: reads the commands of CD5220, of Epson's displays or of LED8N, and shows what a customer would see.
//!
//! Written from the makers' command tables (devices.md §5). What it does not know it keeps in [`Display::unknown`]: a clean
//! driver sends none of it.

use encoding_rs::GB18030;

use super::Machine;

/// Columns of a text display.
const COLUMNS: usize = 20;
/// Places of a digit display.
const PLACES: usize = 8;

/// Whose commands it reads.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Commands {
    /// CD5220 and copies.
    Cd5220,
    /// Epson DM-D.
    Epson,
    /// LED8N: digits.
    Led8n,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Text,
    Escape,
    /// `ESC Q`.
    Query,
    /// A line of text until CR, for this row.
    Line(usize, Vec<u8>),
    /// A command with so many parameters to come.
    Parameters(Vec<u8>, usize),
}

/// The display.
#[derive(Clone, Debug)]
pub struct Display {
    commands: Commands,
    chinese: bool,
    state: State,
    cells: [[u8; COLUMNS]; 2],
    at: (usize, usize),
    digits: Vec<u8>,
    lamp: u8,
    brightness: u8,
    cursor: bool,
    resets: u64,
    unknown: Vec<Vec<u8>>,
}

impl Display {
    /// One that is just switched on.
    pub fn new(commands: Commands, chinese: bool) -> Self {
        Self {
            commands,
            chinese,
            state: State::Text,
            cells: [[b' '; COLUMNS]; 2],
            at: (0, 0),
            digits: Vec::new(),
            lamp: b'0',
            brightness: 4,
            cursor: true,
            resets: 0,
            unknown: Vec::new(),
        }
    }

    /// Loses power and comes back: blank, in its first state.
    pub fn power_cycle(&mut self) {
        let (resets, unknown) = (self.resets, std::mem::take(&mut self.unknown));
        *self = Self { resets, unknown, ..Self::new(self.commands, self.chinese) };
    }

    /// The two lines as a customer reads them, without blanks at the right end. A digit display has one.
    pub fn lines(&self) -> [String; 2] {
        if self.commands == Commands::Led8n {
            return [String::from_utf8_lossy(&self.digits).into_owned(), String::new()];
        }
        self.cells.map(|cells| {
            let text = if self.chinese {
                GB18030.decode_without_bom_handling(&cells).0.into_owned()
            } else {
                String::from_utf8_lossy(&cells).into_owned()
            };
            text.trim_end().to_owned()
        })
    }

    /// The amount that is shown: the last number on the display, digits and point only; `None`: there is none.
    pub fn amount(&self) -> Option<String> {
        let lines = self.lines();
        let last = lines.iter().rev().find(|l| !l.trim().is_empty())?;
        let word = last.split_whitespace().last()?;
        let number = word.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'));
        (number && word.bytes().any(|b| b.is_ascii_digit())).then(|| word.to_owned())
    }

    /// Lamp of a digit display: `0` none, `1` price, `2` total, `3` collect, `4` change.
    pub fn lamp(&self) -> char {
        char::from(self.lamp)
    }

    /// Brightness, 1 to 4.
    pub fn brightness(&self) -> u8 {
        self.brightness
    }

    /// Whether a cursor blinks.
    pub fn cursor(&self) -> bool {
        self.cursor
    }

    /// How often it was initialised.
    pub fn resets(&self) -> u64 {
        self.resets
    }

    /// Commands that it does not know.
    pub fn unknown(&self) -> &[Vec<u8>] {
        &self.unknown
    }

    fn odd(&mut self, bytes: &[u8]) {
        if self.unknown.len() < 64 {
            self.unknown.push(bytes.to_vec());
        }
    }

    fn clear(&mut self) {
        self.cells = [[b' '; COLUMNS]; 2];
        self.digits.clear();
        self.at = (0, 0);
    }

    fn put(&mut self, byte: u8) {
        let (row, column) = self.at;
        if let Some(cell) = self.cells.get_mut(row).and_then(|r| r.get_mut(column)) {
            *cell = byte;
        }
        // Overwrite mode: to the other line at the end, and back to the beginning.
        self.at = if column + 1 < COLUMNS { (row, column + 1) } else { (1 - row.min(1), 0) };
    }

    fn byte(&mut self, byte: u8) {
        self.state = match std::mem::replace(&mut self.state, State::Text) {
            State::Text => self.plain(byte),
            State::Escape => self.escape(byte),
            State::Query => match byte {
                b'A' => State::Line(0, Vec::new()),
                b'B' if self.commands == Commands::Cd5220 => State::Line(1, Vec::new()),
                _ => {
                    self.odd(&[0x1B, b'Q', byte]);
                    State::Text
                }
            },
            State::Line(row, text) => self.line(row, text, byte),
            State::Parameters(mut command, missing) => {
                command.push(byte);
                if missing > 1 { State::Parameters(command, missing - 1) } else { self.command(&command) }
            }
        };
    }

    fn plain(&mut self, byte: u8) -> State {
        match byte {
            0x1B => return State::Escape,
            0x0C => self.clear(),
            0x0D => self.at.1 = 0,
            0x1F if self.commands == Commands::Epson => return State::Parameters(vec![byte], 1),
            0x1C if self.chinese => return State::Parameters(vec![byte], 1),
            0x20..=0x7E => self.put(byte),
            0x80..=0xFF if self.chinese => self.put(byte),
            _ => self.odd(&[byte]),
        }
        State::Text
    }

    fn escape(&mut self, byte: u8) -> State {
        match (byte, self.commands) {
            (b'@', _) => {
                self.clear();
                self.lamp = b'0';
                self.resets += 1;
                State::Text
            }
            (b'Q', Commands::Cd5220 | Commands::Led8n) => State::Query,
            (b'*' | b'_', Commands::Cd5220) | (b's', Commands::Led8n) => {
                State::Parameters(vec![0x1B, byte], 1)
            }
            _ => {
                self.odd(&[0x1B, byte]);
                State::Text
            }
        }
    }

    fn line(&mut self, row: usize, mut text: Vec<u8>, byte: u8) -> State {
        let most = if self.commands == Commands::Led8n { 2 * PLACES } else { COLUMNS };
        match byte {
            0x0D => {
                if self.commands == Commands::Led8n {
                    let points = String::from_utf8_lossy(&text).matches('.').count();
                    if text.len() - points > PLACES {
                        self.odd(&text);
                    } else {
                        self.digits = text;
                    }
                } else if let Some(cells) = self.cells.get_mut(row) {
                    *cells = [b' '; COLUMNS];
                    cells.iter_mut().zip(&text).for_each(|(cell, byte)| *cell = *byte);
                }
                State::Text
            }
            b'0'..=b'9' | b'.' | b'-' | b' ' if text.len() < most => {
                text.push(byte);
                State::Line(row, text)
            }
            0x20..=0x7E | 0x80..=0xFF if self.commands == Commands::Cd5220 && text.len() < most => {
                text.push(byte);
                State::Line(row, text)
            }
            // A control code inside a line, or more than the line has: the command is given up.
            _ => {
                text.push(byte);
                self.odd(&text);
                State::Text
            }
        }
    }

    fn command(&mut self, command: &[u8]) -> State {
        match *command {
            [0x1B, b'*', n @ 1..=4] | [0x1F, b'X', n @ 1..=4] => self.brightness = n,
            [0x1B, b'_', n @ 0..=1] | [0x1F, b'C', n @ 0..=1] => self.cursor = n == 1,
            [0x1B, b's', n @ b'0'..=b'4'] => self.lamp = n,
            // Overwrite mode; Chinese characters on and off.
            [0x1F, 1] | [0x1C, b'&' | b'.'] => {}
            // Epson commands with parameters: now that it is known which, those come.
            [0x1F, c @ (b'X' | b'C')] => return State::Parameters(vec![0x1F, c], 1),
            [0x1F, b'$'] => return State::Parameters(vec![0x1F, b'$'], 2),
            [0x1F, b'$', x, y] if (1..=20).contains(&x) && (1..=2).contains(&y) => {
                self.at = (usize::from(y) - 1, usize::from(x) - 1);
            }
            _ => self.odd(command),
        }
        State::Text
    }
}

impl Machine for Display {
    fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        for byte in bytes {
            self.byte(*byte);
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(commands: Commands, chinese: bool, bytes: &[u8]) -> Display {
        let mut display = Display::new(commands, chinese);
        display.receive(bytes);
        display
    }

    #[test]
    fn a_cd5220_shows_its_two_lines() {
        let d = shown(Commands::Cd5220, false, b"\x0c\x1bQATOTAL\r\x1bQB              128.50\r");
        assert_eq!(d.lines(), ["TOTAL".to_owned(), "              128.50".to_owned()]);
        assert_eq!((d.amount().as_deref(), d.unknown().len()), (Some("128.50"), 0));
    }

    #[test]
    fn an_epson_display_writes_where_it_is_told_and_wraps() {
        let d =
            shown(Commands::Epson, true, b"\x1f$\x12\x01abcd\x1f$\x01\x02\xd3\xa6\xb8\xb6\x1fX\x02\x1fC\x00");
        assert_eq!(d.lines(), ["                 abc".to_owned(), "应付".to_owned()]);
        assert_eq!((d.brightness(), d.cursor()), (2, false));
        assert!(d.unknown().is_empty());
    }

    #[test]
    fn a_digit_display_takes_eight_digits_and_lamps() {
        let d = shown(Commands::Led8n, false, b"\x1bs3\x1bQA  128.50\r");
        assert_eq!((d.amount().as_deref(), d.lamp()), (Some("128.50"), '3'));
        assert_eq!(shown(Commands::Led8n, false, b"\x1bQA123456789\r").unknown().len(), 1);
    }
}
