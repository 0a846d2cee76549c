//! Receipts, copies, slips and notices: owed until done, once, and never in the way of money.

#![allow(clippy::expect_used)]

mod samples;

use samples::{Bench, ID, approval, context, fen, wallet};
use till_core::receipt::{Facts, Language, Shop, slip, text};
use till_core::routing::LegTerms;
use till_core::till::COPIES;
use till_core::{Effect, Input, LegKind, Record, Refusal, Step, decide};
use till_plugin::channel::{Outcome, ResolveProfile};
use till_plugin::driver::PrintState;

fn paid() -> Bench {
    let mut ctx = context(wallet());
    let resolve = ResolveProfile { undo: None, ..wallet() };
    ctx.routes[0].legs = vec![LegTerms { kind: LegKind::Refund, resolve, instrument: false, partial: true }];
    let mut b = Bench::new(ctx);
    b.send();
    b.answer(Outcome::Approved(approval(fen(100))));
    b
}

fn print(step: &Step) -> Option<(u64, u64, u32, bool)> {
    step.effects.iter().find_map(|e| match e {
        Effect::Print { job, receipt, copy, restarted, .. } => Some((*job, *receipt, *copy, *restarted)),
        _ => None,
    })
}

fn reprint(b: &mut Bench) -> u64 {
    let step = b.take(&Input::Reprint { payment: ID, receipt: 0, operator: Some("li".into()) });
    let Some(Record::CopyRequested { job, .. }) = step.record else { panic!("{step:?}") };
    job
}

fn refused(b: &Bench, input: &Input) -> Refusal {
    decide(&b.till, input, &b.ctx).expect_err("it must be refused")
}

#[test]
fn i20_copies_are_numbered_and_keep_the_receipts_number() {
    let mut b = paid();
    assert_eq!(print(&b.take(&Input::SendJob { job: 1 })), Some((1, 1, 0, false)));
    b.take(&Input::Printed { job: 1, state: PrintState::Done });
    for n in 1..=3 {
        let job = reprint(&mut b);
        assert_eq!(job, COPIES + u64::from(n));
        // A restart between the request and the paper prints the same copy, not another.
        assert!(b.restart().iter().any(|s| s.effects.contains(&Effect::QueueJob { job })));
        assert_eq!(print(&b.take(&Input::SendJob { job })), Some((job, 1, n, false)));
        assert_eq!(
            print(&b.take(&Input::SendJob { job })),
            Some((job, 1, n, true)),
            "the second try says so"
        );
        b.take(&Input::Printed { job, state: PrintState::Done });
    }
    assert!(b.till.jobs().is_empty());
    assert!(matches!(
        refused(&b, &Input::Reprint { payment: ID, receipt: 9, operator: None }),
        Refusal::NoLeg { .. }
    ));
}

#[test]
fn a_job_is_cancelled_or_runs_out_by_a_clock_that_can_be_believed_and_money_stays() {
    let mut b = paid();
    let step = b.take(&Input::CancelJob { job: 1 });
    assert!(step.effects.contains(&Effect::CancelPrint { job: 1 }));
    assert_eq!(refused(&b, &Input::CancelJob { job: 1 }), Refusal::NoJob(1));
    let job = reprint(&mut b);
    assert_eq!(refused(&b, &Input::ExpireJob { job }), Refusal::Stale);
    b.ctx.wall_ms += b.ctx.job_valid_ms;
    b.ctx.clock_trusted = false;
    assert_eq!(refused(&b, &Input::ExpireJob { job }), Refusal::Stale, "that clock may be wrong");
    b.ctx.clock_trusted = true;
    let step = b.take(&Input::ExpireJob { job });
    assert!(matches!(step.record, Some(Record::JobEnded { ref how, .. }) if how == "expired"));
    assert_eq!(b.payment().map(till_core::Payment::kept), Some(fen(100)));
}

#[test]
fn s48_notices_are_owed_to_each_receiver_until_it_has_them() {
    let mut b = paid();
    let take = |sink: &str, seq| Input::TakeNotices { sink: sink.into(), seq };
    b.take(&take("back-office", 3));
    assert_eq!((b.till.notices_taken("back-office"), b.till.notices_taken("sms")), (3, 0));
    assert_eq!(decide(&b.till, &take("back-office", 2), &b.ctx), Ok(Step::default()), "it never goes back");
    assert!(
        decide(&b.till, &take("back-office", 999), &b.ctx).is_err(),
        "nobody has what is not written yet"
    );
    assert!(decide(&b.till, &take("", 1), &b.ctx).is_err());
}

#[test]
fn a_refund_has_its_own_slip_that_names_the_sale() {
    let mut b = paid();
    b.take(&Input::Leg {
        payment: ID,
        kind: LegKind::Refund,
        of: 0,
        amount: Some(fen(40)),
        key: String::new(),
        reason: "wrong tea".into(),
        operator: Some("li".into()),
    });
    b.take(&Input::Prepared { payment: ID, attempt: 2, result: Ok((vec![1; 60], String::new())) });
    let step =
        b.take(&Input::Answered { payment: ID, attempt: 2, outcome: Outcome::Approved(approval(fen(40))) });
    assert!(step.effects.contains(&Effect::QueueJob { job: 2 }));
    let p = b.payment().expect("it");
    let facts = Facts { channel_name: "Alipay".into(), local_time: "2026-11-22 10:00:00".into(), copy: 0 };
    let shop = Shop { language: Language::English, ..Shop::default() };
    let out = text(&slip(p, 2, &shop, &facts).expect("a slip"), 32);
    for says in ["REFUND", "00000002", "Original No.", "00000001", "wrong tea", "¥0.40", "li"] {
        assert!(out.contains(says), "{says:?} is missing:\n{out}");
    }
    let out = text(&slip(p, 1, &shop, &facts).expect("the receipt"), 32);
    assert!(out.contains("¥1.00") && !out.contains("REFUND"), "the sale's receipt stays as it was:\n{out}");
    assert!(slip(p, 3, &shop, &facts).is_none());
}
