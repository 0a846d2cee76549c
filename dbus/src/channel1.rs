//! `org.tilld.Channel1`.

use crate::types::{BreakerRow, LocalText, Maintenance, MerchantState};
use crate::{Error, Options};

/// org.tilld.Channel1: one payment channel, at /org/tilld/Till1/channel/`<id>`.
#[zbus::proxy(interface = "org.tilld.Channel1", default_service = "org.tilld.Till1")]
pub trait Channel1 {
    /// Id from the configuration: lower-case letters, digits and dashes.
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> Result<String, Error>;

    /// Name for people: English, Chinese.
    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> Result<LocalText, Error>;

    /// Plugin id.
    #[zbus(property(emits_changed_signal = "const"))]
    fn plugin(&self) -> Result<String, Error>;

    /// Families of instruments it takes.
    #[zbus(property)]
    fn families(&self) -> Result<Vec<String>, Error>;

    /// Operations it does (sale, refund, void …).
    #[zbus(property)]
    fn operations(&self) -> Result<Vec<String>, Error>;

    /// ready, starting, signed-off, failed, suspended, power (nothing new is sent: the power is about to go), disabled.
    #[zbus(property)]
    fn state(&self) -> Result<String, Error>;

    /// One line when it is not ready.
    #[zbus(property)]
    fn state_reason(&self) -> Result<String, Error>;

    /// Payments on it whose outcome is not known.
    #[zbus(property)]
    fn unresolved(&self) -> Result<u32, Error>;

    /// Smaller is preferred.
    #[zbus(property(emits_changed_signal = "const"))]
    fn priority(&self) -> Result<u32, Error>;

    /// Announced maintenance: (open, degraded, draining (it begins soon: no new sales), closed, or unsure (the clock is not
    /// trusted); until when that lasts; the next window's beginning and end; down or degraded). Times are Unix ms, 0: none;
    /// the kind is empty without a next window. Followed within half a minute; choices are exact. Since 0.2.
    #[zbus(property)]
    fn maintenance(&self) -> Result<Maintenance, Error>;

    /// Circuit breakers that are not closed: (operation; open or half-open; faults in a row; since when, Unix ms). Since
    /// 0.2.
    #[zbus(property)]
    fn breakers(&self) -> Result<Vec<BreakerRow>, Error>;

    /// Whether it asks for the merchant's number and password before it sells: (not-required, required, passed or locked;
    /// wrong tries in a row; the operator whose sales it is passed for, or empty). Terminal1.AuthenticateMerchant. The end
    /// of its time is followed within half a minute; choices are exact. Since 0.2.
    #[zbus(property)]
    fn merchant(&self) -> Result<MerchantState, Error>;

    /// Signs the terminal in. Errors: Unsupported, Timeout, PluginFailed, Refused.
    fn sign_in(&self, options: Options<'_>) -> Result<(), Error>;

    /// Asks the network whether it is well; never with money. Errors: Unsupported, Timeout, PluginFailed.
    fn probe(&self, options: Options<'_>) -> Result<(String, String), Error>;

    /// The state moved: once for each move. reason is one line, or empty.
    #[zbus(signal, name = "StateChanged")]
    fn moved(&self, old: &str, new: &str, reason: &str) -> Result<(), Error>;
}
