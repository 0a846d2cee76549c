//! Every input in every state: what becomes of it. A cell that changes is a change of what the till promises.

#![allow(clippy::expect_used)]

mod samples;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use samples::{Bench, ID, approval, context, decline, fen, open, presented, wallet};
use till_core::{Input, PaymentId, Refusal, decide};
use till_plugin::channel::{Outcome, QueryOutcome, UndoOutcome, Unknown, UnknownReason};

fn unknown() -> Unknown {
    Unknown::new(UnknownReason::NoAnswer, "no answer")
}

fn inputs() -> Vec<(&'static str, Input)> {
    let prepared = |result| Input::Prepared { payment: ID, attempt: 1, result };
    let answered = |outcome| Input::Answered { payment: ID, attempt: 1, outcome };
    let queried = |outcome| Input::Queried { payment: ID, attempt: 1, outcome };
    let undone = |outcome| Input::Undone { payment: ID, attempt: 1, outcome };
    let undone_well = UndoOutcome::Undone { money_moved: true, reference: None };
    vec![
        ("open", open(PaymentId([8; 16]), "other", fen(5), "")),
        ("open-again", open(PaymentId([8; 16]), "key", fen(100), "tea")),
        ("open-key-reused", open(PaymentId([8; 16]), "key", fen(5), "tea")),
        ("confirm", Input::Confirm { payment: ID, amount: fen(100) }),
        ("confirm-other", Input::Confirm { payment: ID, amount: fen(99) }),
        ("present", Input::Present { payment: ID, presented: presented() }),
        ("cancel", Input::Cancel { payment: ID, operator: None }),
        ("select", Input::Select { channel: Some("other".into()), operator: None }),
        ("prepared", prepared(Ok((vec![9; 60], String::new())))),
        ("prepared-no", prepared(Err(decline("x")))),
        ("approved", answered(Outcome::Approved(approval(fen(100))))),
        ("approved-other", answered(Outcome::Approved(approval(fen(101))))),
        ("declined", answered(Outcome::Declined(decline("51")))),
        ("not-sent", answered(Outcome::NotSent(decline("x")))),
        ("unknown", answered(Outcome::Unknown(unknown()))),
        ("resolve", Input::Resolve { payment: ID, attempt: 1 }),
        ("q-paid", queried(QueryOutcome::Paid(approval(fen(100))))),
        ("q-paid-other", queried(QueryOutcome::Paid(approval(fen(101))))),
        ("q-not-paid", queried(QueryOutcome::NotPaid(decline("closed")))),
        ("q-in-progress", queried(QueryOutcome::InProgress)),
        ("q-not-found", queried(QueryOutcome::NotFound)),
        ("q-unknown", queried(QueryOutcome::Unknown(unknown()))),
        ("u-undone", undone(undone_well)),
        ("u-never-existed", undone(UndoOutcome::NeverExisted)),
        ("u-refused", undone(UndoOutcome::Refused(decline("late")))),
        ("u-not-sent", undone(UndoOutcome::NotSent(decline("x")))),
        ("u-unknown", undone(UndoOutcome::Unknown(unknown()))),
        ("second-attempt", Input::Resolve { payment: ID, attempt: 2 }),
    ]
}

fn states() -> Vec<(&'static str, Bench)> {
    let mut all = Vec::new();
    let mut b = Bench::new(context(wallet()));
    all.push(("nothing", b.clone()));
    b.take(&open(ID, "key", fen(100), "tea"));
    all.push(("draft", b.clone()));
    b.take(&Input::Confirm { payment: ID, amount: fen(100) });
    all.push(("ready", b.clone()));
    let ready = b.clone();
    b.present();
    all.push(("created", b.clone()));
    b.prepared();
    all.push(("sent", b.clone()));
    let sent = b.clone();
    b.lost();
    all.push(("querying, between", b.clone()));
    b.resolve();
    all.push(("querying, asked", b.clone()));
    b.cancel();
    all.push(("querying, asked, cancelled", b.clone()));
    b.queried(QueryOutcome::InProgress);
    b.resolve();
    all.push(("reversing, between", b.clone()));
    b.resolve();
    all.push(("reversing, asked", b.clone()));
    let asked = b.clone();
    b.undone(UndoOutcome::Unknown(unknown()));
    all.push(("reversing, in the background", b.clone()));
    b.resolve();
    b.undone(UndoOutcome::NeverExisted);
    b.resolve();
    all.push(("reversing, never existed once", b.clone()));
    b = sent.clone();
    b.cancel();
    all.push(("sent, cancelled", b));
    b = sent.clone();
    b.answer(Outcome::Declined(decline("51")));
    all.push(("ready after a decline", b));
    b = sent;
    b.answer(Outcome::Approved(approval(fen(100))));
    all.push(("paid", b));
    b = ready;
    b.cancel();
    all.push(("cancelled", b));
    b = asked;
    b.undone(UndoOutcome::Refused(decline("late")));
    all.push(("review", b));
    all
}

fn refusal(r: &Refusal) -> &'static str {
    match r {
        Refusal::Busy { .. } => "refused: busy",
        Refusal::NoPayment(_) => "refused: no such payment",
        Refusal::KeyReuse { .. } => "refused: key reused",
        Refusal::WrongAmount { .. } => "refused: wrong amount",
        Refusal::State { .. } => "refused: wrong state",
        Refusal::Stale => "nothing waits for it",
        other => panic!("not in this table: {other}"),
    }
}

fn table() -> String {
    let mut out = String::new();
    for (name, bench) in states() {
        let mut cells: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (input_name, input) in inputs() {
            let cell = match decide(&bench.till, &input, &bench.ctx) {
                Err(r) => refusal(&r).to_owned(),
                Ok(step) => match &step.record {
                    None => "no change".to_owned(),
                    Some(record) => {
                        let mut after = bench.clone();
                        after.apply(&step);
                        let states = after.payment().map_or(String::new(), |p| {
                            let attempt = p.attempts.last().map_or("", |a| a.state.as_str());
                            format!(" → {}/{attempt}", p.state.as_str())
                        });
                        format!("{}{states}", record.name())
                    }
                },
            };
            cells.entry(cell).or_default().push(input_name);
        }
        let _ = writeln!(out, "{name}");
        for (cell, inputs) in cells {
            let _ = writeln!(out, "    {cell}: {}", inputs.join(", "));
        }
    }
    out
}

#[test]
fn every_input_in_every_state() {
    let table = table();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/table.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &table).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(path).expect("the golden file");
    let changed: Vec<String> = table
        .lines()
        .zip(golden.lines())
        .filter(|(now, then)| now != then)
        .map(|(now, then)| format!("was {then}\nnow {now}"))
        .take(5)
        .collect();
    assert!(
        table == golden,
        "cells changed; if they should, UPDATE=1 rewrites tests/golden/table.txt\n{}",
        changed.join("\n")
    );
}
