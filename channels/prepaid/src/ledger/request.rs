//! What is asked of the ledger, and what it answers.

use till_plugin::Money;

use super::card::Class;
use super::entry::{Entry, Event, Token};

/// A request. The same key again gives the same answer and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Idempotency key, 1 to 64 letters and digits: the daemon's order number.
    pub key: String,
    /// What.
    pub action: Action,
    /// Operator on duty.
    pub operator: Option<String>,
    /// Compare-and-swap: only if this is the card's newest entry.
    pub expected: Option<u32>,
}

impl Request {
    /// Without an operator and without a condition.
    pub fn new(key: impl Into<String>, action: Action) -> Self {
        Self { key: key.into(), action, operator: None, expected: None }
    }

    /// By an operator.
    #[must_use]
    pub fn by(mut self, operator: impl Into<String>) -> Self {
        self.operator = Some(operator.into());
        self
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Issue a card.
    Issue {
        /// The card.
        card: Token,
        /// Its class.
        class: Class,
        /// Last four characters of its number.
        last4: [u8; 4],
        /// End of its validity, Unix ms.
        expires_ms: Option<i64>,
        /// First balance; may be zero.
        amount: Money,
    },
    /// Load it.
    Load {
        /// The card.
        card: Token,
        /// How much.
        amount: Money,
    },
    /// Buy with it.
    Debit {
        /// The card.
        card: Token,
        /// How much.
        amount: Money,
    },
    /// Give back a part or all of a purchase.
    Refund {
        /// Key of the purchase.
        of: String,
        /// How much.
        amount: Money,
        /// The card, where it is there: must be the one that paid.
        card: Option<Token>,
    },
    /// Give back a whole purchase.
    Void {
        /// Key of the purchase.
        of: String,
        /// The card, where it is there: must be the one that paid.
        card: Option<Token>,
    },
    /// Book a counter-entry. Its own key is made of the one it undoes; the request's is not used.
    Undo {
        /// Key of the debit, load, refund or void.
        of: String,
    },
    /// Pay the whole balance out and close the card.
    Redeem {
        /// The card.
        card: Token,
    },
    /// Mark a card whose validity has ended. Its balance stays.
    Expire {
        /// The card.
        card: Token,
    },
    /// Make an expired card valid again.
    Reactivate {
        /// The card.
        card: Token,
        /// New end of validity, Unix ms.
        expires_ms: Option<i64>,
    },
    /// Let nothing be taken from it or loaded.
    Block {
        /// The card.
        card: Token,
        /// Why.
        reason: String,
    },
    /// Lift the block.
    Unblock {
        /// The card.
        card: Token,
        /// Why.
        reason: String,
    },
    /// Correct the balance.
    Adjust {
        /// The card.
        card: Token,
        /// Change of the balance.
        change: Money,
        /// Why; not empty.
        reason: String,
    },
}

impl Action {
    /// The card that it names.
    pub const fn card(&self) -> Option<Token> {
        match self {
            Self::Issue { card, .. }
            | Self::Load { card, .. }
            | Self::Debit { card, .. }
            | Self::Redeem { card }
            | Self::Expire { card }
            | Self::Reactivate { card, .. }
            | Self::Block { card, .. }
            | Self::Unblock { card, .. }
            | Self::Adjust { card, .. } => Some(*card),
            Self::Refund { card, .. } | Self::Void { card, .. } => *card,
            Self::Undo { .. } => None,
        }
    }

    /// The key of the entry that it follows.
    pub fn of(&self) -> Option<&str> {
        match self {
            Self::Refund { of, .. } | Self::Void { of, .. } | Self::Undo { of } => Some(of),
            _ => None,
        }
    }

    /// The amount that it names.
    pub const fn amount(&self) -> Option<Money> {
        match self {
            Self::Issue { amount, .. }
            | Self::Load { amount, .. }
            | Self::Debit { amount, .. }
            | Self::Refund { amount, .. }
            | Self::Adjust { change: amount, .. } => Some(*amount),
            _ => None,
        }
    }

    /// Changes what a card is, not what it holds, or pays it out: a named person does that.
    pub(super) const fn needs_operator(&self) -> bool {
        matches!(
            self,
            Self::Issue { .. }
                | Self::Redeem { .. }
                | Self::Expire { .. }
                | Self::Reactivate { .. }
                | Self::Block { .. }
                | Self::Unblock { .. }
                | Self::Adjust { .. }
        )
    }

    /// Whether the entry under its key was written for the same request. What the clock or the operator gave it is not
    /// compared: a repeat may come later.
    pub(super) fn wrote(&self, entry: &Entry) -> bool {
        let same_card = self.card().is_none_or(|card| entry.card == Some(card));
        let same_amount = self.amount().is_none_or(|amount| match entry.event {
            Event::Adjust { change, .. } => change == amount.minor(),
            _ => entry.event.amount() == amount.minor(),
        });
        let same_kind = match (self, &entry.event) {
            (Self::Issue { class, .. }, Event::Issue { class: written, .. }) => class == written,
            (Self::Load { .. }, Event::Load { .. })
            | (Self::Debit { .. }, Event::Debit { .. })
            | (Self::Redeem { .. }, Event::Redeem { .. })
            | (Self::Expire { .. }, Event::Expire)
            | (Self::Reactivate { .. }, Event::Reactivate { .. })
            | (Self::Block { .. }, Event::Block { .. })
            | (Self::Unblock { .. }, Event::Unblock { .. })
            | (Self::Adjust { .. }, Event::Adjust { .. })
            | (Self::Refund { .. }, Event::Refund { .. })
            | (Self::Void { .. }, Event::Void { .. })
            | (Self::Undo { .. }, Event::Undo { .. }) => true,
            _ => false,
        };
        same_kind && same_card && same_amount && self.of() == entry.event.of()
    }
}

/// What was booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The entry, as it is in the log.
    pub entry: Entry,
    /// It was booked before; this is the same answer.
    pub repeated: bool,
}

/// An entry found by its key, and what followed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The entry.
    pub entry: Entry,
    /// A counter-entry undid it.
    pub undone: bool,
    /// Given back of it by refunds or a void that stand.
    pub returned: Money,
}

/// One line of a card's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The entry.
    pub entry: Entry,
    /// Added to the balance (below zero: taken from it).
    pub change: Money,
    /// Balance after it.
    pub balance: Money,
}
