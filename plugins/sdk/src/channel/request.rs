//! What a channel is asked.

use serde::{Deserialize, Serialize};

use super::Approval;
use crate::instrument::Instrument;
use crate::sensitive::{Sensitive, wire};
use crate::{Extra, Money};

/// The numbers of one attempt, given by the daemon from its journal before anything is sent, never reused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptIds {
    /// Payment, for logs.
    pub payment: [u8; 16],
    /// Attempt within the payment, from 1.
    pub attempt: u32,
    /// System trace audit number, 1–999999 (ISO 8583 field 11).
    pub trace: u32,
    /// Batch number, 1–999999.
    pub batch: u32,
    /// Order number for networks that want text: 8–32 letters and digits.
    pub order: String,
    /// Wall clock when it was given, Unix ms; host times are derived from it so that a repeat is identical.
    pub wall_ms: i64,
}

/// A request for money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorise {
    /// Its numbers.
    pub ids: AttemptIds,
    /// Take or hold.
    pub hold: bool,
    /// How much; greater than zero.
    pub amount: Money,
    /// From what.
    pub instrument: Instrument,
    /// What the customer's statement may say.
    pub subject: String,
    /// Operator on duty.
    pub operator: Option<String>,
    /// Enciphered PIN block, where a pad gave one ([`pin`](super::pin)).
    #[serde(with = "wire::option")]
    pub pin_block: Option<Sensitive<Vec<u8>>>,
    /// Room for later facts.
    pub extra: Extra,
}

/// What must be durable before the request leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Everything a later query or undo needs, in the plugin's own encoding, at most 2 KiB. The daemon seals it before
    /// it reaches the disk and destroys the key when the attempt is final. May hold a PAN; never a track, PIN block,
    /// CVV or payment code.
    #[serde(with = "wire")]
    pub recovery: Sensitive<Vec<u8>>,
    /// What may be shown of the instrument.
    pub masked: String,
}

/// Refers to an earlier request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    /// Numbers of the original.
    pub ids: AttemptIds,
    /// Amount of the original.
    pub amount: Money,
    /// From its [`Prepared`].
    #[serde(with = "wire")]
    pub recovery: Sensitive<Vec<u8>>,
    /// Try of this follow-up, from 1.
    pub attempt: u32,
    /// Room for later facts.
    pub extra: Extra,
}

/// An earlier approved request, as the network knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Its numbers.
    pub ids: AttemptIds,
    /// Its amount.
    pub amount: Money,
    /// Its approval.
    pub approval: Approval,
}

/// A sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Trace number for it.
    pub trace: u32,
    /// Batch the till is in.
    pub batch: u32,
    /// Operator on duty.
    pub operator: Option<String>,
    /// Wall clock, Unix ms.
    pub wall_ms: i64,
}

/// What a sign-in gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// Batch the network wants used, where it says.
    pub batch: Option<u32>,
    /// Sign in again after this many seconds; 0: no limit.
    pub valid_s: u32,
}

/// Totals of a batch to compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// Own numbers.
    pub ids: AttemptIds,
    /// Batch to settle.
    pub batch: u32,
    /// Money taken and how many.
    pub debits: (Money, u32),
    /// Money given back and how many.
    pub credits: (Money, u32),
    /// Operator.
    pub operator: Option<String>,
    /// Room for later facts.
    pub extra: Extra,
}
