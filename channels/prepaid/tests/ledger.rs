//! The ledger's rules, one loss a test: what the shop or the card's holder would lose if it broke.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use till_channel_prepaid::ledger::*;
use till_plugin::{Currency, Money};

#[test]
fn s34_short_of_funds_is_said_before_the_debit_and_nothing_is_written() {
    let log = MemoryLog::new();
    let mut ledger = with_balance(log.clone(), false, 1_000);
    let entries = log.len();
    let Err(Failure::Refused(refusal)) = ledger.check(&debit("D1", 1, 1_001), NOW) else { panic!() };
    assert_eq!(refusal, Refusal::Insufficient { balance: cny(1_000), short: cny(1) });
    assert_eq!(log.len(), entries, "a check wrote into the ledger");
    // What was only checked may still be asked for: the key is free.
    ledger.check(&debit("D1", 1, 1_000), NOW).unwrap();
    ledger.submit(&debit("D1", 1, 1_000), NOW).unwrap();
    assert_eq!(balance(&mut ledger, 1), 0);
}

#[test]
fn the_same_key_is_booked_once_and_another_body_under_it_is_refused() {
    let mut ledger = with_balance(MemoryLog::new(), false, 1_000);
    let first = ledger.submit(&debit("D1", 1, 300), NOW).unwrap();
    let later = Clock { wall_ms: NOW.wall_ms + 99_000, trusted: false };
    let again = ledger.submit(&debit("D1", 1, 300).by("bob"), later).unwrap();
    assert_eq!((first.entry.clone(), false, true), (again.entry, first.repeated, again.repeated));
    ledger.submit(&issue("ISSUE2", 2, false, 500), NOW).unwrap();
    for other in [
        debit("D1", 1, 301),
        debit("D1", 2, 300),
        load("D1", 1, 300),
        refund("D1", "D1", 300),
        issue("D1", 3, false, 300),
    ] {
        assert_eq!(refused(ledger.submit(&other, NOW)), "key-reused", "{other:?}");
    }
    assert_eq!(balance(&mut ledger, 1), 700);
}

#[test]
fn who_was_told_no_is_not_debited_by_a_repeat_after_a_load() {
    let mut ledger = with_balance(MemoryLog::new(), false, 100);
    assert_eq!(refused(ledger.submit(&debit("D1", 1, 200), NOW)), "insufficient");
    ledger.submit(&load("L1", 1, 500), NOW).unwrap();
    let Err(Failure::Refused(Refusal::Closed { reason })) = ledger.submit(&debit("D1", 1, 200), NOW) else {
        panic!("the refused debit was booked after all")
    };
    assert_eq!(reason, "insufficient");
    assert_eq!(balance(&mut ledger, 1), 600);
    // And whoever asks hears that it was refused, not that it was never heard of.
    assert!(matches!(
        ledger.settle("D1", NOW).unwrap().unwrap().entry.event,
        Event::Close { reason } if reason == "insufficient"
    ));
}

#[test]
fn after_not_found_a_late_debit_is_impossible() {
    let mut ledger = with_balance(MemoryLog::new(), false, 1_000);
    assert_eq!(ledger.settle("D1", NOW).unwrap(), None);
    assert_eq!(ledger.settle("D1", NOW).unwrap(), None, "asked again it says the same");
    assert_eq!(refused(ledger.submit(&debit("D1", 1, 100), NOW)), "closed");
    assert_eq!(refused(ledger.check(&debit("D1", 1, 100), NOW)), "closed");
    assert_eq!(balance(&mut ledger, 1), 1_000);
}

#[test]
fn s56_a_number_is_issued_once_by_a_named_operator() {
    let mut ledger = open(MemoryLog::new());
    let nameless = Request { operator: None, ..issue("I1", 1, false, 0) };
    assert_eq!(refused(ledger.submit(&nameless, NOW)), "no-operator");
    let done = ledger.submit(&issue("I1", 1, false, 0), NOW).unwrap();
    assert_eq!((done.entry.operator.as_deref(), done.entry.seq), (Some("alice"), 1));
    assert_eq!(refused(ledger.submit(&issue("I2", 1, false, 0), NOW)), "issued-already");
    assert_eq!(refused(ledger.submit(&debit("D1", 2, 1), NOW)), "unknown-card");
    assert_eq!(ledger.state().totals().cards, 1);
}

#[test]
fn caps_go_by_holder_and_by_how_easily_the_card_is_copied() {
    let mut ledger = open(MemoryLog::new());
    for (n, registered, medium, cap) in [
        (1, false, Medium::Authenticated, 100_000),
        (2, true, Medium::Authenticated, 500_000),
        (3, false, Medium::Uid, 20_000),
        (4, true, Medium::Uid, 20_000),
        (5, true, Medium::Number, 500_000),
    ] {
        let class = class(registered, medium);
        let issue = |key: String, amount| {
            let action = Action::Issue {
                card: card(n),
                class,
                last4: *b"0005",
                expires_ms: None,
                amount: cny(amount),
            };
            Request::new(key, action).by("alice")
        };
        assert_eq!(refused(ledger.submit(&issue(format!("H{n}"), cap + 1), NOW)), "limit", "{class:?}");
        ledger.submit(&issue(format!("I{n}"), cap - 100), NOW).unwrap();
        assert_eq!(refused(ledger.submit(&load(&format!("X{n}"), n, 101), NOW)), "limit", "{class:?}");
        ledger.submit(&load(&format!("L{n}"), n, 100), NOW).unwrap();
        assert_eq!(balance(&mut ledger, n), cap);
    }
    assert_eq!(refused(ledger.submit(&load("BIG", 1, i64::MAX), NOW)), "limit");
}

#[test]
fn a_refund_is_not_swallowed_by_a_full_blocked_or_expired_card() {
    let mut ledger = with_balance(MemoryLog::new(), false, 100_000);
    ledger.submit(&debit("D1", 1, 40_000), NOW).unwrap();
    ledger.submit(&load("L1", 1, 40_000), NOW).unwrap();
    let block = Action::Block { card: card(1), reason: "found on the floor".into() };
    ledger.submit(&Request::new("B1", block).by("carol"), NOW).unwrap();
    let late = Clock { wall_ms: NOW.wall_ms + 4 * YEAR_MS, ..NOW };
    ledger.submit(&refund("R1", "D1", 40_000), late).unwrap();
    assert_eq!(balance(&mut ledger, 1), 140_000);
    // To spend it, it is unblocked and reactivated.
    assert_eq!(refused(ledger.submit(&debit("D2", 1, 1), late)), "blocked");
    let unblock = Action::Unblock { card: card(1), reason: String::new() };
    ledger.submit(&Request::new("U1", unblock).by("carol"), late).unwrap();
    assert_eq!(refused(ledger.submit(&debit("D3", 1, 1), late)), "reactivate");
}

#[test]
fn refunds_together_never_exceed_their_purchase_nor_follow_a_void_or_an_undo() {
    let mut ledger = with_balance(MemoryLog::new(), false, 1_000);
    ledger.submit(&debit("D1", 1, 300), NOW).unwrap();
    ledger.submit(&debit("D2", 1, 100), NOW).unwrap();
    ledger.submit(&refund("R1", "D1", 200), NOW).unwrap();
    let Err(Failure::Refused(over)) = ledger.submit(&refund("R2", "D1", 200), NOW) else { panic!() };
    assert_eq!(over, Refusal::OverRefund { left: cny(100), asked: cny(200) });
    assert_eq!(refused(ledger.submit(&void("V1", "D1"), NOW)), "returned-already");
    ledger.submit(&refund("R3", "D1", 100), NOW).unwrap();
    assert_eq!(refused(ledger.submit(&undo("D1"), NOW)), "returned-already");
    ledger.submit(&void("V2", "D2"), NOW).unwrap();
    assert_eq!(refused(ledger.submit(&refund("R4", "D2", 1), NOW)), "over-refund");
    assert_eq!(refused(ledger.submit(&void("V3", "D2"), NOW)), "returned-already");
    assert_eq!(balance(&mut ledger, 1), 1_000);
    // A refund that is taken back makes room again.
    ledger.submit(&undo("R3"), NOW).unwrap();
    ledger.submit(&refund("R5", "D1", 100), NOW).unwrap();
    assert_eq!(balance(&mut ledger, 1), 1_000);
    for of in ["R1", "ISSUE1", "NONE", "R2"] {
        assert_eq!(refused(ledger.submit(&refund(&format!("Q{of}"), of, 1), NOW)), "no-original", "{of}");
    }
    ledger.audit().unwrap();
}

#[test]
fn the_wrong_card_gets_nothing_back() {
    let mut ledger = with_balance(MemoryLog::new(), false, 1_000);
    ledger.submit(&issue("ISSUE2", 2, false, 0), NOW).unwrap();
    ledger.submit(&debit("D1", 1, 300), NOW).unwrap();
    let presented = |n| Action::Refund { of: "D1".into(), amount: cny(300), card: Some(card(n)) };
    assert_eq!(refused(ledger.submit(&Request::new("R1", presented(2)), NOW)), "other-card");
    ledger.submit(&Request::new("R2", presented(1)), NOW).unwrap();
    assert_eq!((balance(&mut ledger, 1), balance(&mut ledger, 2)), (1_000, 0));
}

#[test]
fn an_undo_gives_back_what_is_left_and_a_spent_load_is_not_undone_into_debt() {
    let mut ledger = with_balance(MemoryLog::new(), false, 0);
    ledger.submit(&load("L1", 1, 500), NOW).unwrap();
    ledger.submit(&debit("D1", 1, 200), NOW).unwrap();
    let Err(Failure::Refused(Refusal::Insufficient { short, .. })) = ledger.submit(&undo("L1"), NOW) else {
        panic!("a spent load was undone")
    };
    assert_eq!(short, cny(200));
    ledger.submit(&refund("R1", "D1", 50), NOW).unwrap();
    let done = ledger.submit(&undo("D1"), NOW).unwrap();
    assert_eq!(done.entry.event, Event::Undo { of: "D1".into(), change: 150 });
    assert_eq!(ledger.submit(&undo("D1"), NOW).unwrap(), Done { repeated: true, ..done });
    // The same undo that was refused is possible now: a refusal closed nothing.
    ledger.submit(&undo("L1"), NOW).unwrap();
    assert_eq!(balance(&mut ledger, 1), 0);
    for fixed in ["ISSUE1", "L1~undo"] {
        let code = refused(ledger.submit(&undo(fixed), NOW));
        assert!(["not-undoable", "key"].contains(&code), "{fixed}: {code}");
    }
    ledger.audit().unwrap();
}

#[test]
fn an_expired_balance_is_kept_and_comes_back_by_reactivation() {
    let mut ledger = with_balance(MemoryLog::new(), false, 1_000);
    let end = NOW.wall_ms + 3 * YEAR_MS;
    let at = |wall_ms, trusted| Clock { wall_ms, trusted };
    let op = |key: &str, action| Request::new(key, action).by("alice");
    let reactivate = Action::Reactivate { card: card(1), expires_ms: Some(end + 3 * YEAR_MS) };
    let expire = || Action::Expire { card: card(1) };

    ledger.submit(&debit("D1", 1, 1), at(end - 1, true)).unwrap();
    assert_eq!(refused(ledger.submit(&op("E1", expire()), at(end - 1, true))), "not-expired");
    assert_eq!(refused(ledger.submit(&op("A1", reactivate.clone()), at(end - 1, true))), "not-expired");
    // A clock nobody keeps expires no card, neither for a sale nor for ever.
    ledger.submit(&debit("D2", 1, 1), at(end + YEAR_MS, false)).unwrap();
    assert_eq!(refused(ledger.submit(&op("E2", expire()), at(end + YEAR_MS, false))), "not-expired");

    let Err(Failure::Refused(refusal)) = ledger.submit(&debit("D3", 1, 1), at(end, true)) else { panic!() };
    assert_eq!((refusal.code(), refusal.to_string().contains("CNY 9.98")), ("reactivate", true));
    assert_eq!(refused(ledger.submit(&load("L1", 1, 1), at(end, true))), "reactivate");
    ledger.submit(&op("E3", expire()), at(end, true)).unwrap();
    assert_eq!(refused(ledger.submit(&debit("D4", 1, 1), at(end - 1, false))), "reactivate");
    assert_eq!(balance(&mut ledger, 1), 998);
    ledger.submit(&op("A2", reactivate), at(end, true)).unwrap();
    ledger.submit(&debit("D5", 1, 998), at(end, true)).unwrap();
    assert_eq!(balance(&mut ledger, 1), 0);
}

#[test]
fn a_registered_card_is_paid_out_once_and_a_bearer_card_is_not() {
    let mut ledger = with_balance(MemoryLog::new(), true, 1_000);
    ledger.submit(&issue("ISSUE2", 2, false, 500), NOW).unwrap();
    let redeem = |key: &str, n| Request::new(key, Action::Redeem { card: card(n) }).by("alice");
    assert_eq!(refused(ledger.submit(&redeem("P2", 2), NOW)), "not-redeemable");
    ledger.submit(&debit("D1", 1, 300), NOW).unwrap();
    assert_eq!(ledger.submit(&redeem("P1", 1), NOW).unwrap().entry.event.amount(), 700);
    assert!(ledger.submit(&redeem("P1", 1), NOW).unwrap().repeated);
    for (key, request) in [
        ("a second payout", redeem("P3", 1)),
        ("a load", load("L1", 1, 1)),
        ("a refund", refund("R1", "D1", 1)),
        ("an undo", undo("D1")),
    ] {
        assert_eq!(refused(ledger.submit(&request, NOW)), "card-closed", "{key}");
    }
    assert_eq!(ledger.state().totals().outstanding, cny(500));
    ledger.audit().unwrap();
}

#[test]
fn a_correction_needs_a_name_and_a_reason_and_stays_within_the_card() {
    let mut ledger = with_balance(MemoryLog::new(), false, 1_000);
    let adjust = |key: &str, change, reason: &str| {
        let action = Action::Adjust { card: card(1), change: cny(change), reason: reason.into() };
        Request::new(key, action).by("carol")
    };
    assert_eq!(refused(ledger.submit(&adjust("A1", 5, ""), NOW)), "amount");
    assert_eq!(refused(ledger.submit(&adjust("A2", -1_001, "x"), NOW)), "insufficient");
    assert_eq!(refused(ledger.submit(&adjust("A3", 99_001, "x"), NOW)), "limit");
    assert_eq!(refused(ledger.submit(&adjust("A4", i64::MIN, "x"), NOW)), "amount");
    ledger.submit(&adjust("A5", -400, "typed 10 in place of 6"), NOW).unwrap();
    assert_eq!(balance(&mut ledger, 1), 600);
    assert_eq!(ledger.state().totals().corrected, cny(-400));
}

#[test]
fn no_request_without_sense_is_booked() {
    let mut ledger = with_balance(MemoryLog::new(), false, 1_000);
    let before = ledger.state().number();
    for amount in [0, -1, i64::MIN] {
        assert_eq!(refused(ledger.submit(&debit("D1", 1, amount), NOW)), "amount");
        assert_eq!(refused(ledger.submit(&load("L1", 1, amount), NOW)), "amount");
        assert_eq!(refused(ledger.submit(&refund("R1", "D1", amount), NOW)), "amount");
    }
    let yen = Money::new(1, "JPY".parse().unwrap());
    let foreign = Request::new("D1", Action::Debit { card: card(1), amount: yen });
    assert_eq!(refused(ledger.submit(&foreign, NOW)), "currency");
    for key in ["", "a b", "D1~undo", "\u{ff11}", &"x".repeat(65)] {
        assert_eq!(refused(ledger.submit(&debit(key, 1, 1), NOW)), "key", "{key}");
        assert_eq!(refused(ledger.settle(key, NOW)), "key", "{key}");
    }
    assert_eq!(ledger.state().number(), before);
    // The longest texts still fit an entry of the host's log.
    let long = Action::Block { card: card(1), reason: "因".repeat(66) };
    let request = Request::new("k".repeat(64), long).by("o".repeat(64));
    let entry = ledger.submit(&request, NOW).unwrap().entry;
    assert!(entry.to_bytes().unwrap().len() < MAX_ENTRY / 2);
}

#[test]
fn compare_and_swap_books_only_on_the_entry_that_was_looked_at() {
    let mut ledger = with_balance(MemoryLog::new(), false, 1_000);
    let seq = ledger.card(&card(1)).unwrap().seq;
    let on = |key: &str, expected| Request { expected: Some(expected), ..debit(key, 1, 100) };
    ledger.submit(&on("D1", seq), NOW).unwrap();
    assert_eq!(refused(ledger.submit(&on("D2", seq), NOW)), "moved");
    // The caller looks again and repeats under the same key.
    ledger.submit(&on("D2", seq + 1), NOW).unwrap();
    assert_eq!(balance(&mut ledger, 1), 800);
}

#[test]
fn s58_the_history_lists_every_entry_with_its_balance_newest_first() {
    let mut ledger = with_balance(MemoryLog::new(), false, 1_000);
    ledger.submit(&issue("ISSUE2", 2, false, 77), NOW).unwrap();
    ledger.submit(&debit("D1", 1, 300), NOW).unwrap();
    ledger.submit(&debit("E1", 2, 7), NOW).unwrap();
    ledger.submit(&refund("R1", "D1", 100), NOW).unwrap();
    let lines = ledger.history(&card(1), None, 10).unwrap();
    let told: Vec<_> =
        lines.iter().map(|l| (l.entry.event.name(), l.change.minor(), l.balance.minor())).collect();
    assert_eq!(told, [("refund", 100, 800), ("debit", -300, 700), ("issue", 1_000, 1_000)]);
    assert_eq!(lines.iter().map(|l| l.change.minor()).sum::<i64>(), balance(&mut ledger, 1));
    let page = ledger.history(&card(1), None, 1).unwrap();
    let next = ledger.history(&card(1), Some(page[0].entry.number), 10).unwrap();
    assert_eq!([page, next].concat(), lines);
    assert_eq!(refused(ledger.history(&card(3), None, 1)), "unknown-card");
}

#[test]
fn opening_finds_every_entry_that_was_changed_removed_moved_or_added() {
    let log = MemoryLog::new();
    let mut ledger = with_balance(log.clone(), false, 1_000);
    for n in 0..5 {
        ledger.submit(&debit(&format!("D{n}"), 1, 100), NOW).unwrap();
    }
    let mut whole = Vec::new();
    log.tamper(|e| whole.clone_from(e));
    let reopened = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let log = MemoryLog::new();
        log.tamper(|e| e.clone_from(&whole));
        log.tamper(|e| change(e));
        Ledger::open(log, Currency::CNY, LIMITS, CHECK, NOW).map(|mut l| balance(&mut l, 1))
    };
    assert_eq!(reopened(&|_| ()), Ok(500));
    for n in 0..whole.len() - 1 {
        assert!(matches!(reopened(&|e| drop(e.remove(n))), Err(Failure::Damaged(_))), "entry {n} removed");
        assert!(matches!(reopened(&|e| e.swap(n, n + 1)), Err(Failure::Damaged(_))), "entry {n} moved");
        for byte in 0..whole[n].len() {
            for bit in 0..8 {
                let flipped = reopened(&|e| e[n][byte] ^= 1 << bit);
                assert!(matches!(flipped, Err(Failure::Damaged(_))), "bit {bit} of byte {byte} of entry {n}");
            }
        }
    }
    // An entry of somebody who does the hashes right, but not the sums.
    let forged = |balance, amount, key: &str| {
        let last = whole.last().unwrap();
        let mut entry = Entry::from_bytes(0, last).unwrap();
        entry.back = whole.len() as u64;
        (entry.prev, entry.number, entry.seq) = (hash(last), entry.number + 1, entry.seq + 1);
        (entry.balance, entry.event, entry.key) = (balance, Event::Debit { amount }, key.into());
        entry.to_bytes().unwrap()
    };
    assert_eq!(reopened(&|e| e.push(forged(400, 100, "F"))), Ok(400), "the forger's tools work");
    for (balance, amount) in [(500, 100), (-100, 600), (600, -100), (500, 0)] {
        let bad = reopened(&|e| e.push(forged(balance, amount, "F")));
        assert!(matches!(bad, Err(Failure::Damaged(Damage::Rule { .. }))), "{balance} {amount}: {bad:?}");
    }
    assert!(matches!(reopened(&|e| e.push(b"rubbish".to_vec())), Err(Failure::Damaged(_))));
    let newer = reopened(&|e| e.push(vec![2, 0, 0]));
    assert!(newer.unwrap_err().to_string().contains("format 2"));
}

#[test]
fn a_damaged_ledger_books_nothing_more() {
    let log = MemoryLog::new();
    let mut ledger = with_balance(log.clone(), false, 1_000);
    log.tamper(|e| e.push(b"rubbish".to_vec()));
    for _ in 0..2 {
        assert!(matches!(ledger.submit(&debit("D1", 1, 100), NOW), Err(Failure::Damaged(_))));
        assert!(matches!(ledger.settle("D1", NOW), Err(Failure::Damaged(_))));
        assert!(matches!(ledger.card(&card(1)), Err(Failure::Damaged(_))));
    }
}

#[test]
fn another_key_or_currency_opens_no_ledger() {
    let log = MemoryLog::new();
    drop(with_balance(log.clone(), false, 1_000));
    let open =
        |currency, check| Ledger::open(log.clone(), currency, LIMITS, check, NOW).map(drop).unwrap_err();
    assert_eq!(open(Currency::CNY, [8; 16]), Failure::Damaged(Damage::CardKey));
    let yen = open("JPY".parse().unwrap(), CHECK);
    assert!(matches!(yen, Failure::Damaged(Damage::Currency { .. })), "{yen}");
    assert_eq!(log.len(), 2, "a ledger that was refused was written to");
}

#[test]
fn a_lower_cap_later_makes_no_old_ledger_wrong() {
    let log = MemoryLog::new();
    drop(with_balance(log.clone(), false, 90_000));
    let lower = Limits { bearer_cap: 50_000, ..LIMITS };
    let mut ledger = Ledger::open(log, Currency::CNY, lower, CHECK, NOW).unwrap();
    assert_eq!(refused(ledger.submit(&load("L1", 1, 1), NOW)), "limit");
    ledger.submit(&debit("D1", 1, 90_000), NOW).unwrap();
}
