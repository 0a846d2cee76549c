//! Scripted faults: the words in which a test says what goes wrong, shared by every network simulator.
//!
//! A [`Plan`] is a list of [`Rule`]s. Each request takes the first rule that fits it and still has turns left; a request
//! no rule fits is served honestly. Plans come from Rust ([`Plan::add`]), from a file or from HTTP ([`Plan::load`]):
//!
//! ```json
//! {"rules": [
//!   {"on": "alipay.trade.pay",   "fault": {"kind": "drop-after-booking"}},
//!   {"on": "alipay.trade.query", "times": 2, "fault": {"kind": "answer", "code": "40004", "sub_code": "ACQ.SYSTEM_ERROR"}},
//!   {"on": "*", "after": 3, "always": true, "fault": {"kind": "delay-reply", "ms": 800}}
//! ]}
//! ```
//!
//! An unknown key, kind or operation is refused, and so is a kind that the simulator cannot do: a misspelt rule that never
//! fires would make a test pass for nothing.

mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use plan::{Abilities, FaultError, Fired, Hold, Plan};

/// What goes wrong with one request. "Booked" means that the simulator's ledger moved as if all were well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    // The empty braces matter: only for struct variants does serde refuse unknown keys.
    /// The request is lost: the connection closes, nothing is booked.
    DropBeforeBooking {},
    /// The answer is lost: booked, then the connection closes without a byte.
    DropAfterBooking {},
    /// Booked and answered, the answer after a pause.
    DelayReply {
        /// The pause, milliseconds.
        ms: u64,
    },
    /// Booked late: the request lies on the way for a while, and is booked even if the client has gone meanwhile.
    DelayBooking {
        /// The pause, milliseconds.
        ms: u64,
    },
    /// Like `delay-reply`, until the test releases it ([`Plan::release`]).
    HoldReply {},
    /// Like `delay-booking`, until the test releases it ([`Plan::release`]).
    HoldBooking {},
    /// Booked; the answer's signature (HTTP gateways) or MAC (acquirer) is wrong.
    WrongSignature {},
    /// Booked; the answer carries no signature or MAC at all.
    Unsigned {},
    /// Booked; the answer, rightly signed, echoes another amount.
    WrongAmount {
        /// Added to the true amount, minor units.
        by: i64,
    },
    /// Booked; the answer, rightly signed, echoes another order number or trace.
    WrongReference {},
    /// Booked; the answer's signature is marked as a deliberate probe (`WECHATPAY/SIGNTEST/`).
    SignatureProbe {},
    /// Booked; the answer, rightly signed, was made more than five minutes ago.
    StaleSignature {},
    /// Booked; the answer is the one before it once more, with its seal.
    ReplayedReply {},
    /// From this answer on the platform signs with a new key.
    KeyRotated {},
    /// Booked; the answer, rightly signed, names another merchant.
    WrongMerchant {},
    /// Booked; the answer is rightly signed, with a certificate that leads to a root of somebody else's.
    ForeignCertificate {},
    /// Booked; the answer is rightly signed, with a certificate whose time is over.
    ExpiredCertificate {},
    /// Booked; the answer is rightly signed, with a good certificate that is somebody else's.
    WrongOwner {},
    /// Booked; the answer, rightly signed, names a certificate that does not exist.
    UnknownCertificate {},
    /// Booked; the answer, rightly signed, names no certificate where one must be named.
    WithoutCertificate {},
    /// Booked; the connection closes half-way through the answer.
    HalfReply {},
    /// Booked; the answer is bytes that are no message of the protocol.
    Garbage {},
    /// Nothing booked; the HTTP server answers with this status and a page of text.
    HttpStatus {
        /// The status, 400 to 599.
        status: u16,
    },
    /// Booked; the answer comes byte by byte.
    Slow {
        /// The pause before each byte, milliseconds.
        ms_per_byte: u64,
    },
    /// The connection is reset (RST, not FIN).
    Reset {
        /// Whether the request was booked before.
        #[serde(default)]
        booked: bool,
    },
    /// Booked; the same answer is sent twice.
    DuplicateReply {},
    /// Booked; an answer to nobody's question stands before the true answer in one segment.
    MergedReplies {},
    /// The answer is this code, whatever the request was.
    Answer {
        /// The code: `40004`, `20000` (Alipay); field 39 (acquirer).
        code: String,
        /// The detail code, where the protocol has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sub_code: Option<String>,
        /// Further fields of the answer by name, such as `retry_flag`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, String>,
        /// Whether the request is booked all the same.
        #[serde(default)]
        booked: bool,
    },
}

impl Fault {
    /// The kind as written in scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DropBeforeBooking {} => "drop-before-booking",
            Self::DropAfterBooking {} => "drop-after-booking",
            Self::DelayReply { .. } => "delay-reply",
            Self::DelayBooking { .. } => "delay-booking",
            Self::HoldReply {} => "hold-reply",
            Self::HoldBooking {} => "hold-booking",
            Self::WrongSignature {} => "wrong-signature",
            Self::Unsigned {} => "unsigned",
            Self::WrongAmount { .. } => "wrong-amount",
            Self::WrongReference {} => "wrong-reference",
            Self::SignatureProbe {} => "signature-probe",
            Self::StaleSignature {} => "stale-signature",
            Self::ReplayedReply {} => "replayed-reply",
            Self::KeyRotated {} => "key-rotated",
            Self::WrongMerchant {} => "wrong-merchant",
            Self::ForeignCertificate {} => "foreign-certificate",
            Self::ExpiredCertificate {} => "expired-certificate",
            Self::WrongOwner {} => "wrong-owner",
            Self::UnknownCertificate {} => "unknown-certificate",
            Self::WithoutCertificate {} => "without-certificate",
            Self::HalfReply {} => "half-reply",
            Self::Garbage {} => "garbage",
            Self::HttpStatus { .. } => "http-status",
            Self::Slow { .. } => "slow",
            Self::Reset { .. } => "reset",
            Self::DuplicateReply {} => "duplicate-reply",
            Self::MergedReplies {} => "merged-replies",
            Self::Answer { .. } => "answer",
        }
    }

    /// Whether the ledger moves although this fault strikes.
    pub fn books(&self) -> bool {
        match self {
            Self::DropBeforeBooking {} | Self::HttpStatus { .. } => false,
            Self::Reset { booked } | Self::Answer { booked, .. } => *booked,
            _ => true,
        }
    }
}

/// When a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The operation, as the simulator names it (`alipay.trade.pay`, `sale`), or `*` for any.
    pub on: String,
    /// Only requests about this order number or trace; absent: about any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How many requests that fit are let through first.
    #[serde(default)]
    pub after: u32,
    /// How many requests it then strikes.
    #[serde(default = "once")]
    pub times: u32,
    /// Strikes for ever; `times` is not looked at.
    #[serde(default)]
    pub always: bool,
    /// What goes wrong.
    pub fault: Fault,
}

fn once() -> u32 {
    1
}

impl Rule {
    /// A rule that strikes the next request of an operation once.
    pub fn once(on: impl Into<String>, fault: Fault) -> Self {
        Self { on: on.into(), reference: None, after: 0, times: 1, always: false, fault }
    }

    /// Lets that many requests that fit through first.
    #[must_use]
    pub fn after(mut self, requests: u32) -> Self {
        self.after = requests;
        self
    }

    /// Strikes that many requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Strikes for ever.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.always = true;
        self
    }

    /// Strikes only requests about this order number or trace.
    #[must_use]
    pub fn about(mut self, reference: impl Into<String>) -> Self {
        self.reference = Some(reference.into());
        self
    }
}
