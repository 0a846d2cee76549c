//! `org.tilld.Terminal1`.

use zbus::{Fd, ObjectPath, OwnedObjectPath};

use crate::types::{
    Blocker, DecisionRow, InsteadRow, MaintenanceRow, PaymentDetails, PaymentRow, ProfileState, SuspensionRow,
};
use crate::{Error, Options};

/// org.tilld.Terminal1: the till itself, at /org/tilld/Till1. Payments, channels and devices are objects below it
/// (org.freedesktop.DBus.ObjectManager at the same path).
#[zbus::proxy(
    interface = "org.tilld.Terminal1",
    default_service = "org.tilld.Till1",
    default_path = "/org/tilld/Till1"
)]
pub trait Terminal1 {
    /// Version of the daemon. Const.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> Result<String, Error>;

    /// Terminal id (TID) from the configuration. Const.
    #[zbus(property(emits_changed_signal = "const"))]
    fn terminal(&self) -> Result<String, Error>;

    /// Id of the channel that the operator chose; empty: chosen for each payment. Changes exactly once for each switch.
    #[zbus(property)]
    fn current_channel(&self) -> Result<String, Error>;

    /// The payment that holds the till, or "/" when the till is free.
    #[zbus(property)]
    fn active_payment(&self) -> Result<OwnedObjectPath, Error>;

    /// The till is in training: no money moves by what is sold now, and a real payment is refused. Survives every restart.
    /// Since 0.2.
    #[zbus(property)]
    fn training(&self) -> Result<bool, Error>;

    /// Which profile decides what is offered: (the one in force, or empty; the next change, Unix ms, or 0; the one in force
    /// then, or empty). Nothing while the clock is not trusted. Followed within half a minute; choices are exact, and a
    /// sale goes by the moment it was opened. Since 0.2.
    #[zbus(property)]
    fn profile(&self) -> Result<ProfileState, Error>;

    /// ready, or degraded (sales go on, see Blockers), or blocked (no sale can start).
    #[zbus(property)]
    fn state(&self) -> Result<String, Error>;

    /// Everything that stands in the way: (subject, code, English, Chinese).
    #[zbus(property)]
    fn blockers(&self) -> Result<Vec<Blocker>, Error>;

    /// Opens a payment; it then waits for ConfirmAmount on its object. Errors: Busy, InvalidArgs, KeyReuse,
    /// JournalUnavailable. Options: key (s) idempotency key, at most 64 bytes: the same key and request gives the same
    /// payment again, also after a restart; subject (s) at most 64 characters; operator (s); purpose (s): sale, or hold for
    /// a pre-authorisation; training (b): it is meant as training, and must be exactly while Training is true (else
    /// WrongState), so that nobody takes the one for the other.
    fn open_payment(
        &self,
        amount: i64,
        currency: &str,
        options: Options<'_>,
    ) -> Result<OwnedObjectPath, Error>;

    /// Chooses the current channel by id; empty: automatic. Durable when it returns. Errors: Busy (a payment is in
    /// flight; nothing changed), NotFound, JournalUnavailable. Options: operator (s).
    fn select_channel(&self, channel: &str, options: Options<'_>) -> Result<(), Error>;

    /// Announces maintenance of channels: text is TOML, with id = "name" and `[[window]]` tables as in tilld.toml's
    /// `[[routing.window]]`. It takes the place of what had the same name, and holds over restarts until it is withdrawn. Durable
    /// when it returns. Errors: InvalidArgs (text, or a channel that is not configured), WrongState (too many), JournalUnavailable.
    /// Options: operator (s). Since 0.2.
    fn announce_maintenance(&self, text: &str, options: Options<'_>) -> Result<String, Error>;

    /// Takes an announcement back, by its name; the newest signed message is called signed. Errors: NotFound, WrongState (a file
    /// says it), JournalUnavailable. Options: operator (s). Since 0.2.
    fn withdraw_maintenance(&self, id: &str, options: Options<'_>) -> Result<(), Error>;

    /// Brings a signed announcement: message is TOML as for AnnounceMaintenance, without a name, with issue = a number that grows,
    /// `tills = [terminal ids]` where it is not for all, and valid-until, before which it must be brought; signature is base64 of an Ed25519 signature over exactly its bytes by
    /// maintenance.public-key. It takes the place of the signed message before it; channels that are not configured are left out.
    /// Delivering it again changes nothing. What is refused changes nothing either and is an alarm (`maintenance-message`). Errors:
    /// NotGenuine, Outdated (a newer one came before, or it is past valid-until), InvalidArgs (also: for other tills), WrongState
    /// (valid-until while the clock is not trusted), Unsupported (no key), JournalUnavailable. Since 0.2.
    fn deliver_maintenance(&self, message: &str, signature: &str, options: Options<'_>)
    -> Result<u64, Error>;

    /// Everything that was announced while the till runs (tilld.toml's own windows are not in it), a row for each window: (name;
    /// supervisor, file or signed; number of the message or 0; channel; beginning and end of its occurrence of now or the next
    /// one, Unix ms, 0 when it is over; down or degraded; reason). Since 0.2.
    fn list_maintenance(&self, options: Options<'_>) -> Result<Vec<MaintenanceRow>, Error>;

    /// Says a merchant's number and password for a channel that asks for them (Channel1.Merchant). password: a pipe that the
    /// password stands in, its writing end closed within two seconds; it is in no message. The try is counted on disk
    /// before the password is looked at. Passing is good for sales of the same operator on this channel until
    /// SignOutMerchant, a restart of tilld, or the configured time (8 hours). Errors: WrongPassword, TooSoon (wait), Locked
    /// (UnlockMerchant), NotFound, WrongState (it asks for nobody), Unsupported (its secret cannot be used), Timeout,
    /// JournalUnavailable. Options: operator (s) whose sales. Since 0.2.
    fn authenticate_merchant(
        &self,
        channel: &str,
        merchant: &str,
        password: Fd<'_>,
        options: Options<'_>,
    ) -> Result<(), Error>;

    /// Ends what AuthenticateMerchant began; what is under way goes on. Errors: NotFound, WrongState, JournalUnavailable.
    /// Options: operator (s). Since 0.2.
    fn sign_out_merchant(&self, channel: &str, options: Options<'_>) -> Result<(), Error>;

    /// Forgets the wrong tries of a channel, so that people may try again. Errors: NotFound, WrongState, InvalidArgs (no
    /// operator), JournalUnavailable. Options: operator (s), who: must be there. Since 0.2.
    fn unlock_merchant(&self, channel: &str, options: Options<'_>) -> Result<(), Error>;

    /// Puts the till into training, or takes it out of it. Durable when it returns. Errors: Busy (a payment holds the
    /// till), WrongState (no operator), JournalUnavailable. Options: operator (s), who: must be there. Since 0.2.
    fn set_training(&self, on: bool, options: Options<'_>) -> Result<(), Error>;

    /// Suspends a channel: no sale goes to it any more, on its own or by choice, until ResumeChannel; what is under way on it
    /// is resolved, and what was paid with it can be given back. Its State becomes suspended. Durable when it returns, and
    /// kept over every restart. Errors: NotFound, Suspended (it is), InvalidArgs (no reason, no operator),
    /// JournalUnavailable. Options: operator (s), who: must be there. Since 0.2.
    fn suspend_channel(&self, channel: &str, reason: &str, options: Options<'_>) -> Result<(), Error>;

    /// Takes a suspension back, a rule's too. Durable when it returns. Errors: NotFound, NotSuspended, InvalidArgs (no
    /// reason, no operator), JournalUnavailable. Options: operator (s), who: must be there. Since 0.2.
    fn resume_channel(&self, channel: &str, reason: &str, options: Options<'_>) -> Result<(), Error>;

    /// The newest suspensions and what ended them, newest first, at most 64: (channel; suspended or resumed; by person, or
    /// the rule pinning; why; who, empty for a rule; payment whose answer gave the reason, or empty; Unix ms; journal
    /// number). Since 0.2.
    fn list_suspensions(&self, options: Options<'_>) -> Result<Vec<SuspensionRow>, Error>;

    /// Opens the cash drawer without a sale. Errors: InvalidArgs (no reason), Unsupported (no drawer),
    /// JournalUnavailable. Options: operator (s).
    fn open_drawer(&self, reason: &str, options: Options<'_>) -> Result<(), Error>;

    /// Payments newest first, finished ones too. Each: (payment id, state, amount, currency, channel, opened Unix ms).
    /// Options: before (s) payment id to go on after.
    fn list_payments(&self, limit: u32, options: Options<'_>) -> Result<Vec<PaymentRow>, Error>;

    /// Everything about one payment, open or finished, by its id (32 hexadecimal digits) or idempotency key: the same
    /// keys as org.tilld.Payment1.Describe. Errors: NotFound.
    fn find_payment(&self, id_or_key: &str, options: Options<'_>) -> Result<PaymentDetails, Error>;

    /// Why each attempt of a payment went to its channel, and why not to the others, told from the journal alone, oldest
    /// first: (attempt, English, Chinese, decision as JSON). The texts have lines. The payment as for FindPayment. Errors:
    /// NotFound, JournalUnavailable. Since 0.2.
    fn explain(&self, id_or_key: &str, options: Options<'_>) -> Result<Vec<DecisionRow>, Error>;

    /// Which channel would take an amount of a family of instruments, and what else this till would take: asks nobody and
    /// writes nothing. channel is empty when none would; text and text_zh have lines; decision is JSON; instead: (family,
    /// channel, fee in minor units or -1 when it is not known), the best first. Errors: InvalidArgs. Options: at (x) Unix
    /// ms, windows and hours as they are then, health and breakers as they are now; account (s) how the card begins, at
    /// most six digits; operator (s); channel (s) as if it had been chosen; purpose (s): sale or hold. Since 0.2.
    fn what_if(
        &self,
        amount: i64,
        currency: &str,
        family: &str,
        options: Options<'_>,
    ) -> Result<(String, String, String, String, Vec<InsteadRow>), Error>;

    /// Something a person must know. level: info, warning, critical. payment is "/" when it is about none.
    #[zbus(signal)]
    fn alarm(&self, level: &str, code: &str, payment: ObjectPath<'_>, text: &str) -> Result<(), Error>;
}
