//! When nothing happens any more: our books against the hosts' books.

use std::collections::BTreeSet;

use till_core::{AttemptState, PaymentId, PaymentState, Till};

use crate::host::Host;
use crate::profile;
use crate::world::World;

/// Everything that must hold at the end of a world.
pub(crate) fn at_rest(w: &mut World) {
    assert!(w.up, "the till is down");
    crate::check::i07_replay_gives_the_live_state(w);
    nothing_is_under_way(w);
    w.disk.chain(&mut w.rng);
    books_agree(w);
}

/// I4, W6: what was begun has ended, what was owed on paper is printed, nothing of a card is left in memory.
fn nothing_is_under_way(w: &World) {
    let foreground = w.till().foreground().map(|p| (p.id, p.state));
    assert!(
        foreground.is_none_or(|(_, s)| matches!(s, PaymentState::Draft | PaymentState::Ready)),
        "I4: the till is stuck: {foreground:?}"
    );
    assert!(w.till().jobs().is_empty(), "W6: receipts are owed: {:?}", w.till().jobs());
    assert!(w.vault.is_empty(), "instruments stay in memory: {:?}", w.vault);
    for p in w.till().open_payments() {
        let under_way = p.state == PaymentState::Tendering;
        assert!(!under_way, "I4: {} is still under way: {:?}", p.id, p.attempts.last());
    }
}

/// I1, I6, I21: each payment out of its records alone, as an auditor would, against the hosts' ledgers.
fn books_agree(w: &mut World) {
    let mut ours = 0;
    let mut known = BTreeSet::new();
    let mut payments = 0;
    for id in w.disk.identities() {
        let p = audited(w, id);
        payments += 1;
        *w.tally.payment.entry(p.state.as_str()).or_default() += 1;
        let mut kept_here = 0;
        for a in &p.attempts {
            let host = &w.hosts[profile::index(&a.channel)];
            let kept = host.kept(&a.ids.order);
            kept_here += kept;
            match a.state {
                AttemptState::Approved => {
                    assert_eq!(kept, 1, "I6: {} is approved, the host kept {kept}", a.ids.order);
                    let theirs = host.book.get(&a.ids.order).map(|e| e.amount);
                    assert_eq!(theirs, Some(p.amount), "I6: amounts differ");
                    ours += 1;
                }
                AttemptState::Review => assert!(kept <= 1, "I1: charged twice"),
                state => assert_eq!(kept, 0, "I21: {} is {state:?} and the host kept money", a.ids.order),
            }
            known.insert(a.ids.order.clone());
        }
        match p.state {
            PaymentState::Paid => assert_eq!(kept_here, 1, "I1: paid is exactly one charge: {p:?}"),
            PaymentState::Review => assert!(kept_here <= 1, "I1: charged twice"),
            state => assert_eq!(kept_here, 0, "I6: {state:?} and money was kept"),
        }
        let paid = if p.state == PaymentState::Paid { p.amount.minor() } else { 0 };
        assert_eq!(p.paid().minor(), paid, "I1: what is paid is what is owed, or nothing");
    }
    w.tally.payments = payments;
    let theirs = w.hosts.iter().map(charges).sum::<usize>();
    w.tally.see_many("charges left to review", (theirs - ours) as u64);
    let strangers = w.hosts.iter().flat_map(|h| h.book.keys()).filter(|o| !known.contains(*o)).count();
    assert_eq!(strangers, 0, "I6: a host knows an order that the journal does not");
    let late = w.hosts.iter().map(|h| h.booked_late).sum();
    w.tally.see_many("booked after never-existed", late);
}

fn charges(host: &Host) -> usize {
    host.book.keys().filter(|o| host.kept(o) > 0).count()
}

/// A payment, folded from its own records.
fn audited(w: &World, id: PaymentId) -> till_core::Payment {
    let mut records: Vec<_> = w.disk.of(id).collect();
    records.reverse();
    match Till::fold_payment(id, records.iter().map(|(seq, wall, record)| (*seq, *wall, record))) {
        Some(p) => p,
        None => panic!("I4: its records do not make payment {id}"),
    }
}
