//! `doctor`: says of everything that the till needs whether it is well, or what is wrong and the exact fix.
//!
//! Facts are gathered ([`facts`]), judged by pure functions ([`check`]), shown. Works with tilld running, with tilld
//! stopped, and where there is no systemd.

pub mod check;
pub mod facts;
pub mod finding;
pub(crate) mod gather;
pub mod wanted;

use std::path::Path;

use serde_json::{Value, json};
use till_dbus::Bus;

use crate::exit::{DONE, Failure, TO_FIX};
use crate::look::Look;
use crate::session::write_out;
use crate::view;
use facts::Facts;
use finding::{Finding, Level};

/// Looks at everything.
pub(crate) async fn look_at(bus: &Bus, config: Option<&Path>) -> (gather::Link, Facts, Vec<Finding>) {
    let link = gather::link(bus).await;
    let facts = gather::facts(&link, bus, config).await;
    let findings = check::all(&facts);
    (link, facts, findings)
}

/// Which bus: `--bus`, else `TILLD_BUS`, else what the configuration that was named says.
pub(crate) fn bus(given: Option<&str>, config: Option<&Path>) -> Bus {
    let set = std::env::var_os(till_dbus::connect::ENV).is_some();
    match config.filter(|_| given.is_none() && !set) {
        Some(file) => Bus::from_text(&wanted::Wanted::read(&gather::config(Some(file)).2).bus),
        None => crate::session::bus(given),
    }
}

/// As JSON.
pub fn report(facts: &Facts, findings: &[Finding]) -> Value {
    json!({
        "well": findings.iter().all(|f| f.level != Level::Fix),
        "tillctl": env!("CARGO_PKG_VERSION"),
        "tilld": facts.till.as_ref().map(|t| t.tree.terminal.version.clone()),
        "findings": findings.iter().map(Finding::json).collect::<Vec<_>>(),
    })
}

/// Runs it; the exit code.
pub(crate) async fn run(look: &Look, as_json: bool, bus: &Bus, config: Option<&Path>) -> Result<u8, Failure> {
    let (_, facts, findings) = look_at(bus, config).await;
    if as_json {
        write_out(&format!("{:#}\n", report(&facts, &findings)))?;
    } else {
        write_out(&view::doctor(look, &findings))?;
    }
    Ok(if findings.iter().any(|f| f.level == Level::Fix) { TO_FIX } else { DONE })
}
