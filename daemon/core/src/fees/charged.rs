//! Fees that were forecast beside those that were charged, for each batch and channel.
//!
//! Both are in the journal: the forecast in the decision by which a sale went to its channel, with the plan of that moment; the
//! charge in the approval, where the network named it ([`answered::FEE`]). So the report is a fold of records: the same
//! after a restart, for a batch of last month, and whatever the plan says today.

use std::collections::{BTreeMap, BTreeSet};

use till_plugin::channel::answered;
use till_plugin::money::MoneyError;
use till_plugin::{Currency, Money};

use crate::batch::{Entry, Item, PartId, Side};
use crate::payment::{Attempt, LegKind, Payment};
use crate::record::Record;
use crate::routing::Decision;
use crate::till::Till;

/// Minor units by which a fee may be off before it counts as another one: networks round by their own rules.
pub const ROUNDING: i64 = 1;

/// Fees of one entry of a batch.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Fee {
    /// Which.
    pub item: Item,
    /// The sale that a void takes back, and its fee with it; None: it is a sale.
    pub voids: Option<Item>,
    /// How much was taken, or is taken back.
    pub amount: Money,
    /// Its fee by the plan of then. A completion has that of its hold, if it took the whole of it.
    pub forecast: Option<Money>,
    /// Its fee as the network said.
    pub charged: Option<Money>,
}

impl Fee {
    /// Fees of an entry, from the records of its payment (sequence number, wall clock in Unix ms, record), oldest first. What came
    /// after the entry was final is not looked at. None: it has no fee (refunds, holds), or the records are not its own.
    pub fn of(entry: &Entry, records: &[(u64, i64, Record)]) -> Option<Self> {
        let own = || records.iter().filter(|(seq, ..)| *seq <= entry.seq);
        let payment = Till::fold_payment(entry.item.payment, own().map(|(seq, wall, r)| (*seq, *wall, r)))?;
        let attempt = payment.attempt(entry.item.attempt)?;
        let decisions = || own().filter_map(|(.., record)| decision(record));
        let (sale, voids) = match entry.kind {
            LegKind::Sale | LegKind::Capture => (attempt, None),
            LegKind::Void => (
                payment.attempt(attempt.of)?,
                Some(Item { payment: entry.item.payment, attempt: attempt.of }),
            ),
            LegKind::Refund | LegKind::Hold | LegKind::Release | LegKind::Load => return None,
        };
        let forecast = decided(&payment, sale)
            .and_then(|number| decisions().find(|(of, _)| *of == number))
            .and_then(|(_, decision)| forecast(decision))
            .map(|minor| Money::new(minor, entry.amount.currency()));
        Some(Self { item: entry.item, voids, amount: entry.amount, forecast, charged: charged(sale) })
    }

    /// Charged less forecast; None: one of them is not known.
    pub fn difference(&self) -> Option<Result<Money, MoneyError>> {
        Some(self.charged?.checked_sub(self.forecast?))
    }
}

/// The attempt whose decision forecast the fee of a sale.
fn decided(payment: &Payment, sale: &Attempt) -> Option<u32> {
    match sale.kind {
        LegKind::Sale => Some(sale.ids.attempt),
        LegKind::Capture => {
            payment.attempt(sale.of).filter(|h| h.amount == sale.amount).map(|h| h.ids.attempt)
        }
        _ => None,
    }
}

fn decision(record: &Record) -> Option<(u32, &Decision)> {
    match record {
        Record::AttemptCreated { ids, decision, .. } | Record::Tendered { ids, decision, .. } => {
            Some((ids.attempt, decision))
        }
        _ => None,
    }
}

/// The fee that a decision expected of the channel it chose, minor units.
fn forecast(decision: &Decision) -> Option<i64> {
    decision.candidates.iter().find(|c| c.verdict.is_chosen())?.verdict.weights()?.fee
}

/// The fee that a network named; what is no number of minor units is none.
fn charged(sale: &Attempt) -> Option<Money> {
    let said = sale.approval.as_ref()?.extra.get(answered::FEE)?;
    said.trim().parse().ok().map(|minor| Money::new(minor, sale.amount.currency()))
}

/// Fees of one channel's part of a batch in one currency. A sale that was voided in the same batch is in none of the sums: its
/// fee went back with it. The void of an older sale is taken off them.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FeeLine {
    /// All sales and completions.
    pub sales: Side,
    /// Those whose fee was forecast …
    pub forecast: Side,
    /// … and the sum of that.
    pub forecast_fee: Money,
    /// Those whose fee the network named …
    pub charged: Side,
    /// … and the sum of that.
    pub charged_fee: Money,
    /// Sales of which both are known …
    pub compared: u32,
    /// … and how much more was charged for them than was forecast; below zero: less.
    pub difference: Money,
    /// How many of them differ by more than [`ROUNDING`].
    pub unlike: u32,
    /// Voids in it.
    pub voids: u32,
}

impl FeeLine {
    const fn none(currency: Currency) -> Self {
        let (side, zero) = (Side::none(currency), Money::zero(currency));
        Self {
            sales: side,
            forecast: side,
            forecast_fee: zero,
            charged: side,
            charged_fee: zero,
            compared: 0,
            difference: zero,
            unlike: 0,
            voids: 0,
        }
    }

    fn add(&mut self, fee: &Fee) -> Result<(), MoneyError> {
        let back = fee.voids.is_some();
        let money = |sum: &mut Money, one: Money| {
            *sum = if back { sum.checked_sub(one)? } else { sum.checked_add(one)? };
            Ok::<_, MoneyError>(())
        };
        let side = |side: &mut Side| {
            side.count = side.count.saturating_add(u32::from(!back));
            money(&mut side.amount, fee.amount)
        };
        side(&mut self.sales)?;
        if let Some(forecast) = fee.forecast {
            side(&mut self.forecast)?;
            money(&mut self.forecast_fee, forecast)?;
        }
        if let Some(charged) = fee.charged {
            side(&mut self.charged)?;
            money(&mut self.charged_fee, charged)?;
        }
        if let Some(difference) = fee.difference() {
            let difference = difference?;
            money(&mut self.difference, difference)?;
            self.compared = self.compared.saturating_add(u32::from(!back));
            let unlike = !back && difference.minor().unsigned_abs() > ROUNDING.unsigned_abs();
            self.unlike = self.unlike.saturating_add(u32::from(unlike));
        }
        Ok(())
    }
}

/// Forecast against charged of one batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeeReport {
    lines: BTreeMap<(PartId, Currency), FeeLine>,
    unlike: Vec<(PartId, Fee)>,
}

impl FeeReport {
    /// From all entries of a batch that have a fee. On an error a sum does not fit into 64 bits.
    pub fn new(fees: &[(PartId, Fee)]) -> Result<Self, MoneyError> {
        let sold: BTreeSet<Item> =
            fees.iter().filter(|(_, f)| f.voids.is_none()).map(|(_, f)| f.item).collect();
        // Back to the shop within the batch: as if it had not been sold.
        let undone: BTreeSet<Item> =
            fees.iter().filter_map(|(_, f)| f.voids).filter(|sale| sold.contains(sale)).collect();
        let mut report = Self::default();
        for (part, fee) in fees {
            let currency = fee.amount.currency();
            let line = report.lines.entry((part.clone(), currency)).or_insert(FeeLine::none(currency));
            line.voids = line.voids.saturating_add(u32::from(fee.voids.is_some()));
            if undone.contains(&fee.voids.unwrap_or(fee.item)) {
                continue;
            }
            let before = line.unlike;
            line.add(fee)?;
            if line.unlike > before {
                report.unlike.push((part.clone(), *fee));
            }
        }
        Ok(report)
    }

    /// Sums, by channel, batch number of its network, and currency.
    pub fn lines(&self) -> impl Iterator<Item = (&PartId, &FeeLine)> + '_ {
        self.lines.iter().map(|((part, _), line)| (part, line))
    }

    /// Sales whose charge differs from the forecast by more than [`ROUNDING`], as they came.
    pub fn unlike(&self) -> &[(PartId, Fee)] {
        &self.unlike
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::PaymentId;

    fn fen(minor: i64) -> Money {
        Money::new(minor, Currency::CNY)
    }

    fn sale(payment: u8, minor: i64, forecast: Option<i64>, charged: Option<i64>) -> Fee {
        let item = Item { payment: PaymentId([payment; 16]), attempt: 1 };
        Fee { item, voids: None, amount: fen(minor), forecast: forecast.map(fen), charged: charged.map(fen) }
    }

    fn void(fee: Fee) -> Fee {
        Fee { item: Item { attempt: 2, ..fee.item }, voids: Some(fee.item), ..fee }
    }

    fn one(fees: &[Fee]) -> (FeeLine, Vec<Fee>) {
        let part = PartId { channel: "wallet".into(), network: 3 };
        let all: Vec<_> = fees.iter().map(|f| (part.clone(), *f)).collect();
        let report = FeeReport::new(&all).unwrap();
        let mut lines = report.lines();
        let (_, line) = lines.next().unwrap();
        assert!(lines.next().is_none());
        (*line, report.unlike().iter().map(|(_, f)| *f).collect())
    }

    #[test]
    fn only_what_is_known_on_both_sides_is_compared_and_a_rounding_is_no_difference() {
        let off = sale(4, 1_000, Some(6), Some(8));
        let (line, unlike) = one(&[
            sale(1, 10_000, Some(60), Some(60)),
            sale(2, 5_000, Some(30), None),
            sale(3, 700, None, Some(99)),
            off,
            sale(5, 1_000, Some(6), Some(5)),
        ]);
        assert_eq!((line.sales.count, line.sales.amount), (5, fen(17_700)));
        assert_eq!(
            (line.forecast.count, line.forecast.amount, line.forecast_fee),
            (4, fen(17_000), fen(102))
        );
        assert_eq!((line.charged.count, line.charged.amount, line.charged_fee), (4, fen(12_700), fen(172)));
        assert_eq!((line.compared, line.difference, line.unlike), (3, fen(1), 1));
        assert_eq!(unlike, [off]);
    }

    #[test]
    fn a_voided_sale_is_in_no_sum_and_the_void_of_an_older_one_is_taken_off() {
        let off = sale(1, 1_000, Some(6), Some(60));
        let (line, unlike) = one(&[off, void(off), sale(2, 500, Some(3), Some(3))]);
        assert_eq!((line.sales.count, line.voids, line.difference, line.unlike), (1, 1, fen(0), 0));
        assert_eq!(unlike, []);
        let (line, unlike) = one(&[void(off), sale(2, 500, Some(3), Some(3))]);
        assert_eq!((line.sales.count, line.sales.amount, line.voids), (1, fen(-500), 1));
        assert_eq!((line.forecast_fee, line.charged_fee, line.difference), (fen(-3), fen(-57), fen(-54)));
        assert_eq!(unlike, [], "it was named when it was sold");
    }

    #[test]
    fn a_sum_that_does_not_fit_is_an_error() {
        let part = PartId { channel: "wallet".into(), network: 3 };
        let all: Vec<_> = (1..4).map(|n| (part.clone(), sale(n, i64::MAX, None, None))).collect();
        assert_eq!(FeeReport::new(&all), Err(MoneyError::Overflow));
    }
}
