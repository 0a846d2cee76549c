//! Before anything leaves the till: for a network, a printer, a drawer.

use till_core::{LegKind, PaymentId, Record};

use super::inner;
use crate::profile;
use crate::world::World;

/// I3, W1, W2, W3, I22: bytes may leave only when the disk says that they may.
pub(crate) fn before_sending(w: &mut World, payment: PaymentId, attempt: u32, channel: usize) {
    let (mut sent, mut created) = (None, None);
    for (seq, _, record) in w.disk.of(payment).rev() {
        match record {
            Record::Sent { .. } if sent.is_none() => sent = Some(seq),
            Record::Tendered { ids, .. } | Record::LegCreated { ids, .. } if ids.attempt == attempt => {
                created = Some(seq);
                break;
            }
            _ => {}
        }
    }
    assert!(
        matches!((sent, created), (Some(s), Some(c)) if s > c),
        "I3: bytes leave before their record with the reversal is on disk"
    );
    let now = w.clock.now;
    let seen = w.watch.of(payment);
    assert!(seen.sent.iter().all(|(a, _)| *a != attempt), "I9: a request was sent twice");
    seen.sent.push((attempt, now));
    let found = w.till().payment(payment).and_then(|p| Some((p, p.attempt(attempt)?)));
    let Some((p, a)) = found else { panic!("I3: nobody knows the payment that is sent") };
    assert_eq!(profile::index(&a.channel), channel, "W3: another channel than the attempt's");
    assert_eq!(
        p.open_attempt().map(|o| o.ids.attempt),
        Some(attempt),
        "W3: not the attempt that is under way"
    );
    if a.kind != LegKind::Load && !a.kind.is_tender() {
        let original = p.attempt(a.of).map(|o| profile::index(&o.channel));
        assert_eq!(original, Some(channel), "I22: a leg goes by another channel than what it follows");
    }
    super::doors::s09_nothing_new_goes_into_maintenance(w, a.kind, (payment, attempt), &a.channel);
    super::full::i12_its_batch_has_room(w, &a.channel, a.ids.batch);
    super::suspend::s11_nothing_begins_on_a_suspended_channel(w, a.kind, &a.channel);
    if a.resolve.single_slot {
        let others = w.till().open_payments().flat_map(|o| o.attempts.iter().map(move |x| (o.id, x)));
        let unresolved = others.filter(|(id, x)| (*id, x.ids.attempt) != (payment, attempt)).any(|(_, x)| {
            x.resolve.single_slot && x.state.is_armed() && profile::index(&x.channel) == channel
        });
        assert!(!unresolved, "W3: a reversal is open and a new request goes out on the same channel");
    }
    if a.kind.is_tender() {
        assert!(w.vault.contains(&(payment, attempt)), "the instrument was forgotten before it was used");
    }
}

/// W5: the answer is on disk before caller, printer or drawer hears of it.
pub(crate) fn w05_on_disk_before_anybody_hears(w: &World, payment: PaymentId, what: &str) {
    let approved = w.disk.of(payment).any(|(_, _, record)| {
        matches!(inner(record), Record::Approved { .. } | Record::ReviewDecided { .. })
    });
    assert!(approved, "W5: {what} before the approval is on disk");
}

/// W6: that a receipt goes to the printer is on disk first, so that a restart knows that paper may hold it.
pub(crate) fn w06_the_job_is_on_disk_before_the_paper(w: &World, job: u64) {
    let (record, _) = w.disk.record(w.disk.len());
    assert!(
        matches!(*record, Record::JobSent { job: j, .. } if j == job),
        "W6: receipt {job} prints unrecorded"
    );
}
