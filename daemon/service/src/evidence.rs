//! A payment's evidence file (S49): the journal's slice, made readable, with the receipt, signed by the device.

use serde_json::{Value, json};
use till_core::PaymentId;
use till_core::receipt;
use till_core::record::{KIND, Record};
use till_evidence::{Entry, Evidence, Identity, KeyError, MakeError, PublicKey};
use till_journal::{EvidenceRecord, Journal, JournalError};

use crate::keys::{Keys, KeysError};
use crate::receipts::Receipts;
use crate::till::{Handle, history};

/// Columns of the receipt's text.
const COLUMNS: usize = 42;
/// Bytes in a record that are longer than this are told by their length: the frame beside has them.
const SHOWN: usize = 16;

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The journal has none of it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record of it cannot be read, so neither can its receipt.
    #[error("{0}")]
    History(String),
    /// The identity is not there.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The identity gives no key.
    #[error(transparent)]
    Identity(#[from] KeyError),
    /// The file could not be made.
    #[error(transparent)]
    Make(#[from] MakeError),
}

/// The public key that evidence of this till is verified with.
pub fn public_key(keys: &Keys) -> Result<PublicKey, EvidenceError> {
    Ok(Identity::new(&*keys.identity()?)?.public())
}

/// The evidence file of a payment, and how many records are in it. Blocking work.
pub fn make(
    (journal, keys, handle): (&Journal, &Keys, &Handle),
    receipts: &Receipts,
    id: PaymentId,
) -> Result<(Vec<u8>, u64), EvidenceError> {
    let slice = journal.evidence(&id.0)?;
    let entries: Vec<Entry> = slice
        .records
        .into_iter()
        .map(|EvidenceRecord { record, frame, key }| {
            let decoded = (record.kind == KIND).then(|| Record::decode(&record.payload).ok()).flatten();
            let kind = decoded.as_ref().map_or("journal", Record::name).to_owned();
            let key = key.map(|key| key.to_bytes());
            Entry { frame, key, kind, says: decoded.map_or(Value::Null, |d| readable(&d)) }
        })
        .collect();
    let payment = history::find(journal, id).map_err(|e| EvidenceError::History(e.to_string()))?;
    let receipt = payment
        .as_ref()
        .and_then(|p| {
            let number = p.receipt_number.unwrap_or(0);
            receipts.receipt(p, number, &crate::till::effects::facts(handle, &receipts.shop, p, number))
        })
        .map(|printable| receipt::text(&printable.document, COLUMNS));
    let records = entries.len() as u64;
    let evidence = Evidence {
        software: concat!("tilld ", env!("CARGO_PKG_VERSION")).into(),
        terminal: receipts.shop.terminal.clone(),
        payment: id.0,
        exported_ms: jiff::Timestamp::now().as_millisecond(),
        journal: slice.journal,
        entries,
        stretches: slice.stretches,
        receipt,
    };
    Ok((evidence.sign(&Identity::new(&*keys.identity()?)?)?, records))
}

/// A record as JSON. Long bytes (sealed recovery data) are told by their length.
fn readable(record: &Record) -> Value {
    fn shorten(value: &mut Value) {
        match value {
            Value::Array(items) if items.len() > SHOWN && items.iter().all(is_byte) => {
                *value = json!(format!("{} bytes, sealed or binary: in the frame", items.len()));
            }
            Value::Array(items) => items.iter_mut().for_each(shorten),
            Value::Object(fields) => fields.values_mut().for_each(shorten),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(record).unwrap_or(Value::Null);
    shorten(&mut value);
    value
}

fn is_byte(value: &Value) -> bool {
    value.as_u64().is_some_and(|n| n <= 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_json_and_sealed_bytes_as_their_length() {
        let record = Record::Sent {
            payment: PaymentId([1; 16]),
            recovery: vec![7; 93],
            masked: "620000******0005".into(),
        };
        let text = readable(&record).to_string();
        assert!(text.contains("620000******0005") && text.contains("93 bytes"), "{text}");
        assert!(!text.contains("7,7,7"), "{text}");
    }
}
