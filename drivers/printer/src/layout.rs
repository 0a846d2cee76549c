//! From a document's blocks to lines of a given number of columns. No printer bytes here.

use crate::text::Charset;
use crate::width::{self, Side};
use till_plugin::document::{Align, Block, Cell, Document, Style};

/// One thing to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A line of cleaned text, not wider than the paper.
    Line {
        /// Text without line feed.
        text: String,
        /// Place.
        align: Align,
        /// Looks.
        style: Style,
    },
    /// A QR code.
    Qr {
        /// Content.
        data: String,
        /// Wished module size, dots.
        module_dots: u8,
    },
    /// A Code 128 barcode.
    Barcode {
        /// Content.
        data: String,
    },
    /// Empty lines.
    Feed(u8),
    /// Cut.
    Cut,
    /// Drawer pulse.
    Pulse {
        /// Connector pin number, 0 or 1.
        pin: u8,
        /// Length, ms.
        on_ms: u16,
    },
}

/// Why a document cannot be laid out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A row has more cells than the paper has room for.
    #[error(
        "a table row has {cells} cells: {columns} columns hold at most {most}; use fewer cells or wider paper"
    )]
    Cells {
        /// Cells of the row.
        cells: usize,
        /// Columns of the paper.
        columns: usize,
        /// Most cells that fit.
        most: usize,
    },
    /// A block of a later SDK.
    #[error("the document has a block that this printer driver does not know: update the driver")]
    UnknownBlock,
}

/// Lays `document` out for `columns` columns of the normal font.
pub fn lay_out(set: Charset, columns: usize, document: &Document) -> Result<Vec<Item>, LayoutError> {
    let mut items = Vec::new();
    for block in &document.blocks {
        match block {
            Block::Text { text, align, style } => {
                let room = room(columns, *style);
                let lines = width::wrap(set, &set.clean(text), room);
                push(&mut items, lines, *align, *style);
            }
            Block::Pair { label, value, style } => {
                let room = room(columns, *style);
                let lines = width::pair(set, &set.clean(label), &set.clean(value), room);
                push(&mut items, lines, Align::Left, *style);
            }
            Block::Row(cells) => {
                push(&mut items, row(set, columns, cells)?, Align::Left, Style::PLAIN);
            }
            Block::Rule { with } => {
                let drawn = set.clean(&with.to_string()).replace(['\n', ' '], "");
                let drawn = if drawn.is_empty() { "-".to_owned() } else { drawn };
                let times = columns / width::width(set, &drawn).max(1);
                push(&mut items, vec![drawn.repeat(times)], Align::Left, Style::PLAIN);
            }
            Block::Qr { data, module_dots } => {
                items.push(Item::Qr { data: data.clone(), module_dots: *module_dots });
            }
            Block::Barcode { data } => items.push(Item::Barcode { data: data.clone() }),
            Block::Feed { lines } => items.push(Item::Feed(*lines)),
            Block::Cut => items.push(Item::Cut),
            Block::DrawerPulse { pin, on_ms } => items.push(Item::Pulse { pin: *pin, on_ms: *on_ms }),
            _ => return Err(LayoutError::UnknownBlock),
        }
    }
    Ok(items)
}

fn room(columns: usize, style: Style) -> usize {
    if style.wide { columns / 2 } else { columns }
}

fn push(items: &mut Vec<Item>, lines: Vec<String>, align: Align, style: Style) {
    for line in lines {
        let text = if align == Align::Left { line.trim_end_matches(' ').to_owned() } else { line };
        items.push(Item::Line { text, align, style });
    }
}

fn side(align: Align) -> Side {
    match align {
        Align::Left => Side::Left,
        Align::Centre => Side::Centre,
        Align::Right => Side::Right,
    }
}

/// A table row. Cells wrap inside their share of the columns; where a single word (an amount) would have to be broken, the cells stand
/// below one another instead, since a broken amount can be read as another amount.
fn row(set: Charset, columns: usize, cells: &[Cell]) -> Result<Vec<String>, LayoutError> {
    let most = columns / 3;
    if cells.len() > most {
        return Err(LayoutError::Cells { cells: cells.len(), columns, most });
    }
    let texts: Vec<String> = cells.iter().map(|cell| set.clean(&cell.text)).collect();
    let shares = shares(columns, cells);
    // A cell keeps one column free, so that neighbours never run together, but for the last one, and where the next leaves room itself.
    let room_in_next = |at: usize| {
        cells.get(at + 1).is_none_or(|next| {
            next.align == Align::Right && width::width(set, &texts[at + 1]) < shares[at + 1]
        })
    };
    let inner = |at: usize| if room_in_next(at) { shares[at] } else { shares[at] - 1 };
    let broken = texts.iter().enumerate().any(|(at, text)| {
        text.split(|c: char| c.is_whitespace() || set.width(c) > 1)
            .any(|word| width::width(set, word) > inner(at))
    });
    if broken {
        let stacked = texts.iter().zip(cells).filter(|(text, _)| !text.is_empty());
        return Ok(stacked
            .flat_map(|(text, cell)| {
                let lines = width::wrap(set, text, columns);
                lines.into_iter().map(|line| width::fill(set, &line, columns, side(cell.align)))
            })
            .collect());
    }
    let wrapped: Vec<Vec<String>> =
        texts.iter().enumerate().map(|(at, text)| width::wrap(set, text, inner(at))).collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    let line = |y: usize| -> String {
        let cell = |at: usize| {
            let text = wrapped[at].get(y).map_or("", String::as_str);
            let gap = " ".repeat(shares[at] - inner(at));
            width::fill(set, text, inner(at), side(cells[at].align)) + &gap
        };
        (0..cells.len()).map(cell).collect()
    };
    Ok((0..height).map(line).collect())
}

/// Columns of each cell: in proportion to the widths asked for, `columns` in all. Where that leaves a cell less than 3, every cell has 3
/// first and the rest is shared.
fn shares(columns: usize, cells: &[Cell]) -> Vec<usize> {
    let plain = proportion(columns, cells);
    if plain.iter().all(|share| *share >= 3) {
        return plain;
    }
    proportion(columns - 3 * cells.len(), cells).iter().map(|share| share + 3).collect()
}

fn proportion(columns: usize, cells: &[Cell]) -> Vec<usize> {
    let total: usize = cells.iter().map(|cell| usize::from(cell.width)).sum::<usize>().max(1);
    let (mut sum, mut given) = (0, 0);
    let mut shares: Vec<usize> = cells
        .iter()
        .map(|cell| {
            sum += usize::from(cell.width);
            let share = columns * sum / total - given;
            given += share;
            share
        })
        .collect();
    if let Some(last) = shares.last_mut() {
        *last += columns - given;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GB: Charset = Charset::Gb18030;

    fn texts(items: &[Item]) -> Vec<&str> {
        let mut texts = Vec::new();
        for item in items {
            if let Item::Line { text, .. } = item {
                texts.push(text.as_str());
            }
        }
        texts
    }

    fn cell(text: &str, width: u8, align: Align) -> Cell {
        Cell { text: text.to_owned(), width, align }
    }

    #[test]
    fn a_table_keeps_its_columns_with_chinese_text() {
        let row = |name: &str, n: &str, sum: &str| {
            Block::Row(vec![
                cell(name, 16, Align::Left),
                cell(n, 4, Align::Right),
                cell(sum, 12, Align::Right),
            ])
        };
        let document =
            Document::new().with(row("品名", "数量", "金额")).with(row("Tea 绿茶", "2", "￥36.00"));
        let items = lay_out(GB, 32, &document).unwrap();
        for line in texts(&items) {
            assert_eq!(width::width(GB, line), 32, "{line:?}");
        }
        assert!(texts(&items)[1].ends_with("￥36.00"));
    }

    #[test]
    fn an_amount_too_wide_for_its_cell_is_not_broken() {
        let document = Document::new()
            .with(Block::Row(vec![cell("a name", 28, Align::Left), cell("1234567.89", 4, Align::Right)]));
        let items = lay_out(GB, 32, &document).unwrap();
        assert_eq!(texts(&items), ["a name", "                      1234567.89"]);
    }

    #[test]
    fn wide_text_wraps_at_half_the_columns() {
        let document = Document::new().with(Block::Text {
            text: "合计一百二十八元五角整再加一".to_owned(),
            align: Align::Centre,
            style: Style::BIG,
        });
        let items = lay_out(GB, 32, &document).unwrap();
        assert_eq!(texts(&items), ["合计一百二十八元", "五角整再加一"]);
    }

    #[test]
    fn a_rule_spans_the_paper_with_any_character() {
        for (with, want) in [('-', 32), ('═', 32), ('\u{1b}', 32), (' ', 32), ('\n', 32)] {
            let items = lay_out(GB, 32, &Document::new().with(Block::Rule { with })).unwrap();
            assert_eq!(width::width(GB, texts(&items)[0]), want, "{with:?}");
        }
    }

    #[test]
    fn too_many_cells_are_refused() {
        let document = Document::new().with(Block::Row(vec![cell("", 0, Align::Left); 11]));
        let error = lay_out(GB, 32, &document).unwrap_err();
        assert_eq!(error, LayoutError::Cells { cells: 11, columns: 32, most: 10 });
        assert_eq!(lay_out(GB, 32, &Document::new().with(Block::Row(vec![]))), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn no_row_is_wider_than_the_paper(
            cells in proptest::collection::vec(("[a-c0-9 茶水\u{1}]{0,20}", any::<u8>()), 0..10),
            columns in 32usize..64,
        ) {
            let cells = cells.iter().map(|(text, width)| cell(text, *width, Align::Right)).collect();
            for line in texts(&lay_out(GB, columns, &Document::new().with(Block::Row(cells))).unwrap()) {
                prop_assert!(width::width(GB, line) <= columns);
            }
        }
    }
}
