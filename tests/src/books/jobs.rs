//! Whether paper is still owed: by the printer's own list, and by the fold of the journal, which a restart goes by.

use till_core::record::Record;
use till_core::{PaymentId, Till};

use crate::client::Client;
use crate::rig::RigError;
use crate::scene::until;

/// No job is left, here or there.
pub(super) async fn none_left(client: &Client) -> Result<(), RigError> {
    let printed = || async {
        let jobs = printers_jobs(client).await.ok()?;
        let owed = folded(client).await.ok()?.jobs().len();
        (jobs == 0 && owed == 0).then_some(())
    };
    if until("nothing is to be printed", printed).await.is_ok() {
        return Ok(());
    }
    let (jobs, till) = (printers_jobs(client).await?, folded(client).await?);
    Err(RigError::Till(format!("{jobs} jobs wait at the printer, the journal owes {:?}", till.jobs())))
}

async fn printers_jobs(client: &Client) -> zbus::Result<usize> {
    let printer = client.proxy("/org/tilld/Till1/device/printer", "org.tilld.Printer1").await?;
    let jobs: Vec<(u64, String, String)> = printer.get_property("Jobs").await?;
    Ok(jobs.len())
}

/// The till as its exported journal folds.
pub(crate) async fn folded(client: &Client) -> Result<Till, RigError> {
    let mut till = Till::new();
    let mut seen: Vec<(u64, i64, Record)> = Vec::new();
    for r in client.journal().await? {
        let (seq, wall) = (r["seq"].as_u64().unwrap_or(0), r["wall-ms"].as_i64().unwrap_or(0));
        // Records of other kinds than the till's.
        if r["record"].is_null() || r["kind"] == "keys-asked" {
            continue;
        }
        let record: Record = serde_json::from_value(r["record"].clone())
            .map_err(|e| RigError::Till(format!("record {seq} of the export cannot be read: {e}")))?;
        if let Some(id) = till.lacks(&record) {
            adopt(&mut till, &seen, id);
        }
        till.apply(seq, wall, &record);
        seen.push((seq, wall, record));
    }
    Ok(till)
}

/// A finished payment that has left the fold's memory comes back.
fn adopt(till: &mut Till, seen: &[(u64, i64, Record)], id: PaymentId) {
    let own = seen.iter().filter(|(_, _, r)| r.payment() == Some(id)).map(|(seq, wall, r)| (*seq, *wall, r));
    if let Some(payment) = Till::fold_payment(id, own) {
        till.adopt(payment);
    }
}
