//! `dispute` and `notices`.

use std::os::fd::AsFd;

use serde_json::json;
use till_dbus::types::{DisputeEvent, DisputeLeg, DisputeRow, NoticeRow};
use till_dbus::{Disputes1Proxy, Notices1Proxy, Options};
use zbus::Fd;

use crate::args::{Command, DisputeCommand, Notices};
use crate::exit::Failure;
use crate::look::{Look, Tone, clean, line};
use crate::session::Session;
use crate::table::{Cell, render};
use crate::{after, bill};

/// What changes a case wants a name.
pub fn check(command: &Command, operator: Option<&str>) -> Result<(), Failure> {
    let Command::Dispute(command) = command else { return Ok(()) };
    let looks = matches!(command, DisputeCommand::Show { .. } | DisputeCommand::List { .. });
    if looks || operator.is_some_and(|o| !o.trim().is_empty()) {
        return Ok(());
    }
    Err(Failure::usage("a dispute wants a name: give --operator NAME, who does it; it stands in the journal"))
}

/// Runs one of these commands.
pub(crate) async fn dispute(s: &Session, command: &DisputeCommand) -> Result<(), Failure> {
    let till = Disputes1Proxy::new(&s.connection).await?;
    match command {
        DisputeCommand::Open { payment, reason, amount, attempt, reference, answer_by } => {
            let id = s.payment_id(payment).await?;
            let p = s.terminal().await?.find_payment(&id, Options::new()).await?;
            let minor = after::minor(amount.as_deref(), &p.currency)?;
            let mut options = s.options();
            if let Some(attempt) = attempt {
                options.insert("attempt", (*attempt).into());
            }
            if let Some(reference) = reference {
                options.insert("reference", reference.as_str().into());
            }
            if let Some(day) = answer_by {
                options.insert("answer-by-ms", bill::moment(day, &s.look.zone, true)?.into());
            }
            let number = till.open(&id, minor, reason, options).await?;
            let text = s.look.say("case opened", "争议已登记");
            s.did(&format!("{text}: {number}"), &json!({ "dispute": number, "payment": id }))
        }
        DisputeCommand::Show { dispute } => {
            let (case, legs, events) = till.show(*dispute, Options::new()).await?;
            let data = json!({ "dispute": case, "legs": legs, "events": events });
            s.show(&data, |look| show(look, &case, &legs, &events))
        }
        DisputeCommand::List { state, limit } => {
            let mut options = Options::from([("limit", (*limit).into())]);
            if let Some(state) = state {
                options.insert("state", state.as_str().into());
            }
            let rows = till.list(options).await?;
            s.show(&json!({ "disputes": rows }), |look| list(look, &rows))
        }
        DisputeCommand::Note { dispute, text } => {
            till.note(*dispute, text, s.options()).await?;
            s.did(s.look.say("noted", "已记录"), &json!({ "dispute": dispute }))
        }
        DisputeCommand::Answer { dispute, file, text } => {
            let mut options = s.options();
            if let Some(text) = text {
                options.insert("text", text.as_str().into());
            }
            let made = crate::command::create(file)?;
            let answered = till.answer(*dispute, Fd::from(made.as_fd()), options).await;
            let (records, hash) = answered.inspect_err(|_| {
                // Half a file is no evidence.
                let _already_failed = std::fs::remove_file(file);
            })?;
            let shown = file.display().to_string();
            let line = format!("{records} {} → {shown}", s.look.say("records", "条记录"));
            s.did(&line, &json!({ "dispute": dispute, "records": records, "file": shown, "hash": hash }))
        }
        DisputeCommand::Close { dispute, outcome, reason } => {
            till.close(*dispute, outcome.as_str(), reason, s.options()).await?;
            let text = s.look.say("closed; no money was moved", "争议已结案，资金未变动");
            s.did(text, &json!({ "dispute": dispute, "state": outcome.as_str() }))
        }
    }
}

fn state<'l>(look: &'l Look, state: &'l str) -> &'l str {
    match state {
        "open" => look.say("open", "待处理"),
        "answered" => look.say("answered", "已举证"),
        "won" => look.say("won", "胜诉"),
        "lost" => look.say("lost", "败诉"),
        other => other,
    }
}

/// Cases, newest first.
pub fn list(look: &Look, rows: &[DisputeRow]) -> String {
    if rows.is_empty() {
        return format!("{}\n", look.say("no such cases", "没有争议"));
    }
    let head = if look.chinese {
        ["编号", "状态", "金额", "登记", "应答截止", "原因", "交易号"]
    } else {
        ["case", "state", "amount", "opened", "answer by", "reason", "payment"]
    };
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|d| {
            vec![
                Cell::right(d.number.to_string()),
                Cell::new(state(look, &d.state)),
                Cell::right(look.money(d.amount, &d.currency)),
                Cell::new(look.time(d.opened_ms)),
                Cell::new(if d.answer_by_ms == 0 { "-".into() } else { look.time(d.answer_by_ms) }),
                Cell::new(&d.reason),
                Cell::new(&d.payment).tone(Tone::Faint),
            ]
        })
        .collect();
    render(look, &head, &cells)
}

/// One case.
pub fn show(look: &Look, d: &DisputeRow, legs: &[DisputeLeg], events: &[DisputeEvent]) -> String {
    let mut out = list(look, std::slice::from_ref(d));
    if !d.reference.is_empty() {
        line(&mut out, &format!("{}: {}", look.say("reference", "参考号"), clean(&d.reference)));
    }
    for leg in legs {
        let amount = look.money(leg.amount, &d.currency);
        let text = format!("{} #{}: {amount} {}", look.kind(&leg.kind), leg.attempt, look.state(&leg.state));
        line(&mut out, &text);
    }
    for e in events {
        let hash = if e.evidence.is_empty() { String::new() } else { format!(" [{}]", clean(&e.evidence)) };
        let (time, who) = (look.time(e.wall_ms), clean(&e.operator));
        line(&mut out, &format!("{time}  {}  {who}: {}{hash}", clean(&e.event), clean(&e.text)));
    }
    out
}

/// Runs `notices`.
pub(crate) async fn notices(s: &Session, args: &Notices) -> Result<(), Failure> {
    let till = Notices1Proxy::new(&s.connection).await?;
    if args.receivers {
        let rows = till.list_receivers(Options::new()).await?;
        return s.show(&json!({ "receivers": rows }), |look| {
            let head = [look.say("receiver", "接收方"), look.say("up to", "已取至")];
            let cells = rows.iter().map(|r| vec![Cell::new(&r.name), Cell::right(r.seq.to_string())]);
            render(look, &head, &cells.collect::<Vec<_>>())
        });
    }
    let wanted = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let (mut rows, mut upto) = (Vec::new(), None::<u64>);
    loop {
        let left = u32::try_from(wanted - rows.len()).unwrap_or(1);
        let mut options = Options::from([("limit", left.into())]);
        if let Some(at) = upto {
            options.insert("after", at.into());
        }
        let (page, next) = till.list(&args.receiver, options).await?;
        let moved = upto != Some(next);
        rows.extend(page);
        upto = Some(next);
        if !moved || rows.len() >= wanted {
            break;
        }
    }
    let upto = upto.unwrap_or(0);
    s.show(&json!({ "notices": rows, "upto": upto }), |look| told(look, &rows))?;
    // Shown first: what a crash comes between is told twice, never not at all.
    if args.take && !rows.is_empty() {
        till.acknowledge(&args.receiver, upto, Options::new()).await?;
    }
    Ok(())
}

/// Notices, oldest first.
pub fn told(look: &Look, rows: &[NoticeRow]) -> String {
    if rows.is_empty() {
        return format!("{}\n", look.say("nothing new", "没有新通知"));
    }
    let mut out = String::new();
    for n in rows {
        let text = if look.chinese { &n.text_zh } else { &n.text };
        line(&mut out, &format!("{}  {}  {}", look.time(n.wall_ms), clean(text), clean(&n.payment)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_shows_what_went_back_and_what_was_handed_over() {
        let case = DisputeRow {
            number: 3,
            payment: "ab".repeat(16),
            attempt: 1,
            amount: 12_850,
            currency: "CNY".into(),
            state: "answered".into(),
            reason: "not received".into(),
            reference: "CB-4711".into(),
            opened_ms: 0,
            changed_ms: 0,
            answer_by_ms: 0,
        };
        let leg = DisputeLeg {
            attempt: 2,
            kind: "refund".into(),
            amount: 850,
            state: "approved".into(),
            receipt: 8,
        };
        let event = DisputeEvent {
            seq: 9,
            wall_ms: 0,
            event: "answered".into(),
            operator: "li".into(),
            text: "by mail".into(),
            evidence: "c0ffee".into(),
        };
        let out = show(&Look::plain(), &case, &[leg], &[event]);
        for says in ["128.50", "answered", "not received", "CB-4711", "8.50", "by mail", "c0ffee", "abab"] {
            assert!(out.contains(says), "{says} is missing:\n{out}");
        }
        assert!(list(&Look::plain(), &[]).contains("no such"));
        let close = Command::Dispute(DisputeCommand::Note { dispute: 1, text: "x".into() });
        assert!(check(&close, None).is_err() && check(&close, Some("li")).is_ok());
    }
}
