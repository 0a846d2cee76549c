//! Any bytes as the log of stored-value cards, each entry behind two bytes of length. The first byte says whether the entries are
//! linked as the ledger would (else nothing behind the first rule is ever reached), and where reading may begin. What opens has
//! no card below zero, owes what the cards hold, overdraws none, and is the same from its checkpoint.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::collections::BTreeMap;

use till_channel_prepaid::ledger::{
    Action, Clock, Entry, Event, FORMAT, Ledger, Limits, Log, MemoryLog, NO_HASH, Request, Token, hash,
};
use till_fuzz::behind_lengths;
use till_plugin::{Currency, Money};

const KEY_CHECK: Token = [1; 16];
const NOW: Clock = Clock { wall_ms: 1_790_000_000_000, trusted: true };
const LIMITS: Limits = Limits {
    bearer_cap: 100_000,
    registered_cap: 500_000,
    number_cap: 500_000,
    uid_cap: 20_000,
    redeem_bearer: false,
};

fn open(log: MemoryLog) -> Option<Ledger<MemoryLog>> {
    Ledger::open(log, Currency::CNY, LIMITS, KEY_CHECK, NOW).ok()
}

/// Links entries as the ledger does: hash, numbers, and each card's own chain and sum.
#[derive(Default)]
struct Linked {
    log: Vec<Vec<u8>>,
    number: u64,
    prev: Option<[u8; 32]>,
    cards: BTreeMap<Token, (u32, u64, i64)>,
}

impl Linked {
    fn add(&mut self, mut entry: Entry) {
        self.number += 1;
        (entry.number, entry.prev) = (self.number, self.prev.unwrap_or(NO_HASH));
        if let Event::Checkpoint { of, part: 0, parts: 1, hash, bytes } = &mut entry.event {
            (*of, *hash) = (self.number - 1, *blake3::hash(bytes).as_bytes());
        }
        if let Some(token) = entry.card {
            let card = self.cards.entry(token).or_default();
            let balance = card.2.saturating_add(entry.event.change().unwrap_or(0));
            (entry.seq, entry.back, entry.balance) = (card.0 + 1, card.1, balance);
            *card = (entry.seq, self.log.len() as u64 + 1, balance);
        }
        let bytes = entry.to_bytes().expect("an entry is written");
        self.prev = Some(hash(&bytes));
        self.log.push(bytes);
    }
}

fn begin() -> Entry {
    Entry {
        format: FORMAT,
        prev: NO_HASH,
        number: 1,
        card: None,
        seq: 0,
        back: 0,
        key: String::new(),
        event: Event::Begin { currency: "CNY".into(), key_check: KEY_CHECK },
        balance: 0,
        operator: None,
        wall_ms: NOW.wall_ms,
        trusted: true,
    }
}

pub(crate) fn run(data: &[u8]) {
    let Some((&head, rest)) = data.split_first() else { return };
    let mut linked = Linked::default();
    let links = head & 1 == 0;
    if links {
        linked.add(begin());
    }
    for bytes in behind_lengths(rest) {
        match Entry::from_bytes(1, bytes) {
            Ok(entry) if links => linked.add(entry),
            _ => linked.log.push(bytes.to_vec()),
        }
    }
    let mut log = MemoryLog::new();
    log.tamper(|entries| *entries = linked.log);
    log.remember(u64::from(head >> 1));
    let Some(ledger) = open(log.clone()) else { return };
    let cards: BTreeMap<Token, i64> =
        ledger.state().cards().map(|(token, card)| (*token, card.balance)).collect();
    assert!(cards.values().all(|balance| *balance >= 0), "a card is below zero");
    let held = cards.values().map(|balance| i128::from(*balance)).sum::<i128>();
    assert_eq!(
        held,
        i128::from(ledger.state().totals().outstanding.minor()),
        "the cards hold something else"
    );
    let mut ledger = ledger.with_checkpoint_every(1);
    for (n, (token, balance)) in cards.iter().enumerate() {
        let amount = Money::new(balance.saturating_add(1), Currency::CNY);
        let request = Request::new(format!("OVERDRAWN{n}"), Action::Debit { card: *token, amount });
        let overdrawn = ledger.submit(&request, NOW).is_ok_and(|done| !done.repeated);
        assert!(!overdrawn || *balance == i64::MAX, "a card was overdrawn");
    }
    for _ in 0..4 {
        let _ = ledger.upkeep(NOW);
    }
    let again = open(log).expect("what was open opens");
    assert_eq!(again.state().totals(), ledger.state().totals());
    assert!(ledger.state().cards().all(|(token, card)| again.state().card(token) == Some(card)));
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
