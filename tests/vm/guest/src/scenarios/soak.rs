//! Day after day of a shop: sales in cash and by wallet, some of them given back or given up, days that are closed; memory, files and
//! processes stay what they were.

use till_dbus::{Options, Settlement1Proxy};
use till_tests::Client;

use crate::error::{VmError, claim};
use crate::system::{self, Held};
use crate::till::Till;

/// Where what is held is looked at first: all that is made once is made by then.
const WARM: u32 = 10;
/// Memory that may come on top, KiB: what an allocator keeps back, and 100,000 payments' numbers.
const GROWTH: u64 = 4 << 10;
/// Sales of a day.
const DAY: u32 = 500;

pub(super) async fn close_day(client: &Client) -> Result<(), VmError> {
    let settlement = Settlement1Proxy::new(client.connection()).await?;
    settlement.close(Options::from([("operator", "001".into())])).await.map_err(VmError::wrong)?;
    Ok(())
}

pub(super) async fn sell(till: &Till, number: u32) -> Result<(), VmError> {
    let minor = 100 + i64::from(number % 900);
    match number % 10 {
        0 => drop(till.wallet(minor, 800_000_000 + u64::from(number)).await?),
        1 => till.sale(minor).await?.cancel().await?,
        _ => drop(till.cash(minor).await?),
    }
    Ok(())
}

pub(super) async fn run(till: &Till, payments: u32) -> Result<String, VmError> {
    till.devices("").await?;
    let from = std::time::Instant::now();
    let warm = (payments / WARM).max(1);
    let mut early = None::<Held>;
    let mut days = 0;
    for number in 1..=payments {
        sell(till, number).await.map_err(|e| VmError::wrong(format!("sale {number}: {e}")))?;
        if number % DAY == 0 {
            close_day(&till.client).await?;
            days += 1;
        }
        if number == warm {
            early = Some(system::held()?);
        }
    }
    let took = from.elapsed();
    let early = early.ok_or_else(|| VmError::wrong("no sales"))?;
    let what =
        |held: Held| format!("{} files, {} processes, {} KiB", held.files, held.processes, held.memory);
    // A file may be open for a moment.
    till.until(&format!("it holds no more than {} again", what(early)), || async {
        system::held().is_ok_and(|now| now.files <= early.files + 2 && now.processes == early.processes)
    })
    .await?;
    let now = system::held()?;
    claim(now.memory <= early.memory + GROWTH, format!("memory grew: {} → {}", what(early), what(now)))?;
    let records = till.whole().await?;
    let each = took / payments;
    Ok(format!(
        "{payments} sales, {days} days, {records} records, {each:.1?} each, {} → {}",
        what(early),
        what(now)
    ))
}
