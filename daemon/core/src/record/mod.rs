//! What the journal holds: events, never rows. The till's state is their fold.
//!
//! Encoding: one version byte, then postcard. A variant never changes once released and new ones go at the end; a
//! changed one gets a new variant beside the old. Nothing in here is secret: recovery data arrives sealed, instruments
//! as masked text and keyed token.

mod about;

use serde::{Deserialize, Serialize};
use till_plugin::channel::{
    Approval, AttemptIds, Decline, QueryOutcome, ResolveProfile, UndoOutcome, UndoReason, UnknownReason,
};
use till_plugin::{Family, Money};

use crate::announce::AnnounceEvent;
use crate::batch::BatchEvent;
use crate::dispute::DisputeEvent;
use crate::merchant::MerchantEvent;
use crate::payment::{LegKind, PaymentId, Purpose, Verdict};
use crate::routing::Decision;

/// Version byte of the encoding.
pub const VERSION: u8 = 1;

/// Journal frame kind of till records.
pub const KIND: u16 = 1;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A payment was opened.
    Opened {
        /// Payment.
        payment: PaymentId,
        /// Caller's idempotency key; empty: none.
        key: String,
        /// What is owed.
        amount: Money,
        /// For the statement and receipt.
        subject: String,
        /// Who.
        operator: Option<String>,
    },
    /// The amount was confirmed.
    AmountConfirmed {
        /// Payment.
        payment: PaymentId,
    },
    /// Something was presented and routed.
    AttemptCreated {
        /// Payment.
        payment: PaymentId,
        /// Numbers, given now, never reused.
        ids: AttemptIds,
        /// Why this channel.
        decision: Decision,
        /// What was presented.
        family: Family,
        /// How it may be shown.
        masked: String,
        /// Keyed token of it, to notice a second use; empty: none.
        token: String,
        /// How an unknown outcome will be resolved.
        resolve: ResolveProfile,
    },
    /// The attempt ended before any byte left.
    NotSent {
        /// Payment.
        payment: PaymentId,
        /// Why.
        decline: Decline,
    },
    /// The armed reversal is durable with this record; bytes may leave from now on (W1, W2).
    Sent {
        /// Payment.
        payment: PaymentId,
        /// Sealed recovery data.
        recovery: Vec<u8>,
        /// How the instrument may be shown.
        masked: String,
    },
    /// A verified approval.
    Approved {
        /// Payment.
        payment: PaymentId,
        /// It.
        approval: Approval,
        /// Receipt number given to it.
        receipt_number: u64,
        /// A receipt is to be printed: a printer is configured.
        print: bool,
    },
    /// A definite no.
    Declined {
        /// Payment.
        payment: PaymentId,
        /// It.
        decline: Decline,
    },
    /// Nobody knows.
    BecameUnknown {
        /// Payment.
        payment: PaymentId,
        /// Why.
        reason: UnknownReason,
        /// One line.
        text: String,
        /// The goal is to undo, not to ask.
        undo: Option<UndoReason>,
    },
    /// A query is about to leave.
    QueryStarted {
        /// Payment.
        payment: PaymentId,
    },
    /// A query without a final result (paid is `Approved`, not paid is `Declined`).
    QueryOpen {
        /// Payment.
        payment: PaymentId,
        /// What it said.
        outcome: QueryOutcome,
    },
    /// The resolver turns from asking to undoing.
    UndoDecided {
        /// Payment.
        payment: PaymentId,
        /// Why.
        reason: UndoReason,
        /// The approval that is being undone, when there is one (a cancelled payment was approved after all).
        approval: Option<Approval>,
    },
    /// An undo is about to leave.
    UndoStarted {
        /// Payment.
        payment: PaymentId,
    },
    /// Answer to an undo; ends the attempt when it is final.
    UndoAnswered {
        /// Payment.
        payment: PaymentId,
        /// What it said.
        outcome: UndoOutcome,
    },
    /// The machine gave up; people decide. The reversal stays armed.
    WentToReview {
        /// Payment.
        payment: PaymentId,
        /// One line.
        text: String,
    },
    /// Somebody asked to cancel while an attempt was under way.
    CancelRequested {
        /// Payment.
        payment: PaymentId,
        /// Who.
        operator: Option<String>,
    },
    /// A payment was closed without money.
    Cancelled {
        /// Payment.
        payment: PaymentId,
        /// Why, lower-kebab.
        reason: String,
        /// Who.
        operator: Option<String>,
    },
    /// An answer that changes nothing any more (late, double); kept for ever.
    LateAnswer {
        /// Payment.
        payment: PaymentId,
        /// Attempt it is for.
        attempt: u32,
        /// What it said, as one line.
        text: String,
        /// Whether it says that money moved.
        money: bool,
    },
    /// The current channel was chosen (None: automatic).
    ChannelSelected {
        /// Channel instance.
        channel: Option<String>,
        /// Who.
        operator: Option<String>,
    },
    /// A trace number was used outside a payment (sign-in, echo).
    TraceTaken {
        /// Channel instance.
        channel: String,
        /// Number.
        trace: u32,
    },
    /// A channel signed in.
    SignedIn {
        /// Channel instance.
        channel: String,
        /// Batch that the network wants used.
        batch: Option<u32>,
    },
    /// A print job is about to go to the printer.
    JobSent {
        /// Job.
        job: u64,
        /// Printer instance.
        printer: String,
    },
    /// A print job ended.
    JobEnded {
        /// Job.
        job: u64,
        /// How, lower-kebab (`done`, `unconfirmed`, `cancelled`, `failed`).
        how: String,
    },
    /// The drawer was told to open.
    DrawerOpened {
        /// Why: a payment or a no-sale reason.
        reason: String,
        /// Who.
        operator: Option<String>,
    },
    /// A payment was opened for something else than a sale.
    OpenedFor {
        /// Payment.
        payment: PaymentId,
        /// Caller's idempotency key; empty: none.
        key: String,
        /// What is owed.
        amount: Money,
        /// For the statement and receipt.
        subject: String,
        /// Who.
        operator: Option<String>,
        /// What for.
        purpose: Purpose,
    },
    /// Something was presented for the whole or a part of what is owed, and routed.
    Tendered {
        /// Payment.
        payment: PaymentId,
        /// Numbers, given now, never reused.
        ids: AttemptIds,
        /// Sale or hold.
        kind: LegKind,
        /// How much of what is owed.
        amount: Money,
        /// Batch of the till that it belongs to.
        batch: u32,
        /// Why this channel.
        decision: Decision,
        /// What was presented.
        family: Family,
        /// How it may be shown.
        masked: String,
        /// Keyed token of it; empty: none.
        token: String,
        /// How an unknown outcome will be resolved.
        resolve: ResolveProfile,
        /// Why a possible duplicate was taken all the same; empty: it was none.
        duplicate_reason: String,
    },
    /// A leg that follows an approved attempt was asked for.
    LegCreated {
        /// Payment.
        payment: PaymentId,
        /// Numbers, given now, never reused.
        ids: AttemptIds,
        /// What it does.
        kind: LegKind,
        /// The attempt it follows.
        of: u32,
        /// How much.
        amount: Money,
        /// Batch of the till that it belongs to.
        batch: u32,
        /// Channel instance: that of the attempt it follows (I22).
        channel: String,
        /// How an unknown outcome will be resolved.
        resolve: ResolveProfile,
        /// Caller's idempotency key; empty: none.
        key: String,
        /// Why.
        reason: String,
        /// Who.
        operator: Option<String>,
        /// The card must be presented again first.
        wants_instrument: bool,
    },
    /// The card was presented again for a leg.
    LegPresented {
        /// Payment.
        payment: PaymentId,
        /// How it may be shown.
        masked: String,
        /// Keyed token of it.
        token: String,
    },
    /// Everything taken will be given back, leg by leg.
    ReturnDecided {
        /// Payment.
        payment: PaymentId,
        /// Why, lower-kebab.
        reason: String,
        /// Who; none: the machine.
        operator: Option<String>,
    },
    /// The machine cannot give back or deliver what it should: people decide about the payment.
    PaymentToReview {
        /// Payment.
        payment: PaymentId,
        /// One line.
        text: String,
    },
    /// A hold ran out at its network.
    HoldExpired {
        /// Payment.
        payment: PaymentId,
        /// The hold.
        attempt: u32,
    },
    /// The operator gave an attempt up: it may only end undone or in review, another may begin.
    Abandoned {
        /// Payment.
        payment: PaymentId,
        /// Attempt.
        attempt: u32,
        /// Why.
        reason: String,
        /// Who.
        operator: Option<String>,
    },
    /// An attempt was approved after it was undone: it is undone again (pos.md §3.7 L1).
    Reopened {
        /// Payment.
        payment: PaymentId,
        /// Attempt.
        attempt: u32,
        /// The late approval.
        approval: Approval,
    },
    /// The first of two people says what became of an attempt in review (W8).
    ReviewProposed {
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
    /// The second person agrees: that is what became of it.
    ReviewDecided {
        /// Payment.
        payment: PaymentId,
        /// Attempt; 0: the payment itself.
        attempt: u32,
        /// Finding.
        verdict: Verdict,
        /// Second person.
        operator: String,
        /// Receipt number given to it; 0: none.
        receipt_number: u64,
        /// It is to be printed.
        print: bool,
    },
    /// An approval found after a restart waits for somebody to say that the sale stands.
    AcknowledgementAsked {
        /// Payment.
        payment: PaymentId,
    },
    /// Somebody said so.
    Acknowledged {
        /// Payment.
        payment: PaymentId,
        /// Who.
        operator: Option<String>,
    },
    /// A part-paid payment of before a restart goes on at the till.
    Resumed {
        /// Payment.
        payment: PaymentId,
        /// Who.
        operator: Option<String>,
    },
    /// The till is free for others; a restart found the payment with money taken.
    Parked {
        /// Payment.
        payment: PaymentId,
    },
    /// An event of an attempt that is not the one under way (abandoned, reopened).
    On {
        /// Attempt.
        attempt: u32,
        /// What happened to it.
        event: Box<Record>,
    },
    /// A receipt or slip is to be printed once more, as a numbered copy.
    CopyRequested {
        /// Job.
        job: u64,
        /// Payment.
        payment: PaymentId,
        /// Receipt number.
        receipt: u64,
        /// Number of the copy, from 1.
        copy: u32,
        /// Who.
        operator: Option<String>,
    },
    /// A receiver of notices (back office, message service) has everything up to this record.
    NoticesTaken {
        /// Receiver.
        sink: String,
        /// Journal sequence number.
        seq: u64,
    },
    /// An event of a batch: its date, its close, its settlement.
    Batch(BatchEvent),
    /// Something happened to the case of a disputed payment. It moves no money.
    Dispute {
        /// Payment.
        payment: PaymentId,
        /// Number of the case.
        number: u32,
        /// What.
        event: DisputeEvent,
        /// Who.
        operator: String,
    },
    /// What an unfinished payment needs of a closed batch is sealed anew, so that the batch's key can be destroyed.
    Resealed {
        /// Payment.
        payment: PaymentId,
        /// Attempt; 0: the payment's own (top-ups).
        attempt: u32,
        /// Batch that was open then.
        batch: u32,
        /// The same recovery data, sealed under a key of now.
        recovery: Vec<u8>,
    },
    /// A payment was opened for training: no money moves, and it counts nowhere (I17). It stays so to its end.
    OpenedTraining {
        /// Payment.
        payment: PaymentId,
        /// Caller's idempotency key; empty: none. Keys of training are their own.
        key: String,
        /// What would be owed.
        amount: Money,
        /// For the receipt.
        subject: String,
        /// Who.
        operator: Option<String>,
        /// What for; never a top-up.
        purpose: Purpose,
    },
    /// The till went over to training, or back to selling.
    TrainingSet {
        /// Training from now on.
        on: bool,
        /// Who.
        operator: String,
    },
    /// Something about who may let a channel sell. Never what was said.
    Merchant {
        /// Channel instance.
        channel: String,
        /// What.
        event: MerchantEvent,
        /// Who.
        operator: Option<String>,
    },
    /// Something about announced maintenance.
    Maintenance {
        /// Name of the announcement.
        id: String,
        /// What.
        event: AnnounceEvent,
        /// Who.
        operator: Option<String>,
    },
    /// A person suspended a channel: nothing new goes to it.
    ChannelSuspended {
        /// Channel instance.
        channel: String,
        /// Why.
        reason: String,
        /// Who.
        operator: String,
    },
    /// A suspended channel takes payments again.
    ChannelResumed {
        /// Channel instance.
        channel: String,
        /// Why.
        reason: String,
        /// Who.
        operator: String,
    },
}

/// A record that this version cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a later version.
    #[error(
        "the record has encoding version {0}, this tilld reads {VERSION}: install the tilld that wrote it, or newer"
    )]
    Version(u8),
    /// Not a record.
    #[error("the record of {0} bytes cannot be decoded")]
    Undecodable(usize),
    /// Could not be written.
    #[error("the record cannot be encoded")]
    Unencodable,
}

impl Record {
    /// Bytes for the journal.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        // Most records fit into this at once.
        let mut bytes = Vec::with_capacity(512);
        bytes.push(VERSION);
        postcard::to_extend(self, bytes).map_err(|_| RecordError::Unencodable)
    }

    /// From the journal.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => {
                let undecodable = |_| RecordError::Undecodable(bytes.len());
                let mut reader = postcard::Deserializer::from_bytes(rest);
                let record = Self::deserialize(&mut reader).map_err(undecodable)?;
                match reader.finalize().map_err(undecodable)? {
                    [] => Ok(record),
                    _ => Err(RecordError::Undecodable(bytes.len())),
                }
            }
            Some((&version, _)) => Err(RecordError::Version(version)),
            None => Err(RecordError::Undecodable(0)),
        }
    }
}
