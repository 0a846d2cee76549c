//! systemd's watchdog (`WatchdogSec=`) is fed only while the till does its work: its actor answers between two inputs, so
//! neither it nor the journal behind it is stuck, and the bus still brings calls to this process. What a plugin does
//! starves it never: each has a process, a watchdog and a restart of its own in till-hosts, and may not take the till down.

use std::future::Future;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use zbus::fdo::PeerProxy;

use super::notify;
use crate::till::Handle;

/// Looks in a watchdog's time: one may be missed under load.
const LOOKS: u32 = 3;

/// Feeds it from now on, where the service manager has one.
pub(super) fn start(handle: &Handle, connection: &zbus::Connection) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    tracing::debug!(?limit, "the service manager's watchdog is fed");
    let (handle, connection) = (handle.clone(), connection.clone());
    let look = move || answers(handle.clone(), connection.clone());
    tokio::spawn(feed(limit, look, notify::alive));
}

/// The till's actor answers, and so does this process when the bus brings it a call.
async fn answers(handle: Handle, connection: zbus::Connection) -> Result<(), String> {
    handle.look(|_| ()).await.map_err(|e| e.to_string())?;
    let name = connection.unique_name().ok_or("this connection has no name on the bus")?.clone();
    let peer = PeerProxy::new(&connection, name, "/").await.map_err(|e| e.to_string())?;
    peer.ping().await.map_err(|e| e.to_string())
}

/// Tells each time that a look ends well within its share of the time.
async fn feed<L: Future<Output = Result<(), String>>>(
    limit: Duration,
    mut look: impl FnMut() -> L,
    mut tell: impl FnMut(),
) {
    let share = limit / LOOKS;
    let mut looks = interval(share);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        match timeout(share, look()).await {
            Ok(Ok(())) => tell(),
            Ok(Err(e)) => tracing::warn!("the watchdog is not fed: {e}"),
            Err(_) => tracing::warn!("the watchdog is not fed: the till does not answer within {share:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use super::*;

    /// Times fed in a minute of a thirty-second watchdog.
    async fn fed<L: Future<Output = Result<(), String>>>(look: impl FnMut() -> L) -> u32 {
        let fed = Cell::new(0);
        let feeding = feed(Duration::from_secs(30), look, || fed.set(fed.get() + 1));
        let _over = timeout(Duration::from_secs(61), feeding).await;
        fed.get()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_fed_while_the_till_answers_and_starves_when_it_hangs_or_is_off_the_bus() {
        assert_eq!(fed(|| async { Ok(()) }).await, 7);
        assert_eq!(fed(pending).await, 0);
        assert_eq!(fed(|| async { Err("no bus".into()) }).await, 0);
        // A till that is slow now and then is no dead one.
        let turn = Cell::new(0_u32);
        let slow = || {
            let slow = turn.replace(turn.get() + 1) % 2 == 1;
            async move {
                if slow {
                    pending::<()>().await;
                }
                Ok(())
            }
        };
        assert!(fed(slow).await >= 3);
    }
}
