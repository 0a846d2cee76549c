//! What can happen to the till.

use till_plugin::channel::{Decline, Outcome, QueryOutcome, UndoOutcome};
use till_plugin::driver::PrintState;
use till_plugin::{Family, Money};

use crate::payment::PaymentId;
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
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A caller opens a payment.
    Open {
        /// Fresh identity.
        payment: PaymentId,
        /// Idempotency key; empty: none.
        key: String,
        /// What is owed.
        amount: Money,
        /// For statement and receipt.
        subject: String,
        /// Who.
        operator: Option<String>,
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
    /// A channel is to be signed in: take a trace number.
    TakeTrace {
        /// Channel.
        channel: String,
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
    /// The drawer is to open without a sale.
    NoSale {
        /// Why.
        reason: String,
        /// Who.
        operator: Option<String>,
    },
}
