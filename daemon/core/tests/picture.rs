//! docs/payment-machine.md is drawn from the machine itself: every state that can be reached from an empty till by any
//! input, for every way a channel may let unknown outcomes be resolved.

#![allow(clippy::expect_used)]

mod samples;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use samples::{Bench, ID, approval, bank, blind, context, decline, fen, no_undo, open, presented, wallet};
use till_core::batch::{PartId, SettleRule};
use till_core::input::Presented;
use till_core::routing::LegTerms;
use till_core::{AttemptState, Input, LegKind, PaymentState, Purpose, Verdict, decide, recover};
use till_plugin::Family;
use till_plugin::channel::{
    Operation, Outcome, QueryOutcome, QueryRule, ResolveProfile, SettleOutcome, UndoOutcome, UndoRule,
    Unknown, UnknownReason,
};

type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

#[derive(Default)]
struct Picture {
    payments: Arrows,
    attempts: Arrows,
    /// Payments with parts, and what follows one that stands.
    followed: Arrows,
    batches: Arrows,
    parts: Arrows,
}

fn inputs(b: &Bench) -> Vec<Input> {
    let n = b.payment().map_or(1, |p| u32::try_from(p.attempts.len()).unwrap_or(1)).max(1);
    let unknown = || Unknown::new(UnknownReason::NoAnswer, "");
    let yes = |minor| approval(fen(minor));
    let answered = |outcome| Input::Answered { payment: ID, attempt: n, outcome };
    let queried = |outcome| Input::Queried { payment: ID, attempt: n, outcome };
    let undone = |outcome| Input::Undone { payment: ID, attempt: n, outcome };
    vec![
        open(ID, "key", fen(100), "tea"),
        Input::Confirm { payment: ID, amount: fen(100) },
        Input::Present { payment: ID, presented: presented() },
        Input::Cancel { payment: ID, operator: None },
        Input::Prepared { payment: ID, attempt: n, result: Ok((vec![9; 60], String::new())) },
        Input::Prepared { payment: ID, attempt: n, result: Err(decline("x")) },
        answered(Outcome::Approved(yes(100))),
        answered(Outcome::Approved(yes(101))),
        answered(Outcome::Declined(decline("51"))),
        answered(Outcome::NotSent(decline("x"))),
        answered(Outcome::Unknown(unknown())),
        Input::Resolve { payment: ID, attempt: n },
        queried(QueryOutcome::Paid(yes(100))),
        queried(QueryOutcome::Paid(yes(101))),
        queried(QueryOutcome::NotPaid(decline("closed"))),
        queried(QueryOutcome::InProgress),
        queried(QueryOutcome::NotFound),
        queried(QueryOutcome::Unknown(unknown())),
        undone(UndoOutcome::Undone { money_moved: true, reference: None }),
        undone(UndoOutcome::NeverExisted),
        undone(UndoOutcome::Refused(decline("late"))),
        undone(UndoOutcome::NotSent(decline("x"))),
        undone(UndoOutcome::Unknown(unknown())),
    ]
}

/// What makes two tills the same for the picture.
fn key(b: &Bench) -> String {
    let Some(p) = b.payment() else { return String::new() };
    let a = p.attempts.last().map(|a| {
        let counts =
            (a.queries.min(9), a.not_found.min(2), a.undos.min(4), a.undos_unsent.min(1), a.never_existed);
        (a.state, a.waiting, counts)
    });
    format!("{:?} {} {} {} {a:?}", p.state, p.attempts.len().min(2), p.parked, p.cancel_requested)
}

fn look(before: &Bench, after: &Bench, by: &str, picture: &mut Picture) {
    let payment = |b: &Bench| b.payment().map_or("[*]", |p| p.state.as_str()).to_owned();
    let (from, to) = (payment(before), payment(after));
    if from != to {
        picture.payments.entry((from, to)).or_default().insert(by.into());
    }
    let last = |b: &Bench| {
        b.payment().and_then(|p| p.attempts.last()).map(|a| (a.ids.attempt, a.state.as_str().to_owned()))
    };
    match (last(before), last(after)) {
        (Some((n, from)), Some((m, to))) if n == m && from == to => {}
        (Some((n, from)), Some((m, to))) if n == m => {
            picture.attempts.entry((from, to)).or_default().insert(by.into());
        }
        (_, Some((_, to))) => {
            picture.attempts.entry(("[*]".into(), to)).or_default().insert(by.into());
        }
        _ => {}
    }
}

fn draw() -> Picture {
    let mut picture = Picture::default();
    let mut short = wallet();
    short.undo = Some(UndoRule { tries: 2, ..samples::undo_rule(0) });
    for profile in [wallet(), short, bank(), no_undo(), blind()] {
        let mut known = BTreeSet::new();
        let mut todo = VecDeque::from([Bench::new(context(profile))]);
        while let Some(b) = todo.pop_front() {
            if !known.insert(key(&b)) {
                continue;
            }
            assert!(known.len() < 20_000, "the machine has no end of states");
            for input in inputs(&b) {
                if let Ok(step) = decide(&b.till, &input, &b.ctx)
                    && let Some(record) = &step.record
                {
                    let mut after = b.clone();
                    after.apply(&step);
                    look(&b, &after, record.name(), &mut picture);
                    todo.push_back(after);
                }
            }
            let mut after = b.clone();
            for step in recover(&b.till) {
                let before = after.clone();
                after.apply(&step);
                if let Some(record) = &step.record {
                    look(&before, &after, &format!("{} (restart)", record.name()), &mut picture);
                }
            }
            todo.push_back(after);
        }
    }
    draw_followed(&mut picture.followed);
    picture
}

/// A channel that does everything, and quickly comes to an end where nobody knows.
fn everything() -> Bench {
    let quick = ResolveProfile {
        query: Some(QueryRule { first_ms: 1, every_ms: 1, until_ms: 1, settle_ms: 1 }),
        undo: Some(UndoRule { tries: 1, ..samples::undo_rule(0) }),
        single_slot: false,
    };
    let mut ctx = context(quick);
    ctx.undo_after_ms = Some(60_000);
    ctx.hold_valid_ms = 0;
    ctx.routes[0].operations.push(Operation::PreAuthorisation);
    let does = |kind| LegTerms { kind, resolve: blind(), instrument: false, partial: true };
    ctx.routes[0].legs =
        [LegKind::Void, LegKind::Refund, LegKind::Capture, LegKind::Release].map(does).into();
    let mut card = samples::route("card", "prepaid", blind());
    card.legs = vec![does(LegKind::Load)];
    ctx.routes.push(card);
    Bench::new(ctx)
}

fn follow_ups(b: &Bench, purpose: &Purpose) -> Vec<Input> {
    let open = Input::Open {
        payment: ID,
        purpose: purpose.clone(),
        key: String::new(),
        amount: fen(100),
        subject: String::new(),
        operator: None,
        training: false,
    };
    let part = Presented { amount: Some(fen(40)), ..presented() };
    let rest = Presented { family: Family::new("qr-alipay"), ..presented() };
    let mut all = vec![
        open,
        Input::Confirm { payment: ID, amount: fen(100) },
        Input::Present { payment: ID, presented: part },
        Input::Present { payment: ID, presented: rest },
        Input::Cancel { payment: ID, operator: None },
        Input::GoOn { payment: ID },
        Input::Abandon { payment: ID, reason: "the customer has no time".into(), operator: None },
        Input::Resume { payment: ID, operator: None },
        Input::Acknowledge { payment: ID, operator: None },
        Input::NotAcknowledged { payment: ID },
        Input::ExpireHold { payment: ID },
    ];
    for kind in [LegKind::Void, LegKind::Refund, LegKind::Capture, LegKind::Release] {
        let amounts: &[Option<i64>] = if kind == LegKind::Refund { &[None, Some(10)] } else { &[None] };
        all.extend(amounts.iter().map(|amount| Input::Leg {
            payment: ID,
            kind,
            of: 0,
            amount: amount.map(fen),
            key: String::new(),
            reason: "wrong tea".into(),
            operator: Some("li".into()),
        }));
    }
    let Some(p) = b.payment() else { return all };
    for a in &p.attempts {
        let (payment, attempt) = (ID, a.ids.attempt);
        match a.state {
            AttemptState::Created => {
                all.push(Input::Prepared { payment, attempt, result: Ok((vec![9; 60], String::new())) });
            }
            AttemptState::Sent => {
                let unknown = Unknown::new(UnknownReason::NoAnswer, "");
                all.extend(
                    [
                        Outcome::Approved(approval(a.amount)),
                        Outcome::Declined(decline("51")),
                        Outcome::Unknown(unknown),
                    ]
                    .map(|outcome| Input::Answered { payment, attempt, outcome }),
                );
            }
            AttemptState::Querying | AttemptState::Reversing => {
                all.push(Input::Resolve { payment, attempt });
                all.push(Input::Queried {
                    payment,
                    attempt,
                    outcome: QueryOutcome::Paid(approval(a.amount)),
                });
                all.push(Input::Queried { payment, attempt, outcome: QueryOutcome::NotPaid(decline("x")) });
                let undone = [
                    UndoOutcome::Undone { money_moved: true, reference: None },
                    UndoOutcome::Refused(decline("late")),
                ];
                all.extend(undone.map(|outcome| Input::Undone { payment, attempt, outcome }));
            }
            _ => {}
        }
    }
    if p.state == PaymentState::Review {
        let unknown =
            p.attempts.iter().find(|a| a.state == AttemptState::Review).map_or(0, |a| a.ids.attempt);
        for verdict in [Verdict::Happened, Verdict::DidNot] {
            all.push(Input::ProposeReview {
                payment: ID,
                attempt: unknown,
                verdict,
                reason: "the statement".into(),
                operator: "li".into(),
            });
            all.push(Input::ConfirmReview {
                payment: ID,
                attempt: unknown,
                verdict,
                operator: "wang".into(),
            });
        }
    }
    all
}

/// Every payment of at most three attempts, with parts and what follows.
fn draw_followed(arrows: &mut Arrows) {
    let top_up =
        Purpose::TopUp { channel: "card".into(), recovery: b"card".to_vec(), masked: "9900****0001".into() };
    for purpose in [Purpose::Sale, Purpose::Hold, top_up] {
        let mut known = BTreeSet::new();
        let mut todo = VecDeque::from([everything()]);
        while let Some(b) = todo.pop_front() {
            let sight = b.payment().map(|p| {
                let attempts: Vec<_> = p
                    .attempts
                    .iter()
                    .map(|a| (a.kind.as_str(), a.state, a.of, a.amount.minor(), a.waiting, a.abandoned))
                    .collect();
                let flags = (p.parked, p.cancel_requested, p.accepted, p.recovered, p.acknowledged);
                let said = p.proposal.as_ref().map(|x| (x.attempt, x.verdict == Verdict::Happened));
                format!("{:?} {flags:?} {:?} {said:?} {attempts:?}", p.state, p.returning)
            });
            let many = b.payment().is_some_and(|p| p.attempts.len() > 2);
            if !known.insert(sight) || many {
                continue;
            }
            let mut go = |after: Bench, by: &str| {
                let state = |b: &Bench| b.payment().map_or("[*]", |p| p.state.as_str()).to_owned();
                if state(&b) != state(&after) {
                    arrows.entry((state(&b), state(&after))).or_default().insert(by.to_owned());
                }
                todo.push_back(after);
            };
            for input in follow_ups(&b, &purpose) {
                if let Ok(step) = decide(&b.till, &input, &b.ctx)
                    && let Some(record) = &step.record
                {
                    let mut after = b.clone();
                    after.apply(&step);
                    go(after, record.name());
                }
            }
            let mut after = b.clone();
            for step in recover(&b.till) {
                after.apply(&step);
            }
            go(after, "(restart)");
        }
    }
}

/// Everything that a network may answer to a settlement, and people may want of one.
fn settling(b: &Bench, part: &PartId) -> Vec<Input> {
    let unknown = || Unknown::new(UnknownReason::NoAnswer, "");
    let trace =
        b.till.batches().get(1).and_then(|x| x.part(part)?.exchange.clone()).map_or(0, |e| e.ids.trace);
    let settled = |outcome| Input::Settled { batch: 1, part: part.clone(), trace, outcome };
    let uploaded = |outcome| Input::Uploaded { batch: 1, part: part.clone(), trace, outcome };
    let anyway = |operator: &str| Input::CloseAnyway {
        batch: 1,
        part: part.clone(),
        reason: "line gone".into(),
        operator: operator.into(),
    };
    vec![
        Input::CloseBatch { operator: Some("li".into()) },
        Input::GoOnSettling { batch: 1, part: Some(part.clone()) },
        Input::GoOnSettling { batch: 1, part: None },
        settled(SettleOutcome::Balanced),
        settled(SettleOutcome::Unbalanced),
        settled(SettleOutcome::Refused(decline("30"))),
        settled(SettleOutcome::Unknown(unknown())),
        settled(SettleOutcome::Unknown(Unknown::new(UnknownReason::Unsupported, ""))),
        uploaded(Outcome::Approved(approval(fen(0)))),
        uploaded(Outcome::Declined(decline("30"))),
        uploaded(Outcome::NotSent(decline("x"))),
        uploaded(Outcome::Unknown(unknown())),
        Input::SettleAgain { batch: 1, part: part.clone(), operator: None },
        anyway("li"),
        anyway("wang"),
    ]
}

/// States of batch 1 and of its only part that asks a network.
fn stand(b: &Bench, part: &PartId) -> (String, String) {
    let batch = b.till.batches().get(1);
    let state = batch.map_or("[*]", |x| x.state.as_str());
    let part = batch.and_then(|x| x.part(part)).map_or("[*]", |p| p.state.as_str());
    (state.into(), part.into())
}

fn draw_settlement(picture: &mut Picture) {
    let mut first = Bench::new(context(bank()));
    let part = PartId { channel: first.ctx.routes[0].id.clone(), network: 1 };
    first.ctx.routes[0].operations.push(Operation::Settle);
    first.ctx.rules.channels.insert(part.channel.clone(), SettleRule { tries: 2, ..SettleRule::default() });
    for input in [
        open(ID, "key", fen(100), "tea"),
        Input::Confirm { payment: ID, amount: fen(100) },
        Input::Present { payment: ID, presented: presented() },
        Input::Prepared { payment: ID, attempt: 1, result: Ok((vec![9; 60], String::new())) },
        Input::Answered { payment: ID, attempt: 1, outcome: Outcome::Approved(approval(fen(100))) },
    ] {
        first.take(&input);
    }
    let (batch, own) = stand(&first, &part);
    picture.batches.entry(("[*]".into(), batch)).or_default().insert("batch-frozen (the one before)".into());
    picture.parts.entry(("[*]".into(), own)).or_default().insert("tendered".into());
    let (mut known, mut todo) = (BTreeSet::new(), VecDeque::from([first]));
    while let Some(b) = todo.pop_front() {
        let found = b.till.batches().get(1).and_then(|x| x.part(&part));
        let key = found.map(|p| {
            let asked = p.exchange.as_ref().map(|e| (format!("{:?}", e.ask), e.tries, e.waiting, e.refused));
            let left = (p.gave_up.is_some(), p.proposal.is_some(), p.exceptions().len(), p.single_until);
            format!("{:?} {asked:?} {left:?} {} {:?}", stand(&b, &part), p.ended, p.agreed)
        });
        // One batch after it is enough.
        if b.till.open_batch() > 2 || !known.insert(key) {
            continue;
        }
        assert!(known.len() < 20_000, "a settlement has no end of states");
        let mut moved = |before: &Bench, after: &Bench, by: &str| {
            let (from, to) = (stand(before, &part), stand(after, &part));
            if from.0 != to.0 {
                picture.batches.entry((from.0, to.0)).or_default().insert(by.into());
            }
            if from.1 != to.1 {
                picture.parts.entry((from.1, to.1)).or_default().insert(by.into());
            }
        };
        for input in settling(&b, &part) {
            if let Ok(step) = decide(&b.till, &input, &b.ctx)
                && let Some(record) = &step.record
            {
                let mut after = b.clone();
                after.apply(&step);
                moved(&b, &after, record.name());
                todo.push_back(after);
            }
        }
        let mut after = b.clone();
        for step in recover(&b.till) {
            let before = after.clone();
            after.apply(&step);
            if let Some(record) = &step.record {
                moved(&before, &after, &format!("{} (restart)", record.name()));
            }
        }
        todo.push_back(after);
    }
}

fn mermaid(arrows: &Arrows) -> String {
    let mut out = String::from("```mermaid\nstateDiagram-v2\n");
    let node = |s: &str| s.replace('-', "_");
    let names: BTreeSet<&String> =
        arrows.keys().flat_map(|(a, b)| [a, b]).filter(|s| s.contains('-')).collect();
    for name in names {
        let _ = writeln!(out, "    state \"{name}\" as {}", node(name));
    }
    let leave: BTreeSet<&String> = arrows.keys().map(|(from, _)| from).collect();
    for ((from, to), by) in arrows {
        let by: Vec<&str> = by.iter().map(String::as_str).collect();
        let _ = writeln!(out, "    {} --> {} : {}", node(from), node(to), by.join(", "));
    }
    let ends: BTreeSet<&String> = arrows.keys().map(|(_, to)| to).filter(|to| !leave.contains(to)).collect();
    for end in ends {
        let _ = writeln!(out, "    {} --> [*]", node(end));
    }
    out.push_str("```\n");
    out
}

fn page() -> String {
    let mut picture = draw();
    draw_settlement(&mut picture);
    format!(
        "# The payment machine\n\n\
         Drawn from the code by a test (`UPDATE=1 cargo test -p till-core --test picture` draws it anew). An arrow is a\n\
         record in the journal; `(restart)` marks what a restart of the daemon appends. Records that change no state\n\
         (a query that leaves, an unanswered undo) are not drawn.\n\n\
         A payment is what is owed; it has attempts, one at a time, each on one channel.\n\n\
         ## Payment\n\n{}\n\
         `draft` and `ready` hold the till, `tendering` holds it until its resolution goes to the background. From\n\
         `review` only people lead on: nobody knows where the money is, and the reversal stays armed.\n\n\
         ### With parts, holds, top-ups and what follows\n\n\
         The same for every payment of at most three attempts on a channel that does everything. `(restart)` alone: what\n\
         recovery makes of it.\n\n{}\n\
         ## Attempt\n\n{}\n\
         `created`: nothing has left. From `sent` on bytes may have left and the reversal is armed, until `approved`,\n\
         `declined`, `not-sent` or `reversed`. While an attempt is neither of these, the payment gets no other one.\n\n\
         ## Batch\n\n{}\n\
         `batch-frozen` opens the next batch in the same record: sales never wait. A batch is closed once all its parts are.\n\n\
         ## Part of a batch\n\n{}\n\
         Of a channel that settles with its network. `part-closed` leads from every state when two people close it without\n\
         the network's answer; otherwise from `matched`, `recompared`, and where the network has nothing to compare.\n",
        mermaid(&picture.payments),
        mermaid(&picture.followed),
        mermaid(&picture.attempts),
        mermaid(&picture.batches),
        mermaid(&picture.parts)
    )
}

#[test]
fn the_page_shows_the_machine_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/payment-machine.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &page).expect("the page can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == committed,
        "docs/payment-machine.md is not what the machine does; UPDATE=1 draws it anew:\n{page}"
    );
}
