//! What every command needs: the connection, how to show things, where to write.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use till_dbus::{Bus, Options, Payment1Proxy, Terminal1Proxy, paths};
use zbus::{Connection, OwnedObjectPath};

use crate::exit::Failure;
use crate::look::Look;

/// The connection and the caller's wishes.
pub(crate) struct Session {
    pub connection: Connection,
    pub look: Look,
    pub json: bool,
    pub operator: Option<String>,
}

/// Which bus: `--bus`, else `TILLD_BUS`, else the system bus.
pub(crate) fn bus(given: Option<&str>) -> Bus {
    given.map_or_else(Bus::from_env, Bus::from_text)
}

impl Session {
    /// Options with the operator, for methods that take one.
    pub(crate) fn options(&self) -> Options<'_> {
        self.operator.as_deref().map(|o| ("operator", o.into())).into_iter().collect()
    }

    pub(crate) async fn terminal(&self) -> Result<Terminal1Proxy<'static>, Failure> {
        Ok(Terminal1Proxy::new(&self.connection).await?)
    }

    pub(crate) async fn payment<'a>(&self, path: &'a OwnedObjectPath) -> Result<Payment1Proxy<'a>, Failure> {
        let proxy = Payment1Proxy::builder(&self.connection)
            .path(path.clone())
            // State comes by signals or by asking: a cache would be a third opinion.
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build();
        Ok(proxy.await?)
    }

    /// The payment that somebody means: `active`, an id, or an idempotency key.
    pub(crate) async fn payment_id(&self, meant: &str) -> Result<String, Failure> {
        let till = self.terminal().await?;
        if meant == "active" {
            let path = till_dbus::tree::terminal(&self.connection).await?.active_payment;
            let path = OwnedObjectPath::try_from(path)?;
            return paths::payment_id(&path).map(str::to_owned).ok_or_else(|| Failure {
                exit: crate::exit::REFUSED,
                code: "NotFound".into(),
                text: "no payment holds the till: it is free".into(),
                hint: Some("`tillctl payments` lists the finished ones".into()),
            });
        }
        let short = meant.strip_prefix('p').unwrap_or(meant);
        if paths::payment(short).is_ok() {
            return Ok(short.to_ascii_lowercase());
        }
        Ok(till.find_payment(meant, Options::new()).await?.id)
    }

    /// Writes text, or the JSON of what it was made from.
    pub(crate) fn show<T: Serialize>(
        &self,
        data: &T,
        text: impl FnOnce(&Look) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string_pretty(data).map_err(io::Error::other)?;
            return write_out(&format!("{json}\n"));
        }
        write_out(&text(&self.look))
    }

    /// A line that says what was done; in JSON an object of these fields.
    pub(crate) fn did(&self, line: &str, json: &serde_json::Value) -> Result<(), Failure> {
        self.show(json, |_| format!("{line}\n"))
    }
}

/// Writes to standard output; a reader that left is no panic.
pub(crate) fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Longest that checking or exporting a journal may take.
pub(crate) const LONG: Duration = Duration::from_hours(1);
