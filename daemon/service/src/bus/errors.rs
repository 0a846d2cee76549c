//! Typed errors of the bus: `org.tilld.Error.*`. The text says what failed, on what, and what to do next.

use till_core::Refusal;
use till_hosts::HostError;
use till_plugin::ErrorCode;

use crate::till::TillError;

/// The errors that methods give.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.tilld.Error")]
pub enum Error {
    /// From the bus library.
    #[zbus(error)]
    ZBus(zbus::Error),
    /// Another payment holds the till.
    Busy(String),
    /// No such payment, channel or job.
    NotFound(String),
    /// Its records were removed after their time.
    Gone(String),
    /// An argument or option makes no sense.
    InvalidArgs(String),
    /// The caller may not.
    NotAuthorized(String),
    /// The idempotency key belongs to another request.
    KeyReuse(String),
    /// The amount confirmed is not the amount owed.
    WrongAmount(String),
    /// The payment is not in a state for this.
    WrongState(String),
    /// What was presented cannot be paid with.
    NotPayable(String),
    /// The code was used a moment ago.
    UsedAlready(String),
    /// The channel is suspended.
    Suspended(String),
    /// The channel is not suspended.
    NotSuspended(String),
    /// No channel can take it.
    NoRoute(String),
    /// Not enough cash.
    TooLittle(String),
    /// The same amount was taken with the same card a moment ago.
    PossibleDuplicate(String),
    /// Not the card that paid.
    OtherCard(String),
    /// More than is left.
    TooMuch(String),
    /// A leg that cannot be done.
    NotPossible(String),
    /// A review needs two people.
    Review(String),
    /// The merchant's number or password is not right.
    WrongPassword(String),
    /// Too many wrong passwords; a supervisor unlocks it.
    Locked(String),
    /// The next password is taken later.
    TooSoon(String),
    /// A signature is not that of the configured key.
    NotGenuine(String),
    /// A newer message is in force.
    Outdated(String),
    /// The journal cannot take it: no room, read-only, or broken.
    JournalUnavailable(String),
    /// The device or channel does not do this.
    Unsupported(String),
    /// No answer in time.
    Timeout(String),
    /// The plugin failed.
    PluginFailed(String),
    /// The network refused.
    Refused(String),
    /// The network's answer cannot be believed, or says nothing.
    BadAnswer(String),
    /// The card owes its PIN, and none came.
    NoPin(String),
    /// The daemon is stopping.
    Stopping(String),
}

/// Lower-kebab code of a refusal, for signals.
pub fn refusal_code(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Busy { .. } => "busy",
        Refusal::NoPayment(_) | Refusal::NoChannel { .. } | Refusal::NoJob(_) => "not-found",
        Refusal::Suspended { .. } => "suspended",
        Refusal::NotSuspended { .. } => "not-suspended",
        Refusal::Amount(_) | Refusal::Currency(_) | Refusal::Wanted(_) => "invalid-args",
        Refusal::WrongAmount { .. } => "wrong-amount",
        Refusal::KeyReuse { .. } => "key-reuse",
        Refusal::NoInquiry { .. } => "no-inquiry",
        Refusal::State { .. } | Refusal::Batch { .. } | Refusal::Dispute { .. } | Refusal::Stale => {
            "wrong-state"
        }
        Refusal::Training(_) => "training",
        Refusal::NotPayable(_) => "not-payable",
        Refusal::UsedAlready { .. } => "used-already",
        Refusal::NoRoute { .. } => "no-route",
        Refusal::PossibleDuplicate { .. } => "possible-duplicate",
        Refusal::OtherCard(_) => "other-card",
        Refusal::TooMuch { .. } => "too-much",
        Refusal::NoLeg { .. } => "not-possible",
        Refusal::Review { .. } => "review",
        Refusal::TooLittle { .. } => "too-little",
        Refusal::Merchant(refusal) => refusal.code(),
        Refusal::Announce(refusal) => refusal.code(),
    }
}

impl From<TillError> for Error {
    fn from(e: TillError) -> Self {
        let text = e.to_string();
        match e {
            TillError::Journal(_) => Self::JournalUnavailable(text),
            TillError::Stopping => Self::Stopping(text),
            TillError::Refused(refusal) => match refusal_code(&refusal) {
                "busy" => Self::Busy(text),
                "not-found" => Self::NotFound(text),
                "invalid-args" => Self::InvalidArgs(text),
                "wrong-amount" => Self::WrongAmount(text),
                "key-reuse" => Self::KeyReuse(text),
                "not-payable" => Self::NotPayable(text),
                "used-already" => Self::UsedAlready(text),
                "no-route" => Self::NoRoute(text),
                "suspended" => Self::Suspended(text),
                "not-suspended" => Self::NotSuspended(text),
                "too-little" => Self::TooLittle(text),
                "possible-duplicate" => Self::PossibleDuplicate(text),
                "other-card" => Self::OtherCard(text),
                "too-much" => Self::TooMuch(text),
                "not-possible" => Self::NotPossible(text),
                "review" => Self::Review(text),
                "outdated" => Self::Outdated(text),
                "locked" => Self::Locked(text),
                "too-soon" => Self::TooSoon(text),
                _ => Self::WrongState(text),
            },
        }
    }
}

impl From<HostError> for Error {
    fn from(e: HostError) -> Self {
        let text = e.to_string();
        match e {
            HostError::Refused { error, .. } => match error.code {
                ErrorCode::Unsupported => Self::Unsupported(text),
                ErrorCode::Timeout => Self::Timeout(text),
                _ => Self::Refused(text),
            },
            HostError::TimedOut { .. } | HostError::Busy { .. } => Self::Timeout(text),
            _ => Self::PluginFailed(text),
        }
    }
}
