//! What the shell does once a record is on disk. Never before (W1, W5).

use till_plugin::channel::{AttemptIds, UndoReason};
use till_plugin::{Family, Money};

use crate::payment::{LegKind, PaymentId};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tell clients that a payment is new or changed.
    PaymentChanged(PaymentId),
    /// Tell clients that the current channel changed.
    ChannelChanged,
    /// Arm the readers for a payment.
    Arm {
        /// Payment.
        payment: PaymentId,
        /// What is owed.
        amount: Money,
    },
    /// Disarm them.
    Disarm,
    /// Let the channel prepare the attempt, a tender with the instrument that the shell holds.
    Prepare {
        /// Payment.
        payment: PaymentId,
        /// What it does.
        kind: LegKind,
        /// Channel.
        channel: String,
        /// Numbers.
        ids: AttemptIds,
        /// How much.
        amount: Money,
        /// For the statement.
        subject: String,
        /// Who.
        operator: Option<String>,
        /// What was presented.
        family: Family,
    },
    /// Send the request: an authorisation, or the leg that follows one.
    Authorise {
        /// Payment.
        payment: PaymentId,
        /// What it does.
        kind: LegKind,
        /// Attempt.
        attempt: u32,
        /// Channel.
        channel: String,
        /// Longest it may take, ms.
        timeout_ms: u32,
    },
    /// Wipe the instrument of an attempt from memory.
    ForgetInstrument {
        /// Payment.
        payment: PaymentId,
        /// Attempt.
        attempt: u32,
    },
    /// Come back with `Input::Resolve` after this long.
    ResolveAfter {
        /// Payment.
        payment: PaymentId,
        /// Attempt.
        attempt: u32,
        /// Wait, ms of boot time.
        after_ms: u64,
    },
    /// Send a query.
    Query {
        /// Payment.
        payment: PaymentId,
        /// What it does that is asked about.
        kind: LegKind,
        /// Attempt.
        attempt: u32,
        /// Channel.
        channel: String,
        /// Numbers.
        ids: AttemptIds,
        /// Amount.
        amount: Money,
        /// Sealed recovery data.
        recovery: Vec<u8>,
        /// Try, from 1.
        number: u32,
    },
    /// Send an undo.
    Undo {
        /// Payment.
        payment: PaymentId,
        /// Attempt.
        attempt: u32,
        /// Channel.
        channel: String,
        /// Numbers.
        ids: AttemptIds,
        /// Amount.
        amount: Money,
        /// Sealed recovery data.
        recovery: Vec<u8>,
        /// Why.
        reason: UndoReason,
        /// Try, from 1.
        number: u32,
    },
    /// Come back with `Input::GoOn` after this long: a return or delivery has a next step.
    GoOn {
        /// Payment.
        payment: PaymentId,
        /// Wait, ms of boot time; 0: at once.
        after_ms: u64,
    },
    /// Come back with `Input::NotAcknowledged` after this long.
    AskAcknowledgement {
        /// Payment.
        payment: PaymentId,
        /// Wait, ms of boot time.
        after_ms: u64,
    },
    /// A print job waits: come back with `Input::SendJob` when the printer can take it.
    QueueJob {
        /// Job.
        job: u64,
    },
    /// Send the receipt of a payment to the printer.
    Print {
        /// Job.
        job: u64,
        /// Payment.
        payment: PaymentId,
        /// Receipt number.
        receipt: u64,
        /// 0: the original; n: the n-th copy.
        copy: u32,
        /// Printer instance.
        printer: String,
        /// An earlier try may have left paper behind.
        restarted: bool,
    },
    /// Take a job back from the printer, if it has it.
    CancelPrint {
        /// Job.
        job: u64,
    },
    /// Open the cash drawer.
    OpenDrawer {
        /// Why.
        reason: String,
    },
    /// Show a code for the customer to scan.
    ShowCode {
        /// Payment.
        payment: PaymentId,
        /// Content.
        code: String,
    },
    /// Sign a channel in.
    SignIn {
        /// Channel.
        channel: String,
        /// Trace number.
        trace: u32,
        /// Batch.
        batch: u32,
    },
    /// Tell people.
    Alarm {
        /// Lower-kebab.
        code: &'static str,
        /// Payment it is about.
        payment: Option<PaymentId>,
        /// One line.
        text: String,
    },
}
