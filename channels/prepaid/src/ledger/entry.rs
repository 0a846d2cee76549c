//! One entry of the ledger, its bytes and its hash.
//!
//! Bytes: postcard of [`Entry`], format 1, at most 2 KiB. A released kind never changes; a changed one is added at the
//! end of [`Event`]. The hash is BLAKE3 over the bytes; each entry holds the hash of the one before it, so that one that
//! was removed, changed or moved is found when the ledger opens.

use serde::{Deserialize, Serialize};

use super::card::Class;
use super::error::Damage;

/// Keyed token of a card (see [`crate::token`]): the number itself is nowhere in the ledger.
pub type Token = [u8; 16];

/// Hash of an entry's bytes.
pub type Hash = [u8; 32];

/// The format written today.
pub const FORMAT: u8 = 1;

/// The `prev` of the first entry.
pub const NO_HASH: Hash = [0; 32];

/// One entry. Amounts are minor units of the ledger's currency, which its first entry names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// [`FORMAT`].
    pub format: u8,
    /// Hash of the entry before.
    pub prev: Hash,
    /// Number in the ledger, from 1, without gaps.
    pub number: u64,
    /// The card; none for entries about the ledger or an order number.
    pub card: Option<Token>,
    /// Number among the card's entries, from 1, without gaps: the other half of compare-and-swap.
    pub seq: u32,
    /// Log position of the card's entry before this one; 0: none.
    pub back: u64,
    /// Idempotency key: the daemon's order number.
    pub key: String,
    /// What happened.
    pub event: Event,
    /// The card's balance after it.
    pub balance: i64,
    /// Who did it.
    pub operator: Option<String>,
    /// Wall clock when it was booked, Unix ms.
    pub wall_ms: i64,
    /// Whether that clock was trusted.
    pub trusted: bool,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The ledger begins.
    Begin {
        /// ISO 4217 code of all its amounts.
        currency: String,
        /// Made with the card key: another key opens no ledger, so that no card is issued twice under two tokens.
        key_check: Token,
    },
    /// A card is issued.
    Issue {
        /// Its class.
        class: Class,
        /// Last four characters of its number, the only ones kept.
        last4: [u8; 4],
        /// End of its validity, Unix ms; none: it does not expire.
        expires_ms: Option<i64>,
        /// First balance; 0: none.
        amount: i64,
    },
    /// Money is loaded.
    Load {
        /// How much.
        amount: i64,
    },
    /// A purchase.
    Debit {
        /// How much.
        amount: i64,
    },
    /// Money of a purchase goes back to the card.
    Refund {
        /// Key of the purchase.
        of: String,
        /// How much.
        amount: i64,
    },
    /// A whole purchase goes back to the card.
    Void {
        /// Key of the purchase.
        of: String,
        /// Its amount.
        amount: i64,
    },
    /// Counter-entry to a debit, load, refund or void that is not wanted any more (an unknown outcome was undone).
    Undo {
        /// Key of that entry.
        of: String,
        /// Change of the balance: positive when money goes back to the card.
        change: i64,
    },
    /// The whole balance is paid out to the holder and the card is closed for good.
    Redeem {
        /// How much; 0 for an empty card.
        amount: i64,
    },
    /// The validity has ended. The balance stays.
    Expire,
    /// The card is valid again.
    Reactivate {
        /// New end of validity, Unix ms.
        expires_ms: Option<i64>,
    },
    /// The card is blocked.
    Block {
        /// Why.
        reason: String,
    },
    /// It is not blocked any more.
    Unblock {
        /// Why.
        reason: String,
    },
    /// A correction by a person.
    Adjust {
        /// Change of the balance.
        change: i64,
        /// Why.
        reason: String,
    },
    /// An order number is closed without effect: nothing can be booked under it any more.
    Close {
        /// Why, lower-kebab: [`Event::NEVER_ARRIVED`], or the code of the refusal.
        reason: String,
    },
    /// A part of the whole state as it was before the first part (see `checkpoint`).
    Checkpoint {
        /// Number of the newest entry that is in it.
        of: u64,
        /// Which part, from 0.
        part: u32,
        /// How many there are.
        parts: u32,
        /// BLAKE3 of all parts together.
        hash: Hash,
        /// This part.
        bytes: Vec<u8>,
    },
}

impl Event {
    /// Reason of a [`Event::Close`] that a question about an unknown order number wrote.
    pub const NEVER_ARRIVED: &'static str = "never-arrived";

    /// Lower-kebab name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Begin { .. } => "begin",
            Self::Issue { .. } => "issue",
            Self::Load { .. } => "load",
            Self::Debit { .. } => "debit",
            Self::Refund { .. } => "refund",
            Self::Void { .. } => "void",
            Self::Undo { .. } => "undo",
            Self::Redeem { .. } => "redeem",
            Self::Expire => "expire",
            Self::Reactivate { .. } => "reactivate",
            Self::Block { .. } => "block",
            Self::Unblock { .. } => "unblock",
            Self::Adjust { .. } => "adjust",
            Self::Close { .. } => "close",
            Self::Checkpoint { .. } => "checkpoint",
        }
    }

    /// What it does to the card's balance; none when the amount is no amount (zero or less, or cannot be negated).
    pub fn change(&self) -> Option<i64> {
        let positive = |amount: i64| (amount > 0).then_some(amount);
        match *self {
            Self::Load { amount } | Self::Refund { amount, .. } | Self::Void { amount, .. } => {
                positive(amount)
            }
            Self::Debit { amount } => positive(amount).map(|a| -a),
            Self::Issue { amount, .. } => (amount >= 0).then_some(amount),
            Self::Redeem { amount } => (amount >= 0).then_some(-amount),
            Self::Undo { change, .. } | Self::Adjust { change, .. } => (change != 0).then_some(change),
            _ => Some(0),
        }
    }

    /// The amount it is about, never negative; 0 for those about no money.
    pub fn amount(&self) -> i64 {
        self.change().map_or(0, i64::saturating_abs)
    }

    /// The key of the entry that it follows.
    pub fn of(&self) -> Option<&str> {
        match self {
            Self::Refund { of, .. } | Self::Void { of, .. } | Self::Undo { of, .. } => Some(of),
            _ => None,
        }
    }
}

impl Entry {
    /// Its bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Damage> {
        postcard::to_stdvec(self).map_err(|_| Damage::Unreadable { position: 0 })
    }

    /// From bytes read at a position.
    pub fn from_bytes(position: u64, bytes: &[u8]) -> Result<Self, Damage> {
        match postcard::take_from_bytes::<Self>(bytes) {
            Ok((entry, [])) if entry.format == FORMAT => Ok(entry),
            // The first byte is the format: a later one is told apart from rubbish.
            _ if bytes.first().is_some_and(|f| *f > FORMAT && *f < 16) => {
                Err(Damage::Newer { position, format: bytes[0] })
            }
            _ => Err(Damage::Unreadable { position }),
        }
    }
}

/// Hash of an entry's bytes.
pub fn hash(bytes: &[u8]) -> Hash {
    *blake3::hash(bytes).as_bytes()
}
