//! Receipts of payments and slips of what follows them: pure text and layout blocks; the printer driver knows paper.
//!
//! `text`: a document as plain lines; `words`: what is said in each language.

mod text;
mod words;

use till_plugin::channel::Approval;
use till_plugin::document::{Align, Block, Document, Style};
use till_plugin::instrument::Cvm;

use crate::bounds;
use crate::payment::{Attempt, LegKind, Payment};
use words::{EN, Words, ZH};

pub use text::text;

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

/// The receipt of a payment: of what paid or holds it last. `None` while nothing did.
pub fn document(p: &Payment, shop: &Shop, facts: &Facts) -> Option<Document> {
    slip(p, p.receipt_number?, shop, facts)
}

/// The receipt or slip with this number. `None`: no attempt of the payment has it.
pub fn slip(p: &Payment, number: u64, shop: &Shop, facts: &Facts) -> Option<Document> {
    let attempt = p.attempts.iter().find(|a| a.receipt == Some(number))?;
    let approval = attempt.approval.as_ref()?;
    let w = if shop.language == Language::Chinese { &ZH } else { &EN };
    let mut doc = top(w, attempt.kind, shop, facts).pair(w.number, format!("{number:08}"));
    if let Some(original) = p.attempt(attempt.of).and_then(|o| o.receipt) {
        doc = doc.pair(w.of, format!("{original:08}"));
    }
    doc = doc.pair(w.time, &facts.local_time).pair(w.terminal, &shop.terminal);
    if let Some(operator) = attempt.operator.as_ref().or(p.operator.as_ref()) {
        doc = doc.pair(w.operator, operator);
    }
    if !p.subject.is_empty() {
        doc = doc.pair(w.subject, &p.subject);
    }
    if !attempt.reason.is_empty() {
        doc = doc.pair(w.why, &attempt.reason);
    }
    let parts: Vec<&Attempt> = p
        .attempts
        .iter()
        .filter(|a| a.kind == LegKind::Sale && (a.stands() || a.receipt == Some(number)))
        .collect();
    if attempt.kind == LegKind::Sale && parts.len() > 1 {
        for (n, part) in (1..).zip(parts) {
            let Some(approval) = part.approval.as_ref() else { continue };
            doc = doc.with(Block::Rule { with: '-' }).pair(format!("{} {n}", w.part), amount(part.amount));
            let name = if part.channel == attempt.channel {
                facts.channel_name.clone()
            } else {
                part.channel.clone()
            };
            doc = numbers(doc, w, &Facts { channel_name: name, ..facts.clone() }, part, approval);
        }
    } else {
        doc = numbers(doc.with(Block::Rule { with: '-' }), w, facts, attempt, approval);
    }
    let total = if attempt.kind == LegKind::Sale { p.amount } else { attempt.amount };
    doc = doc.with(Block::Rule { with: '-' }).with(Block::Pair {
        label: w.total.into(),
        value: amount(total),
        style: Style { bold: true, wide: false, tall: true },
    });
    if attempt.kind == LegKind::Hold {
        doc = doc.line(w.not_paid);
    }
    if approval.extra.contains_key("review") {
        doc = doc.line(w.reviewed);
    }
    if let Some(change) = approval.change {
        if let Ok(tendered) = approval.amount.checked_add(change) {
            doc = doc.pair(w.tendered, amount(tendered));
        }
        doc = doc.pair(w.change, amount(change));
    }
    if approval.cvm == Cvm::Signature {
        doc = doc.line(w.signature).with(Block::Feed { lines: 2 }).with(Block::Rule { with: '_' });
    }
    Some(bottom(doc.with(Block::Rule { with: '-' }), w, shop, facts))
}

fn centred(text: &str, style: Style) -> Block {
    Block::Text { text: text.into(), align: Align::Centre, style }
}

fn top(w: &Words, kind: LegKind, shop: &Shop, facts: &Facts) -> Document {
    let mut doc = Document::new().with(centred(&shop.name, Style::BIG));
    for line in &shop.lines {
        doc = doc.with(centred(line, Style::PLAIN));
    }
    doc = doc.with(centred(w.title_of(kind), Style::BOLD));
    if facts.copy > 0 {
        doc = doc.with(centred(&format!("*** {} {} ***", w.copy, facts.copy), Style::BOLD));
    }
    doc.with(Block::Rule { with: '-' })
}

fn bottom(mut doc: Document, w: &Words, shop: &Shop, facts: &Facts) -> Document {
    for line in &shop.footer {
        doc = doc.with(centred(line, Style::PLAIN));
    }
    if facts.copy == 0 {
        doc = doc.with(centred(w.original, Style::PLAIN));
    }
    doc.with(Block::Cut)
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

pub(crate) fn amount(money: till_plugin::Money) -> String {
    match money.currency().code() {
        "CNY" => format!("¥{}", money.decimal()),
        code => format!("{code} {}", money.decimal()),
    }
}
