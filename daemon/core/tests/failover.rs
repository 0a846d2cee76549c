//! Failover by itself (S8, S14): only to a channel of the same presented instrument, only after the attempt before is final
//! without money; across families people are told what else there is.

#![allow(clippy::unwrap_used)]

mod samples;

use std::sync::Arc;

use samples::{Bench, ID, context, fen, open, presented, route, wallet};
use till_core::input::{Context, Presented};
use till_core::routing::{Exclusion, Policy, Verdict, failover};
use till_core::{AttemptState, Input, PaymentState, Record, Refusal, Step, decide};
use till_plugin::Family;
use till_plugin::channel::{Decline, DeclineClass, Outcome, Unknown, UnknownReason};

/// Two channels for stripes, two for a wallet's codes, cash.
fn shop() -> Context {
    let mut ctx = context(wallet());
    let named = |id, family, priority| {
        let mut r = route(id, family, wallet());
        r.priority = priority;
        r
    };
    ctx.routes = vec![
        named("bank-a", "card-stripe", 1),
        named("bank-b", "card-stripe", 2),
        named("code-a", "qr-alipay", 3),
        named("code-b", "qr-alipay", 4),
        named("drawer", "cash", 5),
    ];
    ctx
}

fn show(family: &str) -> Presented {
    Presented { family: Family::new(family), token: "token".into(), ..presented() }
}

fn faulty() -> Decline {
    Decline::local(DeclineClass::Channel, "no-line", "the network does not answer")
}

fn ready(ctx: Context) -> Bench {
    let mut b = Bench::new(ctx);
    b.take(&open(ID, "key", fen(100), "tea"));
    b.take(&Input::Confirm { payment: ID, amount: fen(100) });
    b
}

fn present(b: &mut Bench, family: &str) -> Step {
    b.take(&Input::Present { payment: ID, presented: show(family) })
}

fn not_prepared(b: &mut Bench, attempt: u32) {
    b.take(&Input::Prepared { payment: ID, attempt, result: Err(faulty()) });
}

fn sent(b: &mut Bench, attempt: u32) {
    b.take(&Input::Prepared { payment: ID, attempt, result: Ok((vec![9; 60], String::new())) });
}

fn tried(b: &Bench) -> Option<Vec<(String, u32)>> {
    failover(b.payment()?, &b.ctx)
}

fn again(family: &str) -> Input {
    Input::FailOver { payment: ID, presented: show(family) }
}

#[test]
fn s14_what_one_channel_did_not_take_goes_to_the_next_with_the_same_card_and_then_to_nobody() {
    let mut b = ready(shop());
    present(&mut b, "card-stripe");
    assert_eq!(b.attempt().channel, "bank-a");
    assert_eq!(tried(&b), None, "it is still under way");
    sent(&mut b, 1);
    assert_eq!(tried(&b), None, "it may be money");
    b.answer(Outcome::Declined(faulty()));
    assert_eq!(tried(&b), Some(vec![("bank-a".into(), 1)]));
    let step = b.take(&again("card-stripe"));
    let Some(Record::Tendered { decision, ids, .. }) = &step.record else { panic!("{step:?}") };
    assert_eq!((decision.chosen.as_deref(), ids.attempt), (Some("bank-b"), 2));
    let first = decision.candidates.iter().find(|c| c.channel == "bank-a").unwrap();
    assert_eq!(first.verdict, Verdict::Excluded(Exclusion::Tried(1)), "the record says where it was before");
    sent(&mut b, 2);
    b.take(&Input::Answered { payment: ID, attempt: 2, outcome: Outcome::Declined(faulty()) });
    let refused = decide(&b.till, &again("card-stripe"), &b.ctx).unwrap_err();
    let Refusal::NoRoute { en, zh } = refused else { panic!("{refused}") };
    assert!(en.contains("attempt 1") && en.contains("attempt 2"), "{en}");
    assert!(en.contains("this till takes now: qr-alipay (code-a), cash (drawer)"), "{en}");
    assert!(zh.contains("目前可用：qr-alipay (code-a)、cash (drawer)"), "{zh}");
    // The customer may present the card again: then both are asked once more.
    assert_eq!(present(&mut b, "card-stripe").record.map(|r| r.name()), Some("tendered"));
    assert_eq!(b.attempt().channel, "bank-a");
}

#[test]
fn a_code_goes_on_only_when_it_surely_did_not_leave() {
    let mut b = ready(shop());
    present(&mut b, "qr-alipay");
    not_prepared(&mut b, 1);
    assert_eq!(b.attempt().state, AttemptState::NotSent);
    b.take(&again("qr-alipay"));
    assert_eq!(b.attempt().channel, "code-b", "also inside the time in which a code is not taken twice");
    sent(&mut b, 2);
    b.take(&Input::Answered { payment: ID, attempt: 2, outcome: Outcome::Declined(faulty()) });
    assert_eq!(tried(&b), None, "a code that was answered is used up");
}

#[test]
fn an_outcome_that_nobody_knows_is_never_followed_by_another_attempt() {
    let mut b = ready(shop());
    present(&mut b, "card-stripe");
    sent(&mut b, 1);
    b.answer(Outcome::Unknown(Unknown::new(UnknownReason::NoAnswer, "")));
    assert_eq!(tried(&b), None);
    assert!(matches!(decide(&b.till, &again("card-stripe"), &b.ctx), Err(Refusal::Stale)));
}

#[test]
fn who_said_no_and_who_wants_it_gone_count() {
    let mut customer = ready(shop());
    present(&mut customer, "card-stripe");
    sent(&mut customer, 1);
    customer.answer(Outcome::Declined(samples::decline("51")));
    assert_eq!(tried(&customer), None, "the customer's no is the customer's no everywhere");

    let mut gone = ready(shop());
    present(&mut gone, "card-stripe");
    gone.cancel();
    not_prepared(&mut gone, 1);
    assert_eq!(tried(&gone), None);

    let mut ctx = shop();
    ctx.rules.routing.policy = Arc::new(Policy { failover: false, ..Policy::default() });
    let mut off = ready(ctx);
    present(&mut off, "card-stripe");
    not_prepared(&mut off, 1);
    assert_eq!(tried(&off), None, "switched off in the configuration");
    assert_eq!(off.state(), PaymentState::Ready);
}

#[test]
fn the_operators_channel_is_not_left_by_itself() {
    let mut b = ready(shop());
    b.take(&Input::Select { channel: Some("bank-a".into()), operator: None });
    present(&mut b, "card-stripe");
    not_prepared(&mut b, 1);
    let refused = decide(&b.till, &again("card-stripe"), &b.ctx).unwrap_err();
    let Refusal::NoRoute { en, .. } = refused else { panic!("{refused}") };
    assert!(en.contains("bank-b: the operator chose another channel"), "{en}");
}

/// S8, S10: the breaker sends the next sale elsewhere, and the record says what was lost.
#[test]
fn s8_the_next_sale_goes_to_the_backup_and_the_record_names_the_loss() {
    use till_core::breaker::{Breakers, Settings, told};
    let mut ctx = shop();
    let mut breakers = Breakers::new(Settings { in_a_row: 1, ..Settings::default() });
    let mut b = ready(ctx.clone());
    present(&mut b, "card-stripe");
    let no = Input::Prepared { payment: ID, attempt: 1, result: Err(faulty()) };
    let step = decide(&b.till, &no, &b.ctx).unwrap();
    breakers.outcome(&told(&b.till, step.record.as_ref().unwrap()).unwrap(), 0, 0);
    ctx.rules.routing.breakers = Arc::new(breakers);
    let mut next = ready(ctx);
    let step = present(&mut next, "card-stripe");
    let Some(Record::Tendered { decision, .. }) = step.record else { panic!() };
    assert_eq!(decision.chosen.as_deref(), Some("bank-b"));
    let codes = decision.candidates.iter().filter_map(|c| match &c.verdict {
        Verdict::Excluded(e) if c.channel == "bank-a" => Some(e.code()),
        _ => None,
    });
    assert_eq!(codes.collect::<Vec<_>>(), ["breaker"]);
}

#[test]
fn a_card_stays_on_its_route_within_the_batch() {
    let mut ctx = shop();
    ctx.rules.routing.policy = Arc::new(Policy { cost: false, ..Policy::default() });
    let mut b = ready(ctx);
    b.take(&Input::Select { channel: Some("bank-b".into()), operator: None });
    present(&mut b, "card-stripe");
    sent(&mut b, 1);
    b.answer(Outcome::Approved(samples::approval(fen(100))));
    b.take(&Input::Select { channel: None, operator: None });
    let other = till_core::PaymentId([3; 16]);
    b.take(&open(other, "next", fen(50), "tea"));
    b.take(&Input::Confirm { payment: other, amount: fen(50) });
    let step = b.take(&Input::Present { payment: other, presented: show("card-stripe") });
    let Some(Record::Tendered { decision, .. }) = step.record else { panic!() };
    assert_eq!((decision.chosen.as_deref(), decision.decided_by()), (Some("bank-b"), "sticky"));
}
