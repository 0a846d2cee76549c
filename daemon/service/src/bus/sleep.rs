//! While a payment is on its way the machine is asked to wait before it sleeps (logind's delay lock).
//!
//! A machine that sleeps between a request and its answer wakes up with a payment that nobody knows of; its reversal is
//! armed in the journal, so no money is lost, but the customer has left. logind waits for a delay lock for
//! `InhibitDelayMaxSec` (5 s): enough for nearly every answer. A block lock would need an administrator's right, and a
//! till that cannot be made to sleep by a network that is away would be worse. Without logind nothing is asked, and no
//! payment ever waits for it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::sync::watch;
use zbus::fdo::DBusProxy;
use zbus::names::{BusName, WellKnownName};

const NAME: &str = "org.freedesktop.login1";
/// Longest for logind's answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Holds the lock while the watched value is true.
pub(super) async fn keep(connection: zbus::Connection, mut on_its_way: watch::Receiver<bool>) {
    let mut lock: Option<OwnedFd> = None;
    loop {
        let wanted = *on_its_way.borrow_and_update();
        if !wanted {
            lock = None;
        } else if lock.is_none() {
            match tokio::time::timeout(PATIENCE, take(&connection)).await {
                Ok(Ok(taken)) => lock = taken,
                Ok(Err(e)) => tracing::warn!("logind gives no lock against sleep: {e}"),
                Err(_) => tracing::warn!("logind gives no lock against sleep: no answer within {PATIENCE:?}"),
            }
        }
        if on_its_way.changed().await.is_err() {
            return;
        }
    }
}

/// A lock, where there is a logind.
async fn take(connection: &zbus::Connection) -> zbus::Result<Option<OwnedFd>> {
    // Asked first: some buses never answer a call to a name that nobody owns.
    let name = BusName::from(WellKnownName::from_static_str_unchecked(NAME));
    if !DBusProxy::new(connection).await?.name_has_owner(name).await? {
        return Ok(None);
    }
    let what = ("sleep", "tilld", "a payment is on its way", "delay");
    let path = "/org/freedesktop/login1";
    let manager = Some("org.freedesktop.login1.Manager");
    let answer = connection.call_method(Some(NAME), path, manager, "Inhibit", &what).await?;
    let lock: zbus::OwnedFd = answer.body().deserialize()?;
    Ok(Some(lock.into()))
}
