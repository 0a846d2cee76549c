//! A ledger opens from its newest checkpoint, says the same as one that reads everything, and gives up what is old.
#![allow(clippy::unwrap_used)]

use till_channel_prepaid::ledger::{
    Action, Class, Clock, Failure, Ledger, Limits, Log, Medium, MemoryLog, Refusal, Request, Token,
};
use till_plugin::{Currency, Money};

const DAY: i64 = 86_400_000;
const START: i64 = 1_767_323_045_000;

fn at(day: i64) -> Clock {
    Clock { wall_ms: START + day * DAY, trusted: true }
}

fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

fn open(log: &MemoryLog, now: Clock) -> Result<Ledger<MemoryLog>, Failure> {
    let limits = Limits {
        bearer_cap: 1_000_000,
        registered_cap: 1_000_000,
        number_cap: 1_000_000,
        uid_cap: 0,
        redeem_bearer: false,
    };
    Ok(Ledger::open(log.clone(), Currency::CNY, limits, [9; 16], now)?.with_checkpoint_every(200))
}

fn issue(n: u8, amount: i64) -> Request {
    let class = Class { registered: true, medium: Medium::Number };
    let action =
        Action::Issue { card: [n; 16], class, last4: *b"0005", expires_ms: None, amount: cny(amount) };
    Request::new(format!("ISSUE{n}"), action).by("alice")
}

fn debit(key: impl Into<String>, card: Token, amount: i64) -> Request {
    Request::new(key, Action::Debit { card, amount: cny(amount) })
}

fn refund(key: &str, of: &str, amount: i64) -> Request {
    Request::new(key, Action::Refund { of: of.into(), amount: cny(amount), card: None })
}

/// Upkeep until there is nothing to do.
fn keep(ledger: &mut Ledger<MemoryLog>, now: Clock) {
    while ledger.upkeep(now).unwrap() {}
}

/// Cards, and sales on them, one a tenth of a day; upkeep as a quiet channel does it.
fn trade(ledger: &mut Ledger<MemoryLog>, sales: std::ops::Range<i64>) {
    for n in sales {
        let now = at(n / 10);
        let card = [u8::try_from(n % 5).unwrap() + 1; 16];
        ledger.submit(&debit(format!("SALE{n}"), card, 1), now).unwrap();
        // One step only: sales come between the parts.
        ledger.upkeep(now).unwrap();
    }
}

fn shop(log: &MemoryLog) -> Ledger<MemoryLog> {
    let mut ledger = open(log, at(0)).unwrap();
    for n in 1..=5 {
        ledger.submit(&issue(n, 100_000), at(0)).unwrap();
    }
    ledger
}

#[test]
fn a_start_reads_what_came_after_the_newest_checkpoint_and_knows_the_same() {
    let log = MemoryLog::new();
    let mut ledger = shop(&log);
    trade(&mut ledger, 0..5_000);
    let before = log.entries_read();
    let mut short = open(&log, at(500)).unwrap();
    let read = log.entries_read() - before;
    assert!(read < 1_500, "{read} entries read of {}", log.len());
    // A till without the hint reads everything; it says the same.
    let whole_log = MemoryLog::new();
    log.tamper(|entries| whole_log.tamper(|copy| copy.clone_from(entries)));
    let mut whole = open(&whole_log, at(500)).unwrap();
    for ledger in [&mut short, &mut whole] {
        assert_eq!(ledger.state().totals(), ledger.state().totals());
        ledger.audit().unwrap();
    }
    assert_eq!(short.state().totals(), whole.state().totals());
    assert_eq!(
        (short.state().head(), short.state().number()),
        (whole.state().head(), whole.state().number())
    );
    for n in 1..=5 {
        assert_eq!(short.card(&[n; 16]).unwrap(), whole.card(&[n; 16]).unwrap());
        assert_eq!(
            short.history(&[n; 16], None, 2_000).unwrap().len(),
            whole.history(&[n; 16], None, 2_000).unwrap().len(),
            "history goes back beyond the checkpoint"
        );
    }
    // Order numbers of before it are answered once, for ever; what was given back stays given back.
    let again = short.submit(&debit("SALE7", [3; 16], 1), at(500)).unwrap();
    assert!(again.repeated);
    assert!(short.submit(&debit("SALE7", [3; 16], 2), at(500)).is_err(), "the number was used before");
    short.submit(&refund("R1", "SALE7", 1), at(500)).unwrap();
    let over = open(&log, at(500)).unwrap().submit(&refund("R2", "SALE7", 1), at(500));
    assert!(over.is_err(), "given back twice over a restart: {over:?}");
}

#[test]
fn a_lost_race_of_before_the_checkpoint_is_no_damage_after_it() {
    let log = MemoryLog::new();
    let mut ledger = shop(&log);
    // Written on an old head, by another terminal that was cut off, and landing after the checkpoint.
    let mut late = ledger.submit(&debit("EARLY", [1; 16], 1), at(0)).unwrap().entry;
    trade(&mut ledger, 0..300);
    keep(&mut ledger, at(30));
    late.key = "LATE".into();
    log.tamper(|entries| entries.push(late.to_bytes().unwrap()));
    let mut ledger = open(&log, at(31)).unwrap();
    assert_eq!(ledger.state().stale(), 1);
    assert!(ledger.settle("LATE", at(31)).unwrap().is_none(), "it was never booked");
    ledger.audit().unwrap();
}

#[test]
fn what_is_older_than_eighteen_months_is_given_up_and_the_balances_stay() {
    let log = MemoryLog::new();
    let mut ledger = shop(&log);
    trade(&mut ledger, 0..3_000);
    keep(&mut ledger, at(300));
    assert_eq!(ledger.kept_since_ms(), None, "nothing is old yet");
    // A clock that nobody keeps gives nothing up.
    keep(&mut ledger, Clock { wall_ms: START + 5_000 * DAY, trusted: false });
    assert_eq!(ledger.kept_since_ms(), None);
    let before: Vec<_> = (1..=5).map(|n| ledger.card(&[n; 16]).unwrap().balance).collect();
    keep(&mut ledger, at(300 + 400));
    assert!(ledger.kept_since_ms().is_some());
    for (n, mut ledger) in [ledger, open(&log, at(700)).unwrap()].into_iter().enumerate() {
        let after: Vec<_> = (1..=5).map(|n| ledger.card(&[n; 16]).unwrap().balance).collect();
        assert_eq!(before, after);
        let history = ledger.history(&[1; 16], None, 10_000).unwrap();
        assert!(!history.is_empty() && history.len() < 601, "{} entries are kept", history.len());
        // The oldest kept line and the balance before it still add up to the balance.
        let brought = history.last().map(|l| l.balance.minor() - l.change.minor()).unwrap();
        let sum: i64 = history.iter().map(|l| l.change.minor()).sum();
        assert_eq!(brought + sum, before[0]);
        assert!(!ledger.is_kept("SALE1").unwrap() && ledger.is_kept("SALE2999").unwrap());
        let gone = ledger.submit(&refund(&format!("GONE{n}"), "SALE1", 1), at(700));
        assert!(matches!(gone, Err(Failure::Refused(Refusal::NoOriginal { .. }))), "{gone:?}");
        ledger.submit(&refund("R10", "SALE2999", 1), at(700)).unwrap();
        ledger.submit(&debit("R10BACK", [5; 16], 1), at(700)).unwrap();
        ledger.audit().unwrap();
    }
}

#[test]
fn a_checkpoint_that_is_not_whole_or_not_right_is_never_used() {
    let log = MemoryLog::new();
    let mut ledger = shop(&log);
    trade(&mut ledger, 0..300);
    keep(&mut ledger, at(30));
    let first = log.len();
    let good = open(&log, at(31)).unwrap().state().totals();
    // A wrong hint: everything is read.
    for wrong in [1, 2, 50, first as u64, u64::MAX - 1] {
        let mut copy = MemoryLog::new();
        log.tamper(|entries| copy.tamper(|c| c.clone_from(entries)));
        copy.remember(wrong);
        assert_eq!(open(&copy, at(31)).unwrap().state().totals(), good, "hint {wrong}");
    }
    // Cut off in the middle of a checkpoint: the rest of it never comes, sales go on, a new one is made.
    let log = MemoryLog::new();
    let mut ledger = shop(&log);
    trade(&mut ledger, 0..195);
    assert!(ledger.upkeep(at(21)).unwrap(), "its first parts are there");
    drop(ledger);
    let mut ledger = open(&log, at(21)).unwrap();
    trade(&mut ledger, 195..900);
    keep(&mut ledger, at(90));
    let mut again = open(&log, at(91)).unwrap();
    assert_eq!(again.state().totals(), ledger.state().totals());
    again.audit().unwrap();
}

/// A copy of a log that nobody else writes to.
fn copy_of(log: &MemoryLog) -> MemoryLog {
    let copy = MemoryLog::new();
    log.tamper(|entries| copy.tamper(|c| c.clone_from(entries)));
    copy
}

#[test]
fn what_a_card_is_stays_over_a_checkpoint() {
    let log = MemoryLog::new();
    let mut ledger = shop(&log);
    let block = Action::Block { card: [1; 16], reason: "lost".into() };
    ledger.submit(&Request::new("BLOCK1", block).by("alice"), at(0)).unwrap();
    let redeem = Action::Redeem { card: [2; 16] };
    ledger.submit(&Request::new("REDEEM2", redeem).by("alice"), at(0)).unwrap();
    for n in 0..400 {
        ledger.submit(&debit(format!("SALE{n}"), [3; 16], 1), at(1)).unwrap();
    }
    keep(&mut ledger, at(2));
    let mut again = open(&log, at(3)).unwrap();
    for n in 1..=3 {
        assert_eq!(again.card(&[n; 16]).unwrap(), ledger.card(&[n; 16]).unwrap(), "card {n}");
    }
    assert!(
        again.submit(&debit("AFTER1", [1; 16], 1), at(3)).is_err(),
        "a blocked card pays after a restart"
    );
    assert!(again.submit(&issue(2, 1), at(3)).is_err(), "a card that was paid out is issued again");
    assert!(again.submit(&debit("AFTER2", [2; 16], 1), at(3)).is_err(), "a closed card pays after a restart");
}

#[test]
fn a_checkpoint_of_which_a_bit_changed_is_never_believed() {
    let log = MemoryLog::new();
    let mut ledger = shop(&log);
    for n in 0..200 {
        ledger.submit(&debit(format!("SALE{n}"), [3; 16], 1), at(1)).unwrap();
    }
    keep(&mut ledger, at(2));
    let cards: Vec<_> = (1..=5).map(|n| ledger.card(&[n; 16]).unwrap()).collect();
    let totals = ledger.state().totals();
    let mark = log.clone().remembered();
    let copied = |harm: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut copy = copy_of(&log);
        copy.tamper(harm);
        copy.remember(mark);
        copy
    };
    let whole = copied(&|_| ());
    open(&whole, at(3)).unwrap();
    assert!(whole.entries_read() < 50, "a start reads the checkpoint only: {}", whole.entries_read());
    // Of its last part, the newest entry, no entry holds the hash: only the checkpoint itself knows that it is right.
    let mut length = 0;
    log.tamper(|entries| length = entries.last().map_or(0, Vec::len));
    for byte in (0..length).step_by(3) {
        let harmed = copied(&|entries| entries.last_mut().unwrap()[byte] ^= 0x01);
        // Damage is said, or all entries are read; what was changed is never taken for the state.
        let Ok(mut opened) = open(&harmed, at(3)) else { continue };
        for (n, card) in (1..=5).zip(&cards) {
            let now = opened.card(&[n; 16]).unwrap();
            assert_eq!((now.balance, now.expires_ms, now.last4), (card.balance, card.expires_ms, card.last4));
            assert_eq!((now.blocked, now.expired, now.closed), (card.blocked, card.expired, card.closed));
        }
        assert_eq!(opened.state().totals(), totals, "byte {byte}");
        let again = opened.submit(&debit("SALE7", [3; 16], 1), at(3));
        assert!(!matches!(again, Ok(done) if !done.repeated), "byte {byte}: an order number is booked twice");
    }
}

#[test]
fn nothing_is_given_up_for_a_checkpoint_that_is_not_right_any_more() {
    let log = MemoryLog::new();
    let mut ledger = shop(&log);
    trade(&mut ledger, 0..300);
    keep(&mut ledger, at(30));
    let good = ledger.state().totals();
    // Its disk loses a bit of every checkpoint that was read long ago.
    log.tamper(|entries| {
        for entry in entries.iter_mut().filter(|e| e.len() > 400) {
            let middle = entry.len() / 2;
            entry[middle] ^= 0x10;
        }
    });
    while matches!(ledger.upkeep(at(30 + 700)), Ok(true)) {}
    assert_eq!(
        ledger.kept_since_ms(),
        None,
        "the entries were given up for a checkpoint that cannot be read"
    );
    assert_eq!(ledger.state().totals(), good);
    assert!(ledger.is_kept("SALE1").unwrap());
}
