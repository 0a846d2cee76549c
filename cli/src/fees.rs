//! `day fees`: forecast beside charged.

use till_dbus::types::{FeeDifferenceRow, FeeRow};

use crate::look::{Look, Tone, clean, line};
use crate::table::{Cell, render};

/// Fees of one batch, and each sale that differs.
pub fn report(look: &Look, number: u32, rows: &[FeeRow], unlike: &[FeeDifferenceRow]) -> String {
    let mut out = String::new();
    line(&mut out, &look.paint(&format!("{} {number}", look.say("batch", "批次")), Tone::Strong));
    if rows.is_empty() {
        line(&mut out, look.say("nothing was sold in it", "本批次无销售"));
        return out;
    }
    let head = if look.chinese {
        ["通道", "网络批次", "销售", "金额", "预计手续费", "笔数", "实收手续费", "笔数", "已比对", "差额"]
    } else {
        [
            "channel",
            "network batch",
            "sales",
            "amount",
            "forecast",
            "of",
            "charged",
            "of",
            "compared",
            "difference",
        ]
    };
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|r| {
            // What nobody forecast or told is not zero.
            let known = |sales: u32, minor: i64| match (sales, minor) {
                (0, 0) => Cell::right("-"),
                _ => Cell::right(look.money(minor, &r.currency)),
            };
            let tone = if r.unlike > 0 { Tone::Warn } else { Tone::Plain };
            vec![
                Cell::new(&r.channel),
                Cell::right(if r.network == 0 { "-".into() } else { r.network.to_string() }),
                Cell::right(r.sales.to_string()),
                Cell::right(look.money(r.amount, &r.currency)),
                known(r.forecast_sales, r.forecast),
                Cell::right(r.forecast_sales.to_string()),
                known(r.charged_sales, r.charged),
                Cell::right(r.charged_sales.to_string()),
                Cell::right(r.compared.to_string()),
                known(r.compared, r.difference).tone(tone),
            ]
        })
        .collect();
    out += &render(look, &head, &cells);
    for u in unlike {
        let amount = |minor| look.money(minor, &u.currency);
        let text = format!(
            "! {} {} #{}: {} {}, {} {}, {} {}",
            clean(&u.channel),
            clean(&u.payment),
            u.attempt,
            look.say("amount", "金额"),
            amount(u.amount),
            look.say("forecast", "预计"),
            amount(u.forecast),
            look.say("charged", "实收"),
            amount(u.charged),
        );
        line(&mut out, &look.paint(&text, Tone::Warn));
    }
    let all: u64 = rows.iter().map(|r| u64::from(r.unlike)).sum();
    let named = u64::try_from(unlike.len()).unwrap_or(u64::MAX);
    if all > named {
        let text = format!(
            "{} {}",
            all - named,
            look.say("more differ: --limit names them", "笔另有差异：用 --limit 列出")
        );
        line(&mut out, &text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(channel: &str, forecast: (u32, i64), charged: (u32, i64), difference: (u32, i64, u32)) -> FeeRow {
        FeeRow {
            channel: channel.into(),
            network: 7,
            currency: "CNY".into(),
            sales: 3,
            amount: 27_345,
            forecast_sales: forecast.0,
            forecast_amount: 30_000,
            forecast: forecast.1,
            charged_sales: charged.0,
            charged_amount: 30_000,
            charged: charged.1,
            compared: difference.0,
            difference: difference.1,
            unlike: difference.2,
            voids: 0,
        }
    }

    #[test]
    fn what_was_not_told_is_not_zero_and_what_differs_is_named() {
        let unlike = FeeDifferenceRow {
            payment: "ab".repeat(16),
            attempt: 2,
            channel: "alipay".into(),
            network: 7,
            currency: "CNY".into(),
            amount: 10_000,
            forecast: 60,
            charged: 138,
        };
        let rows = [
            row("alipay", (3, 180), (3, 258), (3, 78, 2)),
            row("bankcard", (3, 111), (0, 0), (0, 0, 0)),
            row("cash", (0, 0), (0, 0), (0, 0, 0)),
        ];
        let out = report(&Look::plain(), 4, &rows, &[unlike]);
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines[0].contains("batch 4"), "{out}");
        for says in ["1.80", "2.58", "0.78"] {
            assert!(lines[2].contains(says), "{says} is missing:\n{out}");
        }
        assert!(lines[3].contains("1.11") && lines[3].contains(" - ") && !lines[3].contains("0.00"), "{out}");
        assert!(!lines[4].contains("0.00"), "{out}");
        let named = "! alipay abababababababababababababababab #2: amount CNY 100.00, forecast CNY 0.60, charged CNY 1.38";
        assert_eq!(lines[5], named);
        assert!(lines[6].starts_with("1 more differ"), "{out}");
        let chinese = Look { chinese: true, ..Look::plain() };
        assert!(report(&chinese, 4, &rows, &[]).contains("实收手续费"));
        assert!(report(&Look::plain(), 4, &[], &[]).contains("nothing was sold"));
    }
}
