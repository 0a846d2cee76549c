//! `org.tilld.Device1`.

use crate::types::{LocalText, SandboxLayer};
use crate::{Error, Options};

/// org.tilld.Device1: one device, at /org/tilld/Till1/device/`<id>`. A failed device keeps its object, with the
/// reason.
#[zbus::proxy(interface = "org.tilld.Device1", default_service = "org.tilld.Till1")]
pub trait Device1 {
    /// Id from the configuration: lower-case letters, digits and dashes.
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> Result<String, Error>;

    /// Name for people: English, Chinese.
    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> Result<LocalText, Error>;

    /// Plugin id.
    #[zbus(property(emits_changed_signal = "const"))]
    fn plugin(&self) -> Result<String, Error>;

    /// magstripe, scanner, printer, drawer …
    #[zbus(property)]
    fn classes(&self) -> Result<Vec<String>, Error>;

    /// Where it is attached, for people.
    #[zbus(property)]
    fn transport(&self) -> Result<String, Error>;

    /// starting, ready, attention, blocked, offline, failed, quarantined, unknown.
    #[zbus(property)]
    fn state(&self) -> Result<String, Error>;

    /// One line when it is not ready.
    #[zbus(property)]
    fn state_reason(&self) -> Result<String, Error>;

    /// Confinement of its process: (layer, level).
    #[zbus(property)]
    fn sandbox(&self) -> Result<Vec<SandboxLayer>, Error>;

    /// Takes the device out of quarantine. Errors: WrongState.
    fn restart(&self, options: Options<'_>) -> Result<(), Error>;

    /// The state moved: once for each move. reason is one line, or empty.
    #[zbus(signal, name = "StateChanged")]
    fn moved(&self, old: &str, new: &str, reason: &str) -> Result<(), Error>;
}
