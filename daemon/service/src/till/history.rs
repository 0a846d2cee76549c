//! Payments that have left memory: folded from the journal.

use till_core::record::{KIND, Record, RecordError};
use till_core::routing::Decision;
use till_core::{Payment, PaymentId, Till};
use till_journal::{Journal, JournalError};
use till_plugin::Money;

/// Why each attempt of a payment went to its channel, as JSON, by attempt.
pub(crate) fn decisions(journal: &Journal, id: PaymentId) -> Vec<(u32, String)> {
    let decided = decided(journal, id).unwrap_or_default().into_iter();
    decided.filter_map(|(attempt, _, d)| Some((attempt, serde_json::to_string(&d).ok()?))).collect()
}

/// Why each attempt of a payment went to its channel: attempt, its amount where the record has it, decision.
pub(crate) fn decided(
    journal: &Journal,
    id: PaymentId,
) -> Result<Vec<(u32, Option<Money>, Decision)>, HistoryError> {
    let mut found = Vec::new();
    for r in journal.by_subject(&id.0)?.iter().filter(|r| r.kind == KIND) {
        match Record::decode(&r.payload).map_err(|error| HistoryError::Record { seq: r.seq, error })? {
            Record::AttemptCreated { ids, decision, .. } => found.push((ids.attempt, None, decision)),
            Record::Tendered { ids, decision, amount, .. } => {
                found.push((ids.attempt, Some(amount), decision));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Why a payment cannot be folded from the journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record of it cannot be read: it may be money, so the payment is not shown without it.
    #[error("journal record {seq}: {error}")]
    Record {
        /// Which.
        seq: u64,
        /// Why.
        error: RecordError,
    },
}

/// A payment from its records; `None` when the journal has none of it.
pub(crate) fn find(journal: &Journal, id: PaymentId) -> Result<Option<Payment>, HistoryError> {
    find_before(journal, id, u64::MAX)
}

/// What to say of a payment that is not in the journal, but is older than what the journal keeps: its id says when it was
/// opened. `None`: it is not older, or its id tells no time.
pub(crate) fn gone(journal: &Journal, id: PaymentId) -> Option<String> {
    let first = journal.stats().first_seq;
    if first <= 1 {
        return None;
    }
    let (seconds, _) = uuid::Uuid::from_bytes(id.0).get_timestamp()?.to_unix();
    let opened_ms = i64::try_from(seconds).ok()?.checked_mul(1_000)?;
    let kept_ms = journal.range(first, 1).ok()?.first()?.stamp.wall_ms;
    let day = |ms| {
        jiff::Timestamp::from_millisecond(ms)
            .map_or_else(|_| "?".into(), |t| t.strftime("%Y-%m-%d").to_string())
    };
    (opened_ms < kept_ms).then(|| {
        format!(
            "payment {id} is of {}, and records before {} were removed after their time: its receipt is in its evidence \
             file, if one was exported; `tillctl evidence verify FILE` shows it",
            day(opened_ms),
            day(kept_ms)
        )
    })
}

/// A payment as it was before a record.
pub(crate) fn find_before(
    journal: &Journal,
    id: PaymentId,
    seq: u64,
) -> Result<Option<Payment>, HistoryError> {
    let mut records = records(journal, id)?;
    records.retain(|(at, ..)| *at < seq);
    Ok(Till::fold_payment(id, records.iter().map(|(seq, wall, record)| (*seq, *wall, record))))
}

/// Records of a payment, oldest first: sequence number, wall clock in Unix ms, record.
pub(crate) fn records(journal: &Journal, id: PaymentId) -> Result<Vec<(u64, i64, Record)>, HistoryError> {
    let own = journal.by_subject(&id.0)?.into_iter().filter(|r| r.kind == KIND);
    own.map(|r| {
        let record =
            Record::decode(&r.payload).map_err(|error| HistoryError::Record { seq: r.seq, error })?;
        Ok((r.seq, r.stamp.wall_ms, record))
    })
    .collect()
}
