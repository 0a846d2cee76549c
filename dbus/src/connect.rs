//! Connecting: which bus, with a timeout, and a plain word when nobody is there.

use std::time::Duration;

use zbus::Connection;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;

use crate::{Error, NAME};

/// Default for a method call. A call that changes something waits for the disk, never for a customer.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Names the bus when no `--bus` does.
pub const ENV: &str = "TILLD_BUS";

/// Which bus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bus {
    /// The system bus, where tilld normally is.
    #[default]
    System,
    /// The user's session bus.
    Session,
    /// An address, such as `unix:path=/run/user/1000/till/bus`.
    Address(String),
}

impl Bus {
    /// `system`, `session`, or an address.
    pub fn from_text(text: &str) -> Self {
        match text {
            "" | "system" => Self::System,
            "session" => Self::Session,
            address => Self::Address(address.into()),
        }
    }

    /// What `TILLD_BUS` names; the system bus when it is not set.
    pub fn from_env() -> Self {
        std::env::var(ENV).map_or(Self::System, |text| Self::from_text(&text))
    }
}

impl std::fmt::Display for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Session => f.write_str("session"),
            Self::Address(address) => f.write_str(address),
        }
    }
}

/// Connects to a bus, whether tilld is on it or not.
///
/// The timeout is always set: some brokers never answer a call to a name that nobody owns, and a daemon that was killed
/// answers nothing.
pub async fn open(bus: &Bus, timeout: Duration) -> Result<Connection, Error> {
    let builder = match bus {
        Bus::System => zbus::connection::Builder::system(),
        Bus::Session => zbus::connection::Builder::session(),
        Bus::Address(address) => zbus::connection::Builder::address(address.as_str()),
    };
    builder
        .method_timeout(timeout)
        .build()
        .await
        .map_err(|e| Error::NoBus { bus: bus.to_string(), detail: e.to_string() })
}

/// Whether tilld owns its name on this bus.
pub async fn is_running(connection: &Connection) -> Result<bool, Error> {
    let bus = DBusProxy::new(connection).await?;
    Ok(bus.name_has_owner(BusName::from_static_str(NAME)?).await?)
}

/// Connects to a bus on which tilld runs.
pub async fn connect(bus: &Bus, timeout: Duration) -> Result<Connection, Error> {
    let connection = open(bus, timeout).await?;
    if is_running(&connection).await? {
        return Ok(connection);
    }
    Err(Error::NotRunning { bus: bus.to_string() })
}
