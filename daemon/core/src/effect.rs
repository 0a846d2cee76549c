//! What the shell does once a record is on disk. Never before (W1, W5).

use till_plugin::channel::{AttemptIds, UndoReason};
use till_plugin::{Currency, Family, Money};

use crate::batch::{Entry, PartId, Totals};
use crate::payment::{LegKind, PaymentId};
use crate::training::Train;

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
    /// Nobody wants the attempt any more that is being prepared: who waits for its customer (a PIN is being typed) stops
    /// waiting.
    StopWaiting {
        /// Payment.
        payment: PaymentId,
    },
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
    /// Send the settlement slip of a closed batch to the printer.
    PrintSlip {
        /// Job.
        job: u64,
        /// Batch.
        batch: u32,
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
    /// A balance inquiry may go out, under these numbers. Until it is over the shell lets nothing else begin on its channel.
    Inquire {
        /// Channel.
        channel: String,
        /// Number of the [`Input::Inquire`](crate::Input::Inquire).
        number: u64,
        /// Trace number.
        trace: u32,
        /// Batch.
        batch: u32,
    },
    /// Tell clients that a batch is new or changed.
    BatchChanged {
        /// Batch.
        batch: u32,
    },
    /// Come back with `Input::GoOnSettling` after this long.
    SettleAfter {
        /// Batch.
        batch: u32,
        /// Part; None: the batch as a whole.
        part: Option<PartId>,
        /// Wait, ms of boot time.
        after_ms: u64,
    },
    /// Let a channel compare the totals of a part (`Channel::settle`); come back with `Input::Settled`. Sales go on
    /// meanwhile, under the next batch number.
    Settle {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
        /// Numbers of the exchange; `ids.batch` is the network's batch number, `ids.payment` is zero.
        ids: AttemptIds,
        /// The second comparison, after the details: `recheck` = `1` in the request's extra facts. A network that
        /// compares only once answers `Unknown(Unsupported)`, with no byte sent.
        again: bool,
        /// What was taken and given back. A request names one currency, `currency`; the others go into its extra
        /// facts as `debits.USD` = `amount/count` and `credits.USD`, in minor units.
        totals: Totals,
        /// That currency, also when there are no totals at all.
        currency: Currency,
        /// Who closed the batch.
        operator: Option<String>,
    },
    /// Let a channel take detail records of a part, or the end of the batch (`Channel::upload`); come back with
    /// `Input::Uploaded`. The shell reads each entry's approval and recovery data from the journal.
    UploadRecords {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
        /// Numbers of the exchange.
        ids: AttemptIds,
        /// The records; none at the end.
        entries: Vec<Entry>,
        /// Place of the first one, from 0.
        from: u32,
        /// Records in the part.
        total: u32,
        /// End of the batch: nothing more comes, the network closes it.
        end: bool,
        /// Whether totals agreed.
        balanced: bool,
    },
    /// Nothing that was sealed for batches below this one is needed any more: destroy its keys. Safe to repeat.
    Shred {
        /// The oldest batch that may still be needed.
        below: u32,
    },
    /// Let the training host answer: `training::answer`, and nothing else. No channel hears of it.
    Train(Train),
    /// Tell clients that training began or ended.
    TrainingChanged,
    /// Tell clients that a channel was suspended or resumed.
    SuspensionChanged {
        /// Channel.
        channel: String,
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
