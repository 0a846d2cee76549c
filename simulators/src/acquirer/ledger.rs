//! What this host booked: one entry a payment, keyed (terminal, batch, trace), and the totals (channels.md §1.7).

use super::cards::Instrument;
use super::message::Message;
use super::money::Fen;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// Where an entry stands: terminal, batch and trace number name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Terminal, field 41.
    pub tid: String,
    /// Batch, field 60.2.
    pub batch: String,
    /// Trace number, field 11.
    pub trace: String,
}

/// The business of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// 消费.
    Sale,
    /// 撤销: undoes a sale of the same batch.
    Void,
    /// 退货: gives money of an earlier sale back.
    Refund,
    /// 预授权.
    PreAuth,
    /// Undoes a pre-authorisation.
    PreAuthVoid,
    /// 预授权完成, asked.
    Completion,
    /// Undoes a completion.
    CompletionVoid,
    /// 预授权完成, told.
    CompletionNotice,
}

impl Kind {
    /// The kinds that field 60.1 stands for, with the message type each comes in.
    pub(super) fn of(mti: &str, message_kind: &str) -> Option<Self> {
        Some(match (mti, message_kind) {
            ("0200", "22") => Self::Sale,
            ("0200", "23") => Self::Void,
            ("0220", "25") => Self::Refund,
            ("0100", "10") => Self::PreAuth,
            ("0100", "11") => Self::PreAuthVoid,
            ("0200", "20") => Self::Completion,
            ("0200", "21") => Self::CompletionVoid,
            ("0220", "24") => Self::CompletionNotice,
            _ => return None,
        })
    }

    /// Field 3 and field 25 that go with it.
    pub(super) fn processing(self) -> (&'static str, &'static str) {
        match self {
            Self::Sale => ("000000", "00"),
            Self::Void | Self::Refund => ("200000", "00"),
            Self::PreAuth => ("030000", "06"),
            Self::PreAuthVoid | Self::CompletionVoid => ("200000", "06"),
            Self::Completion | Self::CompletionNotice => ("000000", "06"),
        }
    }

    /// Whether it counts as money taken in a settlement; holds count as nothing.
    fn is_debit(self) -> bool {
        matches!(self, Self::Sale | Self::Completion | Self::CompletionNotice)
    }

    /// Notices are repeated until answered and never reversed.
    pub(super) fn is_notice(self) -> bool {
        matches!(self, Self::Refund | Self::CompletionNotice)
    }
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Money moved.
    Approved,
    /// Refused; nothing moved.
    Declined,
    /// Undone by a void.
    Voided,
    /// Undone by a reversal.
    Reversed,
    /// A pre-authorisation of which completions left nothing.
    Completed,
}

/// One payment as this host sees it.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Terminal, batch, trace.
    #[serde(flatten)]
    pub key: Key,
    /// Merchant, field 42.
    pub mid: String,
    /// Business.
    pub kind: Kind,
    /// Where it stands now.
    pub state: State,
    /// Answer code given.
    pub code: String,
    /// Amount asked for (field 4 of the request).
    pub asked: Fen,
    /// Amount booked; differs after a partial approval.
    pub amount: Fen,
    /// Card or code, shown masked.
    #[serde(serialize_with = "masked")]
    pub instrument: Instrument,
    /// Host reference, field 37.
    pub rrn: String,
    /// Authorisation code, field 38; empty where declined.
    pub auth: String,
    /// MMDD of the booking.
    pub date: String,
    /// hhmmss of the booking.
    pub time: String,
    /// The entry that this one voids, refunds or completes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Key>,
    /// Given back so far by refunds.
    pub refunded: Fen,
    /// Of a pre-authorisation: what it still holds.
    pub held: Fen,
    /// Of what completes or voids a pre-authorisation: how much of the hold it used up.
    pub drew: Fen,
    /// Not booked when it happened, but from the details of a settlement.
    pub uploaded: bool,
    /// Field 39 of the reversal that undid it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reversal_reason: Option<String>,
    /// How often this request arrived.
    pub times_received: u32,
    /// What the card's balance gained (sales: negative); taken back by a reversal.
    #[serde(skip)]
    pub(super) moved: Fen,
    /// The answer, to be given again to a repeated request.
    #[serde(skip)]
    pub(super) answer: Message,
    /// The parameters that a repeat must share.
    #[serde(skip)]
    pub(super) parameters: String,
}

impl Entry {
    /// Uses up a part of a hold; a negative part comes back. An entry that is no hold has nothing to draw on.
    pub(super) fn draw(&mut self, part: Fen) {
        if self.kind == Kind::PreAuth {
            self.held = self.held.minus(part);
            self.state = if self.held == Fen::ZERO { State::Completed } else { State::Approved };
        }
    }

    /// Whether settlement counts it: money that moved and was not reversed.
    pub(super) fn counts(&self) -> bool {
        matches!(self.state, State::Approved | State::Voided)
            && !matches!(self.kind, Kind::PreAuth | Kind::PreAuthVoid)
    }
}

fn masked<S: Serializer>(instrument: &Instrument, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&instrument.masked())
}

/// Debit and credit of one batch as field 48 counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Sales and completions.
    pub debit: Fen,
    /// How many.
    pub debit_count: u32,
    /// Voids, refunds and completion voids.
    pub credit: Fen,
    /// How many.
    pub credit_count: u32,
}

impl Totals {
    /// Both together.
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            debit: self.debit.plus(other.debit),
            debit_count: self.debit_count + other.debit_count,
            credit: self.credit.plus(other.credit),
            credit_count: self.credit_count + other.credit_count,
        }
    }

    /// The first 30 digits of one half of field 48.
    pub(super) fn to_field(self) -> Option<String> {
        let (debit, credit) = (self.debit.to_field()?, self.credit.to_field()?);
        Some(format!("{debit}{:03}{credit}{:03}", self.debit_count, self.credit_count))
    }
}

/// The book.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<Key, Entry>,
    /// Reversals that came before, or without, what they reverse. A payment that arrives later under such a key is refused:
    /// the terminal has already written it off.
    early_reversals: BTreeSet<Key>,
}

impl Ledger {
    /// Every entry, by terminal, batch and trace.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// One entry.
    pub fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Entry> {
        self.entries.get_mut(key)
    }

    /// Takes an entry out, as if its request had never been booked.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Entry> {
        self.entries.remove(key)
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        self.entries.insert(entry.key.clone(), entry);
    }

    pub(super) fn remember_early_reversal(&mut self, key: Key) {
        self.early_reversals.insert(key);
    }

    pub(super) fn was_reversed_early(&self, key: &Key) -> bool {
        self.early_reversals.contains(key)
    }

    /// Totals of one batch. A voided sale stays in the debit and its void in the credit; what was reversed is in neither.
    pub fn totals(&self, tid: &str, batch: &str) -> Totals {
        self.totals_of(tid, batch, None)
    }

    /// As [`Self::totals`], for domestic (62…) or foreign cards only.
    pub(super) fn totals_of(&self, tid: &str, batch: &str, foreign: Option<bool>) -> Totals {
        let mut totals = Totals::default();
        for entry in self.entries.values().filter(|e| e.key.tid == tid && e.key.batch == batch) {
            let other = foreign.is_some_and(|foreign| foreign == entry.instrument.clear().starts_with("62"));
            if other || !entry.counts() {
                continue;
            }
            if entry.kind.is_debit() {
                totals.debit = totals.debit.plus(entry.amount);
                totals.debit_count += 1;
            } else {
                totals.credit = totals.credit.plus(entry.amount);
                totals.credit_count += 1;
            }
        }
        totals
    }
}
