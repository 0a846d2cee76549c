//! What the journal held in the end, when nothing had gone wrong: what every disk is compared with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use till_core::batch::BatchEvent;
use till_core::record::{KIND, Record};
use till_core::{PaymentId, Till};
use till_journal::{Journal, JournalError};

/// Every record's hash, and where the numbers that the world saw come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Number of the first record of which anything is known.
    pub first: u64,
    /// The first record that the journal still had in the end: old ones were let go.
    pub kept: u64,
    /// Hash of record `first + index`.
    pub hashes: Vec<[u8; 32]>,
    /// Payment of record `first + index`, hex; empty: none.
    pub subjects: Vec<String>,
    /// Order number → record that had to be durable before any byte of it left (W1).
    pub orders: BTreeMap<String, u64>,
    /// Trace number (ISO 8583 field 11) → the same.
    pub traces: BTreeMap<u32, u64>,
    /// Record that froze a batch, by the batch's number.
    pub frozen: BTreeMap<u32, u64>,
    /// Record that closed it.
    pub closed: BTreeMap<u32, u64>,
    /// Hash of the file that an epoch key of the keyring had, by the epoch.
    pub keys: BTreeMap<u32, [u8; 32]>,
}

impl Truth {
    /// Reads an open journal.
    pub fn of(journal: &Journal) -> Result<Self, JournalError> {
        let first = journal.stats().first_seq;
        let mut truth = Self { first, kept: first, ..Self::default() };
        let mut payments: BTreeMap<PaymentId, Vec<(u64, i64, Record)>> = BTreeMap::new();
        journal.replay(truth.first, |record| {
            truth.hashes.push(record.hash);
            let about = record.subject != [0; 16];
            truth.subjects.push(if about { hex::encode(record.subject) } else { String::new() });
            let Some(decoded) = decoded(record) else { return };
            truth.note(record.seq, &decoded);
            if let Some(payment) = decoded.payment() {
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

    fn note(&mut self, seq: u64, record: &Record) {
        match record {
            Record::Batch(BatchEvent::Frozen { batch, .. }) => drop(self.frozen.insert(*batch, seq)),
            Record::Batch(BatchEvent::Closed { batch, .. }) => drop(self.closed.insert(*batch, seq)),
            Record::Batch(BatchEvent::Started { part, ids, .. }) if part.channel == "bankcard" => {
                self.traces.entry(ids.trace).or_insert(seq);
            }
            _ => {}
        }
    }

    /// What was known before, with what a later look shows: records that are gone by then stay known, and where both
    /// know one the later look is right (what nobody was told of may be cut off by a kill, and written anew).
    #[must_use]
    pub fn then(mut self, later: Self) -> Self {
        if self.hashes.is_empty() {
            return later;
        }
        let from = self.at(later.first).unwrap_or(0).min(self.hashes.len());
        self.hashes.truncate(from);
        self.subjects.truncate(from);
        self.hashes.extend(later.hashes);
        self.subjects.extend(later.subjects);
        self.orders.extend(later.orders);
        self.traces.extend(later.traces);
        self.frozen.extend(later.frozen);
        self.closed.extend(later.closed);
        self.kept = later.kept;
        self
    }

    /// The hash of a record.
    pub fn hash(&self, seq: u64) -> Option<&[u8; 32]> {
        self.hashes.get(self.at(seq)?)
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
        let mut text = format!("first {}\nkept {}\n", self.first, self.kept);
        for (hash, subject) in self.hashes.iter().zip(&self.subjects) {
            let _ = writeln!(text, "record {} {subject}", hex::encode(hash));
        }
        for (order, seq) in &self.orders {
            let _ = writeln!(text, "order {order} {seq}");
        }
        for (trace, seq) in &self.traces {
            let _ = writeln!(text, "trace {trace} {seq}");
        }
        for (kind, batches) in [("frozen", &self.frozen), ("closed", &self.closed)] {
            for (batch, seq) in batches {
                let _ = writeln!(text, "{kind} {batch} {seq}");
            }
        }
        for (epoch, hash) in &self.keys {
            let _ = writeln!(text, "key {epoch} {}", hex::encode(hash));
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
            let hash = |text: &str| {
                let mut hash = [0; 32];
                hex::decode_to_slice(text, &mut hash).map_err(io::Error::other).map(|()| hash)
            };
            match kind {
                "first" => truth.first = name.parse().map_err(io::Error::other)?,
                "kept" => truth.kept = name.parse().map_err(io::Error::other)?,
                "record" => {
                    truth.hashes.push(hash(name)?);
                    truth.subjects.push(value.to_owned());
                }
                "frozen" => drop(truth.frozen.insert(name.parse().unwrap_or(0), number())),
                "closed" => drop(truth.closed.insert(name.parse().unwrap_or(0), number())),
                "key" => drop(truth.keys.insert(name.parse().unwrap_or(0), hash(value)?)),
                "order" => drop(truth.orders.insert(name.to_owned(), number())),
                "trace" => drop(truth.traces.insert(name.parse().unwrap_or(0), number())),
                _ => {}
            }
        }
        Ok(truth)
    }
}

/// A record of the till, read; None for other kinds.
pub fn decoded(record: &till_journal::Record) -> Option<Record> {
    (record.kind == KIND).then(|| Record::decode(&record.payload).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(first: u64, marks: &[u8]) -> Truth {
        let hashes = marks.iter().map(|mark| [*mark; 32]).collect();
        let subjects = marks.iter().map(ToString::to_string).collect();
        Truth { first, kept: first, hashes, subjects, ..Truth::default() }
    }

    #[test]
    fn what_was_let_go_stays_known_and_what_was_written_anew_is_as_it_is_now() {
        let all = of(1, &[1, 2, 3, 4]).then(of(3, &[3, 9, 5]));
        assert_eq!((all.first, all.kept, all.last()), (1, 3, 5));
        assert_eq!(all.hashes.iter().map(|h| h[0]).collect::<Vec<_>>(), [1, 2, 3, 9, 5]);
        let path = tempfile::NamedTempFile::new().unwrap();
        let mut all = Truth { keys: [(2, [7; 32])].into(), frozen: [(1, 4)].into(), ..all };
        all.closed.insert(1, 5);
        all.save(path.path()).unwrap();
        assert_eq!(Truth::load(path.path()).unwrap(), all);
    }
}
