//! What must be true after every record, before every request, and when everything has come to rest. Numbers are those
//! of the specification (pos.md §3.5, §3.8).

use std::collections::{BTreeMap, BTreeSet};

use till_core::{AttemptState, PaymentId, PaymentState, Record};
use till_plugin::channel::AttemptIds;

use crate::profile;
use crate::world::World;

/// What the checks remember.
#[derive(Default)]
pub(crate) struct Watch {
    attempts: BTreeMap<(PaymentId, u32), AttemptState>,
    payments: BTreeMap<PaymentId, PaymentState>,
    keys: BTreeMap<String, PaymentId>,
    orders: BTreeSet<String>,
    sent: BTreeSet<(PaymentId, u32)>,
    recoveries: BTreeMap<String, Vec<u8>>,
    prints: BTreeMap<u64, u32>,
}

impl Watch {
    /// The recovery data that a channel gives for an attempt.
    pub(crate) fn recovery(&mut self, channel: &str, ids: &AttemptIds) -> Vec<u8> {
        let data = format!("{channel} {} {}", ids.order, ids.trace).into_bytes();
        self.recoveries.insert(ids.order.clone(), data.clone());
        data
    }

    /// A query or undo goes out: to the channel of its original, with the numbers and data of it (I22).
    pub(crate) fn follow_up(&self, channel: &str, ids: &AttemptIds, recovery: &[u8]) {
        let expected = self.recoveries.get(&ids.order).map(Vec::as_slice);
        assert_eq!(expected, Some(recovery), "a follow-up without its original's recovery data");
        assert!(recovery.starts_with(channel.as_bytes()), "a follow-up to another channel");
    }

    pub(crate) fn print(&mut self, job: u64, restarted: bool) {
        let before = self.prints.entry(job).or_default();
        // Dying between the record and the print makes a copy marked that need not be: the safe side.
        assert!(restarted || *before == 0, "job {job} is printed a second time as if it were the first");
        *before += 1;
    }
}

pub(crate) fn after_record(w: &mut World, record: &Record) {
    if let Record::Opened { payment, key, .. } = record
        && !key.is_empty()
    {
        let first = w.watch.keys.insert(key.clone(), *payment);
        assert_eq!(first, None, "I9: a key opened two payments");
    }
    if let Record::AttemptCreated { ids, .. } = record {
        assert!(w.watch.orders.insert(ids.order.clone()), "an order number was given twice");
    }
    let Some(id) = record.payment() else { return };
    let p = w.till.payment(id).expect("a payment of a record that was just applied is in memory");

    let open = p.attempts.iter().filter(|a| a.state.is_open() && !a.abandoned).count();
    assert!(open <= 1, "I2/W3: {open} attempts are open");
    assert!(open == 0 || p.open_attempt().is_some(), "I2: an attempt is open that is not the last");
    for a in &p.attempts {
        assert!(!a.state.is_armed() || a.recovery.is_some(), "I5: {:?} and its reversal", a.state);
        let before = w.watch.attempts.insert((id, a.ids.attempt), a.state);
        if let Some(before) = before.filter(|b| b.is_final() && !a.abandoned) {
            assert_eq!(before, a.state, "I18: an attempt left a final state");
        }
        if before.is_some_and(AttemptState::is_armed) {
            let stays = a.state.is_armed() || a.state.is_final();
            assert!(stays, "I4: {before:?} became {:?}", a.state);
        }
        bounded(a);
    }
    if let Record::Approved { approval, .. } = record {
        let a = p.approved().expect("the attempt that was approved");
        let right = crate::host::approval(&a.channel, &a.ids, p.amount);
        assert_eq!(
            (approval.amount, &approval.echo),
            (right.amount, &right.echo),
            "W4: a wrong answer is believed"
        );
        let told = !p.cancel_requested || a.resolve.undo.is_none();
        assert!(told, "a payment that was cancelled is paid, and the channel could have undone it");
    }
    let before = w.watch.payments.insert(id, p.state);
    if let Some(before) = before.filter(|b| b.is_final()) {
        assert_eq!(before, p.state, "I18: a payment left a final state");
    }
    let foreground = w.till.open_payments().filter(|p| p.is_foreground()).count();
    assert!(foreground <= 1, "{foreground} payments hold the till");
    if p.state == PaymentState::Tendering {
        assert!(p.open_attempt().is_some(), "I4: a payment is under way without an attempt");
    }
}

/// I24: work of the resolver is bounded by the profile.
fn bounded(a: &till_core::Attempt) {
    let queries = a.resolve.query.as_ref().map_or(0, |q| (q.until_ms - q.first_ms) / q.every_ms + 1);
    assert!(a.queries <= queries, "I24: {} queries", a.queries);
    if let Some(tries) = a.resolve.undo.as_ref().map(|u| u.tries).filter(|t| *t > 0) {
        let doubted = a.never_existed.min(1);
        assert!(a.undos - a.undos_unsent <= tries + doubted, "I24: {} reversals reached the host", a.undos);
    }
}

/// I3, W2, W3: bytes may leave only when the disk says that they may.
pub(crate) fn before_sending(w: &mut World, payment: PaymentId, attempt: u32, channel: &str) {
    let records: Vec<Record> = w
        .disk
        .iter()
        .rev()
        .map(|(_, bytes)| Record::decode(bytes).expect("readable"))
        .filter(|r| r.payment() == Some(payment))
        .take_while(|r| !matches!(r, Record::Opened { .. }))
        .collect();
    let created =
        records.iter().position(|r| matches!(r, Record::Tendered { ids, .. } if ids.attempt == attempt));
    let sent = records.iter().position(|r| matches!(r, Record::Sent { .. }));
    assert!(
        matches!((sent, created), (Some(s), Some(c)) if s < c),
        "I3: bytes leave before their record with the reversal is on disk"
    );
    assert!(w.watch.sent.insert((payment, attempt)), "an authorisation was sent twice");
    let p = w.till.payment(payment).expect("in memory");
    let last = &p.attempts[p.attempts.len() - 1];
    assert!(last.ids.attempt == attempt && last.channel == channel, "another attempt is sent");
    if profile::resolve(channel).single_slot {
        let unresolved = w
            .till
            .open_payments()
            .filter(|o| o.id != payment)
            .filter_map(till_core::Payment::open_attempt)
            .any(|a| a.channel == channel && a.state.is_armed());
        assert!(!unresolved, "W3: {channel} has a reversal open and a new request goes out on it");
    }
    assert!(w.vault.contains(&(payment, attempt)), "the instrument was forgotten before it was used");
}

/// When nothing happens any more.
pub(crate) fn at_rest(w: &mut World) {
    assert!(w.up, "the till is down");
    let foreground = w.till.foreground().map(|p| (p.id, p.state));
    assert!(
        foreground.is_none_or(|(_, s)| matches!(s, PaymentState::Draft | PaymentState::Ready)),
        "the till is stuck: {foreground:?}"
    );
    assert!(w.till.jobs().is_empty(), "receipts are owed: {:?}", w.till.jobs());
    assert!(w.vault.is_empty(), "instruments stay in memory: {:?}", w.vault);
    for p in w.till.open_payments() {
        assert!(
            p.state != PaymentState::Tendering,
            "I4: {} is still under way: {:?}",
            p.id,
            p.attempts.last()
        );
    }
    // Each payment out of the records alone, as an auditor would.
    let records: Vec<(u64, i64, Record)> = (1..)
        .zip(&w.disk)
        .map(|(seq, (wall, bytes))| (seq, *wall, Record::decode(bytes).expect("readable")))
        .collect();
    let mut by_payment: BTreeMap<PaymentId, Vec<(u64, i64, &Record)>> = BTreeMap::new();
    for (seq, wall, r) in &records {
        if let Some(id) = r.payment() {
            by_payment.entry(id).or_default().push((*seq, *wall, r));
        }
    }
    let mut ours = 0;
    let mut known = BTreeSet::new();
    for (id, records) in by_payment {
        let p = till_core::Till::fold_payment(id, records).expect("its records make a payment");
        w.tally.add("payments");
        w.tally.add(&format!("payment {}", p.state.as_str()));
        let mut kept_here = 0;
        for a in &p.attempts {
            w.tally.add("attempts");
            let host = &w.hosts[&a.channel];
            let kept = host.kept(&a.ids.order);
            known.insert(a.ids.order.clone());
            kept_here += kept;
            match a.state {
                AttemptState::Approved => {
                    assert_eq!(kept, 1, "I6: {} is approved, the host kept {kept}", a.ids.order);
                    assert_eq!(host.book[&a.ids.order].amount, p.amount, "I6: amounts differ");
                    ours += 1;
                }
                AttemptState::Review => assert!(kept <= 1, "charged twice"),
                state => assert_eq!(kept, 0, "I21: {} is {state:?} and the host kept money", a.ids.order),
            }
        }
        match p.state {
            PaymentState::Paid => assert_eq!(kept_here, 1, "paid is exactly one charge: {p:?}"),
            PaymentState::Review => assert!(kept_here <= 1, "I1: charged twice"),
            state => assert_eq!(kept_here, 0, "I6: {state:?} and money was kept"),
        }
        assert_eq!(p.paid().minor(), if p.state == PaymentState::Paid { p.amount.minor() } else { 0 }, "I1");
    }
    let theirs: usize = w.hosts.values().map(|h| h.book.keys().filter(|o| h.kept(o) > 0).count()).sum();
    let open_review = theirs - ours;
    w.tally.many("charges left to review", open_review as u64);
    assert!(
        w.hosts.values().flat_map(|h| h.book.keys()).all(|o| known.contains(o)),
        "a host knows an order that the journal does not"
    );
    let late = w.hosts.values().map(|h| h.booked_late).sum();
    w.tally.many("booked after never-existed", late);
}
