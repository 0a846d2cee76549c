//! What is told of a customer's card.

use serde::Serialize;
use zbus::{DeserializeDict, Type};

/// A balance: `Inquiry1.Balance`. For whoever asked, and to be kept nowhere: it is not printed by `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub struct BalanceReport {
    /// The card, masked.
    pub account: String,
    /// Minor units, below zero where it is owed.
    pub balance: i64,
    /// ISO 4217.
    pub currency: String,
}

impl std::fmt::Debug for BalanceReport {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "BalanceReport({})", self.account)
    }
}
