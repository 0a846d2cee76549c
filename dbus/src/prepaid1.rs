//! `org.tilld.Prepaid1`.

use zbus::{Fd, OwnedObjectPath};

use crate::types::{CardEntry, CardReport};
use crate::{Error, Options};

/// org.tilld.Prepaid1: the shop's own stored-value cards, at /org/tilld/Till1/channel/`<id>` of a channel
/// that keeps them (no other channel has this interface). A card is presented first, by PresentCard or
/// ReadCard, and then known by a ticket for three minutes: its number is in no bus message. A report
/// (a{sv}) has account (s, masked), standing (s: active, blocked, expired, closed), balance (x), currency
/// (s), expires (s: last day, YYYY-MM-DD; empty: no end), class (s: bearer, registered). Since: 0.2 for all
/// members.
#[zbus::proxy(interface = "org.tilld.Prepaid1", default_service = "org.tilld.Till1")]
pub trait Prepaid1 {
    /// Hands a card over by its number or code, through a pipe that is closed after it (as PayCode).
    /// Returns its ticket, and what was given, masked. Errors: NotPayable, InvalidArgs, Timeout.
    fn present_card(&self, number: Fd<'_>, options: Options<'_>) -> Result<(String, String), Error>;

    /// Arms the readers for one card; CardPresented tells its ticket. A payment that is confirmed takes the
    /// readers over. Errors: Busy (a payment holds the till), InvalidArgs, PluginFailed. Options: timeout-s
    /// (u), 60 when absent, 180 at most.
    fn read_card(&self, options: Options<'_>) -> Result<(), Error>;

    /// Issues a card, empty: money comes onto it by TopUp. A number is issued once. Errors: NotFound (the
    /// ticket), NotPayable (no card of this shop), Refused (issued already), KeyReuse, InvalidArgs,
    /// Timeout, PluginFailed. Options: operator (s), wanted: who did it stands in the ledger; registered
    /// (b): in a holder's name; key (s): the same key and request is one issue.
    fn issue(&self, card: &str, options: Options<'_>) -> Result<CardReport, Error>;

    /// How a card stands. Errors: NotFound (the ticket, or a card that was never issued), NotPayable,
    /// Refused, Timeout, PluginFailed.
    fn query(&self, card: &str, options: Options<'_>) -> Result<CardReport, Error>;

    /// A card's entries in the ledger, newest first, those before a number (0: the newest): (number, Unix
    /// ms, operation: issue, load, debit, refund, void, undo, block, unblock, reactivate, redeem …; change
    /// of the balance, balance after it, order number). next is where older ones go on, 0 at the end.
    /// Errors as Query. Options: limit (u), 50 when absent, 200 at most.
    fn history(&self, card: &str, before: u64, options: Options<'_>) -> Result<(Vec<CardEntry>, u64), Error>;

    /// Lets nothing be taken from a card or loaded onto it. Errors as Issue. Options: operator (s), wanted;
    /// key (s).
    fn block(&self, card: &str, reason: &str, options: Options<'_>) -> Result<CardReport, Error>;

    /// Lifts a block. Errors and options as Block.
    fn unblock(&self, card: &str, reason: &str, options: Options<'_>) -> Result<CardReport, Error>;

    /// Makes a card usable again whose validity has ended; its balance was kept. Errors as Issue; Refused:
    /// it has not ended. Options: operator (s), wanted; key (s).
    fn reactivate(&self, card: &str, options: Options<'_>) -> Result<CardReport, Error>;

    /// Pays a card's whole balance out and closes the card for good. The money is handed over in cash: the
    /// drawer opens, where there is one, and the journal has who, how much and why. The report has paid-out
    /// (x) too. Errors as Issue; Refused: blocked, closed, or a bearer card where the channel does not pay
    /// those out. Options: operator (s), wanted; key (s): the same key and card is paid out once, and tells
    /// the same amount again.
    fn redeem(&self, card: &str, reason: &str, options: Options<'_>) -> Result<CardReport, Error>;

    /// Opens a payment over an amount that goes onto the card: paid by another tender as any payment
    /// (ConfirmAmount, PayCash …; not by a card of this channel), then loaded; both or neither, also over a
    /// crash. The card need not be there when it is paid. Errors: NotFound, NotPayable, Refused (blocked,
    /// expired, over its cap), Busy, KeyReuse, InvalidArgs, JournalUnavailable, Timeout, PluginFailed.
    /// Options: key (s), subject (s), operator (s), as OpenPayment.
    fn top_up(&self, card: &str, amount: i64, options: Options<'_>) -> Result<OwnedObjectPath, Error>;

    /// A reader read a card for ReadCard: its ticket, the card masked, and the device.
    #[zbus(signal)]
    fn card_presented(&self, card: &str, masked: &str, device: &str) -> Result<(), Error>;
}
