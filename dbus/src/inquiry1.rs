//! `org.tilld.Inquiry1`.

use crate::types::BalanceReport;
use crate::{Error, Options};

/// org.tilld.Inquiry1: balances of customers' cards, at /org/tilld/Till1/channel/`<id>` of a channel whose
/// network tells them (no other channel has this interface). A card is presented first (ReadCard), and then
/// known by a ticket that is good for one question and three minutes: its number is in no bus message. A
/// balance goes to the caller and nowhere else: it is in no signal, no journal and no log, and must not be
/// kept. No money moves, so nothing is ever owed for a question that was not answered. Since: 0.2 for all
/// members.
#[zbus::proxy(interface = "org.tilld.Inquiry1", default_service = "org.tilld.Till1")]
pub trait Inquiry1 {
    /// Arms the readers for one card; CardPresented tells its ticket. A payment that is confirmed takes the
    /// readers over. Errors: Busy (a payment holds the till, or a balance is being asked for), Suspended,
    /// WrongState (not signed in, being settled, in maintenance, in training …), InvalidArgs, PluginFailed.
    /// Options: timeout-s (u), 60 when absent, 180 at most; operator (s): who asks.
    fn read_card(&self, options: Options<'_>) -> Result<(), Error>;

    /// Asks for the balance of a card; answers when the network has: up to three minutes, the PIN included,
    /// so call without a shorter timeout. With a PIN pad the PIN is always asked for (PinWanted). The report
    /// (a{sv}) has account (s, masked), balance (x, below zero where it is owed) and currency (s). The
    /// ticket is used up, but for Busy, Suspended and WrongState before anything was sent. Errors: Busy,
    /// Suspended, WrongState (as ReadCard), NotFound (the ticket), NotPayable (a card of another kind, or
    /// one that could not be read), NoPin (none came from the pad, or there is none and the acquirer wants
    /// it), Refused (the reason of the network), Timeout (it did not answer: ask again), BadAnswer (what it
    /// answered cannot be believed), Unsupported, PluginFailed. Options: operator (s): who asks.
    fn balance(&self, card: &str, options: Options<'_>) -> Result<BalanceReport, Error>;

    /// Stops an inquiry that waits for its PIN; its Balance then fails with WrongState. What has left cannot
    /// be stopped and ends by its answer. Errors: WrongState (nothing waits).
    fn stop(&self, options: Options<'_>) -> Result<(), Error>;

    /// A reader read a card after ReadCard: its ticket, the card masked, the reader.
    #[zbus(signal)]
    fn card_presented(&self, card: &str, masked: &str, device: &str) -> Result<(), Error>;

    /// The customer is asked for the PIN at this pad.
    #[zbus(signal)]
    fn pin_wanted(&self, device: &str) -> Result<(), Error>;
}
