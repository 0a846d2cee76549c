//! What was paid and what went back.

use std::collections::BTreeMap;

use till_dbus::types::{BillRow, PaymentStep};

use crate::look::{Look, Tone, line};
use crate::table::{Cell, render};

/// A bill, with its sums by currency; `next`: where more begins, 0 when this is all.
pub fn bill(look: &Look, rows: &[BillRow], next: u64) -> String {
    let mut out = String::new();
    if rows.is_empty() {
        line(&mut out, look.say("no payments are like that", "没有符合条件的交易"));
    } else {
        let head = if look.chinese {
            ["时间", "应付", "已付", "已退", "状态", "通道", "操作员", "交易号"]
        } else {
            ["opened", "owed", "paid", "returned", "state", "channel", "operator", "payment"]
        };
        let cells: Vec<Vec<Cell>> = rows.iter().map(|r| row(look, r)).collect();
        out = render(look, &head, &cells);
        for (currency, sums) in sums(rows) {
            let text = match sums {
                Some((paid, returned)) => format!(
                    "{} {}, {} {}, {} {}",
                    look.say("paid", "已付"),
                    look.money(paid, &currency),
                    look.say("returned", "已退"),
                    look.money(returned, &currency),
                    look.say("kept", "净收"),
                    look.money(paid.saturating_sub(returned), &currency),
                ),
                None => format!("{currency}: {}", look.say("too much to add up here", "金额过大，无法合计")),
            };
            line(&mut out, &look.paint(&text, Tone::Strong));
        }
    }
    if next != 0 {
        let more = look.say("there may be more", "可能还有更多");
        line(&mut out, &format!("{more}: --after {next} (--all)"));
    }
    out
}

/// A payment's records.
pub fn history(look: &Look, steps: &[PaymentStep]) -> String {
    let head = if look.chinese {
        ["序号", "时间", "事件", "笔", "操作员", "说明"]
    } else {
        ["seq", "time", "event", "attempt", "operator", "text"]
    };
    let cells: Vec<Vec<Cell>> = steps
        .iter()
        .map(|s| {
            vec![
                Cell::right(s.seq.to_string()),
                Cell::new(look.time(s.wall_ms)),
                Cell::new(&s.event),
                Cell::right(if s.attempt == 0 { String::new() } else { s.attempt.to_string() }),
                Cell::new(&s.operator),
                Cell::new(&s.text),
            ]
        })
        .collect();
    render(look, &head, &cells)
}

fn row(look: &Look, r: &BillRow) -> Vec<Cell> {
    let money = |minor| Cell::right(look.money(minor, &r.currency));
    vec![
        Cell::new(look.time(r.opened_ms)),
        money(r.amount),
        money(r.paid),
        money(r.returned),
        Cell::state(look, &r.state),
        Cell::new(&r.channel),
        Cell::new(&r.operator),
        Cell::new(&r.id).tone(Tone::Faint),
    ]
}

/// Paid and returned by currency; None: beyond what can be counted.
fn sums(rows: &[BillRow]) -> BTreeMap<String, Option<(i64, i64)>> {
    let mut sums = BTreeMap::new();
    for r in rows {
        let sum: &mut Option<(i64, i64)> = sums.entry(r.currency.clone()).or_insert(Some((0, 0)));
        *sum = sum.and_then(|(paid, returned)| {
            Some((paid.checked_add(r.paid)?, returned.checked_add(r.returned)?))
        });
    }
    sums
}
