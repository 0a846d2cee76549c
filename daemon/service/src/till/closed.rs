//! Closed batches that have left memory: folded from the journal, so that their slips can be read and printed at any time.

use till_core::batch::{Batch, BatchEvent, BatchState, Entry, PartId};
use till_core::record::{KIND, Record};
use till_core::{Durable, Shell, Till};
use till_journal::Journal;

use super::history::{HistoryError, find_before};

/// Records read at once.
const PAGE: usize = 512;

/// A closed batch as it is now, copies of its slip counted; None: the journal does not have its close (any more, or yet).
/// Blocking work: from the newest snapshot before it was closed up to its close.
pub(crate) fn batch(journal: &Journal, number: u32) -> Result<Option<Batch>, HistoryError> {
    let mut next = journal.last_snapshot()?;
    while let Some(snapshot) = next {
        if let Ok(till) = Till::from_snapshot(&snapshot.state) {
            match till.batches().get(number) {
                Some(closed) if closed.state == BatchState::Closed => {
                    return copies(journal, closed.clone(), snapshot.covers).map(Some);
                }
                None if till.batches().open_number() >= number => {}
                _ => break,
            }
        }
        next = journal.snapshot_before(&snapshot)?;
    }
    let Some((mut shell, close)) = before_close(journal, number)? else { return Ok(None) };
    replay(journal, &mut shell, &close)?;
    match shell.till().batches().get(number) {
        Some(closed) => copies(journal, closed.clone(), close.seq).map(Some),
        None => Ok(None),
    }
}

/// Money in a closed batch, part by part: what leaves memory with its close. None as for [`batch`].
/// Blocking work, as there.
pub(crate) fn entries(journal: &Journal, number: u32) -> Result<Option<Entries>, HistoryError> {
    let found = before_close(journal, number)?;
    Ok(found.and_then(|(shell, _)| shell.till().batches().get(number).map(entries_of)))
}

/// Money in a batch, part by part.
pub(crate) type Entries = Vec<(PartId, Vec<Entry>)>;

/// The same of a batch in memory that is not closed.
pub(crate) fn entries_of(batch: &Batch) -> Entries {
    batch.parts().map(|(id, part)| (id, part.entries().to_vec())).collect()
}

/// The till as it was just before a batch was closed, and the record that closed it.
fn before_close(
    journal: &Journal,
    number: u32,
) -> Result<Option<(Shell, till_journal::Record)>, HistoryError> {
    let mut next = journal.last_snapshot()?;
    let mut begin = None;
    while let Some(snapshot) = next {
        // One of another version of tilld does not decode: there may be an older one, or all records.
        if let Ok(till) = Till::from_snapshot(&snapshot.state) {
            let early = match till.batches().get(number) {
                Some(batch) => batch.state != BatchState::Closed,
                // Not opened yet, or closed and forgotten by then.
                None => till.batches().open_number() < number,
            };
            if early {
                begin = Some((till, snapshot.covers));
                break;
            }
        }
        next = journal.snapshot_before(&snapshot)?;
    }
    let (till, mut at) = match begin {
        Some(found) => found,
        None if journal.stats().first_seq <= 1 => (Till::new(), 0),
        None => return Ok(None),
    };
    let mut shell = Shell::new(till);
    loop {
        let page = journal.range(at.saturating_add(1), PAGE)?;
        if page.is_empty() {
            return Ok(None);
        }
        for frame in page {
            at = frame.seq;
            if frame.kind != KIND {
                continue;
            }
            // What is about a payment closes no batch.
            if frame.subject == [0; 16] && closes(&frame)? == Some(number) {
                return Ok(Some((shell, frame)));
            }
            replay(journal, &mut shell, &frame)?;
        }
    }
}

/// The batch that a record closes.
fn closes(frame: &till_journal::Record) -> Result<Option<u32>, HistoryError> {
    let record =
        Record::decode(&frame.payload).map_err(|error| HistoryError::Record { seq: frame.seq, error })?;
    Ok(match record {
        Record::Batch(BatchEvent::Closed { batch, .. }) => Some(batch),
        _ => None,
    })
}

fn replay(journal: &Journal, shell: &mut Shell, frame: &till_journal::Record) -> Result<(), HistoryError> {
    let mut failed = None;
    let recall = |id| {
        find_before(journal, id, frame.seq).unwrap_or_else(|e| {
            failed = Some(e);
            None
        })
    };
    let durable = Durable::new(frame.seq, frame.stamp.wall_ms);
    shell
        .replay_with(durable, &frame.payload, recall)
        .map_err(|error| HistoryError::Record { seq: frame.seq, error })?;
    failed.map_or(Ok(()), Err)
}

/// Copies of its slip that were asked for after a record.
fn copies(journal: &Journal, mut batch: Batch, after: u64) -> Result<Batch, HistoryError> {
    let mut at = after;
    loop {
        // No index: what is about no payment has no subject.
        let page = journal.range(at.saturating_add(1), PAGE)?;
        let Some(last) = page.last() else { return Ok(batch) };
        at = last.seq;
        for frame in page.iter().filter(|f| f.kind == KIND) {
            let record = Record::decode(&frame.payload)
                .map_err(|error| HistoryError::Record { seq: frame.seq, error })?;
            if let Record::Batch(BatchEvent::SlipRequested { batch: of, copy, .. }) = record
                && of == batch.number
            {
                batch.copies = batch.copies.max(copy);
            }
        }
    }
}
