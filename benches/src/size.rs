//! What a payment takes on the disk, and what is left of it when its time is over.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use till_journal::Retention;

use crate::stock::{Later, Stock, disk_bytes};
use crate::table::Row;
use crate::{Effort, Outcome};

/// Epochs that the measured journal is made of: all but the newest go.
const EPOCHS: u64 = 10;

/// Fills the journal of a stopped till, lets eighteen months pass, removes what has had its time.
pub fn rows(stock: &mut Stock, effort: Effort) -> Outcome<Vec<Row>> {
    let dir = stock.dir().to_owned();
    let clock = Arc::new(Later::default());
    let _old = fs::remove_dir_all(&dir);
    let records: u64 = if effort == Effort::Full { 400_000 } else { 20_000 };
    let store = stock.open(Some(records / EPOCHS), Arc::<Later>::clone(&clock))?;
    let empty = disk_bytes(&dir)?;
    stock.fill(&store, records)?;
    let payments = records as f64 / stock.records_a_sale();
    store.snapshot()?;
    store.snapshot()?;
    store.journal.close()?;
    drop(store);
    let before = disk_bytes(&dir)?;
    let store = stock.open(Some(records / EPOCHS), Arc::<Later>::clone(&clock))?;
    clock.days.store(600, Ordering::Relaxed);
    let removed = store.journal.compact(Retention::months(18, 0), |_| b"{}".to_vec())?;
    let removed = removed.ok_or("nothing was removed after eighteen months")?;
    let left = store.journal.head().seq - removed.last;
    store.journal.close()?;
    drop(store);
    let after = disk_bytes(&dir)?;
    let each = |bytes: u64| (bytes.saturating_sub(empty)) as f64 / payments;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(vec![
        Row::new(
            "disk a payment: both copies, index, room made ahead",
            format!("{:.0} B ({:.1} records)", each(before), stock.records_a_sale()),
        ),
        Row::new(
            format!(
                "journal of {payments:.0} payments, {:.0} % of them older than 18 months: after the removal",
                100.0 * removed.last as f64 / records as f64
            ),
            format!("{:.1} MiB, {:.0} B a payment; {left} records are left", mib(after), each(after)),
        )
        .beside(format!("before it, {:.1} MiB", mib(before)), after as f64 / before as f64),
    ])
}
