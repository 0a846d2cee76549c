//! A document as plain text, for screens and electronic receipts.

use till_plugin::document::{Align, Block, Document};

/// A document as plain text lines of at most `columns` columns, Hanzi two columns wide: for screens and electronic
/// receipts.
pub fn text(document: &Document, columns: usize) -> String {
    let columns = columns.max(2);
    let mut out = String::new();
    for block in &document.blocks {
        match block {
            Block::Text { text, align, style } => {
                let room = if style.wide { (columns / 2).max(2) } else { columns };
                for line in text.lines().flat_map(|l| wrap(l, room)) {
                    let free = columns.saturating_sub(width(&line));
                    let left = match align {
                        Align::Left => 0,
                        Align::Centre => free / 2,
                        Align::Right => free,
                    };
                    push_line(&mut out, &format!("{}{line}", " ".repeat(left)));
                }
            }
            Block::Pair { label, value, .. } => pair_lines(&mut out, label, value, columns),
            Block::Rule { with } => {
                let rule = with.to_string();
                push_line(&mut out, &rule.repeat(columns / width(&rule).max(1)));
            }
            Block::Row(cells) => {
                let row = cells.iter().map(|c| c.text.as_str()).collect::<Vec<_>>().join(" ");
                push_lines(&mut out, wrap(&row, columns));
            }
            Block::Qr { data, .. } | Block::Barcode { data } => {
                push_lines(&mut out, wrap(data, columns));
            }
            Block::Feed { lines } => (0..*lines).for_each(|_| out.push('\n')),
            _ => {}
        }
    }
    out
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

fn push_lines(out: &mut String, lines: Vec<String>) {
    for line in lines {
        push_line(out, &line);
    }
}

fn pair_lines(out: &mut String, label: &str, value: &str, columns: usize) {
    let (labels, values) = (wrap(label, columns), wrap(value, columns));
    if let ([label], [value]) = (labels.as_slice(), values.as_slice())
        && let Some(gap) = columns.checked_sub(width(label) + width(value)).filter(|gap| *gap > 0)
    {
        push_line(out, &format!("{label}{}{value}", " ".repeat(gap)));
        return;
    }
    push_lines(out, labels);
    for line in values {
        push_line(out, &format!("{}{line}", " ".repeat(columns.saturating_sub(width(&line)))));
    }
}

/// Columns of a text: the sum over its characters, as a printer advances (no joining of emoji).
fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> usize {
    unicode_width::UnicodeWidthChar::width(c).unwrap_or(0)
}

/// Breaks a line into pieces of at most `columns` columns.
fn wrap(line: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for c in line.chars().filter(|c| !c.is_control()) {
        let w = char_width(c);
        if used + w > columns {
            lines.push(String::new());
            used = 0;
        }
        used += w;
        if let Some(last) = lines.last_mut() {
            last.push(c);
        }
    }
    lines
}
