//! What is on the paper: lines, symbols, pictures, feeds. Lengths are dots (203 dpi, 8 a millimetre).

/// Dots one line of text is fed by default.
pub const LINE: u32 = 30;

/// Black and white dots, row by row.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bitmap {
    width: u32,
    rows: Vec<Vec<bool>>,
}

impl std::fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bitmap({}x{})", self.width, self.rows.len())
    }
}

impl Bitmap {
    /// An empty picture of this width.
    pub fn new(width: u32) -> Self {
        Self { width, rows: Vec::new() }
    }

    /// Dots across.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        u32::try_from(self.rows.len()).unwrap_or(u32::MAX)
    }

    /// Whether this dot is black; white outside.
    pub fn is_black(&self, x: u32, y: u32) -> bool {
        let row = usize::try_from(y).ok().and_then(|y| self.rows.get(y));
        row.and_then(|row| usize::try_from(x).ok().and_then(|x| row.get(x))).copied().unwrap_or(false)
    }

    /// Adds a row below, cut or filled with white to the width.
    pub fn push_row(&mut self, mut row: Vec<bool>) {
        row.resize(usize::try_from(self.width).unwrap_or(0), false);
        self.rows.push(row);
    }

    pub(crate) fn into_rows(self) -> Vec<Vec<bool>> {
        self.rows
    }

    /// Every dot as a block of `across` by `down` dots.
    #[must_use]
    pub fn scaled(&self, across: u32, down: u32) -> Self {
        let mut out = Self::new(self.width * across);
        for row in &self.rows {
            let wide: Vec<bool> = row
                .iter()
                .flat_map(|dot| std::iter::repeat_n(*dot, usize::try_from(across).unwrap_or(1)))
                .collect();
            for _ in 0..down {
                out.push_row(wide.clone());
            }
        }
        out
    }
}

/// How characters look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Times the normal width, 1 to 8.
    pub wide: u32,
    /// Times the normal height, 1 to 8.
    pub tall: u32,
    /// Emphasised.
    pub bold: bool,
    /// Underlined.
    pub underline: bool,
    /// White on black.
    pub inverse: bool,
    /// The small font (9 by 17 dots).
    pub small: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { wide: 1, tall: 1, bold: false, underline: false, inverse: false, small: false }
    }
}

/// One character on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The character.
    pub ch: char,
    /// Left edge within the line.
    pub x: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// Look.
    pub style: Style,
}

/// A machine-readable symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// `QR`, `CODE128`, `EAN13` …
    pub kind: &'static str,
    /// What it says.
    pub data: String,
    /// Its picture; empty where this printer only labels the kind.
    pub bitmap: Bitmap,
}

/// What a block shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text, and bit images set among it (ESC *), each with its left edge.
    Line(Vec<Cell>, Vec<(u32, Bitmap)>),
    /// QR or bar code.
    Symbol(Symbol),
    /// A raster picture.
    Image(Bitmap),
    /// Blank paper.
    Feed,
}

/// One thing on the paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What is shown.
    pub content: Content,
    /// Left edge of it all (alignment).
    pub x: u32,
    /// How far the paper moved.
    pub advance: u32,
}

/// How a receipt was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Through.
    Full,
    /// A bridge left standing.
    Partial,
    /// By hand.
    Torn,
}

/// Paper between two cuts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// 1 for the first of this printer.
    pub number: u32,
    /// Top to bottom.
    pub blocks: Vec<Block>,
    /// How it ended.
    pub cut: Cut,
    /// The bytes that made it, real-time commands left out.
    pub raw: Vec<u8>,
    /// Printable width.
    pub width: u32,
    /// Blocks before which the paper ran out and was changed.
    pub paper_changes: Vec<usize>,
}

impl Receipt {
    /// The text as a person reads it: a Chinese character takes two columns, alignment and tabs are spaces, symbols and
    /// pictures are named in brackets. No trailing spaces.
    pub fn text(&self) -> String {
        super::text::render(self, false)
    }

    /// As [`Self::text`], with QR codes drawn in half blocks for a terminal.
    pub fn terminal_text(&self) -> String {
        super::text::render(self, true)
    }

    /// The picture, PNG, one dot a pixel.
    pub fn png(&self, fonts: &super::font::Fonts) -> Result<Vec<u8>, image::ImageError> {
        super::picture::png(self, fonts)
    }

    /// The symbols on it, top to bottom.
    pub fn symbols(&self) -> impl Iterator<Item = &Symbol> {
        self.blocks.iter().filter_map(|block| match &block.content {
            Content::Symbol(symbol) => Some(symbol),
            _ => None,
        })
    }
}
