//! Batches, their numbers and dates, what counts against limits, and the postings (I11, I12, I13, I16). Everything is
//! reckoned here once more from the records, in another way than the till reckons it.

use std::collections::{BTreeMap, BTreeSet};

use till_core::batch::{Ask, Batch, Totals};
use till_core::batch::{BatchEvent, BusinessDate, Entry, Item, Line, Part, PartId, PartState, side};
use till_core::limits::{Scope, Use};
use till_core::postings::{self, Account, Ledger};
use till_core::{Attempt, LegKind, Payment, PaymentId, Purpose, Record, Till};
use till_plugin::channel::AttemptIds;
use till_plugin::{Currency, Money};

use crate::profile;
use crate::world::World;

/// What the checks remember of batches.
#[derive(Default)]
pub(super) struct Books {
    frozen: u32,
    closed: BTreeSet<u32>,
    auto_closed: BTreeSet<BusinessDate>,
    /// Batch numbers of networks under which a batch was frozen. One that was closed with nothing in it, and so never
    /// told to its network, may be used again: the network wants it again.
    network_numbers: BTreeSet<(usize, u32)>,
    /// Totals that left for a network: they do not change any more.
    struck: BTreeMap<(u32, PartId), Totals>,
    parts: Vec<ClosedPart>,
    /// Entries of closed parts.
    entered: BTreeSet<Item>,
    /// Recovery data of batches below is destroyed.
    shredded: u32,
    /// Who wants a part closed without its network.
    proposed: BTreeMap<(u32, PartId), String>,
    used: BTreeMap<(Of, String), (i64, u32)>,
    ledger: Ledger,
}

/// Whose use of limits is counted.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Day,
    Channel,
    Operator,
    Instrument,
}

struct ClosedPart {
    batch: u32,
    id: PartId,
    entries: BTreeSet<Item>,
    named: BTreeSet<Item>,
    agreed: bool,
    totals: Totals,
}

impl super::Watch {
    /// How many items closed batches left to people by name that may be booked under a network's number.
    pub(super) fn named_under(&self, channel: usize, network: u32) -> usize {
        let same = |p: &&ClosedPart| (profile::index(&p.id.channel), p.id.network) == (channel, network);
        self.books.parts.iter().filter(same).map(|p| p.named.len()).sum()
    }

    /// Whether the recovery data of a batch's attempts is gone.
    pub(crate) const fn is_shredded(&self, batch: u32) -> bool {
        batch < self.books.shredded
    }
}

/// After every record.
pub(super) fn after_record(w: &mut World, record: &Record) {
    let payment = record.payment().and_then(|id| w.shell.till().payment(id));
    let posted = postings::postings(payment, record);
    if !posted.is_empty() {
        assert!(postings::is_balanced(&posted), "I11: {record:?} posts {posted:?}");
        w.watch.books.ledger.post(&posted);
    }
    let Record::Batch(event) = record else { return };
    match event {
        BatchEvent::Frozen { batch, date, next_date, moved, automatic, .. } => {
            i13_numbers_and_dates(w, *batch, *date, *automatic, moved);
            if date != next_date {
                w.watch.books.used.clear();
            }
        }
        BatchEvent::Started { batch, part, ask: Ask::Compare, .. } => i12_totals_are_struck(w, *batch, part),
        BatchEvent::CloseProposed { batch, part, operator, .. } => {
            w.watch.books.proposed.insert((*batch, part.clone()), operator.clone());
        }
        BatchEvent::PartClosed { batch, part, totals, count, by_hand, agreed, .. } => {
            if agreed.is_none() && *count == 0 {
                let number = (profile::index(&part.channel), part.network);
                w.watch.books.network_numbers.remove(&number);
            }
            if let Some((second, reason)) = by_hand {
                let first = w.watch.books.proposed.get(&(*batch, part.clone()));
                let two = first.is_some_and(|f| !f.trim().eq_ignore_ascii_case(second.trim()));
                assert!(two && !reason.is_empty(), "W8: {second} alone closed {part:?}, first was {first:?}");
            }
            i12_a_part_is_closed(w, *batch, part, totals, *count);
        }
        BatchEvent::Closed { batch, totals, count, .. } => i12_a_batch_is_closed(w, *batch, totals, *count),
        _ => {}
    }
}

/// I13: numbers have no gap, no date is closed by the clock twice, no number of a network is used for two batches.
fn i13_numbers_and_dates(
    w: &mut World,
    batch: u32,
    date: Option<BusinessDate>,
    automatic: bool,
    moved: &[(String, u32)],
) {
    let till = w.shell.till();
    let books = &mut w.watch.books;
    assert_eq!(batch, books.frozen + 1, "I13: batch numbers have a gap");
    assert_eq!(till.open_batch(), batch + 1, "I13: the next batch is not open");
    books.frozen = batch;
    if automatic {
        let Some(date) = date else { panic!("I13: batch {batch} was closed by the clock and has no date") };
        assert!(books.auto_closed.insert(date), "I13: {date} was closed by the clock twice");
        w.tally.see("days closed by the clock");
    }
    let Some(frozen) = till.batches().get(batch) else { panic!("I12: batch {batch} is gone") };
    for (id, _) in frozen.parts().filter(|(id, part)| !id.is_carried() && part.matters()) {
        let channel = profile::index(&id.channel);
        if profile::settles(channel) {
            let fresh = books.network_numbers.insert((channel, id.network));
            assert!(fresh, "I13: batch number {} of {} is used for two batches", id.network, id.channel);
        }
    }
    for (channel, number) in moved {
        let used = books.network_numbers.contains(&(profile::index(channel), *number));
        assert!(!used, "I13: {channel} goes on under batch number {number}, which was used");
    }
}

fn part_of<'a>(till: &'a Till, batch: u32, id: &PartId) -> &'a Part {
    match till.batches().get(batch).and_then(|b| b.part(id)) {
        Some(part) => part,
        None => panic!("I12: batch {batch} has no part {id:?}"),
    }
}

/// I12, S64: what is under way when a part is compared or closed is named in it, never dropped.
fn i12_nothing_is_dropped(till: &Till, batch: u32, id: &PartId, part: &Part) {
    for p in till.open_payments() {
        let mut its = p.attempts.iter().filter(|a| {
            a.state.is_open() && a.batch == batch && a.channel == id.channel && a.ids.batch == id.network
        });
        let named = |a: &Attempt| {
            let item = Item { payment: p.id, attempt: a.ids.attempt };
            part.exceptions().iter().any(|e| e.item == Some(item))
        };
        let dropped = its.find(|a| !named(a));
        assert!(dropped.is_none(), "I12: batch {batch} goes on over {dropped:?}, which is not named in it");
    }
}

/// I12: totals that leave are the fold of the records, and stay.
fn i12_totals_are_struck(w: &mut World, batch: u32, id: &PartId) {
    let part = part_of(w.shell.till(), batch, id);
    i12_nothing_is_dropped(w.shell.till(), batch, id, part);
    assert_eq!(*part.totals(), fold(part.entries()), "I12: totals leave that are no fold of the records");
    let struck = w.watch.books.struck.entry((batch, id.clone())).or_insert_with(|| part.totals().clone());
    assert_eq!(struck, part.totals(), "I12: totals of {id:?} changed after they had left");
}

fn fold(entries: &[Entry]) -> Totals {
    let mut totals = Totals::default();
    for entry in entries {
        assert_eq!(totals.add(entry.kind, entry.amount), Ok(()), "a world's sums fit");
    }
    totals
}

fn i12_a_part_is_closed(w: &mut World, batch: u32, id: &PartId, totals: &Totals, count: u32) {
    let till = w.shell.till();
    let part = part_of(till, batch, id);
    i12_nothing_is_dropped(till, batch, id, part);
    let books = &mut w.watch.books;
    assert_eq!(
        (totals, count),
        (&fold(part.entries()), part.count()),
        "I12: totals are no fold of the records"
    );
    assert_eq!(
        part.entries().len(),
        count as usize,
        "I12: batch {batch} does not have the records it counts"
    );
    if let Some(struck) = books.struck.get(&(batch, id.clone())) {
        assert_eq!(struck, totals, "I12: totals of {id:?} changed after they had left");
    }
    for entry in part.entries() {
        assert!(books.entered.insert(entry.item), "I12: {:?} is in two batches", entry.item);
    }
    // What it is said to bring: taken less given back less fees.
    let net = totals.line(Currency::CNY).net();
    let expected = part.payout.iter().flat_map(|p| &p.expected).map(|e| e.net.minor() + e.fee.minor());
    assert_eq!(net.map(Money::minor), Ok(expected.sum()), "S67: the payout of {id:?} is not its totals");
    let agreed = part.agreed == Some(true);
    let said = w.hosts[profile::index(&id.channel)].batches.get(&id.network).and_then(|b| b.said);
    assert!(!agreed || said == Some(true), "I12: {id:?} counts as agreed, the network said {said:?}");
    books.parts.push(ClosedPart {
        batch,
        id: id.clone(),
        entries: part.entries().iter().map(|e| e.item).collect(),
        named: part.exceptions().iter().filter_map(|e| e.item).collect(),
        agreed,
        totals: totals.clone(),
    });
    w.tally.see(if agreed { "parts agreed" } else { "parts closed otherwise" });
}

fn i12_a_batch_is_closed(w: &mut World, batch: u32, totals: &Totals, count: u32) {
    let till = w.shell.till();
    let books = &mut w.watch.books;
    assert!(books.closed.insert(batch), "I12: batch {batch} is closed twice");
    assert!(batch <= books.frozen, "I13: batch {batch} is closed and was not frozen");
    let Some(closed) = till.batches().get(batch) else { panic!("I12: batch {batch} is gone") };
    let mut sum = Totals::default();
    let mut records = 0;
    for (id, part) in closed.parts() {
        assert!(part.state.is_closed(), "I12: batch {batch} is closed and {id:?} is {:?}", part.state);
        let own = books.parts.iter().find(|p| p.batch == batch && p.id == id);
        let Some(own) = own else { panic!("I12: {id:?} of batch {batch} was never closed") };
        assert_eq!(sum.merge(&own.totals), Ok(()), "a world's sums fit");
        records += own.entries.len();
    }
    assert_eq!((totals, count as usize), (&sum, records), "I12: a batch is not the sum of its parts");
    w.tally.see("batches closed");
}

/// S66: recovery data is destroyed only when the close of its batch is on disk.
pub(crate) fn i12_shredded_is_closed(w: &mut World, below: u32) {
    let books = &mut w.watch.books;
    let missing = (1..below).find(|batch| !books.closed.contains(batch));
    assert_eq!(missing, None, "S66: the data of a batch is destroyed whose close is not on disk");
    // Training keeps nothing sealed.
    for p in w.shell.till().open_payments().filter(|p| !p.training) {
        let needed = p.attempts.iter().find(|a| a.batch < below);
        assert!(
            needed.is_none(),
            "S66: the data of an attempt is destroyed whose payment is not finished: {p:?}"
        );
    }
    books.shredded = books.shredded.max(below);
}

/// W5 for a settlement slip: the close is on disk before its paper.
pub(crate) fn w05_closed_before_its_slip(w: &World, batch: u32) {
    assert!(
        w.watch.books.closed.contains(&batch),
        "W5: the slip of batch {batch} is printed before its close"
    );
}

/// W1 for a settlement: its record is on disk before its request leaves.
pub(crate) fn before_settling(w: &World, batch: u32, part: &PartId, ids: &AttemptIds) {
    let (record, _) = w.disk.record(w.disk.len());
    let right = matches!(&*record, Record::Batch(BatchEvent::Started { batch: b, part: p, ids: i, .. })
        if (b, p, i) == (&batch, part, ids));
    assert!(right, "W1: a request of a settlement leaves before its record");
}

/// At the end of a batch that did not agree its network has every record of it, but those that it refused.
pub(crate) fn details_are_there(w: &World, batch: u32, id: &PartId, balanced: bool) {
    let part = part_of(w.till(), batch, id);
    assert_eq!(balanced, part.agreed == Some(true), "the network is told that totals agree as they do");
    if !matches!(part.state, PartState::Recompared { .. }) {
        return;
    }
    let host = &w.hosts[profile::index(&id.channel)];
    for entry in part.entries() {
        let refused = part.exceptions().iter().any(|e| e.item == Some(entry.item));
        let order = |p: &Payment| Some(p.attempt(entry.item.attempt)?.ids.order.clone());
        let order = match w.till().payment(entry.item.payment) {
            Some(p) => order(p),
            None => w.disk.payment(entry.item.payment, u64::MAX).as_ref().and_then(order),
        };
        let order = order.unwrap_or_default();
        let there = host.batches.get(&id.network).is_some_and(|b| b.details.contains(&order));
        assert!(there || refused, "I12: the details of batch {batch} end without {entry:?}");
    }
}

/// An attempt was approved: it is in exactly one batch, and counts against limits.
pub(super) fn approved(w: &mut World, payment: PaymentId, number: u32) {
    let Some(p) = w.shell.till().payment(payment) else { return };
    let Some(a) = p.attempt(number) else { return };
    let item = Item { payment: p.id, attempt: number };
    let book = w.shell.till().batches();
    let live = book.frozen().chain(book.open());
    let entries = live.map(|b| {
        b.parts().map(|(_, p)| p.entries().iter().filter(|e| e.item == item).count()).sum::<usize>()
    });
    let times: usize = entries.sum();
    if p.training {
        assert_eq!(times, 0, "I17: a training payment is in a batch: {p:?}");
        return;
    }
    assert_eq!(
        times,
        usize::from(side(a.kind).is_some()),
        "I12: {} {item:?} is in {times} batches",
        a.kind.as_str()
    );
    let (of, back) = match a.kind {
        kind if kind.takes() => (a, false),
        LegKind::Void => match p.attempt(a.of) {
            Some(original) => (original, true),
            None => return,
        },
        _ => return,
    };
    let minor = of.amount.minor();
    for key in keys(p, of) {
        if back {
            if let Some((sum, count)) = w.watch.books.used.get_mut(&key) {
                (*sum, *count) = ((*sum - minor).max(0), count.saturating_sub(1));
            }
        } else {
            let (sum, count) = w.watch.books.used.entry(key).or_default();
            (*sum, *count) = (*sum + minor, *count + 1);
        }
    }
}

fn keys(p: &Payment, a: &Attempt) -> impl Iterator<Item = (Of, String)> {
    let operator = a.operator.clone().or_else(|| p.operator.clone()).unwrap_or_default();
    let all = [
        (Of::Day, String::new()),
        (Of::Channel, a.channel.clone()),
        (Of::Operator, operator),
        (Of::Instrument, a.token.clone()),
    ];
    all.into_iter().filter(|(scope, whose)| *scope == Of::Day || !whose.is_empty())
}

/// I16: what counts against limits is the fold of the records since the business day began, also after a restart.
pub(super) fn i16_limit_counters_are_the_fold(w: &World) {
    let counters = w.till().limit_counters();
    for ((scope, whose), (sum, count)) in &w.watch.books.used {
        let name = whose.as_str();
        let mut used = Use { channel: "", operator: "", token: "", amount: Money::zero(Currency::CNY) };
        let scope = match *scope {
            Of::Channel => {
                used.channel = name;
                Scope::Channel(whose.clone())
            }
            Of::Operator => {
                used.operator = name;
                Scope::Operator
            }
            Of::Instrument => {
                used.token = name;
                Scope::Instrument
            }
            Of::Day => Scope::Day,
        };
        let live = counters.used(&scope, &used);
        assert_eq!((live.amount.minor(), live.count), (*sum, *count), "I16: {scope:?} {whose:?}");
    }
    if w.watch.books.used.is_empty() {
        let day = Use { channel: "", operator: "", token: "", amount: Money::zero(Currency::CNY) };
        assert_eq!(counters.used(&Scope::Day, &day).count, 0, "I16: a new day does not begin from nothing");
    }
}

/// I12 at rest: each money record is in exactly one batch, and closed batches are what their networks have.
pub(super) fn at_rest(w: &World, payments: &[Payment]) {
    let book = w.till().batches();
    let frozen = book.frozen().next();
    assert!(frozen.is_none(), "I12: a batch does not come to its end: {frozen:?}");
    i16_limit_counters_are_the_fold(w);
    let books = &w.watch.books;
    let open: Vec<Item> = book
        .open()
        .into_iter()
        .flat_map(Batch::parts)
        .flat_map(|(_, p)| p.entries())
        .map(|e| e.item)
        .collect();
    let mut records = 0;
    for p in payments {
        for a in p.attempts.iter().filter(|a| a.stands() && side(a.kind).is_some()) {
            records += 1;
            let item = Item { payment: p.id, attempt: a.ids.attempt };
            let times =
                usize::from(books.entered.contains(&item)) + open.iter().filter(|i| **i == item).count();
            assert_eq!(times, 1, "I12: {item:?} is in {times} batches: {p:?}");
        }
        for a in &p.attempts {
            i12_the_network_has_nothing_that_is_not_named(w, p, a);
        }
    }
    assert_eq!(records, books.entered.len() + open.len(), "I12: batches have records that no payment has");
    for part in books.parts.iter().filter(|p| p.agreed) {
        let theirs = w.hosts[profile::index(&part.id.channel)].line(part.id.network);
        let ours: Line = part.totals.line(Currency::CNY);
        assert_eq!(ours, theirs, "I12: batch {} agreed, and {:?} has another book", part.batch, part.id);
    }
    i11_accounts_are_the_books(w, payments);
}

/// What a network has in a batch that is closed is in our batch too, or named in it.
fn i12_the_network_has_nothing_that_is_not_named(w: &World, p: &Payment, a: &Attempt) {
    let channel = profile::index(&a.channel);
    if !profile::settles(channel) || side(a.kind).is_none() || w.hosts[channel].kept(&a.ids.order) == 0 {
        return;
    }
    let its = |c: &&ClosedPart| (c.batch, &c.id.channel, c.id.network) == (a.batch, &a.channel, a.ids.batch);
    if let Some(part) = w.watch.books.parts.iter().find(its) {
        let item = Item { payment: p.id, attempt: a.ids.attempt };
        let known = part.entries.contains(&item) || part.named.contains(&item);
        assert!(known, "I12: the network has {item:?} in a closed batch, ours does not name it: {p:?}");
    }
}

/// I11: the accounts that the postings make are the networks' ledgers, and what the payments say.
fn i11_accounts_are_the_books(w: &World, payments: &[Payment]) {
    let ledger = &w.watch.books.ledger;
    assert!(ledger.is_balanced(), "I11: debits are not credits");
    let mut fees = 0;
    for (account, _, balance) in ledger.balances() {
        if let Account::Fees(_) = account {
            fees += balance;
        }
    }
    let of = |account: &Account| ledger.balance(account, Currency::CNY);
    // Somebody may still have to decide what became of an attempt: then the network may have more.
    let sure = |channel: usize| {
        !payments
            .iter()
            .flat_map(|p| &p.attempts)
            .any(|a| a.state.is_open() && profile::index(&a.channel) == channel)
    };
    for (channel, host) in w.hosts.iter().enumerate().filter(|(channel, _)| sure(*channel)) {
        let name = || profile::CHANNELS[channel].0.to_owned();
        let done = |which: fn(LegKind) -> bool| -> i128 {
            let its = host.book.values().filter(|e| e.state == crate::host::Book::Done && which(e.kind));
            its.map(|e| i128::from(e.amount.minor())).sum()
        };
        let net = done(LegKind::takes) - done(LegKind::gives_back);
        let (ours, theirs) = match channel {
            profile::GIFT => (of(&Account::Prepaid(name())), net - done(|kind| kind == LegKind::Load)),
            _ if profile::opens_drawer(channel) => (of(&Account::Drawer(name())), net),
            _ => (of(&Account::Receivable(name())) + of(&Account::Fees(name())), net),
        };
        assert_eq!(ours, theirs, "I11: the account of {} is not its ledger", name());
    }
    let sum =
        |which: &dyn Fn(&Payment) -> i64| -> i128 { payments.iter().map(|p| i128::from(which(p))).sum() };
    let top_up = |p: &Payment| matches!(p.purpose, Purpose::TopUp { .. });
    let sales = sum(&|p| if top_up(p) { 0 } else { p.kept().minor() });
    assert_eq!(of(&Account::Sales), -sales, "I11: sales are not what the payments keep");
    let surplus = sum(&|p| p.surplus().filter(|(a, _)| a.kind.takes()).map(|(_, left)| left.minor()).sum());
    let loaded = |p: &Payment| -> i64 {
        p.attempts.iter().filter(|a| a.kind == LegKind::Load && a.stands()).map(|a| a.amount.minor()).sum()
    };
    let deposits = surplus + sum(&|p| if top_up(p) { p.kept().minor() - loaded(p) } else { 0 });
    assert_eq!(of(&Account::Deposits), -deposits, "I11: deposits are not what is owed to customers");
    assert!(fees >= 0, "I14: a network pays us for its work");
}
