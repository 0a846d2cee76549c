//! When the shop gets the money of a part, and how much of it (S67).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use till_plugin::{Currency, Money};

use super::date::BusinessDate;
use super::entry::Entry;
use crate::fees::FeePlan;
use crate::payment::LegKind;

/// When a channel pays a batch out, as agreed in the contract.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PayoutCycle {
    /// T+n: the n-th working day after the business date; T+0 on a day off is the next working day.
    Working(u16),
    /// D+n: n calendar days after it.
    Calendar(u16),
}

/// Days on which banks pay nothing out, beyond Saturdays and Sundays, and the weekends on which they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Holidays.
    pub holidays: BTreeSet<BusinessDate>,
    /// Saturdays and Sundays that are worked (China makes up for long holidays so).
    pub workdays: BTreeSet<BusinessDate>,
}

impl Calendar {
    /// Whether banks work on a day.
    pub fn works(&self, day: BusinessDate) -> bool {
        let weekend = day.weekday() >= 5;
        self.workdays.contains(&day) || (!weekend && !self.holidays.contains(&day))
    }

    /// The day on which a cycle pays a batch of that date out.
    pub fn payout(&self, date: BusinessDate, cycle: PayoutCycle) -> BusinessDate {
        let next = |mut day: BusinessDate| {
            while !self.works(day) && day < BusinessDate::LAST {
                day = day.plus(1);
            }
            day
        };
        match cycle {
            PayoutCycle::Calendar(days) => date.plus(days),
            PayoutCycle::Working(0) => next(date),
            PayoutCycle::Working(days) => (0..days).fold(date, |day, _| next(day.plus(1))),
        }
    }
}

/// What is expected of a closed part in one currency.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Fees of its sales; zero while no plan is configured.
    pub fee: Money,
    /// Taken less given back less fees; negative: the shop owes it.
    pub net: Money,
}

/// What is expected of a closed part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// Day it is expected; None: no cycle is configured (cash), or the batch has no date.
    pub date: Option<BusinessDate>,
    /// Amounts, one a currency.
    pub expected: Vec<Expected>,
}

/// What to expect of the entries of a part: on the cycle's day after its business date, less the fees of a plan. A void takes its
/// sale's fee back; a refund does not.
pub fn expect(
    entries: &[Entry],
    date: Option<BusinessDate>,
    cycle: Option<PayoutCycle>,
    calendar: &Calendar,
    plan: Option<&FeePlan>,
) -> Payout {
    // (net, fee) in 128 bits: no sum of 64-bit amounts that fits into memory leaves them.
    let mut sums: std::collections::BTreeMap<Currency, (i128, i128)> = std::collections::BTreeMap::new();
    for entry in entries {
        let (net, fee) = sums.entry(entry.amount.currency()).or_default();
        let own = plan.map_or(0, |p| i128::from(p.of(entry.amount).minor()));
        let minor = i128::from(entry.amount.minor());
        match entry.kind {
            LegKind::Sale | LegKind::Capture => (*net, *fee) = (*net + minor, *fee + own),
            LegKind::Void => (*net, *fee) = (*net - minor, *fee - own),
            LegKind::Refund => *net -= minor,
            LegKind::Hold | LegKind::Release | LegKind::Load => {}
        }
    }
    let clamp = |n: i128| i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX });
    let expected = sums.into_iter().map(|(currency, (net, fee))| Expected {
        fee: Money::new(clamp(fee.max(0)), currency),
        net: Money::new(clamp(net - fee.max(0)), currency),
    });
    Payout { date: date.zip(cycle).map(|(d, c)| calendar.payout(d, c)), expected: expected.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Item;
    use crate::payment::PaymentId;

    fn fen(minor: i64) -> Money {
        Money::new(minor, Currency::CNY)
    }

    fn entry(kind: LegKind, minor: i64) -> Entry {
        Entry { item: Item { payment: PaymentId([0; 16]), attempt: 1 }, kind, amount: fen(minor), seq: 1 }
    }

    #[test]
    fn the_payout_is_net_of_fees_and_on_its_day() {
        let plan = FeePlan { rate_ppm: 6_000, min: 1, max: Some(50), ..FeePlan::default() };
        let entries = [
            entry(LegKind::Sale, 10_000),   // 60, capped at 50
            entry(LegKind::Sale, 1_000),    // 6
            entry(LegKind::Sale, 10),       // at least 1
            entry(LegKind::Void, 1_000),    // takes 6 back
            entry(LegKind::Refund, 2_000),  // takes nothing back
            entry(LegKind::Capture, 5_000), // 30
        ];
        let friday = "2026-05-01".parse().ok();
        let days = Calendar::default();
        let payout = expect(&entries, friday, Some(PayoutCycle::Calendar(1)), &days, Some(&plan));
        assert_eq!(payout.date.unwrap().to_string(), "2026-05-02");
        assert_eq!(payout.expected, [Expected { fee: fen(81), net: fen(10_000 + 10 - 2_000 + 5_000 - 81) }]);
        let plain = expect(&entries, friday, None, &days, None);
        assert_eq!((plain.date, plain.expected[0].fee), (None, fen(0)));
    }

    #[test]
    fn s67_a_payout_waits_for_a_working_day_over_weekends_and_holidays() {
        let day = |text: &str| text.parse::<BusinessDate>().unwrap();
        let dates = |of: &[&str]| of.iter().map(|d| day(d)).collect();
        // The National Day of 2026: off until the 7th, made up for on Saturday the 10th.
        let calendar = Calendar {
            holidays: dates(&["2026-10-01", "2026-10-02", "2026-10-05", "2026-10-06", "2026-10-07"]),
            workdays: dates(&["2026-10-10"]),
        };
        for (sold, cycle, paid) in [
            ("2026-09-28", PayoutCycle::Working(1), "2026-09-29"),
            ("2026-09-30", PayoutCycle::Working(1), "2026-10-08"),
            ("2026-09-30", PayoutCycle::Calendar(1), "2026-10-01"),
            ("2026-10-03", PayoutCycle::Working(0), "2026-10-08"),
            ("2026-10-09", PayoutCycle::Working(1), "2026-10-10"),
            ("2026-10-09", PayoutCycle::Working(2), "2026-10-12"),
            ("2026-10-17", PayoutCycle::Working(1), "2026-10-19"),
        ] {
            assert_eq!(calendar.payout(day(sold), cycle), day(paid), "{sold} {cycle:?}");
        }
    }
}
