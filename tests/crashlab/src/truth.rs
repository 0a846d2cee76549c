//! What the journal held in the end, when nothing had gone wrong: what every disk is compared with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use till_core::record::{KIND, Record};
use till_core::{PaymentId, Till};
use till_journal::{Journal, JournalError};

/// Every record's hash, and where the numbers that the world saw come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Number of the first record: not 1 once old ones were let go.
    pub first: u64,
    /// Hash of record `first + index`.
    pub hashes: Vec<[u8; 32]>,
    /// Payment of record `first + index`, hex; empty: none.
    pub subjects: Vec<String>,
    /// Order number → record that had to be durable before any byte of it left (W1).
    pub orders: BTreeMap<String, u64>,
    /// Trace number (ISO 8583 field 11) → the same.
    pub traces: BTreeMap<u32, u64>,
}

impl Truth {
    /// Reads an open journal.
    pub fn of(journal: &Journal) -> Result<Self, JournalError> {
        let mut truth = Self { first: journal.stats().first_seq, ..Self::default() };
        let mut payments: BTreeMap<PaymentId, Vec<(u64, i64, Record)>> = BTreeMap::new();
        journal.replay(truth.first, |record| {
            truth.hashes.push(record.hash);
            let about = record.subject != [0; 16];
            truth.subjects.push(if about { hex::encode(record.subject) } else { String::new() });
            if record.kind == KIND
                && let Ok(decoded) = Record::decode(&record.payload)
                && let Some(payment) = decoded.payment()
            {
                let of = payments.entry(payment).or_default();
                of.push((record.seq, record.stamp.wall_ms, decoded));
            }
        })?;
        for (id, records) in payments {
            let payment = Till::fold_payment(id, records.iter().map(|(seq, wall, r)| (*seq, *wall, r)));
            for attempt in payment.iter().flat_map(|p| &p.attempts).filter(|a| a.sent_seq > 0) {
                truth.orders.insert(attempt.ids.order.clone(), attempt.sent_seq);
                // Each channel counts its own.
                if attempt.channel == "bankcard" {
                    truth.traces.entry(attempt.ids.trace).or_insert(attempt.sent_seq);
                }
            }
        }
        Ok(truth)
    }

    /// Where a record stands in [`Truth::hashes`] and [`Truth::subjects`]; None: before the first one.
    pub fn at(&self, seq: u64) -> Option<usize> {
        usize::try_from(seq.checked_sub(self.first)?).ok()
    }

    /// How many of them are the records up to this one.
    pub fn up_to(&self, seq: u64) -> usize {
        self.at(seq).map_or(0, |at| at.saturating_add(1)).min(self.hashes.len())
    }

    /// Number of the last record.
    pub fn last(&self) -> u64 {
        self.first.saturating_sub(1).saturating_add(self.hashes.len() as u64)
    }

    /// The first record about a payment.
    pub fn first_about(&self, payment: &str) -> Option<u64> {
        self.subjects.iter().position(|s| s == payment).map(|at| self.first + at as u64)
    }

    /// Writes it to a file.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut text = format!("first {}\n", self.first);
        for (hash, subject) in self.hashes.iter().zip(&self.subjects) {
            let _ = writeln!(text, "record {} {subject}", hex::encode(hash));
        }
        for (order, seq) in &self.orders {
            let _ = writeln!(text, "order {order} {seq}");
        }
        for (trace, seq) in &self.traces {
            let _ = writeln!(text, "trace {trace} {seq}");
        }
        fs::write(path, text)
    }

    /// Reads it from a file.
    pub fn load(path: &Path) -> io::Result<Self> {
        let mut truth = Self::default();
        for line in fs::read_to_string(path)?.lines() {
            let mut words = line.split(' ');
            let mut next = || words.next().unwrap_or_default();
            let (kind, name, value) = (next(), next(), next());
            if kind == "first" {
                truth.first = name.parse().map_err(io::Error::other)?;
                continue;
            }
            let number = || value.parse().unwrap_or(u64::MAX);
            match kind {
                "record" => {
                    let mut hash = [0; 32];
                    hex::decode_to_slice(name, &mut hash).map_err(io::Error::other)?;
                    truth.hashes.push(hash);
                    truth.subjects.push(value.to_owned());
                }
                "order" => drop(truth.orders.insert(name.to_owned(), number())),
                "trace" => drop(truth.traces.insert(name.parse().unwrap_or(0), number())),
                _ => {}
            }
        }
        Ok(truth)
    }
}
