//! The bus that goes away: killed, upgraded, crashed. Front-ends cannot call a till that is not on it, and a new bus knows nothing of this
//! one; so the till ends in order and its service manager starts it again, which brings the bus back too (`Requires=dbus.socket`).

use futures_util::StreamExt;
use zbus::message::Type;
use zbus::{Connection, MatchRule, MessageStream};

use super::NAME;

/// Told from the moment it is made.
pub struct Gone(MessageStream);

impl Gone {
    /// Listens for the end of a connection, and for the loss of its name.
    pub async fn listen(connection: &Connection) -> zbus::Result<Self> {
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender("org.freedesktop.DBus")
            .interface("org.freedesktop.DBus")
            .member("NameLost")
            .build()?;
        // The bus sends it to whom it concerns, unasked.
        Ok(Self(MessageStream::for_match_rule(rule, connection, None).await?))
    }

    /// Waits for it; why.
    pub async fn wait(mut self) -> String {
        while let Some(message) = self.0.next().await {
            match message {
                Err(e) => return format!("the bus is gone: {e}"),
                Ok(m) if m.body().deserialize::<String>().is_ok_and(|lost| lost == NAME) => {
                    return format!("the bus has taken the name {NAME} away");
                }
                Ok(_) => {}
            }
        }
        "the bus is gone".into()
    }
}
