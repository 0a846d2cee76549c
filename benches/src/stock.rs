//! The journal of a till that is stopped, filled with what the till itself wrote for its sales, again and again as other
//! payments of other days. It is opened as `tilld` opens it, with the till's own keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use till_core::batch::{BatchEvent, Totals};
use till_core::record::{KIND, Record};
use till_core::{PaymentId, Till};
use till_journal::{Clock, Journal, NewRecord, Options, Probe, Stamp, SystemClock, Urgency};
use tilld::config::{self, Config, Sources};
use tilld::keys::Keys;
use tilld::service::recover::{fold, journal_options, keys_dir};

use crate::Outcome;

/// Payments of one business day in a filled journal.
pub const A_DAY: u32 = 500;

/// The kernel's clock, days ahead.
#[derive(Debug, Default)]
pub struct Later {
    /// How many.
    pub days: AtomicI64,
}

impl Clock for Later {
    fn now(&self) -> Stamp {
        let mut stamp = SystemClock::new().now();
        stamp.wall_ms += self.days.load(Ordering::Relaxed) * 86_400_000;
        stamp
    }

    fn boot_id(&self) -> [u8; 16] {
        SystemClock::new().boot_id()
    }
}

/// A stopped till.
pub struct Stock {
    config: Config,
    /// What each sale wrote, oldest first.
    sales: Vec<Vec<Record>>,
    /// What stood before the first sale.
    before: Vec<Record>,
    /// Tells the records of one copy from those of the others.
    copies: u32,
}

/// An open journal, and the keys of what is sealed in it.
pub struct Store {
    /// The journal.
    pub journal: Journal,
    keys: Keys,
}

impl Stock {
    /// Reads what the till with this configuration sold. It must be stopped.
    pub fn of(config: &Path) -> Outcome<Self> {
        let config = config::load(&Sources::file(config))?;
        let mut stock = Self { config, sales: Vec::new(), before: Vec::new(), copies: 0 };
        let store = stock.open(None, Arc::new(SystemClock::new()))?;
        let mut failed = None;
        store.journal.replay(1, |r| {
            if r.kind != KIND {
                return;
            }
            match Record::decode(&r.payload) {
                Ok(record) => stock.take(record),
                Err(e) => failed = Some(e),
            }
        })?;
        store.journal.close()?;
        failed.map_or(Ok(stock), |e| Err(e.into()))
    }

    fn take(&mut self, record: Record) {
        // Thousands of these stand behind the last sale where switching was measured before.
        if matches!(record, Record::ChannelSelected { .. }) {
            return;
        }
        if matches!(record, Record::Opened { .. } | Record::OpenedFor { .. }) {
            self.sales.push(Vec::new());
        }
        self.sales.last_mut().unwrap_or(&mut self.before).push(record);
    }

    /// Records of a sale, the mean.
    pub fn records_a_sale(&self) -> f64 {
        let all: usize = self.sales.iter().map(Vec::len).sum();
        all as f64 / self.sales.len().max(1) as f64
    }

    /// The journal's directory.
    pub fn dir(&self) -> &Path {
        &self.config.journal.dir
    }

    /// Sales that went through this channel only.
    pub fn only(&mut self, channel: &str) {
        let through = |r: &Record| {
            matches!(r, Record::Tendered { decision, .. }
            if decision.chosen.as_deref() == Some(channel))
        };
        self.sales.retain(|sale| sale.iter().any(through));
    }

    /// Opens the journal as `tilld` does; it is made when there is none.
    pub fn open(&self, epoch_records: Option<u64>, clock: Arc<dyn Clock>) -> Outcome<Store> {
        let probe = Probe::Command { program: std::env::current_exe()?, args: vec!["probe".into()] };
        let mut options: Options = journal_options(&self.config, probe);
        options.epoch_records = epoch_records.unwrap_or(options.epoch_records);
        let keys = Keys::open(self.config.secrets_dir.as_deref(), &keys_dir(&self.config))?;
        let (journal, report) = Journal::open(options, keys.device().clone(), clock)?;
        if report.has_alarm() {
            return Err(format!("the journal was opened with an alarm: {:?}", report.events).into());
        }
        Ok(Store { journal, keys })
    }

    /// Adds sales until the journal has so many records, and closes a business day now and then.
    pub fn fill(&mut self, store: &Store, records: u64) -> Outcome {
        let mut day = fold(&store.journal)?.batches().open_number();
        if store.journal.head().seq < 2 && !self.before.is_empty() {
            let before = self.before.iter().map(|r| plain(r, [0; 16])).collect::<Outcome<_>>()?;
            store.journal.append(before, Urgency::New)?.wait()?;
        }
        let mut sold = 0;
        while store.journal.head().seq < records {
            self.sell(store, day, 20, &|_, _| Ok(()))?;
            sold += 20;
            if sold >= A_DAY {
                sold = 0;
                let frozen = BatchEvent::Frozen {
                    batch: day,
                    date: None,
                    next_date: None,
                    moved: Vec::new(),
                    automatic: false,
                    operator: Some("bench".into()),
                };
                let closed = BatchEvent::Closed {
                    batch: day,
                    date: None,
                    totals: Totals::default(),
                    count: A_DAY,
                    exceptions: 0,
                    print: false,
                };
                let both = [frozen, closed].map(|event| plain(&Record::Batch(event), [0; 16]));
                let both = both.into_iter().collect::<Outcome<_>>()?;
                store.journal.append(both, Urgency::New)?.wait()?;
                day += 1;
            }
        }
        Ok(())
    }

    /// Adds so many sales to a batch of the till; each record may be changed before it is written.
    pub fn sell(
        &mut self,
        store: &Store,
        batch: u32,
        count: usize,
        change: &dyn Fn(u32, &mut Record) -> Outcome,
    ) -> Outcome {
        let mut last = None;
        for _ in 0..count {
            self.copies += 1;
            let sale = &self.sales[self.copies as usize % self.sales.len()];
            let made = sale.iter().map(|r| again(r, self.copies, batch, change));
            let made = made.collect::<Outcome<Vec<_>>>()?;
            last = Some(store.journal.append(made, Urgency::New)?);
        }
        // Bounds what waits, and keeps the head current.
        if let Some(ticket) = last {
            ticket.wait()?;
        }
        Ok(())
    }
}

impl Store {
    /// The state that the journal folds to.
    pub fn till(&self) -> Outcome<Till> {
        Ok(fold(&self.journal)?)
    }

    /// Puts a record into the journal that is of no payment.
    pub fn put(&self, record: &Record) -> Outcome {
        self.journal.append(vec![plain(record, [0; 16])?], Urgency::New)?.wait()?;
        Ok(())
    }

    /// Puts a snapshot of the state into the journal, as a running till does.
    pub fn snapshot(&self) -> Outcome {
        let state = self.till()?.to_snapshot()?;
        self.journal.write_snapshot(self.journal.head().seq, &state)?;
        Ok(())
    }

    /// Seals anew for another payment what was sealed for `old`.
    pub fn reseal(&self, old: PaymentId, new: PaymentId, sealed: &[u8]) -> Outcome<Vec<u8>> {
        let clear = self.keys.keyring().open(&old.0, KIND, sealed)?;
        Ok(self.keys.keyring().seal(&new.0, KIND, &clear)?)
    }
}

fn plain(record: &Record, subject: [u8; 16]) -> Outcome<NewRecord> {
    Ok(NewRecord { kind: KIND, subject, payload: record.encode()? })
}

/// The id that a payment's copy has.
fn other(id: PaymentId, copy: u32) -> PaymentId {
    let mut new = id;
    for (byte, mask) in new.0[12..].iter_mut().zip(copy.to_be_bytes()) {
        *byte ^= mask;
    }
    new
}

/// The payment of which this one is a copy.
pub fn original(id: PaymentId, copy: u32) -> PaymentId {
    other(id, copy)
}

/// The same record of another payment, in another batch.
fn again(
    record: &Record,
    copy: u32,
    day: u32,
    change: &dyn Fn(u32, &mut Record) -> Outcome,
) -> Outcome<NewRecord> {
    let Some(id) = record.payment() else { return plain(record, [0; 16]) };
    let new = other(id, copy);
    let mut payload = record.encode()?;
    // An id is sixteen plain bytes wherever it stands in a record.
    for at in 0..payload.len().saturating_sub(15) {
        if payload[at..at + 16] == id.0 {
            payload[at..at + 16].copy_from_slice(&new.0);
        }
    }
    let mut changed = Record::decode(&payload)?;
    match &mut changed {
        Record::Opened { key, .. } | Record::OpenedFor { key, .. } => *key = keyed(new),
        Record::Tendered { ids, batch, .. } => {
            *batch = day;
            ids.trace = 1 + copy % 999_999;
            ids.order = format!("BENCH{copy:011}");
        }
        // Its paper came at once: jobs are known by the number of this record, which is another now.
        Record::Approved { print, receipt_number, .. } => {
            *print = false;
            // The next one follows the last one in the journal, and a printer knows those that it has printed.
            *receipt_number = 1_000 + u64::from(copy);
        }
        _ => {}
    }
    change(copy, &mut changed)?;
    if changed.payment() != Some(new) {
        return Err("a record kept its old payment".into());
    }
    plain(&changed, new.0)
}

/// A front-end's idempotency key: as long as a UUID's text.
fn keyed(id: PaymentId) -> String {
    format!("pos1-{id}")
}

/// Bytes that a directory takes on its disk: blocks, not lengths.
pub fn disk_bytes(dir: &Path) -> Outcome<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut open: Vec<PathBuf> = vec![dir.to_owned()];
    let mut sum = 0;
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                sum += path.metadata()?.blocks() * 512;
            }
        }
    }
    Ok(sum)
}
