//! Totals and limit counters against a full, separate fold of the journal (S50, S72, I12, I16).

use std::collections::BTreeMap;

use proptest::prelude::*;
use till_core::batch::{BatchEvent, Totals};
use till_core::limits::{Limit, Scope, Use};
use till_core::payment::{LegKind, Purpose};
use till_core::{AttemptState, Input, PaymentId, Record, Refusal, Till};
use till_plugin::Currency;
use till_plugin::channel::{Outcome, Unknown, UnknownReason};

use crate::samples::fen;
use crate::shop::{DAY, Fault, Shop};

/// (taken, how often, given back, how often)
type Sums = BTreeMap<String, (i64, u32, i64, u32)>;

fn of(totals: &Totals) -> (i64, u32, i64, u32) {
    let line = totals.line(Currency::CNY);
    (line.debits.amount.minor(), line.debits.count, line.credits.amount.minor(), line.credits.count)
}

/// What a reader of the journal alone finds: every approved attempt, by the batch its record says, or the batch that
/// was open when it became certain if that one was compared already.
struct Reader {
    by_channel: BTreeMap<u32, Sums>,
    by_operator: BTreeMap<u32, Sums>,
    /// Taken less voided since the business day began: by channel, operator, token.
    used: BTreeMap<(&'static str, String), (i64, i64)>,
}

fn read(records: &[(u64, i64, Record)]) -> Reader {
    struct Known {
        batch: u32,
        channel: String,
        network: u32,
        operator: String,
        kind: LegKind,
        of: u32,
        minor: i64,
        token: String,
        done: bool,
    }
    let mut items: BTreeMap<(PaymentId, u32), Known> = BTreeMap::new();
    let mut operators: BTreeMap<PaymentId, String> = BTreeMap::new();
    let mut struck: Vec<(u32, String, u32)> = Vec::new();
    let mut open = 1;
    let mut r = Reader { by_channel: BTreeMap::new(), by_operator: BTreeMap::new(), used: BTreeMap::new() };
    for (_, _, record) in records {
        let approved = match record {
            Record::Opened { payment, operator, .. } | Record::OpenedFor { payment, operator, .. } => {
                operators.insert(*payment, operator.clone().unwrap_or_default());
                None
            }
            Record::Tendered { payment, ids, kind, amount, batch, decision, token, .. } => {
                let known = Known {
                    batch: *batch,
                    channel: decision.chosen.clone().expect("chosen"),
                    network: ids.batch,
                    operator: operators[payment].clone(),
                    kind: *kind,
                    of: 0,
                    minor: amount.minor(),
                    token: token.clone(),
                    done: false,
                };
                items.insert((*payment, ids.attempt), known);
                None
            }
            Record::LegCreated { payment, ids, kind, of, amount, batch, channel, operator, .. } => {
                let known = Known {
                    batch: *batch,
                    channel: channel.clone(),
                    network: ids.batch,
                    operator: operator.clone().unwrap_or_else(|| operators[payment].clone()),
                    kind: *kind,
                    of: *of,
                    minor: amount.minor(),
                    token: String::new(),
                    done: false,
                };
                items.insert((*payment, ids.attempt), known);
                None
            }
            // Only the newest attempt of a payment is open in these journals.
            Record::Approved { payment, .. } => {
                items.range((*payment, 0)..=(*payment, u32::MAX)).next_back().map(|(key, _)| *key)
            }
            Record::ReviewDecided {
                payment,
                attempt,
                verdict: till_core::payment::Verdict::Happened,
                ..
            } => Some((*payment, *attempt)),
            Record::Batch(BatchEvent::Frozen { batch, date, next_date, .. }) => {
                assert_eq!(*batch, open);
                open += 1;
                if date != next_date {
                    r.used.clear();
                }
                None
            }
            Record::Batch(
                BatchEvent::Started { batch, part, .. } | BatchEvent::PartClosed { batch, part, .. },
            ) => {
                struck.push((*batch, part.channel.clone(), part.network));
                None
            }
            _ => None,
        };
        let Some(key) = approved else { continue };
        let known = items.get_mut(&key).expect("known");
        assert!(!std::mem::replace(&mut known.done, true), "approved twice");
        let (debit, credit) = match known.kind {
            LegKind::Sale | LegKind::Capture => (known.minor, 0),
            LegKind::Void | LegKind::Refund => (0, known.minor),
            _ => continue,
        };
        let late = struck.contains(&(known.batch, known.channel.clone(), known.network));
        let batch = if late { open } else { known.batch };
        for (sums, name) in [(&mut r.by_channel, &known.channel), (&mut r.by_operator, &known.operator)] {
            let sum = sums.entry(batch).or_default().entry(name.clone()).or_default();
            sum.0 += debit;
            sum.1 += u32::from(debit > 0);
            sum.2 += credit;
            sum.3 += u32::from(credit > 0);
        }
        // Limits: what is taken counts for the one who sold it, a void frees what its original used.
        let (kind, of) = (known.kind, known.of);
        let counted =
            if kind == LegKind::Void { items.get(&(key.0, of)).expect("original") } else { &items[&key] };
        let sign = match kind {
            LegKind::Sale | LegKind::Capture => 1,
            LegKind::Void => -1,
            _ => continue,
        };
        let keys = [
            ("day", String::new()),
            ("channel", counted.channel.clone()),
            ("operator", counted.operator.clone()),
            ("instrument", counted.token.clone()),
        ];
        for (scope, name) in keys {
            if name.is_empty() && scope != "day" {
                continue;
            }
            // Nothing is freed that the day has not used.
            if sign < 0 && !r.used.contains_key(&(scope, name.clone())) {
                continue;
            }
            let used = r.used.entry((scope, name)).or_default();
            used.0 = (used.0 + sign * counted.minor).max(0);
            used.1 = (used.1 + sign).max(0);
        }
    }
    r
}

#[derive(Clone, Debug)]
enum Act {
    Sell { channel: usize, minor: i64, operator: usize, token: usize },
    Lose { channel: usize, minor: i64 },
    Leg { which: usize, refund: bool },
    Close { next_day: bool },
    Steps(u8),
    Crash,
    Fault(u8),
    Decide,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0_usize..3, 1_i64..5_000, 0_usize..3, 0_usize..4)
            .prop_map(|(channel, minor, operator, token)| Act::Sell { channel, minor, operator, token }),
        1 => (1_usize..3, 1_i64..5_000).prop_map(|(channel, minor)| Act::Lose { channel, minor }),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(which, refund)| Act::Leg { which, refund }),
        1 => any::<bool>().prop_map(|next_day| Act::Close { next_day }),
        4 => (1_u8..12).prop_map(Act::Steps),
        1 => Just(Act::Crash),
        2 => (0_u8..5).prop_map(Act::Fault),
        1 => Just(Act::Decide),
    ]
}

const CHANNELS: [&str; 3] = ["bank", "wallet", "cash"];
const OPERATORS: [Option<&str>; 3] = [None, Some("li"), Some("wang")];
const TOKENS: [&str; 4] = ["", "t1", "t2", "t3"];

fn play(shop: &mut Shop, acts: Vec<Act>) {
    let mut sold = Vec::new();
    let mut lost: Vec<PaymentId> = Vec::new();
    for act in acts {
        match act {
            Act::Sell { channel, minor, operator, token } => {
                sold.push(shop.sell_by(CHANNELS[channel], fen(minor), OPERATORS[operator], TOKENS[token]));
            }
            Act::Lose { channel, minor } => {
                let id = shop.begin(CHANNELS[channel], fen(minor), None, "", Purpose::Sale).expect("taken");
                shop.prepared(id, 1);
                let unknown = Unknown::new(UnknownReason::NoAnswer, "lost");
                shop.take(&Input::Answered { payment: id, attempt: 1, outcome: Outcome::Unknown(unknown) });
                // Cancelled, so that the till is free; the answer comes late or the network says no.
                lost.push(id);
                shop.take(&Input::Cancel { payment: id, operator: None });
                to_review(shop, id);
            }
            Act::Leg { which, refund } if !sold.is_empty() => {
                let id = sold[which % sold.len()];
                let kind = if refund { LegKind::Refund } else { LegKind::Void };
                let part = refund.then(|| fen(1));
                match shop.leg(id, kind, part) {
                    Ok(_) | Err(Refusal::NoLeg { .. } | Refusal::TooMuch { .. } | Refusal::State { .. }) => {}
                    Err(e) => panic!("{e}"),
                }
            }
            Act::Leg { .. } => {}
            Act::Close { next_day } => {
                if next_day {
                    shop.ctx.wall_ms += DAY;
                }
                shop.close();
            }
            Act::Steps(n) => (0..n).for_each(|_| {
                shop.step();
            }),
            Act::Crash => shop.crash(),
            Act::Fault(n) => {
                let fault =
                    [Fault::Lost, Fault::Refused("30"), Fault::NotSent, Fault::Unsupported, Fault::None];
                shop.net.faults.push_back(fault[usize::from(n)].clone());
            }
            Act::Decide => {
                if let Some(id) = lost.pop() {
                    let (verdict, attempt) = (till_core::payment::Verdict::Happened, 1);
                    let in_review = |s: &Shop| {
                        s.till
                            .payment(id)
                            .and_then(|p| p.attempt(1))
                            .is_some_and(|a| a.state == AttemptState::Review)
                    };
                    if in_review(shop) {
                        let reason = "statement".to_owned();
                        shop.take(&Input::ProposeReview {
                            payment: id,
                            attempt,
                            verdict,
                            reason,
                            operator: "li".into(),
                        });
                        shop.take(&Input::ConfirmReview {
                            payment: id,
                            attempt,
                            verdict,
                            operator: "wang".into(),
                        });
                    }
                }
            }
        }
    }
}

fn to_review(shop: &mut Shop, id: PaymentId) {
    for _ in 0..100 {
        let Some(a) = shop.till.payment(id).and_then(|p| p.attempt(1)).cloned() else { return };
        let input = match (a.waiting, a.state) {
            (false, AttemptState::Querying | AttemptState::Reversing) => {
                Input::Resolve { payment: id, attempt: 1 }
            }
            (true, AttemptState::Querying) => Input::Queried {
                payment: id,
                attempt: 1,
                outcome: till_plugin::channel::QueryOutcome::InProgress,
            },
            (true, AttemptState::Reversing) => Input::Undone {
                payment: id,
                attempt: 1,
                outcome: till_plugin::channel::UndoOutcome::Refused(crate::samples::decline("late")),
            },
            _ => return,
        };
        shop.take(&input);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// S50, I12, I16.
    #[test]
    fn s50_s72_totals_and_limit_counters_are_what_a_reader_of_the_journal_finds(acts in proptest::collection::vec(act(), 1..90)) {
        let mut shop = Shop::new();
        shop.take(&Input::Tick);
        play(&mut shop, acts);
        let reader = read(&shop.records);
        let book = shop.till.batches();
        for number in 1..=shop.till.open_batch() {
            let Some(batch) = book.get(number) else { continue };
            for channel in CHANNELS {
                let found = reader.by_channel.get(&number).and_then(|s| s.get(channel)).copied().unwrap_or_default();
                prop_assert_eq!(of(&batch.channel_totals(channel)), found, "batch {} of {}", number, channel);
            }
            for operator in ["", "li", "wang", "lead"] {
                let found = reader.by_operator.get(&number).and_then(|s| s.get(operator)).copied().unwrap_or_default();
                let ours = batch.operators().get(operator).map(of).unwrap_or_default();
                prop_assert_eq!(ours, found, "batch {} by {:?}", number, operator);
            }
        }
        shop.look();
        prop_assert!(shop.seen.values().all(|places| places.len() == 1), "a record in two batches");
        let entries: usize = reader.by_channel.values().flat_map(BTreeMap::values).map(|s| (s.1 + s.3) as usize).sum();
        prop_assert_eq!(shop.seen.len(), entries, "each final money record is in a batch");

        // Counters: live, rebuilt, and as the reader finds them.
        let mut rebuilt = Shop::new();
        rebuilt.records.clone_from(&shop.records);
        let mut till = Till::new();
        for (seq, wall_ms, record) in &shop.records {
            if let Some(id) = till.lacks(record) {
                let own = shop.records.iter().filter(|(s, _, r)| s < seq && r.payment() == Some(id));
                till.adopt(Till::fold_payment(id, own.map(|(s, w, r)| (*s, *w, r))).expect("in the journal"));
            }
            till.apply(*seq, *wall_ms, record);
        }
        prop_assert_eq!(till.limit_counters(), shop.till.limit_counters());
        prop_assert!(till == shop.till);
        let snapshot = Till::from_snapshot(&shop.till.to_snapshot().expect("it encodes")).expect("it decodes");
        prop_assert!(snapshot == shop.till, "a snapshot keeps batches and counters");
        for channel in CHANNELS {
            for operator in ["", "li", "wang"] {
                for token in TOKENS {
                    let u = Use { channel, operator, token, amount: fen(1) };
                    let scopes = [(Scope::Day, ""), (Scope::Channel(channel.into()), channel), (Scope::Operator, operator),
                        (Scope::Instrument, token)];
                    for (scope, name) in scopes {
                        let ours = shop.till.limit_counters().used(&scope, &u);
                        let found = reader.used.get(&(scope.code(), name.to_owned())).copied().unwrap_or_default();
                        prop_assert_eq!((ours.amount.minor(), i64::from(ours.count)), found, "{:?} {}", scope, name);
                    }
                }
            }
        }
    }
}

/// S72: the limit refuses with its reason, counts what is under way, and a new business day begins from nothing.
#[test]
fn s72_a_payment_above_a_limit_is_refused_with_the_limit_and_what_is_left() {
    let mut shop = Shop::new();
    shop.take(&Input::Tick);
    shop.ctx.rules.limits = vec![
        Limit { scope: Scope::Instrument, amount: fen(1_000), count: None },
        Limit { scope: Scope::Payment(Some("wallet".into())), amount: fen(300), count: None },
    ];
    shop.sell_by("bank", fen(700), Some("li"), "t1");
    let e = shop.begin("bank", fen(301), Some("li"), "t1", Purpose::Sale).expect_err("above the limit");
    let Refusal::NoRoute { en, zh } = e else { panic!("{e}") };
    assert!(en.contains("bank: above the limit of this card for the day") && en.contains("3.00"), "{en}");
    assert!(zh.contains("超过该卡当日限额"), "{zh}");
    shop.sell_by("bank", fen(300), Some("li"), "t1");
    shop.sell_by("bank", fen(1_000), Some("li"), "t2");
    assert!(shop.begin("wallet", fen(301), None, "", Purpose::Sale).is_err());
    shop.sell("wallet", 300);
    assert!(shop.begin("bank", fen(1), Some("li"), "t1", Purpose::Sale).is_err());
    shop.crash();
    assert!(shop.begin("bank", fen(1), Some("li"), "t1", Purpose::Sale).is_err(), "after a restart too");
    shop.ctx.wall_ms += DAY;
    shop.close();
    shop.sell_by("bank", fen(1_000), Some("li"), "t1");
}

/// S72: each scope through the machine: to its last fen, by name and with what is left, after a restart, freed by a void;
/// whom it is not about sells on.
#[test]
fn s72_every_scope_binds_at_its_last_fen_also_after_a_restart_and_a_void_frees_it() {
    type Sale = (&'static str, Option<&'static str>, &'static str);
    let same: Sale = ("bank", Some("li"), "t1");
    let cases: [(Scope, &str, Sale, Option<Sale>); 4] = [
        (Scope::Day, "limit of the day", ("wallet", Some("wang"), "t2"), None),
        (
            Scope::Channel("bank".into()),
            "limit of the channel for the day",
            same,
            Some(("cash", Some("li"), "t1")),
        ),
        (
            Scope::Operator,
            "limit of the operator for the day",
            ("cash", Some("li"), ""),
            Some(("bank", Some("wang"), "t1")),
        ),
        (
            Scope::Instrument,
            "limit of this card for the day",
            ("wallet", None, "t1"),
            Some(("bank", Some("li"), "t2")),
        ),
    ];
    for (scope, name, also, other) in cases {
        let mut shop = Shop::new();
        shop.take(&Input::Tick);
        shop.ctx.rules.limits = vec![Limit { scope: scope.clone(), amount: fen(1_000), count: None }];
        let first = shop.sell_by(same.0, fen(600), same.1, same.2);
        let refused =
            |shop: &mut Shop, minor: i64| match shop.begin(also.0, fen(minor), also.1, also.2, Purpose::Sale)
            {
                Err(Refusal::NoRoute { en, .. }) => en,
                Err(e) => panic!("{scope:?}: {e}"),
                Ok(_) => panic!("{scope:?}: {minor} is taken"),
            };
        let en = refused(&mut shop, 401);
        assert!(en.contains(name) && en.contains("4.00"), "{scope:?}: {en}");
        shop.crash();
        refused(&mut shop, 401);
        shop.sell_by(also.0, fen(400), also.1, also.2);
        shop.crash();
        refused(&mut shop, 1);
        if let Some((channel, operator, token)) = other {
            shop.sell_by(channel, fen(1_000), operator, token);
            refused(&mut shop, 1);
        }
        shop.leg(first, LegKind::Void, None).expect("voided");
        shop.crash();
        refused(&mut shop, 601);
        shop.sell_by(also.0, fen(600), also.1, also.2);
        refused(&mut shop, 1);
    }
    // By number.
    let mut shop = Shop::new();
    shop.take(&Input::Tick);
    shop.ctx.rules.limits = vec![Limit { scope: Scope::Operator, amount: fen(1_000), count: Some(2) }];
    for _ in 0..2 {
        shop.sell_by("cash", fen(1), Some("li"), "");
    }
    assert!(shop.begin("cash", fen(1), Some("li"), "", Purpose::Sale).is_err());
    shop.sell_by("cash", fen(1), Some("wang"), "");
    shop.crash();
    assert!(shop.begin("cash", fen(1), Some("li"), "", Purpose::Sale).is_err(), "after a restart too");
}
