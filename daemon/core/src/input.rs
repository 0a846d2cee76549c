//! What can happen to the till.

use till_plugin::channel::{Decline, Outcome, QueryOutcome, SettleOutcome, UndoOutcome};
use till_plugin::driver::PrintState;
use till_plugin::{Family, Money};

use crate::announce::{Announcement, Source};
use crate::batch::{PartId, Rules};
use crate::dispute::DisputeEvent;
use crate::payment::{LegKind, PaymentId, Purpose, Verdict};
use crate::routing::RouteView;

/// The world as it is when an input is decided; everything that is not in the journal.
#[derive(Clone, Debug)]
pub struct Context {
    /// Wall clock, Unix ms.
    pub wall_ms: i64,
    /// Whether it is trusted.
    pub clock_trusted: bool,
    /// Channels as configured and as they are now.
    pub routes: Vec<RouteView>,
    /// Terminal id, letters and digits, at most 8; part of order numbers.
    pub terminal: String,
    /// Version of the configuration.
    pub config: String,
    /// Receipts are printed by this printer instance; None: no printer configured.
    pub printer: Option<String>,
    /// A code or card may not be used again within this many ms.
    pub reuse_window_ms: i64,
    /// The same amount with the same card within this many ms is a possible duplicate; 0: never.
    pub duplicate_window_ms: i64,
    /// An approval that a restart found is given back unless somebody acknowledges it within this many ms; None: it
    /// stands.
    pub undo_after_ms: Option<u64>,
    /// How long a hold is good, ms; after that it is taken as run out.
    pub hold_valid_ms: i64,
    /// A receipt that could not be printed for this long is not printed any more, ms.
    pub job_valid_ms: i64,
    /// Rules of batches and limits.
    pub rules: Rules,
}

/// An instrument as the machine may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Family, recognised or said by the operator.
    pub family: Family,
    /// How it is known.
    pub evidence: String,
    /// How it may be shown.
    pub masked: String,
    /// Keyed token; empty for cash and shown codes.
    pub token: String,
    /// What was handed over, for cash.
    pub tendered: Option<Money>,
    /// A channel that the operator named for this payment only.
    pub channel: Option<String>,
    /// How much of what is owed; None: all that remains.
    pub amount: Option<Money>,
    /// Why this is no duplicate though it looks like one; empty: not said.
    pub duplicate_reason: String,
}

impl Input {
    /// The payment that it is about, unless it opens one.
    pub fn payment(&self) -> Option<PaymentId> {
        match self {
            Self::Confirm { payment, .. }
            | Self::Present { payment, .. }
            | Self::FailOver { payment, .. }
            | Self::Prepared { payment, .. }
            | Self::Answered { payment, .. }
            | Self::Resolve { payment, .. }
            | Self::Queried { payment, .. }
            | Self::Undone { payment, .. }
            | Self::Leg { payment, .. }
            | Self::GoOn { payment }
            | Self::Abandon { payment, .. }
            | Self::ProposeReview { payment, .. }
            | Self::ConfirmReview { payment, .. }
            | Self::Acknowledge { payment, .. }
            | Self::NotAcknowledged { payment }
            | Self::ExpireHold { payment }
            | Self::Resume { payment, .. }
            | Self::Reprint { payment, .. }
            | Self::Dispute { payment, .. }
            | Self::Resealed { payment, .. }
            | Self::Cancel { payment, .. } => Some(*payment),
            Self::Open { .. }
            | Self::Select { .. }
            | Self::TakeTrace { .. }
            | Self::Inquire { .. }
            | Self::SignedIn { .. }
            | Self::SendJob { .. }
            | Self::Printed { .. }
            | Self::CancelJob { .. }
            | Self::ExpireJob { .. }
            | Self::TakeNotices { .. }
            | Self::NoSale { .. }
            | Self::Tick
            | Self::CloseBatch { .. }
            | Self::GoOnSettling { .. }
            | Self::Settled { .. }
            | Self::Uploaded { .. }
            | Self::SettleAgain { .. }
            | Self::ReprintSlip { .. }
            | Self::SetTraining { .. }
            | Self::TryMerchant { .. }
            | Self::Announce { .. }
            | Self::Withdraw { .. }
            | Self::MerchantPassed { .. }
            | Self::SignOutMerchant { .. }
            | Self::UnlockMerchant { .. }
            | Self::Suspend { .. }
            | Self::ResumeChannel { .. }
            | Self::CloseAnyway { .. } => None,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A caller opens a payment.
    Open {
        /// Fresh identity.
        payment: PaymentId,
        /// What it is for.
        purpose: Purpose,
        /// Idempotency key; empty: none.
        key: String,
        /// What is owed.
        amount: Money,
        /// For statement and receipt.
        subject: String,
        /// Who.
        operator: Option<String>,
        /// The caller means it as training; the till must be in training too, and only then.
        training: bool,
    },
    /// The till goes over to training, or back to selling.
    SetTraining {
        /// Training from now on.
        on: bool,
        /// Who; a name is wanted.
        operator: String,
    },
    /// Maintenance is announced, in place of what was announced under the same name.
    Announce {
        /// Name.
        id: String,
        /// It.
        announcement: Announcement,
        /// Who.
        operator: Option<String>,
    },
    /// An announcement does not hold any more.
    Withdraw {
        /// Name.
        id: String,
        /// Who says so.
        source: Source,
        /// Who.
        operator: Option<String>,
    },
    /// Somebody is about to say a merchant's number and password for a channel that asks for them. They are compared once
    /// this is durable; they are not in it.
    TryMerchant {
        /// Channel.
        channel: String,
        /// Whose sales it would be good for.
        operator: Option<String>,
    },
    /// They were right.
    MerchantPassed {
        /// Channel.
        channel: String,
        /// Whose sales it is good for.
        operator: Option<String>,
    },
    /// Somebody ends what passing began.
    SignOutMerchant {
        /// Channel.
        channel: String,
        /// Who.
        operator: Option<String>,
    },
    /// A supervisor lets people try again.
    UnlockMerchant {
        /// Channel.
        channel: String,
        /// Who; a name is wanted.
        operator: String,
    },
    /// The customer agreed to the amount.
    Confirm {
        /// Payment.
        payment: PaymentId,
        /// What was shown.
        amount: Money,
    },
    /// Something was presented for the payment.
    Present {
        /// Payment.
        payment: PaymentId,
        /// It.
        presented: Presented,
    },
    /// What was presented for an attempt that its channel did not take goes to the next one by itself: refused as stale
    /// unless [`failover`](crate::routing::failover) allows it.
    FailOver {
        /// Payment.
        payment: PaymentId,
        /// The same once more; its amount is that of the attempt.
        presented: Presented,
    },
    /// The channel prepared the attempt, or refused.
    Prepared {
        /// Payment.
        payment: PaymentId,
        /// Attempt.
        attempt: u32,
        /// Sealed recovery data and masked instrument, or why not.
        result: Result<(Vec<u8>, String), Decline>,
    },
    /// The channel answered the authorisation.
    Answered {
        /// Payment.
        payment: PaymentId,
        /// Attempt.
        attempt: u32,
        /// Its answer.
        outcome: Outcome,
    },
    /// It is time to go on resolving.
    Resolve {
        /// Payment.
        payment: PaymentId,
        /// Attempt.
        attempt: u32,
    },
    /// The channel answered a query.
    Queried {
        /// Payment.
        payment: PaymentId,
        /// Attempt.
        attempt: u32,
        /// Its answer.
        outcome: QueryOutcome,
    },
    /// The channel answered an undo.
    Undone {
        /// Payment.
        payment: PaymentId,
        /// Attempt.
        attempt: u32,
        /// Its answer.
        outcome: UndoOutcome,
    },
    /// A caller asks for a leg that follows an approved attempt: void, refund, completion, release.
    Leg {
        /// Payment.
        payment: PaymentId,
        /// What it does.
        kind: LegKind,
        /// The attempt it follows; 0: the only one it can follow.
        of: u32,
        /// How much; None: all that is left.
        amount: Option<Money>,
        /// Idempotency key; empty: none.
        key: String,
        /// Why, for the journal and the slip.
        reason: String,
        /// Who.
        operator: Option<String>,
    },
    /// A return or delivery has a next step.
    GoOn {
        /// Payment.
        payment: PaymentId,
    },
    /// The operator gives up an attempt whose outcome nobody knows, to try another.
    Abandon {
        /// Payment.
        payment: PaymentId,
        /// Why.
        reason: String,
        /// Who.
        operator: Option<String>,
    },
    /// The first of two people says what became of an attempt in review.
    ProposeReview {
        /// Payment.
        payment: PaymentId,
        /// Attempt; 0: the payment itself is accepted as it stands.
        attempt: u32,
        /// Finding.
        verdict: Verdict,
        /// Why, and what it rests on.
        reason: String,
        /// Who.
        operator: String,
    },
    /// The second person agrees.
    ConfirmReview {
        /// Payment.
        payment: PaymentId,
        /// Attempt.
        attempt: u32,
        /// Finding; the same as proposed.
        verdict: Verdict,
        /// Who; not the first.
        operator: String,
    },
    /// Somebody says that a sale found after a restart stands.
    Acknowledge {
        /// Payment.
        payment: PaymentId,
        /// Who.
        operator: Option<String>,
    },
    /// Nobody said so in time.
    NotAcknowledged {
        /// Payment.
        payment: PaymentId,
    },
    /// A hold may have run out.
    ExpireHold {
        /// Payment.
        payment: PaymentId,
    },
    /// A part-paid payment of before a restart goes on at this till.
    Resume {
        /// Payment.
        payment: PaymentId,
        /// Who.
        operator: Option<String>,
    },
    /// A caller cancels.
    Cancel {
        /// Payment.
        payment: PaymentId,
        /// Who.
        operator: Option<String>,
    },
    /// A caller chooses the current channel; None: automatic.
    Select {
        /// Channel.
        channel: Option<String>,
        /// Who.
        operator: Option<String>,
    },
    /// A supervisor suspends a channel: nothing new goes to it, what is under way resolves.
    Suspend {
        /// Channel.
        channel: String,
        /// Why; wanted.
        reason: String,
        /// Who; wanted.
        operator: String,
    },
    /// A supervisor takes a suspension back, a rule's too.
    ResumeChannel {
        /// Channel.
        channel: String,
        /// Why; wanted.
        reason: String,
        /// Who; wanted.
        operator: String,
    },
    /// A channel is to be signed in: take a trace number.
    TakeTrace {
        /// Channel.
        channel: String,
    },
    /// A card's balance is to be asked for: whether that may be now, and a trace number for it.
    Inquire {
        /// Channel.
        channel: String,
        /// The caller's own number for it: [`Effect::Inquire`](crate::Effect::Inquire) has it again.
        number: u64,
        /// Who asks; empty: nobody is named.
        operator: String,
    },
    /// A channel signed in.
    SignedIn {
        /// Channel.
        channel: String,
        /// Batch the network wants used.
        batch: Option<u32>,
    },
    /// A print job may go to the printer.
    SendJob {
        /// Job.
        job: u64,
    },
    /// The printer told of a job.
    Printed {
        /// Job.
        job: u64,
        /// State.
        state: PrintState,
    },
    /// A receipt or slip is to be printed once more.
    Reprint {
        /// Payment.
        payment: PaymentId,
        /// Receipt number; 0: the payment's own.
        receipt: u64,
        /// Who.
        operator: Option<String>,
    },
    /// The settlement slip of a closed batch is to be printed once more.
    ReprintSlip {
        /// Batch.
        batch: u32,
        /// Of a closed batch that has left memory: the copies that the journal tells of; None: it is in memory.
        forgotten: Option<u32>,
        /// Who.
        operator: Option<String>,
    },
    /// What an unfinished payment has sealed is sealed anew, under a key of now.
    Resealed {
        /// Payment.
        payment: PaymentId,
        /// Attempt; 0: the payment's own (top-ups).
        attempt: u32,
        /// The same recovery data, sealed.
        recovery: Vec<u8>,
    },
    /// A print job is not wanted any more.
    CancelJob {
        /// Job.
        job: u64,
    },
    /// A print job may have waited too long.
    ExpireJob {
        /// Job.
        job: u64,
    },
    /// A receiver of notices has everything up to this record.
    TakeNotices {
        /// Receiver.
        sink: String,
        /// Journal sequence number.
        seq: u64,
    },
    /// Somebody opens, notes, answers or closes the case of a disputed payment.
    Dispute {
        /// Payment.
        payment: PaymentId,
        /// Number of the case; of a new one the next.
        number: u32,
        /// What.
        event: DisputeEvent,
        /// Who.
        operator: String,
    },
    /// The drawer is to open without a sale.
    NoSale {
        /// Why.
        reason: String,
        /// Who.
        operator: Option<String>,
    },
    /// Time has passed. Give it about every half minute and after a restart: the clock in the context gives the open
    /// batch its business date, and closes a day that is over.
    Tick,
    /// Somebody closes the day: the open batch is frozen and settled, sales go on in the next one. Closing an empty
    /// batch of today changes nothing.
    CloseBatch {
        /// Who.
        operator: Option<String>,
    },
    /// The answer to `Effect::SettleAfter`: a settlement has a next step.
    GoOnSettling {
        /// Batch.
        batch: u32,
        /// Part; None: the batch as a whole.
        part: Option<PartId>,
    },
    /// The answer to `Effect::Settle`.
    Settled {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
        /// Trace number of the request, from its numbers.
        trace: u32,
        /// Its answer; `Unknown` with reason `Unsupported`: the channel compares nothing.
        outcome: SettleOutcome,
    },
    /// The answer to `Effect::UploadRecords`.
    Uploaded {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
        /// Trace number of the request, from its numbers.
        trace: u32,
        /// Its answer: approved is taken; declined is refused, one record by name in the end; `NotSent` with code
        /// `unsupported` is a channel without uploads.
        outcome: Outcome,
    },
    /// People let a settlement go on that was given up.
    SettleAgain {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
        /// Who.
        operator: Option<String>,
    },
    /// People close a part without the network's answer; it says so for ever. The first one proposes it, a second one who
    /// is another person agrees (W8).
    CloseAnyway {
        /// Batch.
        batch: u32,
        /// Part.
        part: PartId,
        /// Why.
        reason: String,
        /// Who.
        operator: String,
    },
}
