//! Several terminals on one ledger, appends that are cut off, answers that are lost (S55, S57's "both or neither").
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::sync::{Arc, Barrier};

use common::*;
use proptest::prelude::*;
use till_channel_prepaid::ledger::*;
use till_plugin::Currency;

#[test]
fn s55_parallel_debits_of_many_terminals_never_overdraw() {
    for round in 0..20 {
        let log = MemoryLog::new();
        drop(with_balance(log.clone(), false, 1_000));
        let start = Arc::new(Barrier::new(8));
        let terminals: Vec<_> = (0..8)
            .map(|n| {
                let (log, start) = (log.clone(), start.clone());
                std::thread::spawn(move || {
                    let mut ledger = open(log);
                    start.wait();
                    ledger.submit(&debit(&format!("D{n}"), 1, 300), NOW).map_err(|e| e.to_string())
                })
            })
            .collect();
        let answers: Vec<_> = terminals.into_iter().map(|t| t.join().unwrap()).collect();
        let approved = answers.iter().filter(|a| a.is_ok()).count();
        let mut ledger = open(log);
        assert_eq!((approved, balance(&mut ledger, 1)), (3, 100), "round {round}: {answers:?}");
        ledger.audit().unwrap();
    }
}

#[test]
fn s55_a_debit_decided_on_an_old_balance_is_decided_again() {
    let log = FaultLog::default();
    let mut ledger = open(log.clone());
    ledger.submit(&issue("ISSUE1", 1, false, 1_000), NOW).unwrap();
    log.rival_first(debit("RIVAL1", 1, 700));
    assert_eq!(refused(ledger.submit(&debit("D1", 1, 700), NOW)), "insufficient");
    assert_eq!(balance(&mut ledger, 1), 300);
    // The same key at both terminals: one booking, one answer.
    log.rival_first(debit("BOTH", 1, 100));
    assert!(ledger.submit(&debit("BOTH", 1, 100), NOW).is_ok());
    assert_eq!(balance(&mut ledger, 1), 200);
    // A no on old news is looked at again before it is said.
    open(log.inner.clone()).submit(&load("L1", 1, 5_000), NOW).unwrap();
    ledger.submit(&debit("D2", 1, 5_200), NOW).unwrap();
    // The same for an undo, whose refusal closes nothing: the load was spent, and is not any more.
    let mut other = open(log.inner.clone());
    other.submit(&refund("R1", "D2", 5_000), NOW).unwrap();
    ledger.submit(&undo("L1"), NOW).unwrap();
    assert_eq!(balance(&mut ledger, 1), 0);
    ledger.audit().unwrap();
}

#[test]
fn s55_two_terminals_cannot_both_issue_a_card_or_begin_the_ledger() {
    let log = FaultLog::default();
    let mut ledger = open(log.clone());
    log.rival_first(issue("I1", 1, false, 100));
    assert_eq!(refused(ledger.submit(&issue("I2", 1, false, 100), NOW)), "issued-already");
    assert_eq!(balance(&mut ledger, 1), 100);
}

#[test]
fn an_entry_that_was_written_though_its_append_failed_is_found_and_booked_once() {
    let log = FaultLog::default();
    let mut ledger = open(log.clone());
    ledger.submit(&issue("ISSUE1", 1, false, 1_000), NOW).unwrap();
    log.next_append(Fault::Written);
    assert!(matches!(ledger.submit(&debit("D1", 1, 300), NOW), Err(Failure::Log(LogError::Append(_)))));
    // The daemon asks; or, after a crash, another process does.
    let found = ledger.settle("D1", NOW).unwrap().unwrap();
    assert_eq!((found.entry.event, found.undone), (Event::Debit { amount: 300 }, false));
    let mut after_a_crash = open(log.clone());
    assert!(after_a_crash.submit(&debit("D1", 1, 300), NOW).unwrap().repeated);
    assert_eq!(balance(&mut ledger, 1), 700);
}

#[test]
fn an_append_that_lands_after_not_found_was_said_has_no_effect() {
    for next in ["settle", "another debit"] {
        let log = FaultLog::default();
        let mut ledger = open(log.clone());
        ledger.submit(&issue("ISSUE1", 1, false, 1_000), NOW).unwrap();
        log.next_append(Fault::Late);
        ledger.submit(&debit("D1", 1, 300), NOW).unwrap_err();
        if next == "settle" {
            assert_eq!(ledger.settle("D1", NOW).unwrap(), None);
        } else {
            ledger.submit(&debit("D2", 1, 900), NOW).unwrap();
        }
        log.land();
        assert_eq!(balance(&mut ledger, 1), if next == "settle" { 1_000 } else { 100 });
        assert_eq!(ledger.settle("D1", NOW).unwrap(), None, "{next}");
        let mut reopened = open(log.clone());
        assert_eq!(reopened.settle("D1", NOW).unwrap(), None, "{next}");
        assert!(reopened.state().stale() > 0, "the late entry is there, and counts for nothing");
        reopened.audit().unwrap();
    }
}

#[test]
fn an_append_that_lands_before_the_question_is_the_truth() {
    let log = FaultLog::default();
    let mut ledger = open(log.clone());
    ledger.submit(&issue("ISSUE1", 1, false, 1_000), NOW).unwrap();
    log.next_append(Fault::Late);
    ledger.submit(&debit("D1", 1, 300), NOW).unwrap_err();
    log.land();
    // Decided on the old head, so the closing of D1 loses against D1 itself.
    assert!(ledger.settle("D1", NOW).unwrap().is_some());
    assert_eq!(balance(&mut ledger, 1), 700);
}

#[derive(Clone, Debug)]
enum Op {
    Submit(Request),
    Settle(String),
    Restart,
}

#[derive(Clone, Debug)]
struct Step {
    terminal: usize,
    op: Op,
    fault: Option<Fault>,
    rival: Option<Request>,
}

fn key() -> impl Strategy<Value = String> {
    (0..24_u8).prop_map(|n| format!("K{n}"))
}

fn any_request() -> impl Strategy<Value = Request> {
    let amount = prop_oneof![1..400_i64, Just(60_000)];
    (key(), key(), 1..4_u8, amount, 0..14_u8, any::<bool>()).prop_map(|(key, of, n, amount, kind, flag)| {
        let card = card(n);
        match kind {
            0 | 1 => issue(&key, n, flag, amount),
            2 | 3 => load(&key, n, amount),
            4..=6 => debit(&key, n, amount),
            7 | 8 => refund(&key, &of, amount),
            9 => void(&key, &of),
            10 => undo(&of),
            11 => Request::new(key, Action::Redeem { card }).by("alice"),
            12 => Request::new(key, Action::Block { card, reason: String::new() }).by("alice"),
            _ => Request::new(key, Action::Unblock { card, reason: String::new() }).by("alice"),
        }
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let op = prop_oneof![
        12 => any_request().prop_map(Op::Submit),
        2 => key().prop_map(Op::Settle),
        1 => Just(Op::Restart),
    ];
    let fault = prop::sample::select(vec![Fault::Lost, Fault::Written, Fault::Late, Fault::Refused]);
    (0..3_usize, op, prop::option::weighted(0.1, fault), prop::option::weighted(0.2, any_request()))
        .prop_map(|(terminal, op, fault, rival)| Step { terminal, op, fault, rival })
}

/// What a caller was told of a key for good.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // one lives at a time
enum Told {
    Booked(Entry),
    Never,
}

/// What was told for good is never taken back.
fn tell(told: &mut HashMap<String, Told>, key: &str, now: Told) -> Result<(), TestCaseError> {
    let before = told.get(key).unwrap_or(&now);
    prop_assert_eq!(before, &now, "key {} was answered differently", key);
    told.insert(key.to_owned(), now);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    /// Any requests, repeated, reordered, under keys used for something else, of three terminals and a rival, with
    /// appends that fail in every way: no card below zero, balances are the sums of their entries, no more goes back than
    /// was taken, and no caller is ever told two things.
    #[test]
    fn whatever_comes_in_whatever_order_the_books_are_right(steps in prop::collection::vec(any_step(), 1..80)) {
        let log = FaultLog::default();
        let mut terminals: Vec<_> = (0..3).map(|_| open(log.clone())).collect();
        let mut told = HashMap::new();
        for Step { terminal, op, fault, rival } in steps {
            if let Some(request) = rival {
                log.rival_first(request);
            }
            if let Some(fault) = fault {
                log.next_append(fault);
            }
            let ledger = &mut terminals[terminal];
            match op {
                Op::Restart => {
                    // Opening may write nothing: the ledger has begun.
                    *ledger = open(log.clone());
                }
                Op::Settle(key) => match ledger.settle(&key, NOW) {
                    Ok(None) => tell(&mut told, &key, Told::Never)?,
                    Ok(Some(Found { entry, .. })) if matches!(entry.event, Event::Close { .. }) => {
                        tell(&mut told, &key, Told::Never)?;
                    }
                    Ok(Some(found)) => {
                        prop_assert!(found.returned.minor() <= found.entry.event.amount());
                        tell(&mut told, &key, Told::Booked(found.entry))?;
                    }
                    Err(Failure::Log(_)) => {}
                    Err(other) => prop_assert!(false, "{other}"),
                },
                Op::Submit(request) => match ledger.submit(&request, NOW) {
                    Ok(done) => {
                        let key = done.entry.key.clone();
                        tell(&mut told, &key, Told::Booked(done.entry))?;
                    }
                    // Of an unknown outcome, and of a key that is somebody else's, nothing is said here.
                    Err(Failure::Refused(Refusal::KeyReused) | Failure::Log(_)) => {}
                    // An undo that is refused may be asked for again.
                    Err(Failure::Refused(_)) if matches!(request.action, Action::Undo { .. }) => {}
                    Err(Failure::Refused(_)) => tell(&mut told, &request.key, Told::Never)?,
                    Err(other) => prop_assert!(false, "{other}"),
                },
            }
            for n in 1..4 {
                let ledger = &mut terminals[terminal];
                if let Ok(card_state) = ledger.card(&card(n)) {
                    prop_assert!(card_state.balance >= 0);
                    let lines = ledger.history(&card(n), None, usize::MAX).unwrap();
                    prop_assert_eq!(lines.iter().map(|l| l.change.minor()).sum::<i64>(), card_state.balance);
                }
            }
        }
        log.land();
        let mut whole = open(log.inner.clone());
        whole.audit().unwrap();
        for terminal in &mut terminals {
            terminal.audit().unwrap();
            prop_assert_eq!(terminal.state().totals(), whole.state().totals());
            prop_assert_eq!(terminal.state().head(), whole.state().head());
        }
        for (key, told) in told {
            let found = if key.contains('~') { continue } else { whole.settle(&key, NOW).unwrap() };
            match (told, found) {
                (Told::Booked(entry), Some(found)) => prop_assert_eq!(entry, found.entry),
                (Told::Never, None) => {}
                (Told::Never, Some(found)) => {
                    prop_assert!(matches!(found.entry.event, Event::Close { .. }), "{key} was booked after a no");
                }
                (Told::Booked(_), None) => prop_assert!(false, "{key} is gone"),
            }
        }
    }

    /// Opening takes whatever bytes the log has, and says what is wrong.
    #[test]
    fn any_log_is_opened_or_refused(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..5)) {
        let log = MemoryLog::new();
        log.tamper(|e| *e = entries);
        prop_assert!(matches!(
            Ledger::open(log, Currency::CNY, LIMITS, CHECK, NOW),
            Err(Failure::Damaged(_))
        ));
    }
}
