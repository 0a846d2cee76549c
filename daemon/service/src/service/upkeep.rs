//! The journal's upkeep: where a start begins to read, the snapshots that make it short, and what goes after retention.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use serde::{Deserialize, Serialize};
use till_core::record::{KIND, Record};
use till_core::{PaymentId, Till};
use till_journal::{Journal, JournalError, MAX_TOTALS, Removal, Retention};

use super::ServiceError;
use super::instance_log::JournalLog;
use crate::config::JournalConfig;
use crate::till::history;

/// The state to begin a replay with, and the first record to apply to it: of the newest snapshot that can be read,
/// else nothing and the first record.
///
/// A snapshot that does not decode (of another version of tilld) costs time only, as long as all records are there.
/// Once old ones were removed, one of the kept snapshots must be readable.
pub(super) fn begin<T, E: std::fmt::Display>(
    journal: &Journal,
    empty: impl FnOnce() -> T,
    read: impl Fn(&[u8]) -> Result<T, E>,
) -> Result<(T, u64), ServiceError> {
    let fail = |detail: String| ServiceError::Journal { path: journal.dir().into(), detail };
    let mut next = journal.last_snapshot().map_err(|e| fail(e.to_string()))?;
    while let Some(snapshot) = next {
        match read(&snapshot.state) {
            Ok(state) => return Ok((state, snapshot.covers.saturating_add(1))),
            Err(error) => tracing::warn!(record = snapshot.seal, "a snapshot is not used: {error}"),
        }
        next = journal.snapshot_before(&snapshot).map_err(|e| fail(e.to_string()))?;
    }
    let first = journal.stats().first_seq;
    if first > 1 {
        return Err(fail(format!(
            "the records before {first} were removed after their time, and no snapshot of the state can be read; \
             start the version of tilld that wrote the newest one, or restore a backup"
        )));
    }
    Ok((empty(), 1))
}

/// A snapshot to be kept.
struct Order {
    covers: u64,
    state: Vec<u8>,
    /// Payments whose records must stay.
    unfinished: BTreeSet<PaymentId>,
}

/// Keeps snapshots coming and lets old records go, on a thread of its own behind everything else.
pub struct Upkeep {
    every: u64,
    /// The next snapshot is due at this record.
    due: AtomicU64,
    work: SyncSender<Order>,
}

impl Upkeep {
    /// For this journal, whose newest used snapshot covers `covered`.
    pub fn start(
        journal: &Journal,
        logs: &JournalLog,
        config: &JournalConfig,
        covered: u64,
    ) -> std::io::Result<Self> {
        // One in the works, none waiting: a state that is not taken is replaced by the next one.
        let (work, orders) = sync_channel::<Order>(1);
        let keep =
            (config.keep_months > 0).then(|| Retention::months(config.keep_months, config.keep_records));
        let (journal, logs) = (journal.clone(), logs.clone());
        thread::Builder::new().name("till-upkeep".into()).spawn(move || {
            let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 10);
            while let Ok(Order { covers, state, unfinished }) = orders.recv() {
                match journal.write_snapshot(covers, &state) {
                    Ok(seal) => tracing::debug!(covers, seal, bytes = state.len(), "snapshot kept"),
                    Err(e) => tracing::warn!("no snapshot of the state was kept: {e}"),
                }
                if let Some(keep) = keep {
                    let_go(&journal, &logs, keep, &unfinished);
                }
            }
        })?;
        let every = config.snapshot_records;
        Ok(Self { every, due: AtomicU64::new(covered.saturating_add(every)), work })
    }

    /// Called after each record was taken in. Costs a comparison, and now and then the encoding of the state.
    pub fn after(&self, till: &Till) {
        let seq = till.seq();
        if !self.is_due(seq, || till.foreground().is_some()) {
            return;
        }
        self.due.store(seq.saturating_add(self.every), Ordering::Relaxed);
        match till.to_snapshot() {
            // The state holds this record, and whatever of other kinds came before it.
            Ok(state) => {
                if self.work.try_send(Order { covers: seq, state, unfinished: till.unfinished() }).is_err() {
                    tracing::debug!("the snapshot before is still being written, this one is left out");
                }
            }
            Err(e) => tracing::error!("no snapshot of the state can be made: {e}"),
        }
    }
}

impl Upkeep {
    /// Between two customers, as long as that is not twice as late: encoding takes milliseconds of the till's own thread.
    fn is_due(&self, seq: u64, serves: impl FnOnce() -> bool) -> bool {
        let due = self.due.load(Ordering::Relaxed);
        self.every > 0 && seq >= due && (seq >= due.saturating_add(self.every) || !serves())
    }
}

fn let_go(journal: &Journal, logs: &JournalLog, keep: Retention, unfinished: &BTreeSet<PaymentId>) {
    // Asked first: looking for what ledgers still need reads all that would go.
    let removed = journal.removable(keep).and_then(|last| match last {
        Some(last) => {
            let ledgers = logs.needed_from(last.saturating_add(1))?;
            let payments = first_of(journal, unfinished)?;
            let keep = Retention { keep_from: ledgers.into_iter().chain(payments).min(), ..keep };
            journal.compact(keep, |removal| totals(journal, removal))
        }
        None => Ok(None),
    });
    match removed {
        Ok(None) => {}
        Ok(Some(summary)) => tracing::info!(
            SEQ = summary.seq,
            "records {} to {} were removed after their time; a summary of them is in the journal",
            summary.first,
            summary.last
        ),
        Err(e @ JournalError::Damaged { .. }) => tracing::error!("old records are kept: {e}"),
        Err(e) => tracing::warn!("old records are kept for now: {e}"),
    }
}

/// The first record of any of these payments.
fn first_of(journal: &Journal, payments: &BTreeSet<PaymentId>) -> Result<Option<u64>, JournalError> {
    let mut first = None;
    for id in payments {
        let own = journal.by_subject_after(&id.0, 0, 1)?;
        first = first.into_iter().chain(own.first().map(|record| record.seq)).min();
    }
    Ok(first)
}

/// What removed records came to, as JSON: kept for good in the summary that stands for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Totals {
    version: u32,
    /// Payments opened.
    payments: u64,
    /// How many ended in each state.
    states: BTreeMap<String, u64>,
    /// Minor units by currency.
    taken: BTreeMap<String, i64>,
    given_back: BTreeMap<String, i64>,
    /// Payments whose records could not be read as a payment.
    unreadable: u64,
    /// Wall clock of the first and the last payment opened, ms since 1970.
    first_ms: i64,
    last_ms: i64,
}

/// Each payment is counted once, when the record that opened it goes, as it stands then.
fn totals(journal: &Journal, removal: &Removal) -> Vec<u8> {
    let before = removal.previous.as_ref().and_then(|p| serde_json::from_slice(&p.totals).ok());
    let mut totals: Totals = before.unwrap_or_default();
    totals.version = 1;
    let mut opened: BTreeSet<PaymentId> = BTreeSet::new();
    let walked = journal.replay_range(removal.first, removal.last, |record| {
        if record.kind != KIND {
            return;
        }
        if let Ok(Record::Opened { payment, .. } | Record::OpenedFor { payment, .. }) =
            Record::decode(&record.payload)
        {
            opened.insert(payment);
            if totals.payments == 0 && opened.len() == 1 {
                totals.first_ms = record.stamp.wall_ms;
            }
            totals.last_ms = record.stamp.wall_ms;
        }
    });
    if let Err(e) = walked {
        tracing::error!("old records cannot be summed up: {e}");
    }
    for id in opened {
        totals.payments += 1;
        let Ok(Some(payment)) = history::find(journal, id) else {
            totals.unreadable += 1;
            continue;
        };
        *totals.states.entry(payment.state.as_str().to_owned()).or_default() += 1;
        let currency = payment.amount.currency().to_string();
        for (sums, money) in
            [(&mut totals.taken, payment.paid()), (&mut totals.given_back, payment.returned())]
        {
            let sum = sums.entry(currency.clone()).or_default();
            *sum = sum.saturating_add(money.minor());
        }
    }
    let text = serde_json::to_vec(&totals).unwrap_or_default();
    if text.len() > MAX_TOTALS { Vec::new() } else { text }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;

    use till_journal::{Clock, DeviceKey, NewRecord, Options, Stamp, Urgency};
    use till_plugin::Money;

    use super::*;
    use crate::service::instance_log::KIND_INSTANCE_LOG;
    use crate::service::recover::fold;

    struct Days(AtomicI64);

    impl Clock for Days {
        fn now(&self) -> Stamp {
            let wall_ms = 1_800_000_000_000 + self.0.load(Ordering::Relaxed) * 86_400_000;
            Stamp { wall_ms, boottime_ms: 1, clock_ok: true }
        }

        fn boot_id(&self) -> [u8; 16] {
            [1; 16]
        }
    }

    fn open(dir: &Path, clock: &Arc<Days>) -> Journal {
        let mut options = Options::new(dir);
        options.force_filesystem = true;
        options.epoch_records = 100;
        (options.free_floor, options.ballast_bytes, options.segment_bytes) = (0, 0, 128 << 10);
        Journal::open(options, DeviceKey::new(&[3; 32]), Arc::<Days>::clone(clock)).unwrap().0
    }

    fn fresh() -> (tempfile::TempDir, Arc<Days>, Journal) {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(Days(AtomicI64::new(0))));
        let journal = open(dir.path(), &clock);
        (dir, clock, journal)
    }

    fn sell(journal: &Journal, from: u64, to: u64) {
        for n in from..to {
            let mut id = [5; 16];
            id[..8].copy_from_slice(&n.to_be_bytes());
            let amount = Money::new(100, "CNY".parse().unwrap());
            let record = Record::Opened {
                payment: PaymentId(id),
                key: format!("key-{n}"),
                amount,
                subject: String::new(),
                operator: None,
            };
            write(journal, &record);
            let reason = "changed mind".into();
            write(journal, &Record::Cancelled { payment: PaymentId(id), reason, operator: None });
        }
    }

    fn write(journal: &Journal, record: &Record) {
        let (subject, payload) = (record.payment().unwrap().0, record.encode().unwrap());
        journal
            .append(vec![NewRecord { kind: KIND, subject, payload }], Urgency::New)
            .unwrap()
            .wait()
            .unwrap();
    }

    /// What is older than the second newest may go.
    fn two_snapshots(journal: &Journal) {
        snapshot(journal);
        snapshot(journal);
    }

    fn after_months(journal: &Journal) {
        let unfinished = fold(journal).unwrap().unfinished();
        let_go(journal, &JournalLog::new(journal.clone()), Retention::months(18, 0), &unfinished);
    }

    fn snapshot(journal: &Journal) {
        let till = fold(journal).unwrap();
        journal.write_snapshot(journal.head().seq, &till.to_snapshot().unwrap()).unwrap();
    }

    #[test]
    fn a_start_from_a_snapshot_is_a_start_from_all_records() {
        let (_dir, _, journal) = fresh();
        sell(&journal, 0, 120);
        snapshot(&journal);
        sell(&journal, 120, 160);
        let (_, from) = begin(&journal, Till::new, Till::from_snapshot).unwrap();
        assert!(from > 240 && from < 246, "{from}");
        let short = fold(&journal).unwrap();
        let mut long = Till::new();
        journal
            .replay(1, |r| {
                if r.kind == KIND {
                    long.apply(r.seq, r.stamp.wall_ms, &Record::decode(&r.payload).unwrap());
                }
            })
            .unwrap();
        assert_eq!(short, long);

        // One that cannot be read is passed over for the one before; without any the records are read.
        journal.write_snapshot(journal.head().seq, b"of another version").unwrap();
        assert_eq!(begin(&journal, Till::new, Till::from_snapshot).unwrap().1, from);
        assert_eq!(fold(&journal).unwrap(), short);
        let unreadable = |_: &[u8]| Err::<Till, &str>("not mine");
        assert_eq!(begin(&journal, Till::new, unreadable).unwrap().1, 1);
    }

    #[test]
    fn after_old_records_went_the_state_is_the_same_and_their_money_is_in_the_summary() {
        let (dir, clock, journal) = fresh();
        sell(&journal, 0, 350);
        let before = fold(&journal).unwrap();
        two_snapshots(&journal);
        clock.0.store(700, Ordering::Relaxed);
        after_months(&journal);
        let summary = journal.summary().unwrap().expect("nothing was removed");
        let said: Totals = serde_json::from_slice(&summary.totals).unwrap();
        assert!(said.payments > 250 && said.payments <= 350, "{said:?}");
        assert_eq!((said.states["cancelled"], said.unreadable), (said.payments, 0));
        drop(journal);
        let journal = open(dir.path(), &clock);
        assert_eq!(fold(&journal).unwrap(), before, "a payment was forgotten with its record");
        // Without a snapshot there would be nothing to start from: said, not guessed.
        let refused = begin(&journal, Till::new, |_: &[u8]| Err::<Till, &str>("not mine")).unwrap_err();
        assert!(refused.to_string().contains("restore a backup"), "{refused}");

        // A second removal counts the first one's payments too, each once.
        sell(&journal, 350, 700);
        two_snapshots(&journal);
        clock.0.store(1400, Ordering::Relaxed);
        after_months(&journal);
        let second: Totals = serde_json::from_slice(&journal.summary().unwrap().unwrap().totals).unwrap();
        assert!(second.payments > 600 && second.payments <= 700, "{second:?}");
        assert_eq!(second.first_ms, said.first_ms);
    }

    #[test]
    fn records_of_what_is_not_over_stay_however_old_they_are() {
        let (_dir, clock, journal) = fresh();
        sell(&journal, 0, 100);
        let id = PaymentId([9; 16]);
        let amount = Money::new(100, "CNY".parse().unwrap());
        let (key, subject) = (String::new(), String::new());
        write(&journal, &Record::Opened { payment: id, key, amount, subject, operator: None });
        let first = journal.head().seq;
        sell(&journal, 100, 400);
        two_snapshots(&journal);
        clock.0.store(700, Ordering::Relaxed);
        after_months(&journal);
        let from = journal.stats().first_seq;
        assert!(from > 100 && from <= first, "the journal begins at {from}, the open payment at {first}");
        assert!(history::find(&journal, id).unwrap().is_some(), "nobody can say any more what it was");

        write(&journal, &Record::Cancelled { payment: id, reason: "restarted".into(), operator: None });
        after_months(&journal);
        assert!(journal.stats().first_seq > first, "what is over stays for ever");
    }

    #[test]
    fn s46_of_a_payment_whose_records_were_removed_the_answer_names_its_evidence_file() {
        let (_dir, clock, journal) = fresh();
        sell(&journal, 0, 350);
        two_snapshots(&journal);
        let first = journal.range(1, 1).unwrap()[0].stamp.wall_ms - 86_400_000;
        let id = |ms: i64| {
            let seconds = u64::try_from(ms / 1_000).unwrap();
            let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0);
            PaymentId(*uuid::Uuid::new_v7(time).as_bytes())
        };
        assert_eq!(history::gone(&journal, id(first)), None, "nothing was removed yet");
        clock.0.store(700, Ordering::Relaxed);
        after_months(&journal);
        assert!(journal.stats().first_seq > 1);
        let text = history::gone(&journal, id(first)).expect("it is gone");
        assert!(text.contains("evidence file") && text.contains("tillctl evidence verify"), "{text}");
        assert_eq!(
            history::gone(&journal, id(first + 800 * 86_400_000)),
            None,
            "it is young: never heard of"
        );
        assert_eq!(history::gone(&journal, PaymentId([7; 16])), None, "an id without a time says nothing");
    }

    #[test]
    fn snapshots_come_by_themselves_and_a_ledgers_log_keeps_its_begin() {
        let (dir, clock, journal) = fresh();
        let entry = NewRecord { kind: KIND_INSTANCE_LOG, subject: [8; 16], payload: vec![1] };
        journal.append(vec![entry], Urgency::Finish).unwrap().wait().unwrap();
        let config = JournalConfig {
            dir: dir.path().into(),
            force_filesystem: true,
            free_floor_mib: 0,
            ballast_mib: 0,
            segment_kib: 128,
            epoch_records: 100,
            snapshot_records: 50,
            keep_months: 18,
            keep_records: 0,
        };
        let upkeep = Upkeep::start(&journal, &JournalLog::new(journal.clone()), &config, 0).unwrap();
        assert!(!upkeep.is_due(49, || false) && upkeep.is_due(50, || false));
        assert!(!upkeep.is_due(99, || true), "a customer waits for it");
        assert!(upkeep.is_due(100, || true), "a till that is never at rest starts slower and slower");
        let mut seen = 0;
        for turn in 0..8 {
            sell(&journal, turn * 60, turn * 60 + 60);
            clock.0.store(i64::try_from(turn).unwrap() * 400, Ordering::Relaxed);
            upkeep.after(&fold(&journal).unwrap());
            // The thread writes it: waited for by its own record.
            while journal.last_snapshot().unwrap().map_or(0, |s| s.covers) <= seen {
                thread::yield_now();
            }
            seen = journal.last_snapshot().unwrap().unwrap().covers;
        }
        drop(upkeep);
        assert!(seen > 400);
        assert_eq!(journal.stats().first_seq, 1, "the ledger's begin was removed");
    }
}
