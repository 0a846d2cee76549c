//! Sales while a batch of ten thousand card payments is settled with its network, detail by detail, beside the same sales
//! without it.
//!
//! The ten thousand come straight into the journal, as copies of real card sales with their own numbers and with recovery
//! data sealed for each: through the bus they would take minutes. The network does not know them, so its totals differ,
//! and every record goes up. The settlement itself is the daemon's, over the wire to the acquirer's simulator, while a
//! front-end sells for cash over D-Bus.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use till_core::record::Record;
use till_dbus::{Options, Settlement1Proxy};
use till_journal::SystemClock;

use crate::figures::{Spread, time};
use crate::payments::Day;
use crate::stock::{Stock, original};
use crate::table::Row;
use crate::till::Bench;
use crate::{Effort, Outcome};

/// Longest that a settlement may take.
const LIMIT: Duration = Duration::from_mins(10);

/// Measures on a till of its own.
pub async fn rows(base: &Path, effort: Effort) -> Outcome<Vec<Row>> {
    let records = effort.pick(10_000, 1_000);
    let mut bench = Bench::start_without_printer(base).await?;
    let mut day = Day::begin(&bench).await?;
    for _ in 0..4 {
        // Cash between them: the same stripe again at once counts as one swipe.
        day.cash().await?;
        day.card().await?;
        day.cash().await?;
    }
    drop(day);
    bench.rig.stop_till();
    stock_up(&bench, records)?;
    bench.rig.start_till()?;
    bench.client = bench.rig.wait_ready().await?;
    let done = measure(&bench, records, effort).await;
    if done.is_err() {
        eprintln!("The last lines of tilld's log:");
        for line in bench.rig.log_lines().iter().rev().take(12).rev() {
            eprintln!("  {line}");
        }
    }
    bench.rig.stop_till();
    done
}

/// Puts the batch into the journal, with a snapshot at its end so that the start does not matter.
fn stock_up(bench: &Bench, records: usize) -> Outcome {
    let mut stock = Stock::of(&bench.rig.config_file())?;
    stock.only("bankcard");
    let store = stock.open(None, Arc::new(SystemClock::new()))?;
    let batch = store.till()?.batches().open_number();
    let reseal = |copy: u32, record: &mut Record| -> Outcome {
        let event = match record {
            Record::On { event, .. } => event.as_mut(),
            other => other,
        };
        if let Record::Sent { payment, recovery, .. } = event
            && !recovery.is_empty()
        {
            *recovery = store.reseal(original(*payment, copy), *payment, recovery)?;
        }
        Ok(())
    };
    for part in (0..records).step_by(50) {
        stock.sell(&store, batch, 50.min(records - part), &reseal)?;
    }
    store.snapshot()?;
    store.journal.close()?;
    Ok(())
}

async fn measure(bench: &Bench, records: usize, effort: Effort) -> Outcome<Vec<Row>> {
    let mut day = Day::begin(bench).await?;
    for _ in 0..20 {
        day.cash().await?;
    }
    let mut without = Vec::new();
    for _ in 0..effort.pick(1_000, 100) {
        without.push(day.cash().await?);
    }
    let settlement = Settlement1Proxy::new(bench.client.connection()).await?;
    let batch = settlement.close([("operator", "007".into())].into()).await?;
    let begun = Instant::now();
    let (mut with, mut sold) = (Vec::new(), 0_usize);
    loop {
        with.push(day.cash().await?);
        sold += 1;
        if sold.is_multiple_of(20) {
            let rows = settlement.list_batches(Options::new()).await?;
            if rows.iter().any(|row| row.number == batch && row.state == "closed") {
                break;
            }
            if begun.elapsed() > LIMIT {
                let parts = settlement.list_parts(batch, Options::new()).await?;
                return Err(format!("batch {batch} is not closed after {LIMIT:?}: {parts:?}").into());
            }
        }
    }
    let took = begun.elapsed();
    let (without, with) = (Spread::of(&without), Spread::of(&with));
    let figures = |s: Spread| format!("{} / {}", time(s.p50), time(s.p99));
    let ratio = with.p99 / without.p99;
    Ok(vec![
        Row::new(
            format!("cash payment while {records} card payments are settled, p50 / p99 of {sold}"),
            figures(with),
        )
        .beside(format!("without a settlement, {}", figures(without)), ratio)
        .aim("p99 ≤ 1.2", ratio <= 1.2),
        Row::new(
            format!("that settlement: totals, {records} details, totals again, end"),
            format!("{:.1} s, {:.0} details/s", took.as_secs_f64(), records as f64 / took.as_secs_f64()),
        ),
    ])
}
