//! What a batch is made of: items, entries of money, exceptions.

use serde::{Deserialize, Serialize};
use till_plugin::Money;

use crate::payment::{LegKind, PaymentId};

/// One attempt or leg of a payment.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// Payment.
    pub payment: PaymentId,
    /// Attempt within it.
    pub attempt: u32,
}

/// Money that moved for good: an approved item.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which.
    pub item: Item,
    /// What it did.
    pub kind: LegKind,
    /// How much.
    pub amount: Money,
    /// Journal sequence number of the record that made it final.
    pub seq: u64,
}

/// One channel's share of a batch: what was sent under one batch number of its network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartId {
    /// Channel instance.
    pub channel: String,
    /// Batch number of the network, 1–999999 (n6); 0: money of an earlier batch that became certain after that batch
    /// was compared. No network has it in this batch, so it is counted here and compared with nobody.
    pub network: u32,
}

impl PartId {
    /// The part for what is carried over from earlier batches.
    pub fn carried(channel: &str) -> Self {
        Self { channel: channel.into(), network: 0 }
    }

    /// Nothing of it was sent under a batch number that is still open at the network.
    pub const fn is_carried(&self) -> bool {
        self.network == 0
    }
}

/// Something that a closed batch leaves to people, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Item it is about; None: the part as a whole.
    pub item: Option<Item>,
    /// Why.
    pub why: Why,
}

/// Why there is an exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// Two people have still to decide what became of it. If it turns out as money, it is counted in the batch that is
    /// open then.
    Review,
    /// Its outcome was still not known when the wait was over; otherwise like `Review`.
    Unfinished,
    /// The network refused its detail record, with this code.
    Refused(String),
    /// The network's totals differ from ours, after the details too.
    TotalsDiffer,
    /// The network refused to close the batch, with this code.
    NotClosed(String),
    /// Closed by a person without the network's answer.
    NoAnswer,
    /// Sums do not fit into 64 bits.
    Overflow,
    /// The channel is no longer configured.
    ChannelGone,
}

impl Why {
    /// Lower-kebab code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Unfinished => "unfinished",
            Self::Refused(_) => "record-refused",
            Self::TotalsDiffer => "totals-differ",
            Self::NotClosed(_) => "not-closed",
            Self::NoAnswer => "no-answer",
            Self::Overflow => "overflow",
            Self::ChannelGone => "channel-gone",
        }
    }

    /// One line for people: English, Chinese.
    pub const fn text(&self) -> (&'static str, &'static str) {
        match self {
            Self::Review => ("waits for the decision of two people", "待两人复核"),
            Self::Unfinished => ("outcome not known when the wait was over", "等待超时，结果未明"),
            Self::Refused(_) => ("the network refused its detail record", "明细上送被拒"),
            Self::TotalsDiffer => ("the network counts other totals", "对账不平"),
            Self::NotClosed(_) => ("the network refused to close the batch", "批结束被拒"),
            Self::NoAnswer => ("closed by hand without the network's answer", "未得应答，人工结批"),
            Self::Overflow => ("sums do not fit", "金额溢出"),
            Self::ChannelGone => ("the channel is no longer configured", "通道已移除"),
        }
    }
}
