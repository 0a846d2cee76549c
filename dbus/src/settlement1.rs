//! `org.tilld.Settlement1`.

use crate::types::{BatchRow, ExceptionRow, FeeDifferenceRow, FeeRow, OperatorRow, PartRow, PayoutRow};
use crate::{Error, Options};

/// org.tilld.Settlement1: batches and the end of day, at /org/tilld/Till1. Each business day is one batch of the
/// till, with a part for each channel. Closing freezes the batch and opens the next at once: sales never wait for
/// a settlement.
#[zbus::proxy(
    interface = "org.tilld.Settlement1",
    default_service = "org.tilld.Till1",
    default_path = "/org/tilld/Till1"
)]
pub trait Settlement1 {
    /// Number of the open batch.
    #[zbus(property)]
    fn open_batch(&self) -> Result<u32, Error>;

    /// Its business date, YYYY-MM-DD; empty while no clock that can be believed has told it.
    #[zbus(property)]
    fn business_date(&self) -> Result<String, Error>;

    /// Ends the business day: the open batch is frozen and settled in the background, the next one is open when
    /// this returns. Returns the number of the frozen batch, 0 when there was nothing to close. Errors:
    /// WrongState, InvalidArgs, JournalUnavailable. Options: operator (s), wanted.
    fn close(&self, options: Options<'_>) -> Result<u32, Error>;

    /// The open batch, those being settled, and the newest closed ones, newest first: (number, business date,
    /// state: open, frozen, closed; automatic, operator).
    fn list_batches(&self, options: Options<'_>) -> Result<Vec<BatchRow>, Error>;

    /// What each operator took and gave back in a batch: (operator or empty, currency, debits, their count,
    /// credits, their count). Who asks for a void or refund has it in their own row. Errors: NotFound,
    /// JournalUnavailable. Since: 0.2.
    fn list_operators(&self, batch: u32, options: Options<'_>) -> Result<Vec<OperatorRow>, Error>;

    /// Parts of a batch, of any batch whose records the journal still has (as ListOperators, ListExceptions,
    /// ListPayouts, SlipText, ReprintSlip): (channel, network batch number, state, currency, debits, their count, credits, their
    /// count, what the settlement waits for or why it stopped). A part with several currencies has a row for
    /// each. Errors: NotFound.
    fn list_parts(&self, batch: u32, options: Options<'_>) -> Result<Vec<PartRow>, Error>;

    /// What a batch leaves to people, by name: (channel, payment id or empty, attempt or 0, code, English,
    /// Chinese). Errors: NotFound.
    fn list_exceptions(&self, batch: u32, options: Options<'_>) -> Result<Vec<ExceptionRow>, Error>;

    /// Lets a settlement go on that was given up. Errors: WrongState, InvalidArgs, JournalUnavailable. Options:
    /// network (u): the network's batch number when the channel has several parts; operator (s).
    fn settle_again(&self, batch: u32, channel: &str, options: Options<'_>) -> Result<(), Error>;

    /// Closes a part that cannot be settled, with its exceptions named. It takes two people: the first call
    /// proposes it and returns false, the same call by another operator closes it and returns true. A proposal
    /// is over when the settlement goes on. Errors: WrongState, InvalidArgs, JournalUnavailable. Options: operator
    /// (s), wanted; network (u).
    fn close_anyway(
        &self,
        batch: u32,
        channel: &str,
        reason: &str,
        options: Options<'_>,
    ) -> Result<bool, Error>;

    /// What is expected of the closed parts of a batch: (channel, network batch number, currency, fees, what is
    /// paid out after fees, day of the payout YYYY-MM-DD or empty). Errors: NotFound.
    fn list_payouts(&self, batch: u32, options: Options<'_>) -> Result<Vec<PayoutRow>, Error>;

    /// What a batch's channels take, as forecast when a sale went to its channel, beside what they charged where their
    /// network said so. lines: (channel, network batch number, currency, sales, their amount, sales with a forecast, their
    /// amount, sum of the forecasts, sales whose charge was told, their amount, sum of the charges, sales with both, how
    /// much more was charged for these than was forecast, how many of these differ by more than a rounding, voids). A sale
    /// voided in the same batch is in none of the sums. differences: (payment id, attempt, channel, network batch number,
    /// currency, amount, forecast, charged) of each sale that differs, oldest first. Errors: NotFound, JournalUnavailable.
    /// Options: limit (u): most differences, 200 when not given, at most 1000. Since: 0.2.
    fn fee_report(
        &self,
        batch: u32,
        options: Options<'_>,
    ) -> Result<(Vec<FeeRow>, Vec<FeeDifferenceRow>), Error>;

    /// The settlement slip of a closed batch as plain text. Errors: NotFound, WrongState. Options: columns (u),
    /// 32 when not given.
    fn slip_text(&self, batch: u32, options: Options<'_>) -> Result<String, Error>;

    /// Prints the settlement slip of a closed batch once more, marked as a copy. Returns the number of the copy.
    /// The original is printed by itself when the batch is closed. Errors: WrongState, InvalidArgs,
    /// JournalUnavailable. Options: operator (s), wanted.
    fn reprint_slip(&self, batch: u32, options: Options<'_>) -> Result<u32, Error>;

    /// A batch or a part of it moved on.
    #[zbus(signal)]
    fn batch_changed(&self, batch: u32, state: &str) -> Result<(), Error>;
}
