//! Receipts of payments and slips of what follows them: pure text and layout blocks; the printer driver knows paper.
//!
//! `slip`: what a receipt says, and tilld's own layout of it; `text`: a document as plain lines; `words`: what is said in each
//! language.

mod slip;
mod text;
mod words;

use till_plugin::document::{Align, Block, Document, Style};

use crate::payment::Payment;
use crate::training::RECEIPTS;

pub use slip::{Head, Line, Part, Slip};
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

/// The receipt or slip with this number, as tilld lays it out by itself. `None`: no attempt of the payment has it.
pub fn slip(p: &Payment, number: u64, shop: &Shop, facts: &Facts) -> Option<Document> {
    Slip::of(p, number, shop, facts).map(|slip| marked(slip.document(), p))
}

/// What every paper of a training payment says, at its top and at its bottom, whatever its language.
pub const TRAINING: &str = "*** TRAINING 培训 NOT A RECEIPT ***";

/// A paper of a payment as it may be printed, whoever laid it out: that of a training payment says what it is.
pub fn marked(mut document: Document, p: &Payment) -> Document {
    if p.training {
        let mark = || Block::Text { text: TRAINING.into(), align: Align::Centre, style: Style::BOLD };
        let cut = document.blocks.iter().rposition(|b| matches!(b, Block::Cut));
        document.blocks.insert(cut.unwrap_or(document.blocks.len()), mark());
        document.blocks.insert(0, mark());
    }
    document
}

/// A receipt number as printed: eight digits, with a T before those of training.
pub fn numbered(number: u64) -> String {
    match number.checked_sub(RECEIPTS) {
        Some(training) => format!("T{training:08}"),
        None => format!("{number:08}"),
    }
}

pub(crate) fn amount(money: till_plugin::Money) -> String {
    match money.currency().code() {
        "CNY" => format!("¥{}", money.decimal()),
        code => format!("{code} {}", money.decimal()),
    }
}
