//! A judge of our own: an ESC/POS tokeniser and a printer with a buffer, paper and faults. It shares no code with the encoder.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::pedantic,
    clippy::expect_used,
    clippy::unwrap_used
)]

pub mod bench;

use std::collections::VecDeque;

/// One command or character, as a printer takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Nul,
    LineFeed,
    Text(Vec<u8>),
    Init,
    Kanji(bool),
    Align(u8),
    Size(u8),
    Feed(u8),
    Cut(u8),
    Pulse {
        pin: u8,
        on: u8,
        off: u8,
    },
    Beep,
    Raster {
        row_bytes: usize,
        rows: usize,
    },
    QrStore(Vec<u8>),
    QrPrint,
    Barcode(Vec<u8>),
    Fence,
    /// A command that sets something the tests do not look at.
    Set(Vec<u8>),
}

/// The first token of `b` and its length; `Ok(None)`: more bytes are needed; `Err`: no printer knows that.
pub fn token(b: &[u8], kanji: bool) -> Result<Option<(Token, usize)>, String> {
    let Some(&first) = b.first() else { return Ok(None) };
    let at = |k: usize| b.get(k).copied();
    let fixed = |n: usize| (b.len() >= n).then(|| (Token::Set(b[..n].to_vec()), n));
    macro_rules! need {
        ($e:expr) => {
            match $e {
                Some(value) => value,
                None => return Ok(None),
            }
        };
    }
    Ok(match first {
        0 => Some((Token::Nul, 1)),
        0x0A => Some((Token::LineFeed, 1)),
        0x09 | 0x0D => fixed(1),
        0x1B => match need!(at(1)) {
            0x40 => Some((Token::Init, 2)),
            0x32 => fixed(2),
            0x61 => Some((Token::Align(need!(at(2))), 3)),
            0x64 => Some((Token::Feed(need!(at(2))), 3)),
            0x70 => {
                need!(at(4));
                Some((Token::Pulse { pin: b[2], on: b[3], off: b[4] }, 5))
            }
            0x42 => fixed(4).map(|_| (Token::Beep, 4)),
            0x21 | 0x2D | 0x45 | 0x47 | 0x4A | 0x4D | 0x52 | 0x56 | 0x7B | 0x33 | 0x20 | 0x74 | 0x3D => {
                fixed(3)
            }
            0x24 | 0x5C => fixed(4),
            other => return Err(format!("ESC {other:02x}")),
        },
        0x1C => match need!(at(1)) {
            0x26 => Some((Token::Kanji(true), 2)),
            0x2E => Some((Token::Kanji(false), 2)),
            0x21 => fixed(3),
            other => return Err(format!("FS {other:02x}")),
        },
        0x1D => match need!(at(1)) {
            0x21 => Some((Token::Size(need!(at(2))), 3)),
            0x42 | 0x48 | 0x61 | 0x62 | 0x66 | 0x68 | 0x77 => fixed(3),
            0x4C | 0x57 => fixed(4),
            0x72 => fixed(3).map(|_| (Token::Fence, 3)),
            0x56 => match need!(at(2)) {
                m @ (0 | 1 | 48 | 49) => Some((Token::Cut(m), 3)),
                m @ (65 | 66) => {
                    need!(at(3));
                    Some((Token::Cut(m), 4))
                }
                other => return Err(format!("GS V {other:02x}")),
            },
            0x6B => match need!(at(2)) {
                0..=6 => {
                    let end = need!(b[3..].iter().position(|b| *b == 0));
                    Some((Token::Barcode(b[3..3 + end].to_vec()), 4 + end))
                }
                65..=73 => {
                    let end = 4 + usize::from(need!(at(3)));
                    need!(b.get(end - 1));
                    Some((Token::Barcode(b[4..end].to_vec()), end))
                }
                other => return Err(format!("GS k {other:02x}")),
            },
            0x76 => {
                need!(at(7));
                let row_bytes = usize::from(u16::from_le_bytes([b[4], b[5]]));
                let rows = usize::from(u16::from_le_bytes([b[6], b[7]]));
                let end = 8 + row_bytes * rows;
                need!(b.get(end - 1));
                Some((Token::Raster { row_bytes, rows }, end))
            }
            0x28 => {
                need!(at(4));
                let end = 5 + usize::from(u16::from_le_bytes([b[3], b[4]]));
                need!(b.get(end - 1));
                let token = match (b[2], b.get(5), b.get(6)) {
                    (0x6B, Some(0x31), Some(0x50)) => Token::QrStore(b[8..end].to_vec()),
                    (0x6B, Some(0x31), Some(0x51)) => Token::QrPrint,
                    _ => Token::Set(b[..end].to_vec()),
                };
                Some((token, end))
            }
            other => return Err(format!("GS {other:02x}")),
        },
        0x20..=0x7E => Some((Token::Text(vec![first]), 1)),
        0x80..=0xFF if kanji => {
            let second = need!(at(1));
            if second < 0x30 || second == 0x7F {
                return Err(format!("second byte {second:02x} of a Chinese character"));
            }
            Some((Token::Text(vec![first, second]), 2))
        }
        0x80..=0xFF => Some((Token::Text(vec![first]), 1)),
        other => return Err(format!("control byte {other:02x}")),
    })
}

/// All tokens of a whole stream. `kanji`: mode at the start.
pub fn tokens(bytes: &[u8], mut kanji: bool) -> Result<Vec<Token>, String> {
    let mut at = 0;
    let mut all = Vec::new();
    while at < bytes.len() {
        let Some((token, len)) = token(&bytes[at..], kanji).map_err(|e| format!("at {at}: {e}"))? else {
            return Err(format!("at {at}: cut off"));
        };
        if let Token::Kanji(on) = token {
            kanji = on;
        }
        all.push(token);
        at += len;
    }
    Ok(all)
}

/// A printer: takes bytes into a buffer, prints one token at a time, answers `DLE EOT` at once and `GS r` in turn.
#[derive(Clone, Debug)]
pub struct Printer {
    pub buffer: VecDeque<u8>,
    pub room: usize,
    /// Lines of paper left.
    pub paper: usize,
    pub cover_open: bool,
    pub cutter_jam: bool,
    pub hot: bool,
    pub near_end: bool,
    pub reads: bool,
    pub answers: bool,
    pub answers_fence: bool,
    /// Questions it knows.
    pub knows: Vec<u8>,
    /// What stands on paper; "✂" for a cut.
    pub lines: Vec<String>,
    pub pulses: Vec<u64>,
    pub real_time_pulses: usize,
    pub qr: Vec<Vec<u8>>,
    pub replies: Vec<u8>,
    pub received: Vec<u8>,
    pub line: Vec<u8>,
    pub kanji: bool,
    pub seen: Vec<u8>,
    pub store: Vec<u8>,
}

impl Default for Printer {
    fn default() -> Self {
        Self {
            buffer: VecDeque::new(),
            room: 4096,
            paper: 10_000,
            cover_open: false,
            cutter_jam: false,
            hot: false,
            near_end: false,
            reads: true,
            answers: true,
            answers_fence: true,
            knows: vec![1, 2, 3, 4],
            lines: Vec::new(),
            pulses: Vec::new(),
            real_time_pulses: 0,
            qr: Vec::new(),
            replies: Vec::new(),
            received: Vec::new(),
            line: Vec::new(),
            kanji: true,
            seen: Vec::new(),
            store: Vec::new(),
        }
    }
}

impl Printer {
    pub fn stopped(&self) -> bool {
        self.paper == 0 || self.cover_open || self.cutter_jam || self.hot
    }

    /// Switched off and on: the buffer is lost.
    pub fn power_cycle(&mut self) {
        self.buffer.clear();
        self.line.clear();
        self.seen.clear();
        self.kanji = true;
    }

    /// Takes what it has room for; returns how much.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        if !self.reads {
            return 0;
        }
        let count = bytes.len().min(self.room - self.buffer.len().min(self.room));
        for &byte in &bytes[..count] {
            self.received.push(byte);
            self.byte(byte);
        }
        count
    }

    /// Real-time commands are seen wherever they stand, in the middle of a picture too.
    fn byte(&mut self, byte: u8) {
        self.seen.push(byte);
        let seen = self.seen.clone();
        match seen.as_slice() {
            [0x10] | [0x10, 0x04 | 0x14] | [0x10, 0x14, _] | [0x10, 0x14, _, _] => return,
            [0x10, 0x04, n] => self.answer(*n),
            [0x10, 0x14, 1, _, _] => self.real_time_pulses += 1,
            other => self.buffer.extend(other),
        }
        self.seen.clear();
    }

    fn answer(&mut self, n: u8) {
        if !self.answers || !self.knows.contains(&n) {
            return;
        }
        let bit = |on: bool, mask: u8| if on { mask } else { 0 };
        self.replies.push(match n {
            1 => 0x12 | bit(self.stopped(), 0x08),
            2 => 0x12 | bit(self.cover_open, 0x04) | bit(self.paper == 0, 0x20) | bit(self.cutter_jam, 0x40),
            3 => 0x12 | bit(self.cutter_jam, 0x08) | bit(self.hot, 0x40),
            _ => 0x12 | bit(self.near_end, 0x0C) | bit(self.paper == 0, 0x60),
        });
    }

    /// Prints a line, if it can.
    pub fn work(&mut self, now: u64) {
        let before = self.lines.len();
        while !self.stopped() && self.lines.len() == before && self.token(now) {}
    }

    /// Works off one token; whether there was one.
    fn token(&mut self, now: u64) -> bool {
        let bytes = self.buffer.make_contiguous();
        let Some((token, len)) = token(bytes, self.kanji).expect("only known commands") else { return false };
        self.buffer.drain(..len);
        match token {
            Token::Text(bytes) => self.line.extend(bytes),
            Token::LineFeed => self.end_line(),
            Token::Feed(n) => (0..n).for_each(|_| self.end_line()),
            Token::Cut(_) => self.lines.push("✂".to_owned()),
            Token::Pulse { .. } => self.pulses.push(now),
            Token::Kanji(on) => self.kanji = on,
            Token::QrStore(data) => self.store = data,
            Token::QrPrint => self.qr.push(self.store.clone()),
            Token::Init => self.kanji = true,
            Token::Fence if self.answers_fence && self.answers => {
                self.replies.push(if self.near_end { 0x03 } else { 0x00 });
            }
            _ => {}
        }
        true
    }

    fn end_line(&mut self) {
        let (text, _, _) = encoding_rs::GB18030.decode(&self.line);
        self.lines.push(text.into_owned());
        self.line.clear();
        self.paper = self.paper.saturating_sub(1);
    }

    /// Lines with something on them.
    pub fn text(&self) -> Vec<&str> {
        self.lines.iter().map(String::as_str).filter(|line| !line.is_empty()).collect()
    }
}
