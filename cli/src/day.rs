//! `day`: batches and the end of day.

use serde_json::json;
use till_dbus::types::{BatchRow, ExceptionRow, OperatorRow, PartRow, PayoutRow};
use till_dbus::{Options, Settlement1Proxy};

use crate::args::{Command, DayCommand};
use crate::exit::Failure;
use crate::fees;
use crate::look::{Look, Tone, clean, line};
use crate::session::Session;
use crate::table::{Cell, render};

/// The end of a day, and a part closed without its network, want a name.
pub fn check(command: &Command, operator: Option<&str>) -> Result<(), Failure> {
    let what = match command {
        Command::Day(DayCommand::Close) => "closing the day",
        Command::Day(DayCommand::Anyway { .. }) => "closing a part by hand",
        Command::Day(DayCommand::Print { .. }) => "a copy of a slip",
        Command::Training { .. } => "training",
        _ => return Ok(()),
    };
    if operator.is_some_and(|o| !o.trim().is_empty()) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{what} wants a name: give --operator NAME, who does it; it stands in the journal"
    )))
}

/// Runs one of these commands.
pub(crate) async fn run(s: &Session, command: &DayCommand) -> Result<(), Failure> {
    let till = Settlement1Proxy::new(&s.connection).await?;
    match command {
        DayCommand::Close => {
            let batch = till.close(s.options()).await?;
            let text = if batch == 0 {
                s.look
                    .say(
                        "nothing was sold since the last close: nothing to close",
                        "上次结批后无交易，无需结批",
                    )
                    .into()
            } else {
                let say = s.look.say(
                    "is being settled; sales go on. `tillctl day show",
                    "正在结算，可继续收款；查看：`tillctl day show",
                );
                format!("{} {batch} {say} {batch}`", s.look.say("batch", "批次"))
            };
            s.did(&text, &json!({ "batch": batch }))
        }
        DayCommand::List => {
            let rows = till.list_batches(Options::new()).await?;
            s.show(&json!({ "batches": rows }), |look| list(look, &rows))
        }
        DayCommand::Show { batch } => {
            let number = match batch {
                Some(batch) => *batch,
                None => till.open_batch().await?,
            };
            let parts = till.list_parts(number, Options::new()).await?;
            let left = till.list_exceptions(number, Options::new()).await?;
            let payouts = till.list_payouts(number, Options::new()).await?;
            let data = json!({ "batch": number, "parts": parts, "exceptions": left, "payouts": payouts });
            s.show(&data, |look| show(look, number, &parts, &left, &payouts))
        }
        DayCommand::Operators { batch } => {
            let number = match batch {
                Some(batch) => *batch,
                None => till.open_batch().await?,
            };
            let rows = till.list_operators(number, Options::new()).await?;
            s.show(&json!({ "batch": number, "operators": rows }), |look| operators(look, number, &rows))
        }
        DayCommand::Fees { batch, limit } => {
            let number = match batch {
                Some(batch) => *batch,
                None => till.open_batch().await?,
            };
            let options = [("limit", (*limit).into())].into();
            let (lines, unlike) = till.fee_report(number, options).await?;
            let data = json!({ "batch": number, "lines": lines, "differences": unlike });
            s.show(&data, |look| fees::report(look, number, &lines, &unlike))
        }
        DayCommand::Again { batch, channel } => {
            till.settle_again(*batch, channel, s.options()).await?;
            let text = s.look.say("the settlement goes on", "结算继续进行");
            s.did(text, &json!({ "batch": batch, "channel": channel }))
        }
        DayCommand::Anyway { batch, channel, reason } => {
            let closed = till.close_anyway(*batch, channel, reason, s.options()).await?;
            let text = if closed {
                s.look.say("closed, with what is open named", "已结批，未了事项已列明")
            } else {
                s.look.say(
                    "proposed; it is closed when another person says the same",
                    "已提议；另一人确认后结批",
                )
            };
            s.did(text, &json!({ "batch": batch, "channel": channel, "closed": closed }))
        }
        DayCommand::Slip { batch } => {
            let text = till.slip_text(*batch, Options::new()).await?;
            s.show(&json!({ "batch": batch, "text": text }), |_| text.clone())
        }
        DayCommand::Print { batch } => {
            let copy = till.reprint_slip(*batch, s.options()).await?;
            let text =
                format!("{} {copy}", s.look.say("on its way to the printer, as copy", "已送打印，重印件"));
            s.did(&text, &json!({ "batch": batch, "copy": copy }))
        }
    }
}

/// Batches, newest first.
pub fn list(look: &Look, rows: &[BatchRow]) -> String {
    let head = if look.chinese {
        ["批次", "营业日", "状态", "方式", "操作员"]
    } else {
        ["batch", "business day", "state", "closed by", "operator"]
    };
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|b| {
            let by = match (b.state.as_str(), b.automatic) {
                ("open", _) => "",
                (_, true) => look.say("clock", "自动"),
                (_, false) => look.say("hand", "手工"),
            };
            vec![
                Cell::right(b.number.to_string()),
                Cell::new(if b.date.is_empty() { "?" } else { &b.date }),
                Cell::state(look, &b.state),
                Cell::new(by),
                Cell::new(&b.operator),
            ]
        })
        .collect();
    render(look, &head, &cells)
}

/// What each operator took and gave back in one batch.
pub fn operators(look: &Look, number: u32, rows: &[OperatorRow]) -> String {
    let mut out = String::new();
    line(&mut out, &look.paint(&format!("{} {number}", look.say("batch", "批次")), Tone::Strong));
    if rows.is_empty() {
        line(&mut out, look.say("no money moved in it", "本批次无交易"));
        return out;
    }
    let head = if look.chinese {
        ["操作员", "收款", "笔数", "退款", "笔数"]
    } else {
        ["operator", "taken", "count", "given back", "count"]
    };
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|o| {
            vec![
                Cell::new(if o.operator.is_empty() {
                    look.say("not said", "未注明")
                } else {
                    &o.operator
                }),
                Cell::right(look.money(o.debits, &o.currency)),
                Cell::right(o.debit_count.to_string()),
                Cell::right(look.money(o.credits, &o.currency)),
                Cell::right(o.credit_count.to_string()),
            ]
        })
        .collect();
    out + &render(look, &head, &cells)
}

/// One batch: what each channel took and gave back, and what is left to people.
pub fn show(
    look: &Look,
    number: u32,
    parts: &[PartRow],
    left: &[ExceptionRow],
    payouts: &[PayoutRow],
) -> String {
    let mut out = String::new();
    line(&mut out, &look.paint(&format!("{} {number}", look.say("batch", "批次")), Tone::Strong));
    if parts.is_empty() {
        line(&mut out, look.say("no money moved in it", "本批次无交易"));
        return out;
    }
    let head = if look.chinese {
        ["通道", "网络批次", "状态", "收款", "笔数", "退款", "笔数", "说明"]
    } else {
        ["channel", "network batch", "state", "taken", "count", "given back", "count", "why"]
    };
    let money = |minor, currency: &str| match currency {
        "" => Cell::right("-"),
        _ => Cell::right(look.money(minor, currency)),
    };
    let cells: Vec<Vec<Cell>> = parts
        .iter()
        .map(|p| {
            vec![
                Cell::new(&p.channel),
                Cell::right(if p.network == 0 { "-".into() } else { p.network.to_string() }),
                Cell::state(look, &p.state),
                money(p.debits, &p.currency),
                Cell::right(p.debit_count.to_string()),
                money(p.credits, &p.currency),
                Cell::right(p.credit_count.to_string()),
                Cell::new(&p.reason),
            ]
        })
        .collect();
    out += &render(look, &head, &cells);
    for p in payouts.iter().filter(|p| !p.date.is_empty()) {
        let (on, fees) = (look.say("is paid out on", "预计到账"), look.say("after fees of", "已扣手续费"));
        let text = format!(
            "{}: {} {on} {}, {fees} {}",
            clean(&p.channel),
            look.money(p.net, &p.currency),
            clean(&p.date),
            look.money(p.fee, &p.currency)
        );
        line(&mut out, &text);
    }
    for e in left {
        let what = if e.payment.is_empty() {
            String::new()
        } else {
            format!(" {} #{}", clean(&e.payment), e.attempt)
        };
        let text = if look.chinese { &e.text_zh } else { &e.text };
        line(&mut out, &look.paint(&format!("! {}{what}: {}", clean(&e.channel), clean(text)), Tone::Warn));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_shows_its_sums_and_names_what_is_left() {
        let part = PartRow {
            channel: "bankcard".into(),
            network: 7,
            state: "closed-with-exceptions".into(),
            currency: "CNY".into(),
            debits: 12_850,
            debit_count: 2,
            credits: 150,
            credit_count: 1,
            reason: String::new(),
        };
        let left = ExceptionRow {
            channel: "bankcard".into(),
            payment: "ab".repeat(16),
            attempt: 2,
            code: "review".into(),
            text: "waits for the decision of two people".into(),
            text_zh: "待两人复核".into(),
        };
        let payout = PayoutRow {
            channel: "bankcard".into(),
            network: 7,
            currency: "CNY".into(),
            fee: 77,
            net: 12_623,
            date: "2026-05-04".into(),
        };
        let out = show(&Look::plain(), 3, &[part], &[left], &[payout]);
        for says in [
            "batch 3",
            "128.50",
            "1.50",
            "closed-with-exceptions",
            "abab",
            "#2",
            "two people",
            "126.23",
            "2026-05-04",
            "0.77",
        ] {
            assert!(out.contains(says), "{says} is missing:\n{out}");
        }
        let row = |operator: &str, debits, credits| OperatorRow {
            operator: operator.into(),
            currency: "CNY".into(),
            debits,
            debit_count: 2,
            credits,
            credit_count: 1,
        };
        let out = operators(&Look::plain(), 3, &[row("", 12_850, 0), row("li", 900, 150)]);
        for says in ["batch 3", "not said", "128.50", "li", "9.00", "1.50"] {
            assert!(out.contains(says), "{says} is missing:\n{out}");
        }
        assert!(check(&Command::Day(DayCommand::Close), None).is_err(), "a close wants a name");
        assert!(check(&Command::Day(DayCommand::Close), Some("li")).is_ok());
    }
}
