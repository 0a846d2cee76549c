//! Durable payments a second through the whole daemon, with a channel that answers at once, beside what the disk's syncs
//! allow.
//!
//! A till has one payment in the foreground, so callers take turns however many they are: what a second caller can
//! overlap is its own side of the bus. Each record is waited for before the next step, so a payment needs as many syncs
//! as it has records, and no group of payments shares one.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use till_tests::Client;

use crate::journal::subjects::{Kind, Subject};
use crate::table::Row;
use crate::till::Bench;
use crate::{Effort, Outcome};

/// Callers of the second line.
const CALLERS: usize = 4;

/// Measures on a till of its own, without a printer: paper is no part of a payment's durability.
pub async fn rows(base: &Path, effort: Effort) -> Outcome<Vec<Row>> {
    let mut bench = Bench::start_without_printer(base).await?;
    let client = bench.client.clone();
    let address = bench.rig.bus.address().to_owned();

    let count = effort.pick(1_000, 150);
    sell(client.clone(), 50).await?;
    let from = head(&client).await?;
    let one = timed(vec![sell(client.clone(), count)]).await?;
    let records = (head(&client).await? - from) as f64 / count as f64;
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(sell(Client::connect(&address).await?, count / CALLERS));
    }
    let many = timed(callers).await?;
    bench.rig.stop_till();
    drop(bench);

    let syncs = syncs(base, effort)?;
    let limit = syncs / records;
    let beside = || format!("{syncs:.0} syncs/s / {records:.1} a payment = {limit:.0}/s");
    let row = |who: String, took: Duration| {
        let rate = count as f64 / took.as_secs_f64();
        Row::new(format!("durable cash payments through tilld, {who}"), format!("{rate:.0}/s"))
            .beside(beside(), rate / limit)
    };
    Ok(vec![row("one caller".into(), one), row(format!("{CALLERS} callers taking turns"), many)])
}

/// Number of the journal's newest record.
async fn head(client: &Client) -> Outcome<u64> {
    let journal = client.proxy("/org/tilld/Till1", "org.tilld.Journal1").await?;
    Ok(journal.get_property::<(u64, String)>("Head").await?.0)
}

async fn timed<F>(callers: Vec<F>) -> Outcome<Duration>
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let begun = Instant::now();
    let tasks: Vec<_> = callers.into_iter().map(tokio::spawn).collect();
    for task in tasks {
        task.await??;
    }
    Ok(begun.elapsed())
}

/// Sells for cash, so many times; waits while another caller's payment is in the foreground.
async fn sell(client: Client, count: usize) -> Result<(), String> {
    let client = Arc::new(client);
    for _ in 0..count {
        let payment = loop {
            match client.open(4_250, "").await {
                Ok(payment) => break payment,
                Err(e) if till_tests::scene::error_name(&e) == "Busy" => tokio::task::yield_now().await,
                Err(e) => return Err(e.to_string()),
            }
        };
        let paid = async {
            payment.confirm(4_250).await?;
            payment.pay_cash(5_000).await?;
            payment.wait(&["paid"]).await
        };
        paid.await.map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Syncs a second of this disk: 300 bytes into room made ahead, one `fdatasync` each, one writer; as the journal's own.
fn syncs(base: &Path, effort: Effort) -> Outcome<f64> {
    let dir = tempfile::tempdir_in(base)?;
    let mut log = Subject::start(Kind::RawZeroed, dir.path())?;
    for _ in 0..100 {
        log.append()?;
    }
    let count = effort.pick(5_000, 1_000);
    let begun = Instant::now();
    for _ in 0..count {
        log.append()?;
    }
    let took = begun.elapsed();
    log.stop()?;
    Ok(count as f64 / took.as_secs_f64())
}
