//! After every record and before every request.

use till_core::{Attempt, AttemptState, Payment, PaymentId, PaymentState, Record};

use crate::profile;
use crate::world::World;

/// Everything that a record may have changed.
pub(crate) fn after_record(w: &mut World, record: &Record) {
    numbers_agree(w);
    i09_a_key_opens_one_payment(w, record);
    orders_are_given_once(w, record);
    let foreground = w.till().open_payments().filter(|p| p.is_foreground()).count();
    assert!(foreground <= 1, "W3: {foreground} payments hold the till");

    let Some(id) = record.payment() else { return };
    // The payment is taken out of the world's reach while it is compared with what is remembered of it.
    let till = w.shell.till();
    let Some(p) = till.payment(id) else { panic!("the payment of a record that was just folded in is gone") };
    assert!(w.replayed.payment(id) == Some(p), "I7: replay does not give the live payment after {record:?}");
    i02_one_attempt_is_open(p);
    if let Record::Approved { approval, .. } = record {
        w04_only_a_right_answer_is_believed(p, approval);
    }
    if p.state == PaymentState::Tendering {
        assert!(p.open_attempt().is_some(), "I4: a payment is under way without an attempt");
    }
    let seen = w.watch.of(id);
    for (i, a) in p.attempts.iter().enumerate() {
        i05_the_reversal_is_armed(a);
        i24_the_resolver_is_bounded(a);
        if let Some(before) = seen.attempts.get(i) {
            i04_prepared_ends_once(*before, a.state);
            if !a.abandoned {
                i18_final_is_final(*before, a.state);
            }
        }
    }
    if let Some(before) = seen.state.filter(|b| b.is_final()) {
        assert_eq!(before, p.state, "I18: a payment left a final state");
    }
    seen.state = Some(p.state);
    seen.attempts.clear();
    seen.attempts.extend(p.attempts.iter().map(|a| a.state));
}

/// What is not in a payment: numbers, jobs, the current channel.
fn numbers_agree(w: &World) {
    let (live, replayed) = (w.till(), &w.replayed);
    let numbers = |t: &till_core::Till| (t.seq(), t.next_order(), t.next_receipt(), t.payments_ever());
    assert_eq!(numbers(live), numbers(replayed), "I7: numbers");
    assert_eq!(live.jobs(), replayed.jobs(), "I7: jobs");
    assert_eq!(live.current_channel(), replayed.current_channel(), "I7: current channel");
}

/// I7: replaying the journal from empty gives the live state, byte for byte.
pub(crate) fn i07_replay_gives_the_live_state(w: &World) {
    assert!(w.till() == &w.replayed, "I7: replay from empty differs from the live state");
}

/// I9: the same idempotency key is one payment, across restarts.
fn i09_a_key_opens_one_payment(w: &mut World, record: &Record) {
    if let Record::Opened { payment, key, .. } = record
        && !key.is_empty()
    {
        let first = w.watch.keys.insert(key.clone(), *payment);
        assert_eq!(first, None, "I9: a key opened two payments");
    }
}

fn orders_are_given_once(w: &mut World, record: &Record) {
    if let Record::Tendered { ids, .. } = record {
        assert!(w.watch.orders.insert(ids.order.clone()), "I9: an order number was given twice");
    }
}

/// I2, W3: at most one attempt of a payment is open.
fn i02_one_attempt_is_open(p: &Payment) {
    let open = p.attempts.iter().filter(|a| a.state.is_open() && !a.abandoned).count();
    assert!(open <= 1, "I2: {open} attempts are open");
    assert!(open == 0 || p.open_attempt().is_some(), "I2: an attempt is open that is not the last");
}

/// I4: every request that may have left ends in exactly one final state or in review.
fn i04_prepared_ends_once(before: AttemptState, now: AttemptState) {
    if before.is_armed() {
        assert!(now.is_armed() || now.is_final(), "I4: {before:?} became {now:?}");
    }
}

/// I5, W2: the reversal is armed exactly while the outcome is open.
fn i05_the_reversal_is_armed(a: &Attempt) {
    assert!(!a.state.is_armed() || a.recovery.is_some(), "I5: {:?} and its reversal", a.state);
}

/// I18: nothing leaves a final state by itself.
fn i18_final_is_final(before: AttemptState, now: AttemptState) {
    if before.is_final() {
        assert_eq!(before, now, "I18: an attempt left a final state");
    }
}

/// I24: work of the resolver is bounded by the profile.
fn i24_the_resolver_is_bounded(a: &Attempt) {
    let queries = a.resolve.query.as_ref().map_or(0, |q| (q.until_ms - q.first_ms) / q.every_ms + 1);
    assert!(a.queries <= queries, "I24: {} queries", a.queries);
    if let Some(tries) = a.resolve.undo.as_ref().map(|u| u.tries).filter(|t| *t > 0) {
        let doubted = a.never_existed.min(1);
        assert!(a.undos - a.undos_unsent <= tries + doubted, "I24: {} reversals reached the host", a.undos);
    }
}

/// W4: an answer counts only if everything it repeats is what was asked.
fn w04_only_a_right_answer_is_believed(p: &Payment, approval: &till_plugin::channel::Approval) {
    let Some(a) = p.approved() else { panic!("W4: an approval is folded in and nothing is approved") };
    let right = crate::host::approval(profile::index(&a.channel), &a.ids, p.amount);
    assert_eq!(
        (approval.amount, &approval.echo),
        (right.amount, &right.echo),
        "W4: a wrong answer is believed"
    );
    let told = !p.cancel_requested || a.resolve.undo.is_none();
    assert!(told, "a payment that was cancelled is paid, and the channel could have undone it");
}

/// I3, W1, W2, W3: bytes may leave only when the disk says that they may.
pub(crate) fn before_sending(w: &mut World, payment: PaymentId, attempt: u32, channel: usize) {
    let (mut sent, mut created) = (None, None);
    for (seq, _, record) in w.disk.of(payment) {
        match record {
            Record::Sent { .. } if sent.is_none() => sent = Some(seq),
            Record::Tendered { ids, .. } if ids.attempt == attempt => {
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
    let seen = w.watch.of(payment);
    assert!(!seen.sent.contains(&attempt), "I9: an authorisation was sent twice");
    seen.sent.push(attempt);
    let Some(p) = w.till().payment(payment) else { panic!("I3: nobody knows the payment that is sent") };
    let last = p.attempts.last().map(|a| (a.ids.attempt, profile::index(&a.channel)));
    assert_eq!(last, Some((attempt, channel)), "W3: another attempt is sent");
    if profile::resolve(channel).single_slot {
        let unresolved = w
            .till()
            .open_payments()
            .filter(|o| o.id != payment)
            .filter_map(Payment::open_attempt)
            .any(|a| profile::index(&a.channel) == channel && a.state.is_armed());
        assert!(!unresolved, "W3: a reversal is open and a new request goes out on the same channel");
    }
    assert!(w.vault.contains(&(payment, attempt)), "the instrument was forgotten before it was used");
}

/// W5: the answer is on disk before caller, printer or drawer hears of it; and so is that a receipt goes to paper.
pub(crate) fn w05_on_disk_before_anybody_hears(w: &World, payment: PaymentId, what: &str) {
    let approved = w.disk.of(payment).any(|(_, _, record)| matches!(record, Record::Approved { .. }));
    assert!(approved, "W5: {what} before the approval is on disk");
}

/// W6: that a receipt goes to the printer is on disk first, so that a restart knows that paper may hold it.
pub(crate) fn w06_the_job_is_on_disk_before_the_paper(w: &World, job: u64) {
    let (record, _) = w.disk.record(w.disk.len());
    assert!(
        matches!(record, Record::JobSent { job: j, .. } if j == job),
        "W6: receipt {job} prints unrecorded"
    );
}

/// What a restart leaves behind: the till is free.
pub(crate) fn after_restart(w: &World) {
    assert!(w.till().foreground().is_none(), "the till is not free after a restart");
    assert_eq!(w.till().payments_ever(), w.disk.payments() as u64, "I4: a restart lost a payment");
}
