//! What a plugin wrote to its log is there after a restart of the daemon, its own and whole, and is no payment.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::path::Path;
use std::sync::Arc;

use till_hosts::InstanceLog;
use till_hosts::till_plugin::host::LogError;
use till_journal::{DeviceKey, Journal, NewRecord, Options, SystemClock, Urgency};
use tilld::service::instance_log::{JournalLog, KIND_INSTANCE_LOG, subject};

fn journal(dir: &Path) -> Journal {
    let mut options = Options::new(dir.join("journal"));
    options.force_filesystem = true;
    (options.free_floor, options.ballast_bytes) = (0, 0);
    Journal::open(options, DeviceKey::new(&[5; 32]), Arc::new(SystemClock::new())).unwrap().0
}

async fn all(log: &JournalLog, instance: &str) -> Vec<Vec<u8>> {
    let (mut at, mut got) = (0, Vec::new());
    loop {
        let page = log.read(instance, at, 3).await.unwrap();
        let Some(last) = page.last() else { return got };
        at = last.seq;
        got.extend(page.into_iter().map(|e| e.bytes));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_survive_a_restart_in_order_and_belong_to_their_instance() {
    let dir = tempfile::tempdir().unwrap();
    let mine: Vec<Vec<u8>> = (0..10_u8).map(|n| vec![n; 1 + usize::from(n) * 200]).collect();
    {
        let journal = journal(dir.path());
        let log = JournalLog::new(journal.clone());
        let mut last = 0;
        for (n, bytes) in mine.iter().enumerate() {
            let seq = log.append("prepaid", bytes.clone()).await.unwrap();
            assert!(seq > last, "numbers grow");
            last = seq;
            log.append("other", vec![99, u8::try_from(n).unwrap()]).await.unwrap();
            // Acknowledged means durable: the journal's own head has it.
            assert!(journal.head().seq >= seq);
        }
        journal.close().unwrap();
    }
    let journal = journal(dir.path());
    let log = JournalLog::new(journal.clone());
    assert_eq!(all(&log, "prepaid").await, mine);
    assert_eq!(all(&log, "other").await.len(), 10);
    assert!(all(&log, "prepai").await.is_empty());
    // None of it is a record of the till: a start folds it without a word.
    let till = tilld::service::recover::fold(&journal).unwrap();
    assert_eq!(till, till_core::Till::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_trimmed_is_gone_for_ever_and_only_the_rest_holds_retention_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut seqs, first_of_other);
    {
        let journal = journal(dir.path());
        let log = JournalLog::new(journal.clone());
        assert_eq!(log.needed_from(u64::MAX).unwrap(), None, "an empty log holds nothing back");
        seqs = Vec::new();
        for n in 0..10_u8 {
            seqs.push(log.append("prepaid", vec![n]).await.unwrap());
        }
        first_of_other = log.append("other", vec![99]).await.unwrap();
        assert_eq!(log.needed_from(u64::MAX).unwrap(), Some(seqs[0]));
        // A number that is no entry of this instance gives up nothing: it could hide what is still to come.
        for wrong in [0, seqs[9] + 1000, first_of_other, u64::MAX] {
            assert!(matches!(log.trim("prepaid", wrong).await, Err(LogError::Refused { .. })), "{wrong}");
        }
        log.trim("prepaid", seqs[3]).await.unwrap();
        log.trim("prepaid", seqs[6]).await.unwrap();
        assert!(log.trim("prepaid", seqs[3]).await.is_err(), "given up already");
        assert_eq!(all(&log, "prepaid").await, [[7], [8], [9]]);
        journal.close().unwrap();
    }
    let journal = journal(dir.path());
    let log = JournalLog::new(journal.clone());
    assert_eq!(all(&log, "prepaid").await, [[7], [8], [9]], "also after a restart");
    assert_eq!(all(&log, "other").await, [[99]]);
    assert_eq!(log.needed_from(u64::MAX).unwrap(), Some(seqs[7]));
    assert_eq!(log.needed_from(seqs[7]).unwrap(), None);
    log.trim("prepaid", seqs[9]).await.unwrap();
    assert_eq!(log.needed_from(u64::MAX).unwrap(), Some(first_of_other));
    seqs.push(log.append("prepaid", vec![10]).await.unwrap());
    assert_eq!(all(&log, "prepaid").await, [[10]]);
    assert_eq!(tilld::service::recover::fold(&journal).unwrap(), till_core::Till::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_till_record_with_the_same_subject_is_never_handed_to_a_plugin() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    let record =
        NewRecord { kind: till_core::record::KIND, subject: subject("prepaid"), payload: vec![1, 2, 3] };
    journal.append(vec![record], Urgency::New).unwrap().wait().unwrap();
    assert!(all(&JournalLog::new(journal), "prepaid").await.is_empty());
    assert_ne!(KIND_INSTANCE_LOG, till_core::record::KIND);
    // Fixed for ever: entries of a released till are found by it.
    assert_eq!(subject("prepaid")[..4], blake3::hash(b"instance logprepaid").as_bytes()[..4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_is_closed_never_says_that_an_entry_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    let log = JournalLog::new(journal.clone());
    log.append("prepaid", vec![1]).await.unwrap();
    journal.close().unwrap();
    assert!(matches!(
        log.append("prepaid", vec![2]).await,
        Err(LogError::Undecided { .. } | LogError::Refused { .. })
    ));
    assert_eq!(all(&log, "prepaid").await, [vec![1]]);
}
