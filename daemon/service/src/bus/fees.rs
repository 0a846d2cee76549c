//! Forecast against charged of a batch, read from the journal (`Settlement1.FeeReport`).

use till_core::batch::{BatchState, PartId};
use till_core::fees::{Fee, FeeLine, FeeReport};
use till_journal::Journal;
use till_plugin::Money;

use super::World;
use super::errors::Error;
use crate::till::closed::{self, Entries};
use crate::till::history::{self, HistoryError};

/// Payments that are named when the caller does not say how many.
pub(super) const DIFFERENCES: u32 = 200;
/// Most payments that are named.
pub(super) const MOST: u32 = 1_000;

/// A row of sums.
pub(super) type Row = (String, u32, String, u32, i64, u32, i64, i64, u32, i64, i64, u32, i64, u32, u32);
/// A payment that differs.
pub(super) type DifferenceRow = (String, u32, String, u32, String, i64, i64, i64);

/// The report of a batch, open or closed, as the journal has it.
pub(super) async fn report(
    world: &World,
    batch: u32,
    limit: u32,
) -> Result<(Vec<Row>, Vec<DifferenceRow>), Error> {
    // What is in a batch that is not closed is a fold that a restart makes again; a closed one's is in the journal only.
    let (open, live) = world
        .handle
        .look(move |till| {
            let book = till.batches();
            let live = book.get(batch).filter(|b| b.state != BatchState::Closed);
            (book.open_number(), live.map(closed::entries_of))
        })
        .await?;
    if batch == 0 || batch > open {
        return Err(Error::NotFound(format!("there is no batch {batch} yet: the open one is {open}")));
    }
    let journal = world.journal.clone();
    let read = tokio::task::spawn_blocking(move || {
        let entries = match live {
            Some(entries) => Some(entries),
            None => closed::entries(&journal, batch)?,
        };
        entries.map(|entries| fees(&journal, &entries)).transpose().map(Option::flatten)
    });
    let read = read.await.map_err(|e| Error::JournalUnavailable(e.to_string()))?;
    let found = read.map_err(|e| Error::JournalUnavailable(e.to_string()))?.ok_or_else(|| {
        Error::NotFound(format!("the records of batch {batch} were removed after their time"))
    })?;
    let report = FeeReport::new(&found)
        .map_err(|e| Error::InvalidArgs(format!("fees of batch {batch} cannot be added up: {e}")))?;
    let unlike = report.unlike().iter().take(limit as usize).filter_map(|(id, fee)| difference(id, fee));
    Ok((report.lines().map(|(id, line)| row(id, line)).collect(), unlike.collect()))
}

/// Fees of all entries; None: a payment of them was removed.
fn fees(journal: &Journal, entries: &Entries) -> Result<Option<Vec<(PartId, Fee)>>, HistoryError> {
    let mut all = Vec::new();
    for (part, entries) in entries {
        for entry in entries {
            let records = history::records(journal, entry.item.payment)?;
            if records.is_empty() {
                return Ok(None);
            }
            all.extend(Fee::of(entry, &records).map(|fee| (part.clone(), fee)));
        }
    }
    Ok(Some(all))
}

fn row(id: &PartId, line: &FeeLine) -> Row {
    (
        id.channel.clone(),
        id.network,
        line.sales.amount.currency().code().into(),
        line.sales.count,
        line.sales.amount.minor(),
        line.forecast.count,
        line.forecast.amount.minor(),
        line.forecast_fee.minor(),
        line.charged.count,
        line.charged.amount.minor(),
        line.charged_fee.minor(),
        line.compared,
        line.difference.minor(),
        line.unlike,
        line.voids,
    )
}

fn difference(id: &PartId, fee: &Fee) -> Option<DifferenceRow> {
    Some((
        fee.item.payment.to_string(),
        fee.item.attempt,
        id.channel.clone(),
        id.network,
        fee.amount.currency().code().into(),
        fee.amount.minor(),
        fee.forecast.map(Money::minor)?,
        fee.charged.map(Money::minor)?,
    ))
}
