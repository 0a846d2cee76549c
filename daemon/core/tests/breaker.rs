//! The circuit breaker (S10): what opens it, what never does, and how it closes without a probe that costs money.

#![allow(clippy::unwrap_used)]

mod samples;

use proptest::prelude::*;
use samples::{Bench, ID, approval, context, decline, fen, wallet};
use till_core::breaker::{Breakers, Moved, Settings, Signal, State, Told, signal, told};
use till_core::{Input, LegKind, PaymentId, Record, decide};
use till_plugin::channel::{DeclineClass, Outcome, Unknown, UnknownReason};

const WALL: i64 = 1_790_000_000_000;

fn said(n: u32, signal: Signal) -> Told {
    Told { channel: "c".into(), kind: LegKind::Sale, who: (PaymentId([1; 16]), n), signal }
}

fn state(b: &Breakers) -> State {
    b.iter().find(|b| b.channel == "c").map_or(State::Closed, |b| b.state)
}

fn opened() -> Breakers {
    let mut b = Breakers::new(Settings::default());
    for n in 0..2 {
        assert_eq!(b.outcome(&said(n, Signal::Fault), 0, WALL), None);
    }
    assert_eq!(b.outcome(&said(2, Signal::Fault), 0, WALL), Some(Moved::Opened));
    b
}

#[test]
fn faults_in_a_row_open_it_and_customers_never_do() {
    let b = opened();
    let tripped = b.tripped("c", LegKind::Sale).unwrap();
    assert_eq!((tripped.since_ms, tripped.in_a_row, tripped.on_trial), (WALL, 3, false));
    assert_eq!(b.tripped("c", LegKind::Hold), None, "each operation has its own");
    assert_eq!(b.tripped("d", LegKind::Sale), None, "each channel has its own");
    let mut well = Breakers::new(Settings::default());
    for n in 0..100 {
        // Two faults, then a customer who has no money.
        let signal = if n % 3 == 2 { Signal::Well } else { Signal::Fault };
        let rare = if n % 6 == 0 { signal } else { Signal::Well };
        assert_eq!(well.outcome(&said(n, rare), 0, WALL), None);
    }
    assert_eq!(well.tripped("c", LegKind::Sale), None);
}

#[test]
fn half_of_the_last_ten_open_it_too() {
    let mut b = Breakers::new(Settings::default());
    let mut moved = Vec::new();
    for n in 0..9 {
        let signal = if n % 2 == 0 { Signal::Fault } else { Signal::Well };
        moved.push(b.outcome(&said(n, signal), 0, WALL));
    }
    assert_eq!(moved.pop(), Some(Some(Moved::Opened)), "the fifth fault of nine outcomes");
    assert!(moved.iter().all(Option::is_none));
}

#[test]
fn it_closes_only_by_an_answer_without_money_and_then_one_sale() {
    let mut b = opened();
    let pause = Settings::default().pause_ms;
    assert_eq!((b.to_ask(pause - 1), b.to_ask(pause)), (vec![], vec!["c".to_owned()]));
    // Time alone lets nothing through.
    assert!(b.tripped("c", LegKind::Sale).is_some());
    b.asked("c", false, pause);
    assert_eq!(b.to_ask(3 * pause - 1), Vec::<String>::new(), "the pause doubles");
    assert_eq!(b.to_ask(3 * pause), ["c"]);
    b.asked("c", true, 3 * pause);
    assert_eq!(b.tripped("c", LegKind::Sale), None, "one sale may try");
    b.tendered("c", LegKind::Sale, (ID, 1));
    assert!(b.tripped("c", LegKind::Sale).unwrap().on_trial, "and no other meanwhile");
    // What somebody else's attempt says closes nothing.
    assert_eq!(b.outcome(&said(7, Signal::Well), 0, WALL), None);
    assert!(b.tripped("c", LegKind::Sale).is_some());
    let mine = |signal| Told { who: (ID, 1), ..said(0, signal) };
    let mut again = b.clone();
    assert_eq!(again.outcome(&mine(Signal::Fault), 0, WALL + 5), Some(Moved::Opened));
    assert_eq!(again.to_ask(3 * pause), Vec::<String>::new(), "longer than the first time");
    let mut given_up = b.clone();
    given_up.outcome(&mine(Signal::Nothing), 0, WALL);
    assert_eq!(
        given_up.tripped("c", LegKind::Sale),
        None,
        "a sale that was given up shows nothing: the next one may"
    );
    assert_eq!(b.outcome(&mine(Signal::Well), 0, WALL), Some(Moved::Closed));
    assert_eq!((b.tripped("c", LegKind::Sale), state(&b)), (None, State::Closed));
    for n in 0..2 {
        assert_eq!(b.outcome(&said(n, Signal::Fault), 0, WALL), None, "it counts from nothing");
    }
}

#[test]
fn after_a_restart_what_was_open_is_asked_at_once_and_nothing_is_on_trial() {
    let mut b = opened();
    b.asked("c", true, 1);
    b.tendered("c", LegKind::Sale, (ID, 1));
    b.restarted(77);
    assert!(matches!(state(&b), State::Open { ask_at_ms: 77, .. }));
    assert_eq!(b.to_ask(77), ["c"]);
}

#[test]
fn what_each_outcome_says() {
    let payment = ID;
    let class = |class| till_plugin::channel::Decline { class, ..decline("x") };
    let declined = |c| signal(&Record::Declined { payment, decline: class(c) });
    assert_eq!(declined(DeclineClass::Customer), Some(Signal::Well));
    assert_eq!(declined(DeclineClass::Channel), Some(Signal::Fault));
    assert_eq!(declined(DeclineClass::Merchant), Some(Signal::Nothing));
    assert_eq!(declined(DeclineClass::Device), Some(Signal::Nothing));
    let not_sent = |c| signal(&Record::NotSent { payment, decline: class(c) });
    assert_eq!(not_sent(DeclineClass::Channel), Some(Signal::Fault));
    assert_eq!(not_sent(DeclineClass::Customer), Some(Signal::Nothing), "nobody was asked");
    let ours = till_plugin::channel::Decline::local(DeclineClass::Channel, "unresolved", "slot");
    assert_eq!(signal(&Record::NotSent { payment, decline: ours }), Some(Signal::Nothing));
    let lost = |reason| signal(&Record::BecameUnknown { payment, reason, text: String::new(), undo: None });
    for fault in [
        UnknownReason::NoAnswer,
        UnknownReason::Broken,
        UnknownReason::BadSeal,
        UnknownReason::Mismatch,
        UnknownReason::Garbage,
        UnknownReason::HostFault,
        UnknownReason::PluginDied,
    ] {
        assert_eq!(lost(fault), Some(Signal::Fault), "{fault:?}");
    }
    assert_eq!(lost(UnknownReason::InProgress), Some(Signal::Well), "the customer is typing");
    assert_eq!(lost(UnknownReason::Restarted), Some(Signal::Nothing), "our own restart");
}

/// A lost answer is a fault even when a query finds the sale paid: queries are another operation.
#[test]
fn an_attempt_counts_once_by_its_first_outcome() {
    let mut b = Bench::new(context(wallet()));
    b.send();
    let outcome = Outcome::Unknown(Unknown::new(UnknownReason::NoAnswer, ""));
    let lost = decide(&b.till, &Input::Answered { payment: ID, attempt: 1, outcome }, &b.ctx).unwrap();
    let first = told(&b.till, lost.record.as_ref().unwrap()).unwrap();
    assert_eq!((first.channel.as_str(), first.kind, first.signal), ("channel", LegKind::Sale, Signal::Fault));
    assert_eq!(first.who, (ID, 1));
    b.apply(&lost);
    b.resolve();
    let paid =
        Record::Approved { payment: ID, approval: approval(fen(100)), receipt_number: 1, print: false };
    assert_eq!(told(&b.till, &paid), None);
}

proptest! {
    /// Whatever happens: an open breaker is only left by an answer without money, a half open one lets one sale through.
    #[test]
    fn no_sale_passes_an_open_breaker(steps in prop::collection::vec((0_u8..6, 0_u32..4), 0..80)) {
        let mut b = Breakers::new(Settings::default());
        let (mut now, mut under_way) = (0_u64, Vec::new());
        for (what, n) in steps {
            now += 20_000;
            let before = state(&b);
            match what {
                0 => { b.outcome(&said(n, Signal::Fault), now, WALL); }
                1 => { b.outcome(&said(n, Signal::Well), now, WALL); }
                2 => { b.outcome(&said(n, Signal::Nothing), now, WALL); }
                3 => b.asked("c", n % 2 == 0, now),
                4 if b.tripped("c", LegKind::Sale).is_none() => {
                    b.tendered("c", LegKind::Sale, (PaymentId([1; 16]), n));
                    if matches!(state(&b), State::HalfOpen { .. }) { under_way.push(n); }
                }
                _ => {}
            }
            let after = state(&b);
            if matches!(before, State::Open { .. }) && !matches!(after, State::Open { .. }) {
                let asked = matches!(after, State::HalfOpen { trial: None, .. });
                prop_assert!(what == 3 && asked);
            }
            if matches!(before, State::HalfOpen { .. }) && after == State::Closed {
                prop_assert_eq!(what, 1);
                prop_assert_eq!(under_way.last(), Some(&n), "only the trial closes it");
            }
        }
    }
}
