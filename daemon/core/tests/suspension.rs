//! Channels that are suspended (S11): nothing new goes to them, what is under way resolves, money goes back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod samples;

use samples::{Bench, ID, approval, bank, context, fen, open, presented};
use till_core::breaker::{Signal, signal};
use till_core::routing::LegTerms;
use till_core::suspension::{ACTS, By};
use till_core::windows::{Kind, Span, When, Window};
use till_core::{
    AttemptState, Effect, Input, LegKind, PaymentId, PaymentState, Purpose, Record, Refusal, Till, decide,
};
use till_plugin::channel::{Operation, Outcome, UndoOutcome, Unknown, UnknownReason};

fn suspend(channel: &str) -> Input {
    Input::Suspend { channel: channel.into(), reason: "rate changed".into(), operator: "li".into() }
}

fn resume(channel: &str) -> Input {
    Input::ResumeChannel { channel: channel.into(), reason: "called them".into(), operator: "wang".into() }
}

fn channel(b: &Bench) -> String {
    b.ctx.routes[0].id.clone()
}

fn no(b: &Bench, input: &Input) -> Refusal {
    decide(&b.till, input, &b.ctx).expect_err("it is refused")
}

fn shop() -> Bench {
    let mut b = Bench::new(context(bank()));
    let terms = |kind| LegTerms { kind, resolve: bank(), instrument: false, partial: false };
    b.ctx.routes[0].legs = [LegKind::Void, LegKind::Capture].map(terms).to_vec();
    b.ctx.routes[0].operations.push(Operation::PreAuthorisation);
    b
}

fn ready() -> Bench {
    let mut b = shop();
    b.take(&open(ID, "key", fen(100), "tea"));
    b.take(&Input::Confirm { payment: ID, amount: fen(100) });
    b
}

fn sent() -> Bench {
    let mut b = ready();
    b.take(&Input::Present { payment: ID, presented: presented() });
    b.take(&Input::Prepared { payment: ID, attempt: 1, result: Ok((vec![9; 60], String::new())) });
    b
}

#[test]
fn s11_a_suspended_channel_takes_no_sale_and_says_why_until_it_is_resumed() {
    let mut b = ready();
    let id = channel(&b);
    let step = b.take(&suspend(&id));
    assert_eq!(step.effects, [Effect::SuspensionChanged { channel: id.clone() }]);
    let no = no(&b, &Input::Present { payment: ID, presented: presented() });
    let Refusal::NoRoute { en, zh } = no else { panic!("{no:?}") };
    assert!(en.contains("suspended: rate changed") && zh.contains("已暂停：rate changed"), "{en} {zh}");
    b.take(&resume(&id));
    b.take(&Input::Present { payment: ID, presented: presented() });
    let acts: Vec<_> =
        b.till.suspensions().acts().map(|a| (a.by, a.reason.as_str(), a.operator.as_str())).collect();
    assert_eq!(acts, [(Some(By::Person), "rate changed", "li"), (None, "called them", "wang")]);
}

#[test]
fn s11_it_is_said_once_by_somebody_about_a_channel_that_is_there() {
    let mut b = Bench::new(context(bank()));
    let id = channel(&b);
    assert_eq!(no(&b, &resume(&id)), Refusal::NotSuspended { channel: id.clone() });
    assert!(matches!(no(&b, &suspend("nowhere")), Refusal::NoChannel { .. }));
    assert!(matches!(no(&b, &resume("nowhere")), Refusal::NoChannel { .. }));
    for (reason, operator) in [(" ", "li"), ("why", " \n")] {
        let (reason, operator) = (reason.to_owned(), operator.to_owned());
        let ask = Input::Suspend { channel: id.clone(), reason, operator };
        assert!(matches!(no(&b, &ask), Refusal::Wanted(_)));
    }
    b.take(&suspend(&id));
    let said = no(&b, &suspend(&id));
    assert!(matches!(&said, Refusal::Suspended { channel, .. } if *channel == id), "{said:?}");
    assert!(said.to_string().contains("rate changed"), "{said}");
    // A channel that has left the configuration can still be resumed, and comes back as one that works.
    b.ctx.routes.clear();
    b.take(&resume(&id));
    assert_eq!(b.till.suspended(&id), None);
}

#[test]
fn s11_what_a_request_is_prepared_for_does_not_leave_once_its_channel_is_suspended() {
    let mut b = ready();
    b.take(&Input::Present { payment: ID, presented: presented() });
    let id = channel(&b);
    b.take(&suspend(&id));
    let step = b.take(&Input::Prepared { payment: ID, attempt: 1, result: Ok((vec![9; 60], String::new())) });
    assert!(!step.effects.iter().any(|e| matches!(e, Effect::Authorise { .. })), "{:?}", step.effects);
    let a = &b.payment().unwrap().attempts[0];
    assert_eq!((a.state, a.decline.as_ref().unwrap().code.as_str()), (AttemptState::NotSent, "suspended"));
}

/// The same of maintenance that is announced while a request is prepared. What it cuts into without beginning yet was let in
/// with its time, and a clock that nobody believes closes nothing.
#[test]
fn s9_what_a_request_is_prepared_for_does_not_leave_once_its_channel_is_in_maintenance() {
    let mut b = ready();
    b.take(&Input::Present { payment: ID, presented: presented() });
    let (id, now) = (channel(&b), b.ctx.wall_ms);
    let window = |from_ms| Window {
        channel: id.clone(),
        when: When::Once(Span { from_ms, until_ms: now + 60_000 }),
        kind: Kind::Down,
        lead_ms: Some(30_000),
        reason: "line work".into(),
    };
    let prepared = Input::Prepared { payment: ID, attempt: 1, result: Ok((vec![9; 60], String::new())) };
    for (from_ms, trusted, leaves) in [(now, true, false), (now + 1, true, true), (now, false, true)] {
        let mut b = b.clone();
        std::sync::Arc::make_mut(&mut b.ctx.rules.routing.policy).windows = vec![window(from_ms)];
        b.ctx.clock_trusted = trusted;
        let step = b.take(&prepared);
        let left = step.effects.iter().any(|e| matches!(e, Effect::Authorise { .. }));
        assert_eq!(left, leaves, "from {}, trusted: {trusted}: {:?}", from_ms - now, step.effects);
        if !leaves {
            let a = &b.payment().unwrap().attempts[0];
            let decline = a.decline.as_ref().unwrap();
            assert_eq!((a.state, decline.code.as_str()), (AttemptState::NotSent, "maintenance"));
            assert!(decline.text.contains("in maintenance until") && decline.text_zh.contains("维护中"));
            // Nobody was asked: no breaker hears of it.
            let record = Record::NotSent { payment: ID, decline: decline.clone() };
            assert_eq!(signal(&record), Some(Signal::Nothing));
        }
    }
}

#[test]
fn s11_what_is_under_way_is_resolved_and_what_was_paid_goes_back() {
    let mut b = sent();
    let id = channel(&b);
    b.take(&suspend(&id));
    // Nobody knows: it is reversed all the same.
    let mut lost = b.clone();
    let unknown = Outcome::Unknown(Unknown::new(UnknownReason::NoAnswer, "no answer"));
    lost.take(&Input::Answered { payment: ID, attempt: 1, outcome: unknown });
    let step = lost.take(&Input::Resolve { payment: ID, attempt: 1 });
    assert!(step.effects.iter().any(|e| matches!(e, Effect::Undo { .. })), "{:?}", step.effects);
    let outcome = UndoOutcome::Undone { money_moved: false, reference: None };
    lost.take(&Input::Undone { payment: ID, attempt: 1, outcome });
    assert_eq!(lost.payment().unwrap().attempts[0].state, AttemptState::Reversed);
    // Or the customer has paid: it counts, and a refund goes by the suspended channel.
    b.take(&Input::Answered { payment: ID, attempt: 1, outcome: Outcome::Approved(approval(fen(100))) });
    assert_eq!(b.payment().unwrap().state, PaymentState::Paid);
    let leg = |kind| Input::Leg {
        payment: ID,
        kind,
        of: 0,
        amount: None,
        key: String::new(),
        reason: "back".into(),
        operator: Some("li".into()),
    };
    b.take(&leg(LegKind::Void));
    let number = b.payment().unwrap().attempts[1].ids.attempt;
    let result = Ok((vec![9; 60], String::new()));
    let step = b.take(&Input::Prepared { payment: ID, attempt: number, result });
    assert!(step.effects.iter().any(|e| matches!(e, Effect::Authorise { .. })), "{:?}", step.effects);
}

#[test]
fn s11_a_suspension_is_the_fold_of_its_records_and_its_memory_is_bounded() {
    let mut b = Bench::new(context(bank()));
    let id = channel(&b);
    for _ in 0..ACTS {
        b.take(&suspend(&id));
        b.take(&resume(&id));
    }
    b.take(&suspend(&id));
    assert_eq!(b.till.suspensions().acts().count(), ACTS);
    let bytes = b.till.to_snapshot().expect("it encodes");
    let again = Till::from_snapshot(&bytes).expect("it reads back");
    assert_eq!(again, b.till);
    assert_eq!(again.suspended(&id).map(|s| (s.by, s.operator.as_str())), Some((By::Person, "li")));
    // A free till opens: other channels may take the payment.
    b.take(&open(PaymentId([8; 16]), "other", fen(5), ""));
}

#[test]
fn s11_a_hold_on_a_suspended_channel_is_not_captured_before_it_is_resumed() {
    let mut b = shop();
    let hold = Input::Open {
        payment: ID,
        purpose: Purpose::Hold,
        key: String::new(),
        amount: fen(100),
        subject: String::new(),
        operator: None,
        training: false,
    };
    b.take(&hold);
    b.take(&Input::Confirm { payment: ID, amount: fen(100) });
    b.take(&Input::Present { payment: ID, presented: presented() });
    b.take(&Input::Prepared { payment: ID, attempt: 1, result: Ok((vec![9; 60], String::new())) });
    b.take(&Input::Answered { payment: ID, attempt: 1, outcome: Outcome::Approved(approval(fen(100))) });
    let id = channel(&b);
    b.take(&suspend(&id));
    let capture = Input::Leg {
        payment: ID,
        kind: LegKind::Capture,
        of: 0,
        amount: None,
        key: String::new(),
        reason: "sold".into(),
        operator: None,
    };
    assert!(matches!(no(&b, &capture), Refusal::Suspended { .. }));
    b.take(&resume(&id));
    assert!(b.take(&capture).record.is_some());
}
