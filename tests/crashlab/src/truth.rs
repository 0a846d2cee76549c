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
    /// Hash of record `index + 1`.
    pub hashes: Vec<[u8; 32]>,
    /// Payment of record `index + 1`, hex; empty: none.
    pub subjects: Vec<String>,
    /// Order number → record that had to be durable before any byte of it left (W1).
    pub orders: BTreeMap<String, u64>,
    /// Trace number (ISO 8583 field 11) → the same.
    pub traces: BTreeMap<u32, u64>,
}

impl Truth {
    /// Reads an open journal.
    pub fn of(journal: &Journal) -> Result<Self, JournalError> {
        let mut truth = Self::default();
        let mut payments: BTreeMap<PaymentId, Vec<(u64, i64, Record)>> = BTreeMap::new();
        journal.replay(1, |record| {
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

    /// The first record about a payment.
    pub fn first_about(&self, payment: &str) -> Option<u64> {
        self.subjects.iter().position(|s| s == payment).map(|at| at as u64 + 1)
    }

    /// Writes it to a file.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut text = String::new();
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
