//! Carrying out commands: modes, lines, symbols, pictures (devices.md §4.1).

use super::barcode;
use super::charset::{self, CodePage};
use super::machine::{Machine, Pulse};
use super::page::{Bitmap, Block, Cell, Content, Cut, LINE, Style, Symbol};
use super::token::Token;
use qrcode::{Color, EcLevel, QrCode};

const ESC: u8 = 0x1B;
const FS: u8 = 0x1C;
const GS: u8 = 0x1D;

/// Everything ESC @ puts back.
#[derive(Debug, Clone)]
pub(crate) struct Modes {
    /// Single-byte characters.
    ascii: Style,
    /// Double-byte characters; ESC ! does not touch them, FS ! does, GS ! sets both.
    hanzi: Style,
    align: u8,
    spacing: u32,
    char_space: u32,
    page: CodePage,
    tabs: Option<Vec<u32>>,
    cells: Vec<Cell>,
    images: Vec<(u32, Bitmap)>,
    x: u32,
    qr: Qr,
    bar_height: u32,
    bar_width: u32,
    hri: u8,
    graphics: Option<Bitmap>,
    /// The customer display is selected (ESC = 2): text goes there.
    display: bool,
}

#[derive(Debug, Clone)]
struct Qr {
    model: u8,
    size: u32,
    level: EcLevel,
    data: Vec<u8>,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            ascii: Style::default(),
            hanzi: Style::default(),
            align: 0,
            spacing: LINE,
            char_space: 0,
            page: CodePage(0),
            tabs: None,
            cells: Vec::new(),
            images: Vec::new(),
            x: 0,
            qr: Qr { model: 50, size: 3, level: EcLevel::L, data: Vec::new() },
            bar_height: 162,
            bar_width: 3,
            hri: 0,
            graphics: None,
            display: false,
        }
    }
}

impl Machine {
    pub(crate) fn execute(&mut self, token: Token) {
        // Only ESC = ends what is meant for the display.
        if self.modes.display && !matches!(token, Token::Command(ESC, b'=' | b'@', _)) {
            return;
        }
        match token {
            Token::Char(byte) => {
                let ch = self.modes.page.character(byte);
                if byte >= 0x80 && !self.modes.page.is_known() {
                    let page = self.modes.page.0;
                    self.note(format!("code page {page} is not drawn"));
                }
                self.put(ch, false);
            }
            Token::Hanzi(bytes) => self.put(charset::hanzi(&bytes), true),
            Token::Control(0x0A) => self.line_feed(),
            Token::Control(0x09) => self.tab(),
            Token::Control(0x18) => {
                self.modes.cells.clear();
                self.modes.images.clear();
                self.modes.x = 0;
            }
            Token::Control(_) | Token::RealTime(..) => {}
            Token::Command(ESC, function, parameters) => self.esc(function, &parameters),
            Token::Command(FS, function, parameters) => self.fs(function, &parameters),
            Token::Command(_, function, parameters) => self.gs(function, &parameters),
            Token::Unknown(bytes) => self.unknown.push(bytes),
        }
    }

    fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    fn put(&mut self, ch: char, hanzi: bool) {
        let style = if hanzi { self.modes.hanzi } else { self.modes.ascii };
        let (width, height) = match (hanzi, style.small) {
            (true, _) => (24, 24),
            (false, false) => (12, 24),
            (false, true) => (9, 17),
        };
        let (width, height) = (width * style.wide, height * style.tall);
        if self.modes.x + width > self.model.width {
            self.line_feed();
        }
        self.modes.cells.push(Cell { ch, x: self.modes.x, width, height, style });
        self.modes.x += width + self.modes.char_space * style.wide;
    }

    fn tab(&mut self) {
        let column = if self.modes.ascii.small { 9 } else { 12 } * self.modes.ascii.wide;
        let at = self.modes.x;
        let next = match &self.modes.tabs {
            Some(tabs) => tabs.iter().map(|tab| tab * column).find(|tab| *tab > at),
            None => Some((at / (8 * column) + 1) * 8 * column),
        };
        if let Some(next) = next.filter(|next| *next < self.model.width) {
            self.modes.x = next;
        }
    }

    fn left(&self, width: u32) -> u32 {
        let free = self.model.width.saturating_sub(width);
        match self.modes.align {
            1 => free / 2,
            2 => free,
            _ => 0,
        }
    }

    fn lay(&mut self, content: Content, width: u32, advance: u32) {
        let block = Block { content, x: self.left(width), advance };
        self.blocks.push(block);
        self.advance(advance);
    }

    /// Prints the line as far as it is, with this feed; nothing where it is empty.
    fn print_line(&mut self, feed: u32) -> bool {
        let cells = std::mem::take(&mut self.modes.cells);
        let images = std::mem::take(&mut self.modes.images);
        self.modes.x = 0;
        if cells.is_empty() && images.is_empty() {
            return false;
        }
        let ends = cells.iter().map(|c| c.x + c.width).chain(images.iter().map(|(x, b)| x + b.width()));
        let width = ends.max().unwrap_or(0);
        let heights = cells.iter().map(|c| c.height).chain(images.iter().map(|(_, b)| b.height()));
        let advance = heights.max().unwrap_or(0).max(feed);
        self.lay(Content::Line(cells, images), width, advance);
        true
    }

    fn line_feed(&mut self) {
        let spacing = self.modes.spacing;
        if !self.print_line(spacing) {
            self.lay(Content::Feed, 0, spacing);
        }
    }

    pub(crate) fn flush(&mut self) {
        let spacing = self.modes.spacing;
        self.print_line(spacing);
    }

    fn feed(&mut self, dots: u32) {
        if !self.print_line(dots) && dots > 0 {
            self.lay(Content::Feed, 0, dots);
        }
    }

    fn esc(&mut self, function: u8, p: &[u8]) {
        let first = p.first().copied().unwrap_or(0);
        let on = first & 1 == 1;
        match function {
            b'@' => self.modes = Modes::default(),
            b'!' => {
                let style = &mut self.modes.ascii;
                style.small = first & 0x01 != 0;
                style.bold = first & 0x08 != 0;
                style.tall = if first & 0x10 != 0 { 2 } else { 1 };
                style.wide = if first & 0x20 != 0 { 2 } else { 1 };
                style.underline = first & 0x80 != 0;
            }
            b'M' => self.modes.ascii.small = on,
            b'E' | b'G' => {
                self.modes.ascii.bold = on;
                self.modes.hanzi.bold = on;
            }
            b'-' => self.modes.ascii.underline = matches!(first, 1 | 2 | 49 | 50),
            b'a' => self.modes.align = first & 0x03,
            b't' => self.modes.page = CodePage(first),
            b' ' => self.modes.char_space = u32::from(first),
            b'2' => self.modes.spacing = LINE,
            b'3' => self.modes.spacing = u32::from(first),
            b'd' => {
                let dots = u32::from(first) * self.modes.spacing;
                self.feed(dots);
            }
            b'J' => self.feed(u32::from(first)),
            b'D' => {
                let stops = p.iter().take_while(|b| **b != 0).map(|b| u32::from(*b)).collect::<Vec<_>>();
                self.modes.tabs = Some(stops);
            }
            b'$' => self.modes.x = u32::from(first) + u32::from(p.get(1).copied().unwrap_or(0)) * 256,
            b'\\' => {
                let by = i32::from(i16::from_le_bytes([first, p.get(1).copied().unwrap_or(0)]));
                self.modes.x = self.modes.x.saturating_add_signed(by);
            }
            b'p' => {
                let [_, on_time, off_time] = p else { return };
                let pin = if matches!(first, 0 | 48) { 2 } else { 5 };
                let (on_ms, off_ms) = (u32::from(*on_time) * 2, u32::from(*off_time) * 2);
                self.pulses.push(Pulse { pin, on_ms, off_ms, real_time: false });
            }
            b'i' | b'm' => self.cut(if function == b'i' { Cut::Full } else { Cut::Partial }, 0),
            b'v' => self.transmit_status(1),
            b'u' => self.transmit_status(2),
            b'*' => self.column_image(p),
            b'=' => self.modes.display = first & 1 == 0,
            b'B' => self.note("beeper"),
            _ => self.note(named(ESC, function)),
        }
    }

    fn fs(&mut self, function: u8, p: &[u8]) {
        let first = p.first().copied().unwrap_or(0);
        match function {
            // The tokenizer follows these two.
            b'&' | b'.' => {}
            b'!' => {
                let style = &mut self.modes.hanzi;
                style.wide = if first & 0x04 != 0 { 2 } else { 1 };
                style.tall = if first & 0x08 != 0 { 2 } else { 1 };
                style.underline = first & 0x80 != 0;
            }
            b'W' => {
                let times = if first & 1 == 1 { 2 } else { 1 };
                (self.modes.hanzi.wide, self.modes.hanzi.tall) = (times, times);
            }
            b'-' => self.modes.hanzi.underline = matches!(first, 1 | 2 | 49 | 50),
            _ => self.note(named(FS, function)),
        }
    }

    fn gs(&mut self, function: u8, p: &[u8]) {
        let first = p.first().copied().unwrap_or(0);
        match function {
            b'!' => {
                for style in [&mut self.modes.ascii, &mut self.modes.hanzi] {
                    style.wide = u32::from(first >> 4 & 0x07) + 1;
                    style.tall = u32::from(first & 0x07) + 1;
                }
            }
            b'B' => {
                self.modes.ascii.inverse = first & 1 == 1;
                self.modes.hanzi.inverse = first & 1 == 1;
            }
            b'V' => {
                let cut = if matches!(first, 0 | 48 | 65 | 97 | 103) { Cut::Full } else { Cut::Partial };
                self.cut(cut, u32::from(p.get(1).copied().unwrap_or(0)));
            }
            b'a' => self.enable_automatic_status(first),
            b'r' => self.transmit_status(first),
            b'I' => self.identify(first),
            b'h' => self.modes.bar_height = u32::from(first.max(1)),
            b'w' => self.modes.bar_width = u32::from(first.clamp(1, 6)),
            b'H' => self.modes.hri = first & 0x03,
            b'k' => self.barcode(p),
            b'v' => self.raster(p),
            b'(' => match first {
                b'k' => self.two_dimensional(p.get(3..).unwrap_or_default()),
                b'L' => self.graphics(p.get(3..).unwrap_or_default()),
                _ => self.note(["GS ( ", &char::from(first).to_string(), " has no effect here"].concat()),
            },
            b'8' if first == b'L' => self.graphics(p.get(5..).unwrap_or_default()),
            _ => self.note(named(GS, function)),
        }
    }

    fn cut(&mut self, cut: Cut, feed: u32) {
        self.flush();
        if feed > 0 {
            self.lay(Content::Feed, 0, feed);
        }
        if self.model.cutter {
            self.end_receipt(cut);
        } else {
            self.note("no cutter: the cut is ignored");
        }
    }

    fn identify(&mut self, n: u8) {
        match n {
            1 | 49 => self.reply(&[0x20]),
            2 | 50 => self.reply(&[if self.model.chinese { 0x03 } else { 0x02 }]),
            3 | 51 => self.reply(&[0x01]),
            65 => self.reply(b"_1.0\0"),
            66 => self.reply(b"_TILLD\0"),
            67 => self.reply(b"_TILL-SIM\0"),
            68 => self.reply(b"_0000001\0"),
            69 => self.reply(if self.model.chinese { b"_CHINA GB18030\0" } else { b"_NONE\0" }),
            _ => self.note("GS I with a number this printer has no answer for"),
        }
    }

    fn symbol(&mut self, symbol: Symbol, below: u32) {
        self.flush();
        let (width, height) = (symbol.bitmap.width(), symbol.bitmap.height());
        self.lay(Content::Symbol(symbol), width, height.max(LINE) + below);
    }

    /// GS ( k: cn, fn, parameters.
    fn two_dimensional(&mut self, p: &[u8]) {
        match p {
            [49, 65, model, ..] => self.modes.qr.model = *model,
            [49, 67, size, ..] => self.modes.qr.size = u32::from((*size).clamp(1, 16)),
            [49, 69, level, ..] => {
                self.modes.qr.level = match level {
                    49 => EcLevel::M,
                    50 => EcLevel::Q,
                    51 => EcLevel::H,
                    _ => EcLevel::L,
                };
            }
            [49, 80, 48, data @ ..] => self.modes.qr.data = data.to_vec(),
            [49, 81, 48, ..] => self.qr(),
            [49, ..] => self.note("GS ( k function of QR codes without effect here"),
            _ => self.note("GS ( k: only QR codes are drawn"),
        }
    }

    fn qr(&mut self) {
        let qr = self.modes.qr.clone();
        let data = String::from_utf8_lossy(&qr.data).into_owned();
        if qr.model == 49 {
            self.note("QR model 1 is drawn as model 2");
        }
        let Ok(code) = QrCode::with_error_correction_level(&qr.data, qr.level) else {
            self.note("QR code not printed: more data than a symbol of this level holds");
            return;
        };
        let colors = code.to_colors();
        let width = code.width();
        let mut bitmap = Bitmap::new(u32::try_from(width).unwrap_or(0));
        for row in colors.chunks(width) {
            bitmap.push_row(row.iter().map(|c| *c == Color::Dark).collect());
        }
        self.symbol(Symbol { kind: "QR", data, bitmap: bitmap.scaled(qr.size, qr.size) }, 6);
    }

    fn barcode(&mut self, p: &[u8]) {
        let (kind, data) = match p {
            [kind @ 0..=6, data @ ..] => (*kind, data.split_last().map_or(&[][..], |(_, data)| data)),
            [kind, _, data @ ..] => (*kind - 65, data),
            _ => return,
        };
        let name = ["UPC-A", "UPC-E", "EAN13", "EAN8", "CODE39", "ITF", "CODABAR", "CODE93", "CODE128"];
        let kind_name = name.get(usize::from(kind)).copied().unwrap_or("BARCODE");
        let (text, modules) = match kind {
            8 => match barcode::code128(data) {
                Some((text, modules)) => (text, Some(modules)),
                None => (String::new(), None),
            },
            // UPC-A is EAN-13 with a 0 in front.
            0 => {
                let drawn = barcode::ean(&[b"0", data].concat());
                (
                    drawn.as_ref().map_or_else(String::new, |(digits, _)| digits[1..].to_owned()),
                    drawn.map(|(_, m)| m),
                )
            }
            2 | 3 => {
                let drawn = barcode::ean(data);
                (drawn.as_ref().map_or_else(String::new, |(digits, _)| digits.clone()), drawn.map(|(_, m)| m))
            }
            _ => (String::from_utf8_lossy(data).into_owned(), Some(Vec::new())),
        };
        let Some(modules) = modules else {
            self.note(["bar code not printed: these data are no ", kind_name].concat());
            return;
        };
        if modules.is_empty() {
            self.note([kind_name, " is labelled, not drawn"].concat());
        }
        let mut bitmap = Bitmap::new(u32::try_from(modules.len()).unwrap_or(0));
        bitmap.push_row(modules);
        let bitmap = bitmap.scaled(self.modes.bar_width, self.modes.bar_height);
        let too_wide = bitmap.width() > self.model.width;
        let hri = self.modes.hri;
        if too_wide {
            self.note("bar code not printed: wider than the paper");
            return;
        }
        self.flush();
        if hri & 1 != 0 {
            self.readable(&text);
        }
        self.symbol(Symbol { kind: kind_name, data: text.clone(), bitmap }, 4);
        if hri & 2 != 0 {
            self.readable(&text);
        }
    }

    /// The human-readable line of a bar code.
    fn readable(&mut self, text: &str) {
        let style = Style::default();
        let cell = |(at, ch): (u32, char)| Cell { ch, x: 12 * at, width: 12, height: 24, style };
        let cells: Vec<Cell> = (0..).zip(text.chars()).map(cell).collect();
        let width = cells.last().map_or(0, |c| c.x + c.width);
        self.lay(Content::Line(cells, Vec::new()), width, 26);
    }

    /// GS v 0: m, xL xH bytes a row, yL yH rows, data.
    fn raster(&mut self, p: &[u8]) {
        let [_, m, x1, x2, y1, y2, data @ ..] = p else { return };
        let bytes = usize::from(*x1) + usize::from(*x2) * 256;
        let rows = usize::from(*y1) + usize::from(*y2) * 256;
        if bytes == 0 || rows == 0 {
            self.note("raster picture without size");
            return;
        }
        let bitmap = from_rows(bytes, data).scaled(1 + u32::from(m & 1), 1 + u32::from(m >> 1 & 1));
        self.picture(&bitmap);
    }

    fn picture(&mut self, bitmap: &Bitmap) {
        self.flush();
        // What does not fit is not printed.
        let mut cropped = Bitmap::new(bitmap.width().min(self.model.width));
        for y in 0..bitmap.height() {
            cropped.push_row((0..cropped.width()).map(|x| bitmap.is_black(x, y)).collect());
        }
        let x = self.left(cropped.width());
        self.begin_raster(cropped, x);
    }

    pub(crate) fn open_image(&mut self, width: u32, x: u32) {
        self.blocks.push(Block { content: Content::Image(Bitmap::new(width)), x, advance: 0 });
    }

    pub(crate) fn add_row(&mut self, row: Vec<bool>) {
        if let Some(Block { content: Content::Image(bitmap), advance, .. }) = self.blocks.last_mut() {
            bitmap.push_row(row);
            *advance += 1;
        }
    }

    /// GS ( L and GS 8 L: m, fn; 112 stores a raster, 50 prints it.
    fn graphics(&mut self, p: &[u8]) {
        match p {
            [_, 112, 48, bx, by, _, x1, x2, _, _, data @ ..] => {
                let dots = usize::from(*x1) + usize::from(*x2) * 256;
                let bitmap = from_rows(dots.div_ceil(8).max(1), data);
                self.modes.graphics =
                    Some(bitmap.scaled(u32::from((*bx).clamp(1, 2)), u32::from((*by).clamp(1, 2))));
            }
            [_, 2 | 50, ..] => match self.modes.graphics.take() {
                Some(bitmap) => self.picture(&bitmap),
                None => self.note("graphics printed without being stored"),
            },
            _ => self.note("graphics function without effect here"),
        }
    }

    /// ESC *: columns of 8 or 24 dots, set into the line.
    fn column_image(&mut self, p: &[u8]) {
        let [mode, n1, n2, data @ ..] = p else { return };
        let columns = u32::from(*n1) + u32::from(*n2) * 256;
        let bytes: u32 = if *mode >= 32 { 3 } else { 1 };
        let mut bitmap = Bitmap::new(columns);
        for y in 0..bytes * 8 {
            let dot = |x: u32| {
                let at = usize::try_from(x * bytes + y / 8).unwrap_or(usize::MAX);
                data.get(at).is_some_and(|byte| byte >> (7 - y % 8) & 1 == 1)
            };
            bitmap.push_row((0..columns).map(dot).collect());
        }
        // Single density is twice as wide; 8-dot columns are three times as tall.
        let across = if mode & 1 == 0 { 2 } else { 1 };
        let bitmap = bitmap.scaled(across, if bytes == 1 { 3 } else { 1 });
        let x = self.modes.x;
        self.modes.x += bitmap.width();
        self.modes.images.push((x, bitmap));
    }
}

fn from_rows(bytes: usize, data: &[u8]) -> Bitmap {
    let mut bitmap = Bitmap::new(u32::try_from(bytes * 8).unwrap_or(0));
    for row in data.chunks(bytes) {
        bitmap.push_row(
            row.iter().flat_map(|byte| (0..8).map(move |bit| byte >> (7 - bit) & 1 == 1)).collect(),
        );
    }
    bitmap
}

fn named(introducer: u8, function: u8) -> String {
    let name = match introducer {
        ESC => "ESC",
        FS => "FS",
        _ => "GS",
    };
    let function = if function.is_ascii_graphic() {
        char::from(function).to_string()
    } else {
        format!("{function:02X}")
    };
    [name, " ", &function, " has no effect here"].concat()
}
