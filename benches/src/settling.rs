//! Sales while ten thousand card payments are settled with their network, detail by detail, beside the same sales without it,
//! on a till after the other: some ninety sales fit into one settlement, and their p99 is one sale. Each till sells as many
//! without it right after, and what counts is the median of the tills' own ratios.
//! A network of ISO 8583 counts 999 items on a side of a batch, so they are several batches, one after the other, as the till
//! itself would have closed them (`batch-full`); it finds them at its start.
//!
//! The ten thousand come straight into the journal, as copies of real card sales with their own numbers and with recovery
//! data sealed for each: through the bus they would take minutes. The network does not know them, so its totals differ,
//! and every record goes up. The settlement itself is the daemon's, over the wire to the acquirer's simulator, while a
//! front-end sells for cash over D-Bus.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use till_core::batch::BatchEvent;
use till_core::record::Record;
use till_dbus::{Options, Settlement1Proxy};
use till_journal::SystemClock;

use crate::figures::{Spread, median_ratio, time};
use crate::payments::Day;
use crate::stock::{Stock, original};
use crate::table::Row;
use crate::till::Bench;
use crate::{Effort, Outcome};

/// The channel whose payments they are.
const CHANNEL: &str = "bankcard";

/// Payments in a batch: the till closes one before it has 999 on a side.
const IN_A_BATCH: usize = 900;

/// From one customer to the next. The till settles where nobody is served (`tilld`'s `pace.rs`).
const PAUSE: Duration = Duration::from_millis(300);

/// Longest that a settlement may take.
const LIMIT: Duration = Duration::from_mins(10);

/// One till's settlement, and its sales.
struct Round {
    /// Sales while it settles, and after.
    with: Vec<Duration>,
    without: Vec<Duration>,
    settled: usize,
    batches: usize,
    took: Duration,
}

/// Measures on tills of its own.
pub async fn rows(base: &Path, effort: Effort) -> Outcome<Vec<Row>> {
    let mut rounds = Vec::new();
    for _ in 0..effort.pick(7, 1) {
        rounds.push(round(base, effort).await?);
    }
    let all = |of: fn(&Round) -> &Vec<Duration>| rounds.iter().flat_map(of).copied().collect::<Vec<_>>();
    let (with, without) = (all(|r| &r.with), all(|r| &r.without));
    let settled = rounds.iter().map(|r| r.settled).min().unwrap_or_default();
    let details = rounds.iter().map(|r| r.settled as f64).sum::<f64>();
    let took = rounds.iter().map(|r| r.took).sum::<Duration>().as_secs_f64();
    let figures = |s: Spread| format!("{} / {}", time(s.p50), time(s.p99));
    let (sold, tills, batches) = (with.len(), rounds.len(), rounds.first().map_or(0, |r| r.batches));
    let (without, with) = (Spread::of(&without), Spread::of(&with));
    let tails =
        |of: fn(&Round) -> &Vec<Duration>| rounds.iter().map(|r| Spread::of(of(r)).p99).collect::<Vec<_>>();
    let (tails_with, tails_without) = (tails(|r| &r.with), tails(|r| &r.without));
    for (with, without) in tails_with.iter().zip(&tails_without) {
        eprintln!("  one till: p99 {} with a settlement, {} without", time(*with), time(*without));
    }
    let ratio = median_ratio(&tails_with, &tails_without);
    Ok(vec![
        Row::new(
            format!(
                "cash payment, a customer every 0.3 s, while {settled} card payments are settled, \
                 p50 / p99 of {sold} on {tills} tills"
            ),
            figures(with),
        )
        .beside(
            format!("without a settlement, {}; each till its own ratio, the median", figures(without)),
            ratio,
        )
        .aim("p99 ≤ 1.2", ratio <= 1.2),
        Row::new(
            format!("that settlement: {batches} batches; totals, every detail, totals again, end"),
            format!("{:.1} s, {:.0} details/s", took / tills as f64, details / took),
        ),
    ])
}

async fn round(base: &Path, effort: Effort) -> Outcome<Round> {
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
    let batches = stock_up(&bench, records)?;
    bench.rig.start_till()?;
    bench.client = bench.rig.wait_ready().await?;
    let done = measure(&bench, records, &batches).await;
    if done.is_err() {
        bench.last_words();
    }
    bench.rig.stop_till();
    done
}

/// Puts the batches into the journal, with a snapshot at its end so that the start does not matter; gives their numbers.
fn stock_up(bench: &Bench, records: usize) -> Outcome<Vec<u32>> {
    let mut stock = Stock::of(&bench.rig.config_file())?;
    stock.only(CHANNEL);
    let store = stock.open(None, Arc::new(SystemClock::new()))?;
    let till = store.till()?;
    let (first, network, date) = (till.batches().open_number(), till.batch(CHANNEL), till.batches().date());
    let mut batches = Vec::new();
    for begin in (0..records).step_by(IN_A_BATCH) {
        let ahead = u32::try_from(batches.len())?;
        let reseal = |copy: u32, record: &mut Record| -> Outcome {
            let event = match record {
                Record::On { event, .. } => event.as_mut(),
                other => other,
            };
            match event {
                Record::Sent { payment, recovery, .. } if !recovery.is_empty() => {
                    *recovery = store.reseal(original(*payment, copy), *payment, recovery)?;
                }
                Record::Tendered { ids, .. } => ids.batch = network + ahead,
                _ => {}
            }
            Ok(())
        };
        let end = records.min(begin + IN_A_BATCH);
        for part in (begin..end).step_by(50) {
            stock.sell(&store, first + ahead, 50.min(end - part), &reseal)?;
        }
        store.put(&Record::Batch(BatchEvent::Frozen {
            batch: first + ahead,
            date,
            next_date: date,
            moved: vec![(CHANNEL.into(), network + ahead + 1)],
            automatic: false,
            operator: None,
        }))?;
        batches.push(first + ahead);
    }
    store.snapshot()?;
    store.journal.close()?;
    Ok(batches)
}

async fn measure(bench: &Bench, records: usize, batches: &[u32]) -> Outcome<Round> {
    let begun = Instant::now();
    let mut day = Day::begin(bench).await?;
    let settlement = Settlement1Proxy::new(bench.client.connection()).await?;
    let (mut with, mut sold) = (Vec::new(), 0_usize);
    loop {
        with.push(sale(&mut day).await?);
        sold += 1;
        if sold.is_multiple_of(5) {
            let rows = settlement.list_batches(Options::new()).await?;
            if batches.iter().all(|n| rows.iter().any(|row| row.number == *n && row.state == "closed")) {
                break;
            }
            if begun.elapsed() > LIMIT {
                return Err(format!("not all of batches {batches:?} are closed after {LIMIT:?}").into());
            }
        }
    }
    let took = begun.elapsed();
    let mut settled = 0;
    for batch in batches {
        let parts = settlement.list_parts(*batch, Options::new()).await?;
        let part = parts.iter().find(|p| p.channel == CHANNEL).ok_or("a batch without its card payments")?;
        if !part.reason.is_empty() {
            return Err(format!("batch {batch} was not closed with its network: {}", part.reason).into());
        }
        settled += part.debit_count as usize;
    }
    // What the till had sold before is in the first of them.
    if settled < records {
        return Err(format!("{settled} payments were settled, not {records}").into());
    }
    for _ in 0..20 {
        day.cash().await?;
    }
    let mut without = Vec::new();
    for _ in 0..sold {
        without.push(sale(&mut day).await?);
    }
    Ok(Round { with, without, settled, batches: batches.len(), took })
}

/// One customer, and then nobody for a moment.
async fn sale(day: &mut Day<'_>) -> Outcome<Duration> {
    let took = day.cash().await?;
    tokio::time::sleep(PAUSE).await;
    Ok(took)
}
