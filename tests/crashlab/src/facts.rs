//! What must hold on every disk beyond the records: batches are closed once, what was shredded stays shredded, and old
//! epochs are there as a whole or gone as a whole, behind their summary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use till_core::batch::BatchEvent;
use till_core::record::{KIND, Record};
use till_journal::sealed::SealError;
use tilld::config::Config;
use tilld::service::recover::{Recovered, keys_dir};

use crate::truth::{Truth, decoded};

/// Where the chain begins: the first record there is, and the hash it must follow. Records before the first are gone for
/// good only when a summary stands for exactly them; then nothing of their epochs lies about any more.
pub fn beginning(recovered: &Recovered, truth: &Truth) -> Result<(u64, [u8; 32]), String> {
    let journal = &recovered.journal;
    let first = journal.stats().first_seq;
    let summary = journal.summary().map_err(|e| format!("the summary of removed records: {e}"))?;
    let Some(summary) = summary else {
        return if first <= 1 {
            Ok((1, [0; 32]))
        } else {
            Err(format!("LOST: the journal begins at record {first}, and no summary says why"))
        };
    };
    if first != summary.last + 1 {
        return Err(format!(
            "half a removal: the journal begins at record {first}, its summary tells of {} to {}",
            summary.first, summary.last
        ));
    }
    if (summary.first, summary.count, summary.prev_hash) != (1, summary.last, [0; 32]) {
        return Err(format!("the summary at {} does not tell of every record from the first", summary.seq));
    }
    if truth.hash(summary.last) != Some(&summary.head_hash) {
        return Err(format!("the summary at {} stands for other records than there were", summary.seq));
    }
    if summary.totals.is_empty() {
        return Err(format!("the summary at {} has no totals: what was removed is forgotten", summary.seq));
    }
    for (epoch, path) in epochs(journal.dir()) {
        if epoch < summary.kept_epoch {
            return Err(format!("half a removal: {} is left of epoch {epoch}", path.display()));
        }
    }
    Ok((first, summary.head_hash))
}

/// Stores and segments of epochs in a journal's folder.
fn epochs(journal: &Path) -> Vec<(u32, PathBuf)> {
    let list = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    let number = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let epoch = name.get(..8)?.parse().ok()?;
        matches!(name.as_bytes().get(8), None | Some(b'-')).then_some((epoch, path))
    };
    list(journal).chain(list(&journal.join("segments"))).filter_map(number).collect()
}

/// Every batch was frozen once and closed once, and the till takes them for what its records say.
pub fn batches(recovered: &Recovered, truth: &Truth, first: u64) -> Result<(), String> {
    let gone = |seqs: &BTreeMap<u32, u64>| -> BTreeMap<u32, u32> {
        seqs.iter().filter(|(_, seq)| **seq < first).map(|(batch, _)| (*batch, 1)).collect()
    };
    let (mut frozen, mut closed) = (gone(&truth.frozen), gone(&truth.closed));
    let read = recovered.journal.replay(first, |record| match decoded(record) {
        Some(Record::Batch(BatchEvent::Frozen { batch, .. })) => *frozen.entry(batch).or_default() += 1,
        Some(Record::Batch(BatchEvent::Closed { batch, .. })) => *closed.entry(batch).or_default() += 1,
        _ => {}
    });
    read.map_err(|e| format!("does not replay: {e}"))?;
    if let Some((batch, times)) = frozen.iter().chain(&closed).find(|(_, times)| **times != 1) {
        return Err(format!("batch {batch} was frozen or closed {times} times"));
    }
    let book = recovered.till.batches();
    let newest = frozen.keys().next_back().copied().unwrap_or(0);
    if book.open_number() != newest + 1 || frozen.len() != newest as usize {
        return Err(format!("batch {} is open, {} were frozen", book.open_number(), frozen.len()));
    }
    let settling: Vec<u32> = book.frozen().map(|b| b.number).collect();
    let owed: Vec<u32> = frozen.keys().filter(|batch| !closed.contains_key(*batch)).copied().collect();
    if settling != owed || closed.keys().any(|batch| !frozen.contains_key(batch)) {
        return Err(format!("batches {settling:?} are being settled, {owed:?} are owed"));
    }
    Ok(())
}

/// What was told to be destroyed is destroyed, and what an open payment needs is not.
pub fn shredding(recovered: &Recovered, below: u64) -> Result<(), String> {
    let keyring = recovered.keys.keyring();
    if u64::from(keyring.floor()) < below || keyring.epochs().iter().any(|epoch| u64::from(*epoch) < below) {
        return Err(format!(
            "keys below epoch {below} were told to be destroyed, {:?} open, the floor is {}",
            keyring.epochs(),
            keyring.floor()
        ));
    }
    for payment in recovered.till.open_payments() {
        for attempt in payment.attempts.iter().filter(|a| a.state.is_open()) {
            let sealed = attempt.recovery.as_deref().filter(|sealed| !sealed.is_empty());
            if let Some(Err(e @ SealError::Shredded { .. })) =
                sealed.map(|sealed| keyring.open(&payment.id.0, KIND, sealed))
            {
                return Err(format!("payment {} is open, and what it needs is destroyed: {e}", payment.id));
            }
        }
    }
    Ok(())
}

/// No file still holds a key that was told to be destroyed; asked before anything opens the disk.
pub fn no_destroyed_key(config: &Config, truth: &Truth, below: u64) -> Result<(), String> {
    for path in crate::damage::files(&keys_dir(config)) {
        let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let hash = *blake3::hash(&bytes).as_bytes();
        let back = truth.keys.iter().find(|(epoch, key)| u64::from(**epoch) < below && **key == hash);
        if let Some((epoch, _)) = back {
            return Err(format!("the key of epoch {epoch}, told to be destroyed, is in {}", path.display()));
        }
    }
    Ok(())
}

/// Hashes of the files that keys of the keyring had, from a recording of its file operations: written aside, then renamed.
pub fn key_files(ops: &[till_powercut::Op]) -> BTreeMap<u32, [u8; 32]> {
    use till_powercut::Op;
    let mut written: BTreeMap<&str, [u8; 32]> = BTreeMap::new();
    let mut keys = BTreeMap::new();
    let mut known = |path: &str, hash: [u8; 32]| {
        let name = path.rsplit('/').next().unwrap_or_default();
        if let Some(epoch) = name.strip_prefix("epoch-").and_then(|n| n.parse().ok()) {
            // The first content of a name: what comes later wipes it.
            keys.entry(epoch).or_insert(hash);
        }
    };
    for op in ops {
        match op {
            Op::Write { path, at: 0, data } if path.contains("/keyring/") => {
                let hash = *blake3::hash(data).as_bytes();
                written.insert(path, hash);
                known(path, hash);
            }
            Op::Rename { from, to } => {
                if let Some(hash) = written.remove(from.as_str()) {
                    known(to, hash);
                }
            }
            _ => {}
        }
    }
    keys
}
