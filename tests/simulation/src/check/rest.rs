//! When nothing happens any more: our books against the hosts' books.

use rustc_hash::FxHashSet;
use till_core::{AttemptState, LegKind, Payment, PaymentState, Purpose};

use super::{Watch, batch, full, money};
use crate::host::Host;

use crate::profile;
use crate::world::World;

/// Everything that must hold at the end of a world.
pub(crate) fn at_rest(w: &mut World) {
    super::doors::s10_no_breaker_waits_for_ever(w);
    assert!(w.up, "the till is down");
    super::i07_replay_gives_the_live_state(w);
    i04_nothing_is_under_way(w);
    if w.rng.chance(20) {
        w.disk.i23_the_chain_holds(&mut w.rng);
    }
    books_agree(w);
}

/// I4, W6: what was begun has ended, what was owed on paper is printed, nothing of a card is left in memory.
fn i04_nothing_is_under_way(w: &World) {
    let foreground = w.till().foreground().map(|p| (p.id, p.state, p.attempts.last()));
    let waits = [PaymentState::Draft, PaymentState::Ready, PaymentState::PartPaid];
    let stuck = foreground.is_some_and(|(_, s, a)| {
        !waits.contains(&s) && !a.is_some_and(|a| a.wants_instrument && a.state == AttemptState::Created)
    });
    assert!(!stuck, "I4: the till is stuck: {foreground:?}");
    assert!(w.till().jobs().is_empty(), "W6: receipts are owed: {:?}", w.till().jobs());
    assert!(w.vault.is_empty(), "instruments stay in memory: {:?}", w.vault);
    for p in w.till().open_payments() {
        let under_way =
            matches!(p.state, PaymentState::Tendering | PaymentState::Returning | PaymentState::Delivering);
        let background = p.attempts.iter().any(|a| {
            matches!(a.state, AttemptState::Sent | AttemptState::Querying | AttemptState::Reversing)
        });
        assert!(!under_way && !background, "I4: still under way: {p:?}");
    }
}

/// Each payment out of its records alone, as an auditor would, against the hosts' ledgers.
fn books_agree(w: &mut World) {
    let mut known = FxHashSet::default();
    let (mut payments, mut reviews, mut trained) = (Vec::new(), 0, 0);
    for id in w.disk.identities() {
        let Some(p) = w.disk.payment(id, u64::MAX) else {
            panic!("I4: its records do not make payment {id}")
        };
        *w.tally.payment.entry(p.state.as_str()).or_default() += 1;
        money::i01_kept_is_between_nothing_and_what_is_owed(&p);
        money::i10_never_more_back_than_was_taken(&p);
        i08_the_end_is_one_that_can_be_reached(&w.watch, &p);
        if p.training {
            i17_no_network_knows_of_it(&w.hosts, &p);
            w.tally.see("training payments");
            trained += 1;
            continue;
        }
        i06_every_attempt_is_booked_as_we_have_it(&w.hosts, &p);
        top_up_is_both_or_neither(&w.hosts, &p);
        reviews += p.attempts.iter().filter(|a| a.state == AttemptState::Review).count() as u64;
        known.extend(p.attempts.iter().map(|a| a.ids.order.clone()));
        payments.push(p);
    }
    batch::at_rest(w, &payments);
    full::i12_what_is_full_is_closed(w);
    w.tally.payments = payments.len() as u64 + trained;
    w.tally.see_many("attempts left to review", reviews);
    let strangers = w.hosts.iter().flat_map(|h| h.book.keys()).filter(|o| !known.contains(*o)).count();
    assert_eq!(strangers, 0, "I6: a host knows an order that the journal does not");
    let late = w.hosts.iter().map(|h| h.booked_late).sum();
    w.tally.see_many("booked after never-existed", late);
}

/// I17: whatever was practised, no network has heard of it.
fn i17_no_network_knows_of_it(hosts: &[Host], p: &Payment) {
    for a in &p.attempts {
        let heard = hosts.iter().any(|h| h.book.contains_key(&a.ids.order));
        assert!(
            !heard && a.channel == till_core::training::CHANNEL,
            "I17: training reached a network: {a:?}"
        );
    }
}

/// I6, I9, I21: what we have as done the host has done, once and over the same amount; what we have as not done it has
/// not.
fn i06_every_attempt_is_booked_as_we_have_it(hosts: &[Host], p: &Payment) {
    for a in &p.attempts {
        let host = &hosts[profile::index(&a.channel)];
        let (order, kept) = (&a.ids.order, host.kept(&a.ids.order));
        assert!(kept <= 1, "I9: {order} was charged {kept} times");
        match a.state {
            AttemptState::Approved => {
                assert_eq!(
                    kept,
                    1,
                    "I6: the {} {order} is approved, the host has it not: {p:?}",
                    a.kind.as_str()
                );
                let theirs = host.book.get(order).map(|e| (e.kind, e.amount));
                assert_eq!(theirs, Some((a.kind, a.amount)), "I6: kinds or amounts differ");
            }
            AttemptState::Review => {}
            state => {
                let what = a.kind.as_str();
                assert_eq!(kept, 0, "I21: the {what} {order} is {state:?} and the host has it done: {p:?}");
            }
        }
    }
}

/// I8: however often the till died, a payment ends as one of an undisturbed day (with lost answers) may end.
fn i08_the_end_is_one_that_can_be_reached(watch: &Watch, p: &Payment) {
    let (kept, held) = (p.kept().minor(), p.held().minor());
    let in_review = p.attempts.iter().any(|a| a.state == AttemptState::Review);
    let seen = watch.seen.get(crate::disk::number(p.id));
    let right = match p.state {
        PaymentState::Paid => !in_review && (kept > 0 || seen.is_some_and(|s| s.found)),
        PaymentState::PartPaid => kept > 0 && kept < p.amount.minor(),
        PaymentState::Authorised => held > 0 && kept == 0,
        PaymentState::Draft | PaymentState::Ready | PaymentState::Cancelled | PaymentState::Returned => {
            kept == 0 && held == 0 && !in_review
        }
        PaymentState::Review => true,
        PaymentState::Tendering | PaymentState::Delivering | PaymentState::Returning => false,
    };
    assert!(right, "I8: no undisturbed day ends so: {p:?}");
}

/// A top-up takes money and loads value, or neither; people know of anything between.
fn top_up_is_both_or_neither(hosts: &[Host], p: &Payment) {
    if !matches!(p.purpose, Purpose::TopUp { .. }) || p.state == PaymentState::Review {
        return;
    }
    let loaded: i64 = p
        .attempts
        .iter()
        .filter(|a| a.kind == LegKind::Load && hosts[profile::GIFT].kept(&a.ids.order) > 0)
        .map(|a| a.amount.minor())
        .sum();
    // A later leg of it may have given another reason since.
    let reviewed = p.accepted;
    assert!(loaded == p.kept().minor() || reviewed, "I15: {loaded} were loaded for {}: {p:?}", p.kept());
}
