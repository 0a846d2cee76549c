//! The shared vectors of family `prepaid` (channels.md §5): what each of them asks for, by its own words.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::*;
use serde_json::Value;
use till_channel_prepaid::ledger::*;

fn vectors() -> Option<Vec<Value>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/channels-policy.json");
    let text = std::fs::read_to_string(file).ok()?;
    let all: Value = serde_json::from_str(&text).unwrap();
    let ours = all["vectors"].as_array().unwrap().iter().filter(|v| v["family"] == "prepaid");
    Some(ours.cloned().collect())
}

/// The n-th number in a step's words.
fn number(step: &str, n: usize) -> i64 {
    step.split(|c: char| !c.is_ascii_digit()).filter(|w| !w.is_empty()).nth(n).unwrap().parse().unwrap()
}

#[test]
fn every_shared_vector_holds() {
    let Some(vectors) = vectors() else {
        println!("skipped: no shared vectors");
        return;
    };
    assert!(!vectors.is_empty());
    for v in vectors {
        let id = v["id"].as_str().unwrap();
        let expect = &v["expect"];
        let steps: Vec<&str> = v["steps"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
        let fen = |name: &str| expect[name].as_i64().unwrap();
        let log = MemoryLog::new();
        match id {
            "pp-debit-exact" | "pp-debit-over" => {
                let mut ledger = with_balance(log, false, number(steps[0], 0));
                let result = ledger.submit(&debit("D1", 1, number(steps[1], 0)), NOW);
                assert_eq!(result.is_ok(), expect["ok"].as_bool().unwrap(), "{id}");
                if let Some(reason) = expect["reason"].as_str() {
                    assert_eq!(refused(result), reason, "{id}");
                }
                assert_eq!(balance(&mut ledger, 1), fen("balance"), "{id}");
            }
            "pp-parallel" => {
                drop(with_balance(log.clone(), false, number(steps[0], 0)));
                let (count, amount) = (number(steps[1], 0), number(steps[1], 1));
                let debits: Vec<_> = (0..count)
                    .map(|n| {
                        let log = log.clone();
                        std::thread::spawn(move || {
                            open(log).submit(&debit(&format!("D{n}"), 1, amount), NOW).is_ok()
                        })
                    })
                    .collect();
                let approved: i64 = debits.into_iter().map(|d| i64::from(d.join().unwrap())).sum();
                let left = balance(&mut open(log), 1);
                assert_eq!((approved, left), (fen("approved"), fen("balance")), "{id}");
            }
            "pp-kill" => {
                let amount = number(steps[0], 0);
                drop(with_balance(log.clone(), false, 1_000));
                // Killed behind the append, before the answer.
                let faults = FaultLog::on(log.clone());
                let mut killed = open(faults.clone());
                faults.next_append(Fault::Written);
                killed.submit(&debit("D1", 1, amount), NOW).unwrap_err();
                let mut ledger = open(log);
                assert!(ledger.submit(&debit("D1", 1, amount), NOW).unwrap().repeated, "{id}");
                assert_eq!(balance(&mut ledger, 1) - 1_000, fen("balance_change"), "{id}");
            }
            "pp-cap-bearer" | "pp-cap-named" => {
                let registered = steps[0].starts_with("registered");
                let mut ledger = with_balance(log, registered, number(steps[0], 0));
                match ledger.submit(&load("L1", 1, number(steps[1], 0)), NOW) {
                    Ok(done) => assert_eq!(done.entry.balance, fen("balance"), "{id}"),
                    Err(Failure::Refused(Refusal::OverCap { cap, .. })) => {
                        assert!(!expect["ok"].as_bool().unwrap(), "{id}");
                        assert_eq!(cap.minor(), number(expect["reason"].as_str().unwrap(), 0), "{id}");
                    }
                    other => panic!("{id}: {other:?}"),
                }
            }
            "pp-refund-more" => {
                let mut ledger = with_balance(log, false, 1_000);
                ledger.submit(&debit("D1", 1, number(steps[0], 0)), NOW).unwrap();
                ledger.submit(&refund("R1", "D1", number(steps[1], 0)), NOW).unwrap();
                assert!(ledger.submit(&refund("R2", "D1", number(steps[2], 0)), NOW).is_err(), "{id}");
                assert_eq!(balance(&mut ledger, 1) - 1_000, fen("balance_change"), "{id}");
            }
            "pp-ledger-sum" => println!("{id}: tests/terminals.rs, whatever_comes_in_whatever_order"),
            other => panic!("a vector nobody reads yet: {other}"),
        }
    }
}
