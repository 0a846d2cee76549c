//! After a restart a channel's process comes later than the till: what it does is not known until then. Nothing is given
//! up, and nobody is called, for that.

#![allow(clippy::expect_used)]

mod samples;

use samples::{Bench, ID, approval, context, fen, presented, route, wallet};
use till_core::input::Presented;
use till_core::routing::{LegTerms, RouteHealth};
use till_core::{Effect, Input, LegKind, PaymentState, Purpose, Refusal, Step, decide};
use till_plugin::Family;
use till_plugin::channel::{Outcome, ResolveProfile};

fn terms(kind: LegKind) -> LegTerms {
    let resolve = ResolveProfile { undo: None, ..wallet() };
    LegTerms { kind, resolve, instrument: false, partial: true }
}

/// A top-up of `card` that is paid with a wallet code and not loaded yet.
fn paid_top_up() -> Bench {
    let mut ctx = context(wallet());
    ctx.routes[0].legs = vec![terms(LegKind::Refund)];
    let mut card = route("card", "prepaid", wallet());
    card.legs = vec![terms(LegKind::Load)];
    ctx.routes.push(card);
    let mut b = Bench::new(ctx);
    let purpose = Purpose::TopUp { channel: "card".into(), recovery: vec![1; 40], masked: "**** 5".into() };
    b.take(&Input::Open {
        payment: ID,
        purpose,
        key: String::new(),
        amount: fen(100),
        subject: String::new(),
        operator: None,
        training: false,
    });
    b.take(&Input::Confirm { payment: ID, amount: fen(100) });
    let with_itself = Presented { family: Family::new("prepaid"), ..presented() };
    let refused = decide(&b.till, &Input::Present { payment: ID, presented: with_itself }, &b.ctx);
    assert!(matches!(refused, Err(Refusal::NotPayable(_))), "S57: another tender pays: {refused:?}");
    b.present();
    b.prepared();
    b.answer(Outcome::Approved(approval(fen(100))));
    assert_eq!(b.state(), PaymentState::Delivering);
    b
}

fn silence(b: &mut Bench) {
    for route in &mut b.ctx.routes {
        (route.health, route.legs) = (RouteHealth::Starting, Vec::new());
    }
}

fn waits(step: &Step) -> bool {
    step.record.is_none()
        && matches!(step.effects.as_slice(), [Effect::GoOn { after_ms, .. }] if *after_ms > 0)
}

#[test]
fn s57_a_load_waits_for_its_channel_to_come_back_and_is_not_given_up() {
    let mut b = paid_top_up();
    let ready = b.ctx.routes.clone();
    b.restart();
    silence(&mut b);
    assert!(waits(&b.take(&Input::GoOn { payment: ID })));
    b.ctx.routes = ready;
    b.take(&Input::GoOn { payment: ID });
    assert_eq!(b.attempt().kind, LegKind::Load);

    // Taken out of the configuration it never comes: the customer gets the money back.
    let mut b = paid_top_up();
    b.ctx.routes.retain(|r| r.id != "card");
    b.take(&Input::GoOn { payment: ID });
    assert_eq!(b.state(), PaymentState::Returning);
}

#[test]
fn a_return_waits_for_its_channel_to_come_back_and_calls_nobody() {
    let mut b = paid_top_up();
    let ready = b.ctx.routes.clone();
    b.ctx.routes.retain(|r| r.id != "card");
    b.take(&Input::GoOn { payment: ID });
    b.restart();
    silence(&mut b);
    for _ in 0..3 {
        b.take(&Input::GoOn { payment: ID });
        assert_eq!(b.state(), PaymentState::Returning, "people were called for a process that was starting");
    }
    b.ctx.routes = ready;
    b.take(&Input::GoOn { payment: ID });
    assert_eq!(b.attempt().kind, LegKind::Refund);
}
