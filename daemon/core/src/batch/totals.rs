//! Totals: what was taken and given back, each with its count, a currency at a time. Always the fold of entries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use till_plugin::money::MoneyError;
use till_plugin::{Currency, Money};

use crate::payment::LegKind;

/// An amount and of how many items it is the sum.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Sum.
    pub amount: Money,
    /// How many.
    pub count: u32,
}

impl Side {
    /// Nothing of a currency.
    pub const fn none(currency: Currency) -> Self {
        Self { amount: Money::zero(currency), count: 0 }
    }

    fn plus(self, other: Self) -> Result<Self, MoneyError> {
        let count = self.count.checked_add(other.count).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount: self.amount.checked_add(other.amount)?, count })
    }
}

/// Both sides in one currency.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Money taken: sales and completions.
    pub debits: Side,
    /// Money given back: voids (of completions too) and refunds.
    pub credits: Side,
}

impl Line {
    /// Nothing of a currency.
    pub const fn none(currency: Currency) -> Self {
        Self { debits: Side::none(currency), credits: Side::none(currency) }
    }

    /// Taken less given back.
    pub fn net(self) -> Result<Money, MoneyError> {
        self.debits.amount.checked_sub(self.credits.amount)
    }
}

/// Sums by currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals(BTreeMap<Currency, Line>);

/// On which side of the totals an item stands; holds, releases and loads are no money of the shop and on none
/// (channels.md §1.7).
pub const fn side(kind: LegKind) -> Option<bool> {
    if kind.takes() {
        Some(true)
    } else if kind.gives_back() {
        Some(false)
    } else {
        None
    }
}

impl Totals {
    /// Takes an approved item in. On an error nothing changes: the sum no longer fits.
    pub fn add(&mut self, kind: LegKind, amount: Money) -> Result<(), MoneyError> {
        let Some(debit) = side(kind) else { return Ok(()) };
        let mut line = self.line(amount.currency());
        let one = Side { amount, count: 1 };
        if debit {
            line.debits = line.debits.plus(one)?;
        } else {
            line.credits = line.credits.plus(one)?;
        }
        self.0.insert(amount.currency(), line);
        Ok(())
    }

    /// Takes other totals in. On an error nothing changes.
    pub fn merge(&mut self, other: &Self) -> Result<(), MoneyError> {
        let mut sum = self.clone();
        for (currency, line) in &other.0 {
            let mine = sum.line(*currency);
            let both =
                Line { debits: mine.debits.plus(line.debits)?, credits: mine.credits.plus(line.credits)? };
            sum.0.insert(*currency, both);
        }
        *self = sum;
        Ok(())
    }

    /// Both sides in a currency.
    pub fn line(&self, currency: Currency) -> Line {
        self.0.get(&currency).copied().unwrap_or(Line::none(currency))
    }

    /// Every currency that something was taken or given back in.
    pub fn lines(&self) -> impl Iterator<Item = (Currency, Line)> + '_ {
        self.0.iter().map(|(currency, line)| (*currency, *line))
    }

    /// The first so many currencies, for a record.
    #[must_use]
    pub fn first(&self, currencies: usize) -> Self {
        Self(self.0.iter().take(currencies).map(|(c, l)| (*c, *l)).collect())
    }

    /// Items on both sides together.
    pub fn count(&self) -> u64 {
        self.0.values().map(|l| u64::from(l.debits.count) + u64::from(l.credits.count)).sum()
    }

    /// Nothing was taken or given back.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Sums by kind of item and currency, holds and loads too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kinds(BTreeMap<(LegKind, Currency), Side>);

impl Kinds {
    /// Takes an approved item in. On an error nothing changes.
    pub fn add(&mut self, kind: LegKind, amount: Money) -> Result<(), MoneyError> {
        let sum = self.of(kind, amount.currency()).plus(Side { amount, count: 1 })?;
        self.0.insert((kind, amount.currency()), sum);
        Ok(())
    }

    /// Sum of a kind in a currency.
    pub fn of(&self, kind: LegKind, currency: Currency) -> Side {
        self.0.get(&(kind, currency)).copied().unwrap_or(Side::none(currency))
    }

    /// All of them, by kind and currency.
    pub fn iter(&self) -> impl Iterator<Item = (LegKind, Side)> + '_ {
        self.0.iter().map(|((kind, _), side)| (*kind, *side))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fen(minor: i64) -> Money {
        Money::new(minor, Currency::CNY)
    }

    #[test]
    fn sales_and_completions_are_taken_voids_and_refunds_given_back() {
        let mut t = Totals::default();
        let all = [
            (LegKind::Sale, 1_000),
            (LegKind::Capture, 500),
            (LegKind::Void, 200),
            (LegKind::Refund, 30),
            (LegKind::Hold, 7_000),
            (LegKind::Release, 7_000),
            (LegKind::Load, 9_000),
        ];
        let mut kinds = Kinds::default();
        for (kind, amount) in all {
            t.add(kind, fen(amount)).unwrap();
            kinds.add(kind, fen(amount)).unwrap();
        }
        let line = t.line(Currency::CNY);
        assert_eq!((line.debits.amount, line.debits.count), (fen(1_500), 2));
        assert_eq!((line.credits.amount, line.credits.count), (fen(230), 2));
        assert_eq!(line.net(), Ok(fen(1_270)));
        assert_eq!(t.count(), 4);
        assert_eq!(kinds.of(LegKind::Load, Currency::CNY).amount, fen(9_000));
        assert_eq!(kinds.iter().count(), 7);
    }

    #[test]
    fn currencies_are_never_added_up() {
        let usd: Currency = "USD".parse().unwrap();
        let mut t = Totals::default();
        t.add(LegKind::Sale, fen(100)).unwrap();
        t.add(LegKind::Sale, Money::new(100, usd)).unwrap();
        assert_eq!(t.line(usd).debits.amount, Money::new(100, usd));
        assert_eq!(t.lines().count(), 2);
    }

    #[test]
    fn a_sum_that_does_not_fit_is_refused_and_changes_nothing() {
        let mut t = Totals::default();
        t.add(LegKind::Sale, fen(i64::MAX)).unwrap();
        let before = t.clone();
        assert_eq!(t.add(LegKind::Sale, fen(1)), Err(MoneyError::Overflow));
        assert_eq!(t.merge(&before), Err(MoneyError::Overflow));
        assert_eq!(t, before);
    }
}
