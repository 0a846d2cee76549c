//! A disputed payment has a case that people open, answer and close; it moves no money (pos.md S52).

#![allow(clippy::expect_used)]

mod samples;

use samples::{Bench, ID, approval, context, fen, wallet};
use till_core::dispute::{DisputeEvent, DisputeState};
use till_core::{Effect, Input, PaymentId, Record, Refusal, Till, decide};
use till_plugin::channel::Outcome;

fn paid() -> Bench {
    let mut b = Bench::new(context(wallet()));
    b.send();
    b.answer(Outcome::Approved(approval(fen(100))));
    b
}

fn opened(amount: i64) -> DisputeEvent {
    DisputeEvent::Opened {
        attempt: 1,
        amount: fen(amount),
        reason: "not received".into(),
        reference: "CB-4711".into(),
        answer_by_ms: 0,
    }
}

fn on(number: u32, event: DisputeEvent) -> Input {
    Input::Dispute { payment: ID, number, event, operator: "li".into() }
}

fn refused(b: &Bench, input: &Input) -> Refusal {
    decide(&b.till, input, &b.ctx).expect_err("it must be refused")
}

#[test]
fn s52_a_case_goes_from_open_to_its_end_and_moves_no_money() {
    let mut b = paid();
    let money =
        |b: &Bench| b.payment().map(|p| (p.paid(), p.kept(), p.returned(), p.state, p.attempts.len()));
    let before = money(&b);
    let step = b.take(&on(1, opened(60)));
    assert!(step.effects.iter().any(|e| matches!(e, Effect::Alarm { code: "dispute", .. })));
    let events = [
        (DisputeEvent::Noted { text: "receipt found".into() }, DisputeState::Open),
        (DisputeEvent::Answered { evidence: [7; 32], text: String::new() }, DisputeState::Answered),
        (DisputeEvent::Closed { won: false, text: "the bank decides".into() }, DisputeState::Lost),
    ];
    for (event, state) in events {
        let step = b.take(&on(1, event));
        // Nothing but a record and the news of it: no request, no leg, no print.
        assert!(step.effects.iter().all(|e| matches!(e, Effect::PaymentChanged(_))), "{step:?}");
        assert_eq!(b.till.disputes().get(1).map(|d| (d.state, d.amount)), Some((state, fen(60))));
        assert_eq!(money(&b), before);
    }
    // Closed is closed; the same attempt can be disputed again under a new number.
    assert!(matches!(
        refused(&b, &on(1, DisputeEvent::Noted { text: "late".into() })),
        Refusal::Dispute { .. }
    ));
    b.take(&on(2, opened(100)));
    // A snapshot and a replay both know the cases.
    let bytes = b.till.to_snapshot().expect("it encodes");
    assert_eq!(Till::from_snapshot(&bytes).expect("it decodes").disputes(), b.till.disputes());
    b.restart();
    let states: Vec<_> = b.till.disputes().all().map(|d| (d.number, d.state)).collect();
    assert_eq!(states, [(1, DisputeState::Lost), (2, DisputeState::Open)]);
}

#[test]
fn s52_a_case_is_about_money_that_was_taken_and_has_a_name_behind_it() {
    let mut b = paid();
    assert!(matches!(refused(&b, &on(1, opened(101))), Refusal::TooMuch { .. }), "more than was taken");
    assert!(matches!(refused(&b, &on(1, opened(0))), Refusal::Amount(_)));
    assert_eq!(refused(&b, &on(2, opened(1))), Refusal::Stale, "numbers have no gaps");
    let nameless = Input::Dispute { payment: ID, number: 1, event: opened(1), operator: " ".into() };
    assert!(matches!(refused(&b, &nameless), Refusal::Dispute { .. }));
    let other =
        Input::Dispute { payment: PaymentId([9; 16]), number: 1, event: opened(1), operator: "li".into() };
    assert!(matches!(refused(&b, &other), Refusal::NoPayment(_)));
    let DisputeEvent::Opened { amount, reason, reference, answer_by_ms, .. } = opened(1) else { panic!() };
    let never = DisputeEvent::Opened { attempt: 2, amount, reason, reference, answer_by_ms };
    assert!(matches!(refused(&b, &on(1, never)), Refusal::Dispute { .. }), "no such attempt");
    b.take(&on(1, opened(100)));
    assert!(matches!(refused(&b, &on(2, opened(100))), Refusal::Dispute { .. }), "one open case an attempt");
    let closed = DisputeEvent::Closed { won: true, text: String::new() };
    assert!(matches!(refused(&b, &on(9, closed)), Refusal::Dispute { .. }), "no such case");
}

#[test]
fn s52_thousands_of_closed_cases_cost_bounded_memory_and_no_open_one_is_forgotten() {
    let mut b = paid();
    b.take(&on(1, opened(100)));
    let first = b.till.disputes().get(1).cloned();
    for number in 2..2_000 {
        // As a replay takes them in: the machine itself allows one open case an attempt.
        for event in [opened(1), DisputeEvent::Closed { won: true, text: String::new() }] {
            let record = Record::Dispute { payment: ID, number, event, operator: "li".into() };
            let seq = b.till.seq() + 1;
            b.till.apply(seq, 0, &record);
        }
    }
    assert_eq!(b.till.disputes().get(1), first.as_ref(), "an open case was forgotten");
    assert_eq!(b.till.disputes().next(), 2_000);
    assert!(b.till.disputes().all().count() < 600);
}
