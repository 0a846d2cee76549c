//! `org.tilld.Notices1`.

use crate::types::{NoticeRow, ReceiverRow};
use crate::{Error, Options};

/// org.tilld.Notices1: what the merchant is told, at /org/tilld/Till1: money in and out, decisions that
/// people must take, disputes. Each receiver (a back office, a voice box, a message service) has a cursor
/// in the journal under its own name and asks from there: List, do it, Acknowledge. Nothing is lost over a
/// crash of either side; what was not acknowledged comes again with the same id. Since: 0.2 for all
/// members.
#[zbus::proxy(
    interface = "org.tilld.Notices1",
    default_service = "org.tilld.Till1",
    default_path = "/org/tilld/Till1"
)]
pub trait Notices1 {
    /// Notices that a receiver has not acknowledged, oldest first: (seq, id: 32 hexadecimal digits, the
    /// same for ever, to notice what came twice; kind: paid, held, captured, released, refunded, voided,
    /// top-up-paid, loaded, review, late-approval, hold-expired, dispute, day-closed …; payment or empty, amount,
    /// currency, channel, English, Chinese, Unix ms). upto is what to acknowledge when all of them are done; it grows
    /// also where no notice was found. Looks at most at 20,000 records a call: go on until nothing comes
    /// and upto is the newest. Errors: InvalidArgs, JournalUnavailable. Options: limit (u), 100 when
    /// absent, 500 at most; after (t): behind this record, in place of the cursor.
    fn list(&self, receiver: &str, options: Options<'_>) -> Result<(Vec<NoticeRow>, u64), Error>;

    /// A receiver has everything up to this record. A cursor never goes back. Errors: InvalidArgs,
    /// NotPayable (a record that is not written yet, or too many receivers), JournalUnavailable.
    fn acknowledge(&self, receiver: &str, upto: u64, options: Options<'_>) -> Result<(), Error>;

    /// Receivers and how far each is: (name, seq).
    fn list_receivers(&self, options: Options<'_>) -> Result<Vec<ReceiverRow>, Error>;

    /// There is a notice: List gives it. payment is empty where it is about none (day-closed). Sent once; a receiver that was away asks when it is back.
    #[zbus(signal)]
    fn notice_due(&self, seq: u64, payment: &str) -> Result<(), Error>;
}
