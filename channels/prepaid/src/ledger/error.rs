//! Why the ledger does not do something: a rule (definite), the log (unknown), or damage (nothing goes on).

use thiserror::Error;
use till_plugin::{Currency, Money};

use super::log::LogError;

/// A definite no: nothing is booked, and nothing will be under this key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Nobody issued it.
    #[error("this card was not issued here: issue it first, or use another way to pay")]
    UnknownCard,
    /// It is there already.
    #[error("the card {masked} is issued already: take a new one")]
    IssuedAlready {
        /// The card.
        masked: String,
    },
    /// Short of funds.
    #[error("the card holds {balance}, {short} less than asked: pay the rest another way, or load the card")]
    Insufficient {
        /// What it holds.
        balance: Money,
        /// What is missing.
        short: Money,
    },
    /// Blocked.
    #[error("the card {masked} is blocked: use another way to pay; a supervisor can unblock it")]
    Blocked {
        /// The card.
        masked: String,
    },
    /// Not blocked.
    #[error("the card {masked} is not blocked")]
    NotBlocked {
        /// The card.
        masked: String,
    },
    /// Expired; the money is still there.
    #[error("the validity of card {masked} has ended: reactivate it, its balance of {balance} is kept")]
    Expired {
        /// The card.
        masked: String,
        /// What it holds.
        balance: Money,
    },
    /// Still valid.
    #[error("the card {masked} is valid; nothing to do")]
    NotExpired {
        /// The card.
        masked: String,
    },
    /// Paid out.
    #[error("the card {masked} was paid out and is closed: give money back another way, or issue a new card")]
    CardClosed {
        /// The card.
        masked: String,
    },
    /// Above the cap of its class.
    #[error("a card of this kind holds at most {cap}; it holds {balance}: load {room} or less")]
    OverCap {
        /// Most it may hold.
        cap: Money,
        /// What it holds.
        balance: Money,
        /// What still fits.
        room: Money,
    },
    /// Bearer cards are not paid out.
    #[error(
        "a bearer card is not paid out: spend the balance, or reactivate the card (setting redeem_bearer allows it)"
    )]
    NotRedeemable,
    /// Not an amount.
    #[error("the amount is not greater than zero")]
    Amount,
    /// Another currency.
    #[error("the cards of this shop hold {ours}, not {theirs}: use another way to pay")]
    Currency {
        /// The ledger's.
        ours: Currency,
        /// The request's.
        theirs: Currency,
    },
    /// Nobody knows the entry to follow.
    #[error(
        "there is no entry {of} in the ledger that this could follow: look at the payment's own order number"
    )]
    NoOriginal {
        /// Its key.
        of: String,
    },
    /// That entry is of another card.
    #[error("the purchase was paid with another card: present the card that paid, or none")]
    OtherCard,
    /// More than is left of the purchase.
    #[error("{left} of the purchase is left to give back, asked was {asked}")]
    OverRefund {
        /// What is left.
        left: Money,
        /// What was asked.
        asked: Money,
    },
    /// Already gone back, whole or in part.
    #[error("the purchase went back already, {returned} of it")]
    ReturnedAlready {
        /// What went back.
        returned: Money,
    },
    /// Cannot be undone by a counter-entry.
    #[error(
        "a {kind} is not undone by a counter-entry: a supervisor uses the operation that is meant for it"
    )]
    NotUndoable {
        /// Kind of the entry.
        kind: &'static str,
    },
    /// An action that needs a name.
    #[error("this needs the operator's name: sign in")]
    NoOperator,
    /// Key of another request.
    #[error("the order number was used for another request: nothing is booked; use a new order number")]
    KeyReused,
    /// Key that was closed.
    #[error("the order number is closed ({reason}): nothing was booked under it and nothing will be")]
    Closed {
        /// Why.
        reason: String,
    },
    /// A key nobody would give.
    #[error("an order number has 1 to 64 letters and digits")]
    Key,
    /// Text too long for an entry.
    #[error("the {what} is longer than {longest} bytes")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// Most it may have.
        longest: usize,
    },
    /// The card has moved on since it was looked at.
    #[error("the card has changed since it was looked at (entry {found}, not {expected}): look again")]
    Moved {
        /// Entry number that was asked for.
        expected: u32,
        /// The card's newest.
        found: u32,
    },
    /// Too many writers at once.
    #[error("other terminals are writing without pause: try again")]
    Crowded,
}

impl Refusal {
    /// Lower-kebab code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownCard => "unknown-card",
            Self::IssuedAlready { .. } => "issued-already",
            Self::Insufficient { .. } => "insufficient",
            Self::Blocked { .. } => "blocked",
            Self::NotBlocked { .. } => "not-blocked",
            Self::Expired { .. } => "reactivate",
            Self::NotExpired { .. } => "not-expired",
            Self::CardClosed { .. } => "card-closed",
            Self::OverCap { .. } => "limit",
            Self::NotRedeemable => "not-redeemable",
            Self::Amount => "amount",
            Self::Currency { .. } => "currency",
            Self::NoOriginal { .. } => "no-original",
            Self::OtherCard => "other-card",
            Self::OverRefund { .. } => "over-refund",
            Self::ReturnedAlready { .. } => "returned-already",
            Self::NotUndoable { .. } => "not-undoable",
            Self::NoOperator => "no-operator",
            Self::KeyReused => "key-reused",
            Self::Closed { .. } => "closed",
            Self::Key => "key",
            Self::TooLong { .. } => "too-long",
            Self::Moved { .. } => "moved",
            Self::Crowded => "crowded",
        }
    }

    /// The same request would be answered the same whatever the ledger holds (or the caller is to try again): its key
    /// need not be closed.
    pub(super) const fn needs_no_close(&self) -> bool {
        matches!(
            self,
            Self::Amount
                | Self::Currency { .. }
                | Self::NoOperator
                | Self::KeyReused
                | Self::Closed { .. }
                | Self::Key
                | Self::TooLong { .. }
                | Self::Moved { .. }
                | Self::Crowded
        )
    }
}

/// The log does not hold what a ledger is. Nothing is booked on such a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// Not an entry.
    #[error("the entry at {position} is not readable")]
    Unreadable {
        /// Log position.
        position: u64,
    },
    /// Written by a later tilld.
    #[error("the entry at {position} has format {format}, which this version does not know")]
    Newer {
        /// Log position.
        position: u64,
        /// Its format.
        format: u8,
    },
    /// The chain is broken: an entry before it was changed, moved or removed.
    #[error("the entry at {position} does not follow the one before it")]
    Chain {
        /// Log position.
        position: u64,
    },
    /// Breaks a rule of the ledger.
    #[error("the entry at {position} breaks the ledger's rules: {rule}")]
    Rule {
        /// Log position.
        position: u64,
        /// Which.
        rule: &'static str,
    },
    /// Another currency.
    #[error("the ledger is kept in {found}, the setting says {set}: set it back, or begin another instance")]
    Currency {
        /// The ledger's.
        found: String,
        /// The setting's.
        set: String,
    },
    /// Another card key.
    #[error(
        "the ledger was begun with another card_key: put the old secret back, with this one no card would be known"
    )]
    CardKey,
    /// An entry that was there is not any more.
    #[error("the entry at {position} is gone")]
    Gone {
        /// Log position.
        position: u64,
    },
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// Definite.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The log failed; see [`LogError`] for what that means.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The ledger is damaged.
    #[error(
        "the prepaid ledger is damaged: {0}. Nothing is booked; run `tillctl journal check`, restore a backup"
    )]
    Damaged(#[from] Damage),
}
