//! A document to print: blocks that say what, never printer bytes. A printer driver lays it out for its paper.

use serde::{Deserialize, Serialize};

/// What a print job prints, top to bottom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The blocks.
    pub blocks: Vec<Block>,
}

/// One block. Text is data: a driver strips control characters from it, so that no field can command the printer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Block {
    /// A paragraph, wrapped to the paper.
    Text {
        /// UTF-8; line feeds break lines.
        text: String,
        /// Where it stands.
        align: Align,
        /// How it looks.
        style: Style,
    },
    /// A label at the left and a value at the right end of the same line (wrapped where both do not fit).
    Pair {
        /// Left.
        label: String,
        /// Right.
        value: String,
        /// How it looks.
        style: Style,
    },
    /// A table row.
    Row(Vec<Cell>),
    /// A line across the paper.
    Rule {
        /// Character it is drawn with.
        with: char,
    },
    /// A QR code (ISO/IEC 18004), centred.
    Qr {
        /// Content.
        data: String,
        /// Module size in dots, 1–16.
        module_dots: u8,
    },
    /// A Code 128 barcode with its text below, centred.
    Barcode {
        /// Content, ASCII.
        data: String,
    },
    /// Empty lines.
    Feed {
        /// How many.
        lines: u8,
    },
    /// Cut the paper (fed far enough first).
    Cut,
    /// Open the cash drawer on the printer's connector.
    DrawerPulse {
        /// Connector pin 0 (pin 2) or 1 (pin 5).
        pin: u8,
        /// Pulse length, ms; the driver caps it at 500.
        on_ms: u16,
    },
}

/// A cell of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// UTF-8.
    pub text: String,
    /// Share of the paper's columns; widths of a row are scaled to the paper.
    pub width: u8,
    /// Where it stands inside its width.
    pub align: Align,
}

/// Horizontal place.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Align {
    /// Left.
    #[default]
    Left,
    /// Centre.
    Centre,
    /// Right.
    Right,
}

/// Looks.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Style {
    /// Bold.
    pub bold: bool,
    /// Double width.
    pub wide: bool,
    /// Double height.
    pub tall: bool,
}

impl Style {
    /// Nothing special.
    pub const PLAIN: Self = Self { bold: false, wide: false, tall: false };
    /// Bold.
    pub const BOLD: Self = Self { bold: true, wide: false, tall: false };
    /// Double width and height, bold.
    pub const BIG: Self = Self { bold: true, wide: true, tall: true };
}

impl Document {
    /// An empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a block.
    #[must_use]
    pub fn with(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }

    /// Adds a left-aligned plain paragraph.
    #[must_use]
    pub fn line(self, text: impl Into<String>) -> Self {
        self.with(Block::Text { text: text.into(), align: Align::Left, style: Style::PLAIN })
    }

    /// Adds a label/value line.
    #[must_use]
    pub fn pair(self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(Block::Pair { label: label.into(), value: value.into(), style: Style::PLAIN })
    }
}
