//! Fees forecast against fees charged, against a book that was kept while selling (S67, I7, I14).

use std::collections::BTreeMap;

use proptest::prelude::*;
use till_core::batch::{BatchEvent, Entry, Item, PartId};
use till_core::fees::{Fee, FeePlan, FeeReport};
use till_core::payment::{LegKind, Purpose};
use till_core::{PaymentId, Record, Refusal, Till};

use crate::samples::fen;
use crate::shop::{DAY, Shop};

const CHANNELS: [&str; 3] = ["bank", "wallet", "cash"];

/// What was sold, as the shop's own book has it.
#[derive(Debug)]
struct Sold {
    item: Item,
    minor: i64,
    forecast: Option<i64>,
    charged: Option<i64>,
    /// Attempt of its void.
    void: Option<u32>,
}

/// sales, amount, forecast: sales, amount, sum; charged: the same; compared, difference, unlike, voids
type Line = (i64, i64, (i64, i64, i64), (i64, i64, i64), i64, i64, i64, i64);

#[derive(Clone, Debug)]
enum Act {
    Sell { channel: usize, minor: i64, charged: Charge },
    Capture { minor: i64, part: bool, charged: Charge },
    Void { which: usize, charged: Charge },
    Refund { which: usize },
    Plan { channel: usize, permille: Option<u32> },
    Close { next_day: bool },
    Steps(u8),
    Crash,
}

#[derive(Clone, Debug)]
enum Charge {
    Silent,
    Nonsense,
    Fen(i64),
    /// The forecast and this.
    Off(i64),
}

fn charge() -> impl Strategy<Value = Charge> {
    prop_oneof![
        2 => Just(Charge::Silent),
        1 => Just(Charge::Nonsense),
        1 => (0_i64..90).prop_map(Charge::Fen),
        4 => (-3_i64..4).prop_map(Charge::Off),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0_usize..3, 1_i64..50_000, charge())
            .prop_map(|(channel, minor, charged)| Act::Sell { channel, minor, charged }),
        2 => (2_i64..50_000, any::<bool>(), charge())
            .prop_map(|(minor, part, charged)| Act::Capture { minor, part, charged }),
        3 => (any::<usize>(), charge()).prop_map(|(which, charged)| Act::Void { which, charged }),
        1 => any::<usize>().prop_map(|which| Act::Refund { which }),
        2 => (0_usize..3, proptest::option::of(0_u32..50))
            .prop_map(|(channel, permille)| Act::Plan { channel, permille }),
        1 => any::<bool>().prop_map(|next_day| Act::Close { next_day }),
        4 => (1_u8..12).prop_map(Act::Steps),
        1 => Just(Act::Crash),
    ]
}

struct Desk {
    shop: Shop,
    plans: [Option<u32>; 3],
    sold: Vec<Sold>,
}

impl Desk {
    /// To the nearest fen, a half upwards.
    fn forecast(&self, channel: usize, minor: i64) -> Option<i64> {
        self.plans[channel].map(|permille| (minor * i64::from(permille) + 500).div_euclid(1_000))
    }

    /// What the network will say, and what a reader understands of it.
    fn says(&mut self, forecast: Option<i64>, charge: &Charge) -> Option<i64> {
        let minor = match charge {
            Charge::Silent | Charge::Nonsense => None,
            Charge::Fen(minor) => Some(*minor),
            Charge::Off(by) => forecast.map(|f| f + by),
        };
        self.shop.charge = match charge {
            Charge::Nonsense => Some("0.60 yuan".into()),
            _ => minor.map(|m| format!(" {m}")),
        };
        minor
    }

    fn leg(&mut self, payment: PaymentId, kind: LegKind, minor: Option<i64>) -> Option<u32> {
        match self.shop.leg(payment, kind, minor.map(fen)) {
            Ok(attempt) => Some(attempt),
            Err(Refusal::NoLeg { .. } | Refusal::TooMuch { .. } | Refusal::State { .. }) => None,
            Err(e) => panic!("{e}"),
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Sell { channel, minor, charged } => {
                let forecast = self.forecast(*channel, *minor);
                let charged = self.says(forecast, charged);
                let payment = self.shop.sell(CHANNELS[*channel], *minor);
                let item = Item { payment, attempt: 1 };
                self.sold.push(Sold { item, minor: *minor, forecast, charged, void: None });
            }
            Act::Capture { minor, part, charged } => {
                let held = self.shop.begin("bank", fen(*minor), None, "", Purpose::Hold).expect("taken");
                self.shop.prepared(held, 1);
                self.shop.approve(held, 1);
                let taken = if *part { minor / 2 } else { *minor };
                // What was forecast for another amount is no forecast.
                let forecast = if taken == *minor { self.forecast(0, *minor) } else { None };
                let charged = self.says(forecast, charged);
                let attempt = self.leg(held, LegKind::Capture, Some(taken)).expect("completed");
                let item = Item { payment: held, attempt };
                self.sold.push(Sold { item, minor: taken, forecast, charged, void: None });
            }
            Act::Void { which, charged } if !self.sold.is_empty() => {
                let at = which % self.sold.len();
                self.says(Some(7), charged);
                let payment = self.sold[at].item.payment;
                if let Some(attempt) = self.leg(payment, LegKind::Void, None) {
                    self.sold[at].void = Some(attempt);
                }
            }
            Act::Refund { which } if !self.sold.is_empty() => {
                let payment = self.sold[which % self.sold.len()].item.payment;
                self.leg(payment, LegKind::Refund, Some(1));
            }
            Act::Void { .. } | Act::Refund { .. } => {}
            Act::Plan { channel, permille } => {
                self.plans[*channel] = *permille;
                let plan = permille.map(|p| FeePlan { rate_ppm: p * 1_000, ..FeePlan::default() });
                self.shop.ctx.rules.channels.entry(CHANNELS[*channel].into()).or_default().fee = plan;
            }
            Act::Close { next_day } => {
                if *next_day {
                    self.shop.ctx.wall_ms += DAY;
                }
                self.shop.close();
            }
            Act::Steps(n) => (0..*n).for_each(|_| {
                self.shop.step();
            }),
            Act::Crash => self.shop.crash(),
        }
        self.shop.look();
    }

    /// Where an item stands.
    fn place(&self, item: Item) -> (u32, PartId) {
        let (batch, channel, network) = self.shop.seen[&item].first().expect("one place").clone();
        (batch, PartId { channel, network })
    }

    /// The sums of a batch, added up by hand, and the sales that differ.
    fn book(&self, batch: u32) -> (BTreeMap<PartId, Line>, Vec<Item>) {
        let mut lines = BTreeMap::<PartId, Line>::new();
        let mut unlike = Vec::new();
        for s in &self.sold {
            let at = self.place(s.item);
            let void = s.void.map(|attempt| self.place(Item { attempt, ..s.item }));
            if let Some((_, part)) = void.clone().filter(|(b, _)| *b == batch) {
                lines.entry(part).or_default().7 += 1;
            }
            let (part, sign) = match (at, void) {
                ((sold, part), Some((undone, _))) if sold == batch && undone == batch => {
                    lines.entry(part).or_default();
                    continue;
                }
                ((sold, part), _) if sold == batch => (part, 1),
                (_, Some((undone, part))) if undone == batch => (part, -1),
                _ => continue,
            };
            let n = i64::from(sign == 1);
            let l = lines.entry(part).or_default();
            (l.0, l.1) = (l.0 + n, l.1 + sign * s.minor);
            if let Some(f) = s.forecast {
                l.2 = (l.2.0 + n, l.2.1 + sign * s.minor, l.2.2 + sign * f);
            }
            if let Some(c) = s.charged {
                l.3 = (l.3.0 + n, l.3.1 + sign * s.minor, l.3.2 + sign * c);
            }
            if let (Some(f), Some(c)) = (s.forecast, s.charged) {
                (l.4, l.5) = (l.4 + n, l.5 + sign * (c - f));
                if sign == 1 && !(-1..=1).contains(&(c - f)) {
                    l.6 += 1;
                    unlike.push(s.item);
                }
            }
        }
        unlike.sort_unstable();
        (lines, unlike)
    }
}

/// Entries of a batch as the journal has them: when it closed, else now.
fn entries(records: &[(u64, i64, Record)], number: u32) -> Vec<(PartId, Entry)> {
    let mut till = Till::new();
    for (seq, wall_ms, record) in records {
        if matches!(record, Record::Batch(BatchEvent::Closed { batch, .. }) if *batch == number) {
            break;
        }
        if let Some(id) = till.lacks(record) {
            let own = records.iter().filter(|(s, _, r)| s < seq && r.payment() == Some(id));
            till.adopt(Till::fold_payment(id, own.map(|(s, w, r)| (*s, *w, r))).expect("in the journal"));
        }
        till.apply(*seq, *wall_ms, record);
    }
    let Some(batch) = till.batches().get(number) else { return Vec::new() };
    batch.parts().flat_map(|(id, part)| part.entries().iter().map(move |e| (id.clone(), *e))).collect()
}

fn report(records: &[(u64, i64, Record)], number: u32) -> FeeReport {
    let fee = |(part, entry): (PartId, Entry)| {
        let own: Vec<_> =
            records.iter().filter(|(.., r)| r.payment() == Some(entry.item.payment)).cloned().collect();
        Some((part, Fee::of(&entry, &own)?))
    };
    FeeReport::new(&entries(records, number).into_iter().filter_map(fee).collect::<Vec<_>>())
        .expect("it fits")
}

fn lines(report: &FeeReport) -> BTreeMap<PartId, Line> {
    let line = |(part, l): (&PartId, &till_core::fees::FeeLine)| {
        let side = |s: till_core::batch::Side| (i64::from(s.count), s.amount.minor());
        let ((sales, amount), (f, fa), (c, ca)) = (side(l.sales), side(l.forecast), side(l.charged));
        let line = (
            sales,
            amount,
            (f, fa, l.forecast_fee.minor()),
            (c, ca, l.charged_fee.minor()),
            i64::from(l.compared),
            l.difference.minor(),
            i64::from(l.unlike),
            i64::from(l.voids),
        );
        (part.clone(), line)
    };
    report.lines().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Each batch, open, being settled or closed and out of memory; plans change meanwhile.
    #[test]
    fn s67_the_report_is_the_book_that_was_kept_while_selling(acts in proptest::collection::vec(act(), 1..70)) {
        let mut desk = Desk { shop: Shop::new(), plans: [None; 3], sold: Vec::new() };
        desk.shop.take(&till_core::Input::Tick);
        for act in [Act::Plan { channel: 0, permille: Some(6) }, Act::Plan { channel: 1, permille: Some(4) }].iter().chain(&acts) {
            desk.act(act);
        }
        let told = |desk: &Desk| (1..=desk.shop.till.open_batch()).map(|n| report(&desk.shop.records, n)).collect::<Vec<_>>();
        let before = told(&desk);
        for (number, report) in (1..).zip(&before) {
            let (book, unlike) = desk.book(number);
            prop_assert_eq!(lines(report), book, "batch {}", number);
            let mut named: Vec<Item> = report.unlike().iter().map(|(_, f)| f.item).collect();
            named.sort_unstable();
            prop_assert_eq!(named, unlike, "batch {}", number);
        }
        // Terms change, everything is settled and closed: what was told of a closed batch stays.
        let closed: Vec<u32> = desk.shop.till.batches().closed().map(|b| b.number).collect();
        desk.act(&Act::Plan { channel: 0, permille: Some(49) });
        desk.act(&Act::Close { next_day: true });
        desk.shop.run();
        let after = told(&desk);
        for (number, (before, after)) in (1..).zip(before.iter().zip(&after)) {
            if closed.contains(&number) {
                prop_assert_eq!(before, after, "batch {}", number);
            }
            let (book, _) = desk.book(number);
            prop_assert_eq!(lines(after), book, "batch {} at the end", number);
        }
    }
}
