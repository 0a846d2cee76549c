//! `org.tilld.Plugins1`.

use crate::types::PluginRow;
use crate::{Error, Options};

/// org.tilld.Plugins1: installed plugins, at /org/tilld/Till1.
#[zbus::proxy(
    interface = "org.tilld.Plugins1",
    default_service = "org.tilld.Till1",
    default_path = "/org/tilld/Till1"
)]
pub trait Plugins1 {
    /// Each: id, kind (driver, channel), name, version (empty until loaded), instances, problem (empty: none), trust
    /// (unsigned, signed:NAME with the name of the key, listed; empty when it is refused).
    fn list_plugins(&self, options: Options<'_>) -> Result<Vec<PluginRow>, Error>;
}
