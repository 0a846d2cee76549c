//! A receipt as plain text.

use super::page::{Block, Cell, Content, LINE, Receipt, Symbol};

/// Dots of one text column.
const COLUMN: u32 = 12;

pub(crate) fn render(receipt: &Receipt, draw_symbols: bool) -> String {
    let mut out = String::new();
    for block in &receipt.blocks {
        match &block.content {
            Content::Line(cells, images) => {
                let mut line = line(block, cells);
                for (_, image) in images {
                    line.push_str(&format_image(image.width(), image.height()));
                }
                out.push_str(line.trim_end());
                out.push('\n');
            }
            Content::Symbol(symbol) => {
                if draw_symbols && symbol.kind == "QR" {
                    draw(block, symbol, &mut out);
                }
                let indent = if draw_symbols { 0 } else { block.x / COLUMN };
                pad(&mut out, indent);
                out.push_str(&["[", symbol.kind, ": ", &symbol.data, "]\n"].concat());
            }
            Content::Image(image) => {
                pad(&mut out, block.x / COLUMN);
                out.push_str(&format_image(image.width(), image.height()));
                out.push('\n');
            }
            Content::Feed => {
                for _ in 0..block.advance / LINE {
                    out.push('\n');
                }
            }
        }
    }
    out
}

fn format_image(width: u32, height: u32) -> String {
    format!("[image {width}x{height}]")
}

fn pad(out: &mut String, columns: u32) {
    out.extend(std::iter::repeat_n(' ', usize::try_from(columns).unwrap_or(0)));
}

/// Characters follow each other as they were sent; where the next one stands further right than the columns so far
/// reach (tabs, positions, the end of a double-width run), spaces fill up.
fn line(block: &Block, cells: &[Cell]) -> String {
    let mut out = String::new();
    let mut column = 0;
    let mut end = 0;
    let mut wide = 1;
    for cell in cells {
        let start = (block.x + cell.x) / COLUMN;
        let adjoins = cell.x == end && cell.style.wide == wide && column > 0;
        if !adjoins && start > column {
            pad(&mut out, start - column);
            column = start;
        }
        out.push(cell.ch);
        // The columns a terminal gives the character: what it has on paper, without the enlargement.
        column += (cell.width / cell.style.wide).div_ceil(COLUMN);
        end = cell.x + cell.width;
        wide = cell.style.wide;
    }
    out
}

/// Two rows of modules a text line; the terminal's background is taken as the paper.
fn draw(block: &Block, symbol: &Symbol, out: &mut String) {
    let Ok(code) = qrcode::QrCode::new(symbol.data.as_bytes()) else { return };
    let drawn = code
        .render::<qrcode::render::unicode::Dense1x2>()
        .dark_color(qrcode::render::unicode::Dense1x2::Light)
        .light_color(qrcode::render::unicode::Dense1x2::Dark)
        .build();
    let columns = drawn.lines().next().map_or(0, |line| line.chars().count());
    let columns = u32::try_from(columns).unwrap_or(0);
    let middle = (block.x + symbol.bitmap.width() / 2) / COLUMN;
    for line in drawn.lines() {
        pad(out, middle.saturating_sub(columns / 2));
        out.push_str(line);
        out.push('\n');
    }
}
