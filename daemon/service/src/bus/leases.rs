//! Leases end with their caller: whoever leaves the bus, by will or by a crash, holds nothing any more.

use futures_util::StreamExt;
use zbus::fdo::DBusProxy;
use zbus::message::Header;
use zbus::names::{BusName, UniqueName};

use super::access::Access;
use super::errors::Error;

/// The caller's unique name, and who that is, for people.
pub(super) async fn caller(
    access: &Access,
    connection: &zbus::Connection,
    header: &Header<'_>,
) -> Result<(String, String), Error> {
    let sender =
        header.sender().ok_or_else(|| Error::NotAuthorized("a call without sender is refused".into()))?;
    let user = access.user(connection, sender).await?;
    Ok((sender.to_string(), format!("{sender} (user {user})")))
}

/// Waits until a client has left the bus. Returns at once where nobody could tell.
pub(super) async fn left(connection: &zbus::Connection, name: &str) {
    let waited = async {
        let bus = DBusProxy::new(connection).await?;
        let mut moves = bus.receive_name_owner_changed_with_args(&[(0, name)]).await?;
        // It may have gone before anybody listened.
        if !bus.name_has_owner(BusName::from(UniqueName::try_from(name)?)).await? {
            return zbus::Result::Ok(());
        }
        while let Some(moved) = moves.next().await {
            if moved.args()?.new_owner.is_none() {
                break;
            }
        }
        Ok(())
    };
    if let Err(e) = waited.await {
        tracing::warn!("{name} cannot be watched, so it holds nothing: {e}");
    }
}
