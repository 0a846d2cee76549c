//! The unit runs as its own user, is READY, and a cash sale goes through the system bus.

use std::fs;

use crate::error::{VmError, claim};
use crate::system;
use crate::till::Till;

pub(super) async fn run(till: &Till) -> Result<String, VmError> {
    let payment = till.sale(880).await?;
    payment.pay_cash(1_000).await?;
    payment.wait(&["paid"]).await?;
    let (records, problems) = till.client.verify_journal().await?;
    claim(problems.is_empty(), format!("the journal has problems: {problems:?}"))?;
    let user = system::run("id", &["-u", "tilld"])?;
    let status =
        fs::read_to_string(format!("/proc/{}/status", system::pid()?)).map_err(VmError::file("/proc"))?;
    let runs_as = status.lines().find_map(|l| l.strip_prefix("Uid:")).unwrap_or_default();
    claim(
        runs_as.split_whitespace().all(|uid| uid == user),
        format!("tilld runs as{runs_as}, not as {user}"),
    )?;
    let capabilities = status.lines().find_map(|l| l.strip_prefix("CapEff:")).unwrap_or_default().trim();
    claim(capabilities.trim_matches('0').is_empty(), format!("it has capabilities: {capabilities}"))?;
    Ok(format!("{records} records"))
}
