//! `org.tilld.AfterSales1`.

use crate::types::{BillRow, PaymentStep, ReceiptDetails};
use crate::{Error, Options};

/// org.tilld.AfterSales1: what follows a payment, at /org/tilld/Till1. It works on any payment of the journal,
/// also on one that has left the bus: it comes back with the call, and its object shows how the leg goes on. A
/// payment is named by its id or idempotency key; org.tilld.Terminal1.FindPayment takes the same. Each method
/// that moves money wants an operator: who did it stands in the journal.
#[zbus::proxy(
    interface = "org.tilld.AfterSales1",
    default_service = "org.tilld.Till1",
    default_path = "/org/tilld/Till1"
)]
pub trait AfterSales1 {
    /// Gives money back by the channel that took it. amount 0: all that is left. Returns the number of the leg at
    /// once; how it ends comes as Payment1 signals. Errors: TooMuch, NotPossible, Busy, KeyReuse, NotFound,
    /// InvalidArgs, JournalUnavailable. Options: operator (s), wanted; attempt (u): which of several tenders; key
    /// (s): the same key and request is the same refund, also after a restart; reason (s).
    fn refund(&self, payment: &str, amount: i64, options: Options<'_>) -> Result<u32, Error>;

    /// Takes an approved payment of the open batch back, whole. Errors and options as Refund.
    fn void(&self, payment: &str, options: Options<'_>) -> Result<u32, Error>;

    /// Takes held money (completion of a pre-authorisation). amount 0: the whole hold. Errors and options as
    /// Refund.
    fn capture(&self, payment: &str, amount: i64, options: Options<'_>) -> Result<u32, Error>;

    /// Gives a hold back without taking it. Errors and options as Refund.
    fn release(&self, payment: &str, options: Options<'_>) -> Result<u32, Error>;

    /// Prints a receipt or slip once more, as a numbered copy. Errors: NotPossible, NotFound, JournalUnavailable.
    /// Options: receipt (t): its number, the payment's own when absent; operator (s).
    fn reprint(&self, payment: &str, options: Options<'_>) -> Result<(), Error>;

    /// The first of two people says what became of an attempt in review: verdict happened or did-not, and what
    /// that rests on. attempt 0: the payment itself is accepted as it stands. Errors: Review, NotFound,
    /// InvalidArgs, JournalUnavailable. Options: operator (s), wanted.
    fn propose_review(
        &self,
        payment: &str,
        attempt: u32,
        verdict: &str,
        reason: &str,
        options: Options<'_>,
    ) -> Result<(), Error>;

    /// The second person, another one, says the same: that is what became of it. Errors: Review, NotFound,
    /// InvalidArgs, JournalUnavailable. Options: operator (s), wanted.
    fn confirm_review(
        &self,
        payment: &str,
        attempt: u32,
        verdict: &str,
        options: Options<'_>,
    ) -> Result<(), Error>;

    /// A sale that was found paid after a restart stands: the customer has the goods. Errors: WrongState,
    /// NotFound, JournalUnavailable. Options: operator (s).
    fn acknowledge(&self, payment: &str, options: Options<'_>) -> Result<(), Error>;

    /// A receipt or slip as data at any later time, also of a payment that has left the bus: (a{sv})
    /// payment (s), receipt (t), kind (s), amount (x), total (x), currency (s), channel (s), time (s), shop
    /// (s), terminal (s), operator (s), subject (s), copies (u), reference (s), lines (a(ss): label,
    /// value), text (s: as printed). Errors: NotFound, Gone (its records were removed after their time: the
    /// evidence file has it), WrongState (it has no such receipt), JournalUnavailable. Options: receipt
    /// (t): its number, the payment's own when absent; columns (u) of text, 32 when absent. Since: 0.2.
    fn receipt(&self, payment: &str, options: Options<'_>) -> Result<ReceiptDetails, Error>;

    /// Every record of a payment, oldest first: (seq, Unix ms, event: opened, sent, approved, abandoned,
    /// resumed, acknowledged …; attempt or 0, operator, text). Errors: NotFound, Gone, JournalUnavailable.
    /// Since: 0.2.
    fn history(&self, payment: &str, options: Options<'_>) -> Result<Vec<PaymentStep>, Error>;

    /// Ids of the payments that carry a number, newest first: payment id, idempotency key, order number, trace
    /// number (six digits), network reference, or receipt number (eight digits). Looks back at most 100,000
    /// records a call. Errors: JournalUnavailable. Options: limit (u), 20 when absent.
    fn find(&self, number: &str, options: Options<'_>) -> Result<Vec<String>, Error>;

    /// Payments as they stand, oldest first, opened after a journal sequence number (0: from the beginning): (seq
    /// when opened, payment id, state, amount, paid, returned, currency, channel, operator, opened Unix ms). Ask
    /// again with the last seq until nothing comes: sales that go on meanwhile change no page that was read.
    /// Looks at most at 20,000 records a call; next is where to go on, 0 at the end. Errors: InvalidArgs,
    /// JournalUnavailable. Options, all to be met: channel (s), operator (s), state (s), from-ms (x), to-ms (x),
    /// min (x), max (x), limit (u) at most 500.
    fn bill(&self, after: u64, options: Options<'_>) -> Result<(Vec<BillRow>, u64), Error>;
}
