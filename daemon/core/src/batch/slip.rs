//! The settlement slip of a closed batch: what came in by channel and operator, and what is left to people.

use till_plugin::Money;
use till_plugin::document::{Align, Block, Document, Style};

use super::day::Batch;
use super::part::Part;
use super::totals::{Line, Totals};
use crate::bounds;
use crate::receipt::{Language, Shop, amount};

/// What is printed of a batch besides what it holds itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Local time of the close, `YYYY-MM-DD hh:mm:ss`.
    pub local_time: String,
    /// Channel ids with their names as people call them.
    pub channels: std::collections::BTreeMap<String, String>,
    /// 0 the original, n the n-th copy.
    pub copy: u32,
}

/// Exceptions printed by name; how many more there are is said.
const NAMED: usize = 50;

struct Words {
    title: &'static str,
    copy: &'static str,
    terminal: &'static str,
    batch: &'static str,
    date: &'static str,
    time: &'static str,
    operator: &'static str,
    automatic: &'static str,
    network: &'static str,
    carried: &'static str,
    debits: &'static str,
    credits: &'static str,
    net: &'static str,
    fee: &'static str,
    payout: &'static str,
    paid_out: &'static str,
    agreed: &'static str,
    differs: &'static str,
    own: &'static str,
    operators: &'static str,
    nobody: &'static str,
    total: &'static str,
    exceptions: &'static str,
    more: &'static str,
    nothing: &'static str,
}

const ZH: Words = Words {
    title: "结算单",
    copy: "重印件",
    terminal: "终端号",
    batch: "批次",
    date: "营业日期",
    time: "结算时间",
    operator: "操作员",
    automatic: "自动结算",
    network: "通道批次号",
    carried: "前批次转入",
    debits: "借记",
    credits: "贷记",
    net: "净额",
    fee: "手续费",
    payout: "预计到账",
    paid_out: "到账金额",
    agreed: "对账平",
    differs: "对账不平",
    own: "本机合计",
    operators: "按操作员",
    nobody: "（无）",
    total: "合计",
    exceptions: "待处理",
    more: "其余笔数",
    nothing: "无交易",
};

const EN: Words = Words {
    title: "SETTLEMENT",
    copy: "COPY",
    terminal: "Terminal",
    batch: "Batch",
    date: "Business date",
    time: "Closed",
    operator: "Operator",
    automatic: "automatic",
    network: "Network batch",
    carried: "from earlier batches",
    debits: "Debits",
    credits: "Credits",
    net: "Net",
    fee: "Fees",
    payout: "Payout expected",
    paid_out: "Payout",
    agreed: "Totals agree",
    differs: "TOTALS DIFFER",
    own: "Own totals",
    operators: "By operator",
    nobody: "(none)",
    total: "TOTAL",
    exceptions: "LEFT TO DO",
    more: "and so many more",
    nothing: "no transactions",
};

/// The slip of a batch that is closed.
pub fn document(batch: &Batch, shop: &Shop, facts: &Facts) -> Document {
    let zh = shop.language == Language::Chinese;
    let w = if zh { &ZH } else { &EN };
    let centred = |text: &str, style| Block::Text { text: text.into(), align: Align::Centre, style };
    let mut doc = Document::new().with(centred(&shop.name, Style::BIG)).with(centred(w.title, Style::BOLD));
    if facts.copy > 0 {
        doc = doc.with(centred(&format!("*** {} {} ***", w.copy, facts.copy), Style::BOLD));
    }
    let operator = match (&batch.operator, batch.automatic) {
        (_, true) => w.automatic.to_owned(),
        (Some(operator), false) => operator.clone(),
        (None, false) => w.nobody.to_owned(),
    };
    doc = doc
        .with(Block::Rule { with: '-' })
        .pair(w.terminal, &shop.terminal)
        .pair(w.batch, format!("{:06}", batch.number))
        .pair(w.date, batch.date.map_or_else(String::new, |d| d.to_string()))
        .pair(w.time, &facts.local_time)
        .pair(w.operator, operator);
    for (id, part) in batch.parts() {
        let name = facts.channels.get(&id.channel).unwrap_or(&id.channel);
        doc = doc.with(Block::Rule { with: '-' }).with(Block::Text {
            text: name.clone(),
            align: Align::Left,
            style: Style::BOLD,
        });
        if id.is_carried() {
            doc = doc.line(w.carried);
        } else if part.moved || part.agreed.is_some() {
            // Cash and the like have no network that numbers batches.
            doc = doc.pair(w.network, format!("{:06}", id.network));
        }
        doc = of_part(sums(doc, w, part.totals()), w, part);
    }
    doc = doc.with(Block::Rule { with: '-' }).line(w.operators);
    for (operator, totals) in batch.operators() {
        let name = if operator.is_empty() { w.nobody } else { operator };
        for (_, line) in totals.lines() {
            doc = doc.pair(name, net(line));
        }
    }
    doc = doc.with(Block::Rule { with: '=' }).with(Block::Text {
        text: w.total.into(),
        align: Align::Left,
        style: Style::BOLD,
    });
    doc = sums(doc, w, &batch.totals());
    exceptions(doc, w, batch, zh).with(Block::Cut)
}

fn sums(mut doc: Document, w: &Words, totals: &Totals) -> Document {
    if totals.is_empty() {
        return doc.line(w.nothing);
    }
    for (_, line) in totals.lines() {
        let side = |side: super::Side| format!("{} × {}", side.count, amount(side.amount));
        doc =
            doc.pair(w.debits, side(line.debits)).pair(w.credits, side(line.credits)).pair(w.net, net(line));
    }
    doc
}

fn signed(money: Money) -> String {
    let minus = if money.minor() < 0 { "-" } else { "" };
    let whole = Money::new(money.minor().checked_abs().unwrap_or(i64::MAX), money.currency());
    format!("{minus}{}", amount(whole))
}

fn net(line: Line) -> String {
    line.net().map_or_else(|_| "?".into(), signed)
}

fn of_part(mut doc: Document, w: &Words, part: &Part) -> Document {
    doc = doc.line(match part.agreed {
        Some(true) => w.agreed,
        Some(false) => w.differs,
        None => w.own,
    });
    if let Some(payout) = &part.payout {
        for expected in payout.expected.iter().filter(|e| e.fee.is_positive()) {
            doc = doc.pair(w.fee, amount(expected.fee));
        }
        if let Some(date) = payout.date {
            doc = doc.pair(w.payout, date.to_string());
            for expected in &payout.expected {
                doc = doc.pair(w.paid_out, signed(expected.net));
            }
        }
    }
    doc
}

fn exceptions(mut doc: Document, w: &Words, batch: &Batch, zh: bool) -> Document {
    let all: Vec<_> = batch.exceptions().collect();
    if all.is_empty() {
        return doc;
    }
    doc = doc.with(Block::Rule { with: '-' }).with(Block::Text {
        text: format!("{} ({})", w.exceptions, all.len()),
        align: Align::Left,
        style: Style::BOLD,
    });
    for (id, exception) in all.iter().take(NAMED) {
        let (en, chinese) = exception.why.text();
        let item = exception.item.map_or_else(String::new, |i| format!(" {}/{}", i.payment, i.attempt));
        let text = format!("{}{item}: {}", id.channel, if zh { chinese } else { en });
        doc = doc.line(bounds::cut(&text, bounds::LINE));
    }
    if let Some(more) = all.len().checked_sub(NAMED).filter(|more| *more > 0) {
        doc = doc.pair(w.more, more.to_string());
    }
    doc
}
