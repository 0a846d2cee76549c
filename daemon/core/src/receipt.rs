//! A receipt from a paid payment: pure text and layout blocks; the printer driver knows paper.

use till_plugin::channel::Approval;
use till_plugin::document::{Align, Block, Document, Style};
use till_plugin::instrument::Cvm;

use crate::bounds;
use crate::payment::{Attempt, Payment};

/// The shop as printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shop {
    /// Name at the top.
    pub name: String,
    /// Lines under the name (address, telephone).
    pub lines: Vec<String>,
    /// Terminal id.
    pub terminal: String,
    /// Lines at the bottom.
    pub footer: Vec<String>,
    /// Language of the labels.
    pub language: Language,
}

/// Languages of receipts.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Simplified Chinese.
    #[default]
    Chinese,
    /// English.
    English,
}

/// What is printed of a payment besides what it holds itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Channel as people call it.
    pub channel_name: String,
    /// Local time of the payment, `YYYY-MM-DD hh:mm:ss`.
    pub local_time: String,
    /// 0 the original, n the n-th copy.
    pub copy: u32,
}

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

/// Labels of a language.
struct Words {
    title: &'static str,
    number: &'static str,
    time: &'static str,
    terminal: &'static str,
    operator: &'static str,
    subject: &'static str,
    channel: &'static str,
    account: &'static str,
    trace: &'static str,
    batch: &'static str,
    reference: &'static str,
    authorisation: &'static str,
    total: &'static str,
    tendered: &'static str,
    change: &'static str,
    signature: &'static str,
    copy: &'static str,
    original: &'static str,
}

const ZH: Words = Words {
    title: "签购单",
    number: "单号",
    time: "时间",
    terminal: "终端号",
    operator: "操作员",
    subject: "商品",
    channel: "支付方式",
    account: "账号",
    trace: "凭证号",
    batch: "批次号",
    reference: "参考号",
    authorisation: "授权码",
    total: "金额",
    tendered: "实收",
    change: "找零",
    signature: "持卡人签名：",
    copy: "重印件",
    original: "顾客存根",
};

const EN: Words = Words {
    title: "RECEIPT",
    number: "No.",
    time: "Time",
    terminal: "Terminal",
    operator: "Operator",
    subject: "For",
    channel: "Paid by",
    account: "Account",
    trace: "Trace",
    batch: "Batch",
    reference: "Reference",
    authorisation: "Auth. code",
    total: "TOTAL",
    tendered: "Received",
    change: "Change",
    signature: "Signature:",
    copy: "COPY",
    original: "Customer copy",
};

/// The receipt of a paid payment; `None` while it is not paid.
pub fn document(p: &Payment, shop: &Shop, facts: &Facts) -> Option<Document> {
    let attempt = p.approved()?;
    let approval = attempt.approval.as_ref()?;
    let w = if shop.language == Language::Chinese { &ZH } else { &EN };
    let centred = |text: &str, style| Block::Text { text: text.into(), align: Align::Centre, style };

    let mut doc = Document::new().with(centred(&shop.name, Style::BIG));
    for line in &shop.lines {
        doc = doc.with(centred(line, Style::PLAIN));
    }
    doc = doc.with(centred(w.title, Style::BOLD));
    if facts.copy > 0 {
        doc = doc.with(centred(&format!("*** {} {} ***", w.copy, facts.copy), Style::BOLD));
    }
    doc = doc
        .with(Block::Rule { with: '-' })
        .pair(w.number, p.receipt_number.map_or_else(String::new, |n| format!("{n:08}")))
        .pair(w.time, &facts.local_time)
        .pair(w.terminal, &shop.terminal);
    if let Some(operator) = &p.operator {
        doc = doc.pair(w.operator, operator);
    }
    if !p.subject.is_empty() {
        doc = doc.pair(w.subject, &p.subject);
    }
    doc = numbers(doc.with(Block::Rule { with: '-' }), w, facts, attempt, approval);
    doc = doc.with(Block::Rule { with: '-' }).with(Block::Pair {
        label: w.total.into(),
        value: amount(approval.amount),
        style: Style { bold: true, wide: false, tall: true },
    });
    if let Some(change) = approval.change {
        if let Ok(tendered) = approval.amount.checked_add(change) {
            doc = doc.pair(w.tendered, amount(tendered));
        }
        doc = doc.pair(w.change, amount(change));
    }
    if approval.cvm == Cvm::Signature {
        doc = doc.line(w.signature).with(Block::Feed { lines: 2 }).with(Block::Rule { with: '_' });
    }
    doc = doc.with(Block::Rule { with: '-' });
    for line in &shop.footer {
        doc = doc.with(centred(line, Style::PLAIN));
    }
    if facts.copy == 0 {
        doc = doc.with(centred(w.original, Style::PLAIN));
    }
    Some(doc.with(Block::Cut))
}

fn numbers(mut doc: Document, w: &Words, facts: &Facts, attempt: &Attempt, approval: &Approval) -> Document {
    let channel = match &approval.scheme {
        Some(scheme) if scheme.contains(&facts.channel_name) => scheme.clone(),
        Some(scheme) => format!("{} {scheme}", facts.channel_name),
        _ => facts.channel_name.clone(),
    };
    doc = doc.pair(w.channel, channel.trim());
    if let Some(account) = approval.account.as_ref().filter(|a| !a.is_empty()) {
        doc = doc.pair(w.account, bounds::masked(account));
    } else if !attempt.masked.is_empty() {
        doc = doc.pair(w.account, bounds::masked(&attempt.masked));
    }
    doc = doc
        .pair(w.trace, format!("{:06}", attempt.ids.trace))
        .pair(w.batch, format!("{:06}", attempt.ids.batch));
    if !approval.reference.is_empty() {
        doc = doc.pair(w.reference, &approval.reference);
    }
    if let Some(code) = &approval.authorisation_code {
        doc = doc.pair(w.authorisation, code);
    }
    for (label, value) in &approval.receipt {
        doc = doc.pair(label, value);
    }
    doc
}

fn amount(money: till_plugin::Money) -> String {
    match money.currency().code() {
        "CNY" => format!("¥{}", money.decimal()),
        code => format!("{code} {}", money.decimal()),
    }
}
