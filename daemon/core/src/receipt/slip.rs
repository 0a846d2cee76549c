//! What a receipt says, before anybody decides how it looks: the built-in layout and merchants' templates draw from this alone.

use serde::Serialize;
use till_plugin::channel::Approval;
use till_plugin::document::{Align, Block, Document, Style};
use till_plugin::instrument::Cvm;

use super::words::{EN, Words, ZH};
use super::{Facts, Language, Shop, amount, numbered};
use crate::bounds;
use crate::payment::{Attempt, LegKind, Payment};

/// A receipt or slip as words. Amounts are written out with their currency, accounts are masked, times are local.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slip {
    /// `zh` or `en`: language of `title` and of the built-in labels.
    pub language: &'static str,
    /// The shop.
    pub shop: Head,
    /// `sale`, `hold`, `void`, `refund`, `capture`, `release` or `load`.
    pub kind: &'static str,
    /// What the kind is called.
    pub title: &'static str,
    /// Number of this receipt, eight digits; a T before that of a training payment.
    pub number: String,
    /// Number of the receipt that this one follows (void, refund …).
    pub original: Option<String>,
    /// `YYYY-MM-DD hh:mm:ss`.
    pub time: String,
    /// Terminal id.
    pub terminal: String,
    /// Who was at the till.
    pub operator: Option<String>,
    /// What it is for; may be empty.
    pub subject: String,
    /// Why (void, refund); may be empty.
    pub reason: String,
    /// Paid in more than one part.
    pub split: bool,
    /// What paid it, at least one.
    pub parts: Vec<Part>,
    /// The amount.
    pub total: String,
    /// Money is held, not paid.
    pub held: bool,
    /// Two people decided that it is paid.
    pub reviewed: bool,
    /// Cash handed over.
    pub tendered: Option<String>,
    /// Cash given back.
    pub change: Option<String>,
    /// The holder signs this paper.
    pub signature: bool,
    /// 0 the original, n the n-th copy.
    pub copy: u32,
}

/// The shop on a slip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Name.
    pub name: String,
    /// Lines below it.
    pub lines: Vec<String>,
    /// Last lines.
    pub footer: Vec<String>,
}

/// One of the payments that make it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// 1 for the first.
    pub index: usize,
    /// Its amount.
    pub amount: String,
    /// How it was paid.
    pub channel: String,
    /// Card or account, masked.
    pub account: Option<String>,
    /// Trace number, six digits.
    pub trace: String,
    /// Batch number, six digits.
    pub batch: String,
    /// The network's reference; may be empty.
    pub reference: String,
    /// Authorisation code.
    pub authorisation: Option<String>,
    /// What the channel wants on the receipt besides.
    pub extra: Vec<Line>,
}

/// A label with its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Left.
    pub label: String,
    /// Right.
    pub value: String,
}

impl Slip {
    /// The slip with this number. `None`: no attempt of the payment has it.
    pub fn of(p: &Payment, number: u64, shop: &Shop, facts: &Facts) -> Option<Self> {
        let attempt = p.attempts.iter().find(|a| a.receipt == Some(number))?;
        let approval = attempt.approval.as_ref()?;
        let together: Vec<&Attempt> = p
            .attempts
            .iter()
            .filter(|a| a.kind == LegKind::Sale && (a.stands() || a.receipt == Some(number)))
            .collect();
        let split = attempt.kind == LegKind::Sale && together.len() > 1;
        let parts = if split {
            let paid = (1..).zip(together).filter_map(|(n, a)| Some((n, a, a.approval.as_ref()?)));
            paid.map(|(n, a, approval)| {
                let own = a.channel == attempt.channel;
                part(n, if own { &facts.channel_name } else { &a.channel }, a, approval)
            })
            .collect()
        } else {
            vec![part(1, &facts.channel_name, attempt, approval)]
        };
        let tendered = approval.change.and_then(|change| approval.amount.checked_add(change).ok());
        Some(Self {
            language: match shop.language {
                Language::Chinese => "zh",
                Language::English => "en",
            },
            shop: Head { name: shop.name.clone(), lines: shop.lines.clone(), footer: shop.footer.clone() },
            kind: attempt.kind.as_str(),
            title: words(shop.language).title_of(attempt.kind),
            number: numbered(number),
            original: p.attempt(attempt.of).and_then(|o| o.receipt).map(numbered),
            time: facts.local_time.clone(),
            terminal: shop.terminal.clone(),
            operator: attempt.operator.as_ref().or(p.operator.as_ref()).cloned(),
            subject: p.subject.clone(),
            reason: attempt.reason.clone(),
            split,
            parts,
            total: amount(if attempt.kind == LegKind::Sale { p.amount } else { attempt.amount }),
            held: attempt.kind == LegKind::Hold,
            reviewed: approval.extra.contains_key("review"),
            tendered: tendered.map(amount),
            change: approval.change.map(amount),
            signature: approval.cvm == Cvm::Signature,
            copy: facts.copy,
        })
    }

    /// As tilld lays it out by itself.
    pub fn document(&self) -> Document {
        let w = words(if self.language == "en" { Language::English } else { Language::Chinese });
        let mut doc = self.top(w).pair(w.number, &self.number);
        let named = [
            (w.of, self.original.as_ref()),
            (w.time, Some(&self.time)),
            (w.terminal, Some(&self.terminal)),
            (w.operator, self.operator.as_ref()),
            (w.subject, Some(&self.subject).filter(|s| !s.is_empty())),
            (w.why, Some(&self.reason).filter(|s| !s.is_empty())),
        ];
        for (label, value) in named {
            if let Some(value) = value {
                doc = doc.pair(label, value);
            }
        }
        for part in &self.parts {
            doc = doc.with(Block::Rule { with: '-' });
            if self.split {
                doc = doc.pair(format!("{} {}", w.part, part.index), &part.amount);
            }
            doc = numbers(doc, w, part);
        }
        doc = doc.with(Block::Rule { with: '-' }).with(Block::Pair {
            label: w.total.into(),
            value: self.total.clone(),
            style: Style { bold: true, wide: false, tall: true },
        });
        if self.held {
            doc = doc.line(w.not_paid);
        }
        if self.reviewed {
            doc = doc.line(w.reviewed);
        }
        if let Some(tendered) = &self.tendered {
            doc = doc.pair(w.tendered, tendered);
        }
        if let Some(change) = &self.change {
            doc = doc.pair(w.change, change);
        }
        if self.signature {
            doc = doc.line(w.signature).with(Block::Feed { lines: 2 }).with(Block::Rule { with: '_' });
        }
        self.bottom(doc.with(Block::Rule { with: '-' }), w)
    }

    fn top(&self, w: &Words) -> Document {
        let mut doc = Document::new().with(centred(&self.shop.name, Style::BIG));
        for line in &self.shop.lines {
            doc = doc.with(centred(line, Style::PLAIN));
        }
        doc = doc.with(centred(self.title, Style::BOLD));
        if self.copy > 0 {
            doc = doc.with(centred(&format!("*** {} {} ***", w.copy, self.copy), Style::BOLD));
        }
        doc.with(Block::Rule { with: '-' })
    }

    fn bottom(&self, mut doc: Document, w: &Words) -> Document {
        for line in &self.shop.footer {
            doc = doc.with(centred(line, Style::PLAIN));
        }
        if self.copy == 0 {
            doc = doc.with(centred(w.original, Style::PLAIN));
        }
        doc.with(Block::Cut)
    }
}

const fn words(language: Language) -> &'static Words {
    match language {
        Language::Chinese => &ZH,
        Language::English => &EN,
    }
}

fn centred(text: &str, style: Style) -> Block {
    Block::Text { text: text.into(), align: Align::Centre, style }
}

fn part(index: usize, channel_name: &str, attempt: &Attempt, approval: &Approval) -> Part {
    let channel = match &approval.scheme {
        Some(scheme) if scheme.contains(channel_name) => scheme.clone(),
        Some(scheme) => format!("{channel_name} {scheme}"),
        None => channel_name.to_owned(),
    };
    let account = approval.account.as_ref().filter(|a| !a.is_empty());
    let account = account.or(Some(&attempt.masked)).filter(|a| !a.is_empty());
    Part {
        index,
        amount: amount(attempt.amount),
        channel: channel.trim().to_owned(),
        account: account.map(|a| bounds::masked(a)),
        trace: format!("{:06}", attempt.ids.trace),
        batch: format!("{:06}", attempt.ids.batch),
        reference: approval.reference.clone(),
        authorisation: approval.authorisation_code.clone(),
        extra: approval
            .receipt
            .iter()
            .map(|(label, value)| Line { label: label.clone(), value: value.clone() })
            .collect(),
    }
}

fn numbers(mut doc: Document, w: &Words, part: &Part) -> Document {
    doc = doc.pair(w.channel, &part.channel);
    if let Some(account) = &part.account {
        doc = doc.pair(w.account, account);
    }
    doc = doc.pair(w.trace, &part.trace).pair(w.batch, &part.batch);
    if !part.reference.is_empty() {
        doc = doc.pair(w.reference, &part.reference);
    }
    if let Some(code) = &part.authorisation {
        doc = doc.pair(w.authorisation, code);
    }
    for line in &part.extra {
        doc = doc.pair(&line.label, &line.value);
    }
    doc
}
