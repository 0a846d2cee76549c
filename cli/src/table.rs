//! Tables that stand straight with Chinese in them: width is columns of a terminal, not characters.

use unicode_width::UnicodeWidthStr;

use crate::look::{Look, Tone, clean};

/// A cell.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

impl Cell {
    /// Text.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self { text: clean(text.as_ref()), tone: Tone::Plain, right: false }
    }

    /// A state, in the user's language and its colour.
    pub fn state(look: &Look, state: &str) -> Self {
        Self { text: look.state(state), tone: Look::tone(state), right: false }
    }

    /// A number or amount: to the right.
    pub fn right(text: impl AsRef<str>) -> Self {
        Self { right: true, ..Self::new(text) }
    }

    /// In a tone.
    #[must_use]
    pub fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

/// Columns that a text takes in a terminal.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Lines of a table: a heading, then rows. The last column is not padded, so that long texts do not wrap for spaces.
pub fn render(look: &Look, head: &[&str], rows: &[Vec<Cell>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|h| width(h)).collect();
    for row in rows {
        for (w, cell) in widths.iter_mut().zip(row) {
            *w = (*w).max(width(&cell.text));
        }
    }
    let mut out = String::new();
    let right: Vec<bool> =
        (0..head.len()).map(|i| rows.iter().any(|r| r.get(i).is_some_and(|c| c.right))).collect();
    let heading: Vec<Cell> =
        head.iter().zip(&right).map(|(h, r)| Cell { right: *r, ..Cell::new(h).tone(Tone::Strong) }).collect();
    for row in std::iter::once(&heading).chain(rows) {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            let gap = " ".repeat(widths.get(i).copied().unwrap_or(0).saturating_sub(width(&cell.text)));
            let text = look.paint(&cell.text, cell.tone);
            let last = i + 1 == row.len();
            if i > 0 {
                line.push_str("  ");
            }
            match (cell.right, last) {
                (true, _) => line.extend([gap.as_str(), text.as_str()]),
                (false, true) => line.push_str(&text),
                (false, false) => line.extend([text.as_str(), gap.as_str()]),
            }
        }
        crate::look::line(&mut out, &line);
    }
    out
}
