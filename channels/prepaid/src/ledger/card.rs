//! A card as the ledger knows it: what its entries add up to. About 60 bytes in memory.

use serde::{Deserialize, Serialize};

/// How a card is identified when it is used: it decides how easily it is copied.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Medium {
    /// A number that is read or scanned: stripe, printed code. Who sees it can copy it.
    Number,
    /// The serial number of a contactless card, unauthenticated. A blank of a few fen copies it.
    Uid,
    /// A contactless card that proved itself cryptographically.
    Authenticated,
}

/// What kind of card it is; fixed when it is issued.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Registered in a holder's name; else a bearer card.
    pub registered: bool,
    /// How it is identified.
    pub medium: Medium,
}

impl Class {
    /// Lower-kebab name, as in extras and on receipts.
    pub const fn name(self) -> &'static str {
        if self.registered { "registered" } else { "bearer" }
    }
}

/// A card.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Balance, minor units; never below zero.
    pub balance: i64,
    /// End of validity, Unix ms.
    pub expires_ms: Option<i64>,
    /// Log position of its newest entry.
    pub last: u64,
    /// Its newest entry's number.
    pub seq: u32,
    /// Last four characters of its number.
    pub last4: [u8; 4],
    /// Its class.
    pub class: Class,
    /// Blocked.
    pub blocked: bool,
    /// Marked as expired.
    pub expired: bool,
    /// Paid out; it never comes back.
    pub closed: bool,
}

impl Card {
    /// Whether it must be reactivated before it is used. A clock that nobody keeps expires no card: the money is the
    /// holder's.
    pub fn is_expired(&self, now: Clock) -> bool {
        self.expired || (now.trusted && self.expires_ms.is_some_and(|end| now.wall_ms >= end))
    }

    /// As it may be shown.
    pub fn masked(&self) -> String {
        masked(self.last4)
    }
}

/// A card number as it may be shown.
pub fn masked(last4: [u8; 4]) -> String {
    format!("****{}", String::from_utf8_lossy(&last4))
}

/// The time of day, passed in: the ledger reads no clock.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Wall clock, Unix ms.
    pub wall_ms: i64,
    /// Whether something keeps it.
    pub trusted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_costs_about_a_hundred_bytes() {
        // In the table: its token, itself, a control byte, at the worst load (half).
        let slot = size_of::<(super::super::Token, Card)>();
        assert!(slot <= 64, "{slot} bytes a slot");
    }
}
