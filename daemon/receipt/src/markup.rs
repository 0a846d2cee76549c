//! From what Jinja made to blocks: a line is a block, `@` at its beginning says which.

use till_plugin::document::{Align, Block, Cell, Document, Style};

use crate::error::TemplateError;
use crate::source::{LINE_BEGIN, LINE_END, is_reserved};

/// Most blocks and most text of one receipt: about 8 m of paper.
const BLOCKS: usize = 400;
/// Most bytes that Jinja may put out.
pub(crate) const OUTPUT: usize = 48 * 1024;
/// What any paper has room for.
const QR: usize = 300;
const BARCODE: usize = 28;
const CELLS: usize = 8;
const FEED: u8 = 10;
const CUTS: usize = 3;

/// Characters that lay out, and what stands for them where they are data.
const STAND_INS: [(char, char); 5] =
    [('|', '\u{E001}'), ('\n', '\u{E002}'), ('@', '\u{E003}'), (' ', '\u{E004}'), (':', '\u{E005}')];

/// Before every value, so that one is seen also where it holds nothing that lays out (`@{{ field }}` is refused).
const VALUE: char = '\u{E006}';

/// A value as data: nothing in it lays out, and control characters are gone.
pub(crate) fn data(text: &str) -> String {
    let stand_in = |c: char| match STAND_INS.iter().find(|(from, _)| *from == c) {
        Some((_, to)) => Some(*to),
        None if c.is_control() || is_reserved(c) => None,
        None => Some(c),
    };
    std::iter::once(VALUE).chain(text.chars().filter_map(stand_in)).collect()
}

/// Data as it was.
fn plain(text: &str) -> String {
    let back = |c: char| STAND_INS.iter().find(|(_, to)| *to == c).map_or(c, |(from, _)| *from);
    text.chars().filter(|c| *c != VALUE).map(back).collect()
}

/// The blocks of a receipt.
pub(crate) fn document(text: &str) -> Result<Document, TemplateError> {
    let mut document = Document::new();
    let mut at = 0;
    for line in text.lines() {
        let (number, line) = unmark(line);
        at = number.unwrap_or(at);
        document.blocks.push(
            block(line.trim_end_matches([' ', '\t']))
                .map_err(|what| TemplateError::Layout { line: at, what })?,
        );
        if document.blocks.len() > BLOCKS {
            return Err(TemplateError::TooMuch { line: at, what: format!("more than {BLOCKS} lines") });
        }
    }
    if document.blocks.iter().filter(|b| **b == Block::Cut).count() > CUTS {
        return Err(TemplateError::TooMuch { line: at, what: format!("more than {CUTS} cuts") });
    }
    if document.blocks.last() != Some(&Block::Cut) {
        document.blocks.push(Block::Cut);
    }
    Ok(document)
}

/// A line without its marks, and the number in the first one.
fn unmark(line: &str) -> (Option<usize>, String) {
    let mut number = None;
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, marked)) = rest.split_once(LINE_BEGIN) {
        out.push_str(before);
        let (digits, after) = marked.split_once(LINE_END).unwrap_or((marked, ""));
        number = number.or_else(|| digits.parse().ok());
        rest = after;
    }
    out.push_str(rest);
    (number, out)
}

/// Without the blanks of the template; those of data are data.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

type Fallible<T> = Result<T, String>;

fn block(line: &str) -> Fallible<Block> {
    let Some(rest) = line.strip_prefix('@').filter(|r| !r.starts_with('@')) else {
        if trim(line).is_empty() {
            return Ok(Block::Feed { lines: 1 });
        }
        let text = plain(line.strip_prefix('@').unwrap_or(line));
        return Ok(Block::Text { text, align: Align::Left, style: Style::PLAIN });
    };
    let (head, content) = match rest.split_once(':') {
        Some((head, content)) => (head, Some(trim(content))),
        None => (rest, None),
    };
    if head.chars().any(is_reserved) {
        return Err("a field stands where the kind of the line belongs: write `@kind: {{ field }}`".into());
    }
    let mut words = head.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let options: Vec<&str> = words.collect();
    let wanted =
        || content.ok_or_else(|| format!("`@{kind}` wants a colon and what is printed: `@{kind}: …`"));
    let nothing = |block| match content {
        None => Ok(block),
        Some(_) => Err(format!("`@{kind}` prints no text: take the colon and what follows away")),
    };
    match kind {
        "text" | "left" => text(wanted()?, Align::Left, &options),
        "centre" | "center" => text(wanted()?, Align::Centre, &options),
        "right" => text(wanted()?, Align::Right, &options),
        "pair" => {
            let (label, value) =
                wanted()?.split_once('|').ok_or("`@pair` wants two texts: `@pair: left | right`")?;
            Ok(Block::Pair { label: plain(trim(label)), value: plain(trim(value)), style: style(&options)? })
        }
        "row" => row(wanted()?, &options),
        "rule" => match options.as_slice() {
            [] => nothing(Block::Rule { with: '-' }),
            [one] if one.chars().count() == 1 => {
                nothing(Block::Rule { with: one.chars().next().unwrap_or('-') })
            }
            _ => Err("`@rule` takes one character: `@rule =`".into()),
        },
        "feed" => match options.as_slice() {
            [] => nothing(Block::Feed { lines: 1 }),
            [n] => nothing(Block::Feed { lines: number(n, FEED, "`@feed`")? }),
            _ => Err("`@feed` takes one number: `@feed 2`".into()),
        },
        "qr" => {
            let module_dots = match options.as_slice() {
                [] => 6,
                [n] => number(n, 16, "the module size of `@qr`")?,
                _ => return Err("`@qr` takes one number, the dots of a module: `@qr 6: …`".into()),
            };
            let data = plain(wanted()?);
            if data.is_empty() || data.len() > QR || data.chars().any(char::is_control) {
                return Err(format!("a QR code holds 1 to {QR} bytes in one line"));
            }
            Ok(Block::Qr { data, module_dots })
        }
        "barcode" if options.is_empty() => {
            let data = plain(wanted()?);
            let ascii = data.chars().all(|c| c.is_ascii_graphic() || c == ' ');
            if data.is_empty() || data.len() > BARCODE || !ascii {
                return Err(format!("a bar code holds 1 to {BARCODE} letters, digits and signs of ASCII"));
            }
            Ok(Block::Barcode { data })
        }
        "cut" if options.is_empty() => nothing(Block::Cut),
        "barcode" | "cut" => Err(format!("`@{kind}` takes no {}", options.join(" "))),
        _ => Err(format!(
            "there is no `@{kind}`: text, left, centre, right, pair, row, rule, feed, qr, barcode, cut; `@@` prints an @"
        )),
    }
}

fn text(content: &str, align: Align, options: &[&str]) -> Fallible<Block> {
    Ok(Block::Text { text: plain(content), align, style: style(options)? })
}

fn style(options: &[&str]) -> Fallible<Style> {
    let mut style = Style::PLAIN;
    for option in options {
        match *option {
            "bold" => style.bold = true,
            "wide" => style.wide = true,
            "tall" => style.tall = true,
            "big" => style = Style::BIG,
            other => return Err(format!("there is no look `{other}`: bold, wide, tall, big")),
        }
    }
    Ok(style)
}

fn number(text: &str, most: u8, what: &str) -> Fallible<u8> {
    let n = text.parse().ok().filter(|n| (1..=most).contains(n));
    n.ok_or_else(|| format!("{what} is a number from 1 to {most}"))
}

/// `@row 3 1^ 2>: a | b | c`: shares of the width, `^` centred, `>` to the right.
fn row(content: &str, options: &[&str]) -> Fallible<Block> {
    let texts: Vec<&str> = content.split('|').map(trim).collect();
    if texts.len() > CELLS {
        return Err(format!("a row has at most {CELLS} cells"));
    }
    if options.len() != texts.len() {
        return Err(format!(
            "the row has {} cells and {} widths: `@row 3 1>: name | amount`",
            texts.len(),
            options.len()
        ));
    }
    let cell = |(text, option): (&&str, &&str)| {
        let (width, align) = match option.strip_suffix(['^', '>']) {
            Some(width) if option.ends_with('^') => (width, Align::Centre),
            Some(width) => (width, Align::Right),
            None => (*option, Align::Left),
        };
        Ok(Cell { text: plain(text), width: number(width, 96, "a width of `@row`")?, align })
    };
    texts.iter().zip(options).map(cell).collect::<Fallible<Vec<_>>>().map(Block::Row)
}
