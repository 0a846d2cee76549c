//! Payments that have left memory: folded from the journal.

use till_core::record::{KIND, Record};
use till_core::{Payment, PaymentId, Till};
use till_journal::{Journal, JournalError};

/// Why each attempt of a payment went to its channel, as JSON, by attempt.
pub(crate) fn decisions(journal: &Journal, id: PaymentId) -> Vec<(u32, String)> {
    let records = journal.by_subject(&id.0).unwrap_or_default();
    let decoded = records.iter().filter(|r| r.kind == KIND).filter_map(|r| Record::decode(&r.payload).ok());
    decoded
        .filter_map(|record| match record {
            Record::AttemptCreated { ids, decision, .. } | Record::Tendered { ids, decision, .. } => {
                Some((ids.attempt, serde_json::to_string(&decision).ok()?))
            }
            _ => None,
        })
        .collect()
}

/// A payment from its records; `None` when the journal has none of it.
pub(crate) fn find(journal: &Journal, id: PaymentId) -> Result<Option<Payment>, JournalError> {
    let records: Vec<(u64, i64, Record)> = journal
        .by_subject(&id.0)?
        .into_iter()
        .filter(|r| r.kind == KIND)
        .filter_map(|r| Some((r.seq, r.stamp.wall_ms, Record::decode(&r.payload).ok()?)))
        .collect();
    Ok(Till::fold_payment(id, records.iter().map(|(seq, wall, record)| (*seq, *wall, record))))
}
