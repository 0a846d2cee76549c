//! Object paths. Clients take them from us and do not build them.

use till_core::PaymentId;
use zbus::{ObjectPath, OwnedObjectPath};

/// Where everything is.
pub const ROOT: &str = "/org/tilld/Till1";

/// `/`: no object.
pub fn none() -> OwnedObjectPath {
    ObjectPath::from_static_str_unchecked("/").into()
}

/// A payment; `/` for none.
pub fn payment(id: PaymentId) -> OwnedObjectPath {
    // A settlement slip is no payment's.
    if id.0 == [0; 16] { none() } else { path(format!("{ROOT}/payment/p{id}")) }
}

/// A channel.
pub fn channel(id: &str) -> OwnedObjectPath {
    path(format!("{ROOT}/channel/{}", id.replace('-', "_")))
}

/// A device.
pub fn device(id: &str) -> OwnedObjectPath {
    path(format!("{ROOT}/device/{}", id.replace('-', "_")))
}

fn path(text: String) -> OwnedObjectPath {
    // Ids are checked when the configuration is read; what they may hold is fit for a path.
    OwnedObjectPath::try_from(text).unwrap_or_else(|_| none())
}
