//! Business days on the machine: the clock closes each once (S65), and clocks change no money (I19).

use proptest::prelude::*;
use till_core::batch::{BatchEvent, BusinessDate, CloseAt, SettleRule};
use till_core::{Input, Purpose, Record, Refusal};

use crate::samples::fen;
use crate::shop::{DAY, HOUR, MORNING, Shop};

fn shop() -> Shop {
    let mut shop = Shop::new();
    shop.ctx.rules.close_at = CloseAt::new(23 * 60 + 30);
    shop
}

fn date(shop: &Shop) -> String {
    shop.till.batches().date().map_or_else(|| "none".into(), |d| d.to_string())
}

fn auto_closed(shop: &Shop) -> Vec<BusinessDate> {
    let closed = |r: &Record| match r {
        Record::Batch(BatchEvent::Frozen { automatic: true, date, .. }) => *date,
        _ => None,
    };
    shop.records.iter().filter_map(|(_, _, r)| closed(r)).collect()
}

#[test]
fn s65_the_day_is_closed_once_over_crashes_and_caught_up_with_after_power_off() {
    let mut shop = shop();
    shop.take(&Input::Tick);
    assert_eq!(date(&shop), "2026-05-01");
    shop.sell("cash", 100);
    shop.ctx.wall_ms = MORNING + 13 * HOUR + HOUR / 2;
    for _ in 0..3 {
        shop.take(&Input::Tick);
        shop.crash();
    }
    shop.run();
    assert_eq!((shop.till.open_batch(), date(&shop)), (2, "2026-05-02".into()));
    // Off for a week, without a sale on the days between.
    shop.sell("cash", 100);
    shop.ctx.wall_ms += 7 * DAY;
    shop.crash();
    for _ in 0..3 {
        shop.take(&Input::Tick);
    }
    assert_eq!((shop.till.open_batch(), date(&shop)), (3, "2026-05-09".into()));
    assert_eq!(auto_closed(&shop).len(), 2);
}

#[test]
fn s65_a_suspect_clock_waits_and_a_date_that_ran_ahead_is_corrected_by_a_record() {
    let mut shop = shop();
    shop.ctx.clock_trusted = false;
    shop.take(&Input::Tick);
    assert_eq!(date(&shop), "none");
    shop.ctx.clock_trusted = true;
    shop.take(&Input::Tick);
    let sale = shop.sell("cash", 100);
    // Ten years ahead: the day is closed, early but once.
    shop.ctx.wall_ms = MORNING + 3_650 * DAY;
    shop.take(&Input::Tick);
    shop.run();
    assert_eq!(date(&shop), "2036-04-28");
    shop.sell("cash", 50);
    // Back to the first of May, which is closed: the second gets what is sold now.
    shop.ctx.wall_ms = MORNING + HOUR;
    shop.take(&Input::Tick);
    assert_eq!((date(&shop), shop.till.open_batch()), ("2026-05-02".into(), 2));
    assert!(shop.alarms.contains(&"business-date-corrected"));
    shop.ctx.wall_ms = MORNING + 14 * HOUR;
    shop.take(&Input::Tick);
    assert_eq!(shop.till.open_batch(), 2, "the first of May is not closed twice");
    shop.ctx.wall_ms = MORNING + DAY + 14 * HOUR;
    shop.take(&Input::Tick);
    shop.crash();
    shop.run();
    assert_eq!(
        auto_closed(&shop).iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["2026-05-01", "2026-05-02"]
    );
    assert_eq!(shop.till.payment(sale).map(till_core::Payment::paid), Some(fen(100)));
}

#[test]
fn s65_a_close_by_hand_does_not_take_the_days_own_close_away() {
    let mut shop = shop();
    shop.take(&Input::Tick);
    shop.sell("cash", 100);
    shop.close();
    shop.run();
    assert_eq!((shop.till.open_batch(), date(&shop)), (2, "2026-05-01".into()));
    let records = shop.records.len();
    shop.close();
    assert_eq!(shop.records.len(), records, "pressed twice, closed once");
    shop.ctx.wall_ms = MORNING + 14 * HOUR;
    shop.take(&Input::Tick);
    assert_eq!((shop.till.open_batch(), date(&shop)), (3, "2026-05-02".into()));
    assert_eq!(auto_closed(&shop).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// I13, I19: whatever the clock does, no date is closed twice by it, batch numbers have no gap, and the money is
    /// what was taken.
    #[test]
    fn s65_wild_clocks_close_no_day_twice_and_move_no_money(
        events in proptest::collection::vec((0_u8..6, -3_700_i64..3_700), 1..60),
    ) {
        let mut shop = shop();
        let mut taken = 0;
        for (what, by) in events {
            match what {
                0 => shop.ctx.wall_ms = shop.ctx.wall_ms.saturating_add(by * DAY),
                1 => shop.ctx.wall_ms = shop.ctx.wall_ms.saturating_add(by.abs() * 60_000),
                2 => shop.ctx.rules.utc_offset_min = i32::try_from(by % 840).expect("small"),
                3 => shop.crash(),
                4 => shop.ctx.clock_trusted = by > -2_000,
                _ => {
                    shop.sell("cash", 100);
                    taken += 100;
                }
            }
            shop.take(&Input::Tick);
            shop.run();
        }
        let mut closed = auto_closed(&shop);
        let all = closed.len();
        closed.sort_unstable();
        closed.dedup();
        prop_assert_eq!(closed.len(), all);
        shop.ctx.clock_trusted = true;
        shop.close();
        shop.run();
        let mut total = 0;
        let mut number = 0;
        for (_, _, record) in &shop.records {
            if let Record::Batch(BatchEvent::Frozen { batch, .. }) = record {
                prop_assert_eq!(*batch, number + 1);
                number = *batch;
            }
            if let Record::Batch(BatchEvent::Closed { totals, .. }) = record {
                total += totals.line(till_plugin::Currency::CNY).debits.amount.minor();
            }
        }
        let open = shop.till.batches().open().map(|b| b.totals().line(till_plugin::Currency::CNY).debits.amount.minor());
        prop_assert_eq!(total + open.unwrap_or(0), taken);
    }
}

/// A network counts so many items in one batch and no more: the till closes the batch before, for the same day.
#[test]
fn a_batch_is_closed_for_the_same_day_before_its_network_takes_no_more() {
    let mut shop = shop();
    shop.take(&Input::Tick);
    let today = date(&shop);
    let rule = SettleRule { batch_limit: Some(3), ..SettleRule::default() };
    shop.ctx.rules.channels.insert("bank".into(), rule);
    for minor in 1..=7 {
        shop.sell("bank", minor);
        shop.sell("cash", minor);
        shop.run();
    }
    assert_eq!((shop.till.open_batch(), date(&shop)), (3, today));
    for (batch, count) in [(1, 3), (2, 3), (3, 1)] {
        assert_eq!(shop.part(batch, "bank", batch).count(), count, "batch {batch}");
    }
    assert_eq!(auto_closed(&shop), [], "the day's own close is still to come");

    // Nobody has looked yet, and one more would be one too many: another channel may take it, this one says why not.
    shop.sell("bank", 8);
    shop.sell("bank", 9);
    let Err(Refusal::NoRoute { en, .. }) = shop.begin("bank", fen(10), None, "", Purpose::Sale) else {
        panic!("the network would refuse it");
    };
    assert!(en.contains("bank: above the limit of its batch"), "{en}");
    shop.sell("cash", 10);
    // The clock looks too.
    shop.take(&Input::Tick);
    assert_eq!(shop.till.open_batch(), 4);
    shop.sell("bank", 10);
}
