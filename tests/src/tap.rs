//! Everything that crosses the bus.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;

use crate::{Client, Rig};

/// Listens to everything that crosses the rig's bus from now on, as bytes.
pub async fn tap(rig: &Rig) -> zbus::Result<Arc<Mutex<Vec<u8>>>> {
    let connection = Client::connect(rig.bus.address()).await?.connection().clone();
    let mut messages = zbus::MessageStream::from(&connection);
    zbus::fdo::MonitoringProxy::new(&connection).await?.become_monitor(&[], 0).await?;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let theirs = heard.clone();
    tokio::spawn(async move {
        let _connection = connection;
        while let Some(Ok(message)) = messages.next().await {
            theirs.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(message.data());
        }
    });
    Ok(heard)
}
