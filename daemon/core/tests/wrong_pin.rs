//! A wrong PIN is asked for again with the same card, under new numbers, and not for ever.

#![allow(clippy::unwrap_used)]

mod samples;

use samples::{Bench, ID, context, fen, open, presented, route, wallet};
use till_core::input::Presented;
use till_core::wrong_pin::{TRIES, asks_again};
use till_core::{Effect, Input};
use till_plugin::Family;
use till_plugin::channel::{Decline, DeclineClass, Outcome};

fn ready(family: &str) -> Bench {
    let mut ctx = context(wallet());
    ctx.routes = vec![route("bank", family, wallet())];
    let mut b = Bench::new(ctx);
    b.take(&open(ID, "key", fen(100), "tea"));
    b.take(&Input::Confirm { payment: ID, amount: fen(100) });
    b
}

fn present(b: &mut Bench, family: &str, token: &str) -> u32 {
    let presented = Presented { family: Family::new(family), token: token.into(), ..presented() };
    b.take(&Input::Present { payment: ID, presented });
    b.payment().unwrap().attempts.last().unwrap().ids.attempt
}

fn declined(b: &mut Bench, family: &str, token: &str, code: &str) {
    let attempt = present(b, family, token);
    b.take(&Input::Prepared { payment: ID, attempt, result: Ok((vec![9; 60], String::new())) });
    let decline = Decline::local(DeclineClass::Customer, code, "no");
    b.take(&Input::Answered { payment: ID, attempt, outcome: Outcome::Declined(decline) });
}

fn again(b: &Bench) -> bool {
    asks_again(b.payment().unwrap(), |code| code == "55")
}

#[test]
fn a_wrong_pin_is_asked_for_again_under_a_new_trace_and_at_most_three_times() {
    let mut b = ready("card-stripe");
    assert!(!again(&b));
    for number in 1..=TRIES {
        declined(&mut b, "card-stripe", "card", "55");
        assert_eq!(again(&b), number < TRIES, "after {number}");
    }
    let mut traces: Vec<u32> = b.payment().unwrap().attempts.iter().map(|a| a.ids.trace).collect();
    traces.dedup();
    assert_eq!(traces.len(), TRIES);
    declined(&mut b, "card-stripe", "another card", "55");
    assert!(again(&b), "another card has its own tries");
}

#[test]
fn another_no_another_kind_of_card_and_a_payment_that_is_not_wanted_are_not_asked_again() {
    let mut b = ready("card-stripe");
    declined(&mut b, "card-stripe", "card", "51");
    assert!(!again(&b));
    let mut b = ready("card-contactless");
    declined(&mut b, "card-contactless", "card", "55");
    assert!(!again(&b), "a cryptogram is good for one request");
    let mut b = ready("card-stripe");
    declined(&mut b, "card-stripe", "card", "55");
    present(&mut b, "card-stripe", "card");
    assert!(!again(&b), "one is under way");
    let mut b = ready("card-stripe");
    declined(&mut b, "card-stripe", "card", "55");
    b.take(&Input::Cancel { payment: ID, operator: None });
    assert!(!again(&b));
}

#[test]
fn who_cancels_before_anything_was_sent_stops_the_wait_for_the_customer() {
    let mut b = ready("card-stripe");
    present(&mut b, "card-stripe", "card");
    let step = b.take(&Input::Cancel { payment: ID, operator: None });
    assert!(step.effects.contains(&Effect::StopWaiting { payment: ID }));
    let mut b = ready("card-stripe");
    let attempt = present(&mut b, "card-stripe", "card");
    b.take(&Input::Prepared { payment: ID, attempt, result: Ok((vec![9; 60], String::new())) });
    let step = b.take(&Input::Cancel { payment: ID, operator: None });
    assert!(!step.effects.iter().any(|e| matches!(e, Effect::StopWaiting { .. })), "it is out");
}
