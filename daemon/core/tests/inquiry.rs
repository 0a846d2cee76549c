//! Balance inquiries: what stands in their way, and that they leave a trace number and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod samples;

use samples::{Bench, ID, bank, context, fen, open, presented};
use till_core::routing::RouteHealth;
use till_core::windows::{Kind, Span, When, Window};
use till_core::{Effect, Input, Record, Refusal, decide};
use till_plugin::channel::{Operation, Outcome, Unknown, UnknownReason};

fn ask() -> Input {
    Input::Inquire { channel: "channel".into(), number: 5, operator: String::new() }
}

fn shop() -> Bench {
    let mut b = Bench::new(context(bank()));
    b.ctx.routes[0].operations.push(Operation::Balance);
    b
}

fn no(b: &Bench) -> Refusal {
    decide(&b.till, &ask(), &b.ctx).expect_err("it is refused")
}

fn why(b: &Bench) -> String {
    match no(b) {
        Refusal::NoInquiry { en, zh, channel } => {
            assert!(channel == "channel" && !zh.is_empty());
            en
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_takes_the_next_trace_number_of_its_channel_and_keeps_nothing_else() {
    let mut b = shop();
    let before = b.till.clone();
    for trace in [1, 2] {
        let step = b.take(&ask());
        let batch = b.till.batch("channel");
        assert_eq!(step.record, Some(Record::TraceTaken { channel: "channel".into(), trace }));
        assert_eq!(step.effects, [Effect::Inquire { channel: "channel".into(), number: 5, trace, batch }]);
    }
    assert_eq!((b.till.next_trace("channel"), b.till.next_trace("other")), (3, 1));
    assert_eq!(b.till.payments_ever(), before.payments_ever());
    // The next payment goes on behind it.
    b.take(&open(ID, "key", fen(100), "tea"));
    b.take(&Input::Confirm { payment: ID, amount: fen(100) });
    b.take(&Input::Present { payment: ID, presented: presented() });
    assert_eq!(b.payment().unwrap().attempts[0].ids.trace, 3);
}

#[test]
fn a_payment_at_the_till_and_one_that_nobody_knows_of_come_first() {
    let mut b = shop();
    b.take(&open(ID, "key", fen(100), "tea"));
    assert!(matches!(no(&b), Refusal::Busy { payment: ID, .. }), "it is open");
    b.take(&Input::Confirm { payment: ID, amount: fen(100) });
    b.take(&Input::Present { payment: ID, presented: presented() });
    b.take(&Input::Prepared { payment: ID, attempt: 1, result: Ok((vec![9; 60], String::new())) });
    assert!(matches!(no(&b), Refusal::Busy { .. }), "it is sent");
    let outcome = Outcome::Unknown(Unknown::new(UnknownReason::NoAnswer, "silence"));
    b.take(&Input::Answered { payment: ID, attempt: 1, outcome });
    assert!(matches!(no(&b), Refusal::Busy { .. } | Refusal::NoInquiry { .. }), "it is unknown");
}

#[test]
fn a_channel_that_could_take_no_sale_is_not_asked_and_the_reason_is_said() {
    let mut b = shop();
    b.ctx.routes[0].operations.pop();
    assert_eq!(why(&b), "it tells no balances");
    b.ctx.routes[0].operations.extend([Operation::Balance, Operation::Account]);
    assert_eq!(why(&b), "it tells no balances", "its own cards have an interface of their own");
    let mut b = shop();
    for (health, said) in [
        (RouteHealth::SignedOff, "not signed in"),
        (RouteHealth::Starting, "still starting"),
        (RouteHealth::Failed { reason: "no line".into() }, "no line"),
    ] {
        b.ctx.routes[0].health = health;
        assert!(why(&b).contains(said), "{}", why(&b));
    }
    b.ctx.routes[0].health = RouteHealth::Ready;
    b.take(&Input::Suspend { channel: "channel".into(), reason: "rate".into(), operator: "li".into() });
    assert!(matches!(no(&b), Refusal::Suspended { .. }));

    let mut b = shop();
    let now = b.ctx.wall_ms;
    let window = Window {
        channel: "channel".into(),
        when: When::Once(Span { from_ms: now, until_ms: now + 60_000 }),
        kind: Kind::Down,
        lead_ms: None,
        reason: "line work".into(),
    };
    let mut policy = (*b.ctx.rules.routing.policy).clone();
    policy.windows = vec![window];
    b.ctx.rules.routing.policy = policy.into();
    assert!(why(&b).contains("maintenance"), "{}", why(&b));

    let mut b = shop();
    b.ctx.routes[0].enabled = false;
    assert!(matches!(no(&b), Refusal::NoChannel { .. }));
    let mut b = shop();
    b.take(&Input::SetTraining { on: true, operator: "li".into() });
    assert!(matches!(no(&b), Refusal::Training(_)));
}
