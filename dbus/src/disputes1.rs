//! `org.tilld.Disputes1`.

use zbus::Fd;

use crate::types::{DisputeEvent, DisputeLeg, DisputeRow};
use crate::{Error, Options};

/// org.tilld.Disputes1: cases of disputed payments, at /org/tilld/Till1. A case links the payment, what
/// went back of it, and the evidence that was handed over; it moves no money: a refund is
/// AfterSales1.Refund, and somebody's decision. States: open, answered, won, lost. Each method that changes
/// a case wants an operator: who did it stands in the journal. Since: 0.2 for all members.
#[zbus::proxy(
    interface = "org.tilld.Disputes1",
    default_service = "org.tilld.Till1",
    default_path = "/org/tilld/Till1"
)]
pub trait Disputes1 {
    /// Opens a case over an amount (0: all) of an approved attempt; one open case an attempt. Returns its
    /// number. Errors: NotFound, Gone, NotPossible, TooMuch, WrongState (it has an open case), InvalidArgs,
    /// JournalUnavailable. Options: operator (s), wanted; attempt (u): which of several; reference (s): its
    /// number at the network; answer-by-ms (x): when the answer is due, Unix ms.
    fn open(&self, payment: &str, amount: i64, reason: &str, options: Options<'_>) -> Result<u32, Error>;

    /// Notes something in a case. Errors: NotFound, WrongState (it is closed), InvalidArgs,
    /// JournalUnavailable. Options: operator (s), wanted.
    fn note(&self, dispute: u32, text: &str, options: Options<'_>) -> Result<(), Error>;

    /// Writes the payment's evidence, signed by this till, into the caller's file, and notes its BLAKE3
    /// hash in the case: answered. Returns records in the file, and the hash. Errors as Note. Options:
    /// operator (s), wanted; text (s): what was said with it.
    fn answer(&self, dispute: u32, file: Fd<'_>, options: Options<'_>) -> Result<(u64, String), Error>;

    /// Closes a case: outcome won or lost. No money moves. Errors as Note. Options: operator (s), wanted.
    fn close(&self, dispute: u32, outcome: &str, reason: &str, options: Options<'_>) -> Result<(), Error>;

    /// Cases, newest first: every open one, and the newest closed ones: (number, payment, attempt, amount,
    /// currency, state, reason, reference, opened, changed, answer by: Unix ms, 0 not said). Errors:
    /// InvalidArgs. Options: state (s); limit (u), 100 when absent.
    fn list(&self, options: Options<'_>) -> Result<Vec<DisputeRow>, Error>;

    /// One case; legs that gave money of that attempt back: (attempt, kind, amount, state, receipt); and
    /// what happened to it, oldest first: (seq, Unix ms, event: opened, noted, answered, closed; operator,
    /// text, hash of the evidence file). Errors: NotFound, JournalUnavailable.
    fn show(
        &self,
        dispute: u32,
        options: Options<'_>,
    ) -> Result<(DisputeRow, Vec<DisputeLeg>, Vec<DisputeEvent>), Error>;
}
