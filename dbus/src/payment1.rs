//! `org.tilld.Payment1`.

use zbus::Fd;

use crate::types::{PaymentDetails, Prompt};
use crate::{Error, Options};

/// org.tilld.Payment1: one payment, at /org/tilld/Till1/payment/p`<id>`. Finished payments keep their object for a
/// while; org.tilld.Terminal1.FindPayment finds all.
#[zbus::proxy(interface = "org.tilld.Payment1", default_service = "org.tilld.Till1")]
pub trait Payment1 {
    /// 32 hexadecimal digits.
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> Result<String, Error>;

    /// What is owed, minor units.
    #[zbus(property(emits_changed_signal = "const"))]
    fn amount(&self) -> Result<i64, Error>;

    /// ISO 4217.
    #[zbus(property(emits_changed_signal = "const"))]
    fn currency(&self) -> Result<String, Error>;

    /// sale, hold (pre-authorisation) or top-up.
    #[zbus(property(emits_changed_signal = "const"))]
    fn purpose(&self) -> Result<String, Error>;

    /// Opened for training: no money moves, it is in no totals, and its papers say so. Since 0.2.
    #[zbus(property(emits_changed_signal = "const"))]
    fn training(&self) -> Result<bool, Error>;

    /// draft, ready, tendering, part-paid (waits for the next tender), paid, authorised (a hold stands), delivering (a
    /// top-up is being loaded), returning (what was taken is being given back), returned, cancelled, review.
    #[zbus(property)]
    fn state(&self) -> Result<String, Error>;

    /// Why it is so, lower-kebab or the network's code; empty when the state says all.
    #[zbus(property)]
    fn state_reason(&self) -> Result<String, Error>;

    /// What has been taken, minor units; what went back of it is in Returned.
    #[zbus(property)]
    fn paid(&self) -> Result<i64, Error>;

    /// What went back, minor units.
    #[zbus(property)]
    fn returned(&self) -> Result<i64, Error>;

    /// What is still owed, minor units.
    #[zbus(property)]
    fn remaining(&self) -> Result<i64, Error>;

    /// What is held by a pre-authorisation, minor units.
    #[zbus(property)]
    fn held(&self) -> Result<i64, Error>;

    /// Channel of the newest attempt; empty before the first.
    #[zbus(property)]
    fn channel(&self) -> Result<String, Error>;

    /// State of the newest attempt (created, not-sent, sent, approved, declined, querying, reversing, reversed,
    /// review); empty before the first. querying and reversing mean: nobody knows yet whether money moved.
    #[zbus(property)]
    fn attempt_state(&self) -> Result<String, Error>;

    /// What the person at the till is to do or say now (confirm-amount, present-instrument, present-card-again,
    /// enter-pin (the customer is at the PIN pad of argument device, and nothing has been sent; no digit ever comes here), wait,
    /// show-code, complete-or-release, done, call-supervisor), and its arguments. Never empty.
    #[zbus(property)]
    fn prompt(&self) -> Result<Prompt, Error>;

    /// Receipt number; 0 until paid.
    #[zbus(property)]
    fn receipt(&self) -> Result<u64, Error>;

    /// Journal sequence number of the newest change: grows with every change.
    #[zbus(property)]
    fn seq(&self) -> Result<u64, Error>;

    /// The customer agreed to this amount; readers are armed. Errors: WrongAmount, WrongState, JournalUnavailable.
    fn confirm_amount(&self, amount: i64, currency: &str, options: Options<'_>) -> Result<(), Error>;

    /// The customer pays cash and handed this over. Errors: TooLittle, TooMuch, NoRoute, WrongState, JournalUnavailable.
    /// Options: channel (s); amount (x): a part of what is owed, the rest is paid otherwise.
    fn pay_cash(&self, tendered: i64, options: Options<'_>) -> Result<(), Error>;

    /// A code read by the front-end's own scanner, through a pipe (or memfd): write the code, close, pass the reading
    /// end. So the code, a bearer credential, is in no bus message. UTF-8, at most 8192 bytes; used at once and kept
    /// nowhere. Errors: NotPayable, UsedAlready, NoRoute, WrongState, Timeout (the writing end was not closed within
    /// two seconds), TooMuch, PossibleDuplicate, JournalUnavailable. Options: channel (s); family (s) when the operator
    /// says what it is; amount (x): a part of what is owed; duplicate-reason (s): why the same amount with the same
    /// instrument is another purchase.
    fn pay_code(&self, code: Fd<'_>, options: Options<'_>) -> Result<(), Error>;

    /// Shows the customer a code to scan (S20): the network is asked for one, which comes as ShowCode and in Prompt, and the
    /// payment ends when the network says that it was paid. Nobody need tell the till: it asks. A code that nobody scans in
    /// the channel's time is taken back. Errors: NoRoute (no channel shows codes now), WrongState, TooMuch,
    /// JournalUnavailable. Options: channel (s): whose code, if it shows any, else as routing chooses;
    /// amount (x): a part of what is owed.
    fn pay_shown_code(&self, options: Options<'_>) -> Result<(), Error>;

    /// Gives the payment up. Before anything was sent: cancelled at once. Afterwards the request is resolved first; if
    /// it turns out paid it is undone. Errors: WrongState. Options: operator (s).
    fn cancel(&self, options: Options<'_>) -> Result<(), Error>;

    /// What a reader reads next pays this much of what remains. Kept in memory only. Errors: InvalidArgs, NotFound.
    /// Options: duplicate-reason (s): why the same amount with the same card is another purchase, after InputRefused said
    /// possible-duplicate.
    fn next_tender(&self, amount: i64, options: Options<'_>) -> Result<(), Error>;

    /// Gives an attempt up whose outcome nobody knows, so that another can begin: from now on it may only end undone or
    /// in review, never as money taken. Errors: NotPossible, JournalUnavailable. Options: operator (s).
    fn abandon(&self, reason: &str, options: Options<'_>) -> Result<(), Error>;

    /// A part-paid payment of before a restart goes on at this till. Errors: Busy, WrongState, JournalUnavailable.
    /// Options: operator (s).
    fn resume(&self, options: Options<'_>) -> Result<(), Error>;

    /// Everything: id, amount, currency, state, reason, subject, operator, key, purpose, paid, returned, remaining, held,
    /// receipt, receipt-printed (b), recovered (b), cancel-requested (b), seq, opened-ms, changed-ms, and attempts
    /// `(aa{sv})`: attempt, kind (sale, hold, void, refund, capture, release, load), of (the attempt it follows), amount,
    /// wants-card (b), reason, operator, receipt, channel, family, state, account (masked), trace, batch, order,
    /// reference, authorisation-code, change, code, text, text-zh, next, unknown-reason, queries, undos, decision (s,
    /// JSON). Keys without a value may be left out.
    fn describe(&self, options: Options<'_>) -> Result<PaymentDetails, Error>;

    /// The receipt as text lines, once paid. Errors: WrongState. Options: columns (u), 32 when absent.
    fn receipt_text(&self, options: Options<'_>) -> Result<String, Error>;

    /// Exactly once for each durable change of state, in order of seq.
    #[zbus(signal, name = "StateChanged")]
    fn moved(&self, old: &str, new: &str, reason: &str, seq: u64) -> Result<(), Error>;

    /// A reader read something for this payment: (device, family, masked). The data itself is never on the bus.
    #[zbus(signal)]
    fn presented(&self, device: &str, family: &str, masked: &str) -> Result<(), Error>;

    /// A reader read nothing useful, or what it read cannot be paid with: lower-kebab reason, English, Chinese, and the
    /// families to choose from when the operator must say (then call PayCode with family, or present again).
    #[zbus(signal)]
    fn input_refused(
        &self,
        device: &str,
        reason: &str,
        text: &str,
        text_zh: &str,
        families: Vec<&str>,
    ) -> Result<(), Error>;

    /// Show this code to the customer (QR content).
    #[zbus(signal)]
    fn show_code(&self, code: &str) -> Result<(), Error>;
}
