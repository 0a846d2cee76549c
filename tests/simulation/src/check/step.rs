//! After every record.

use till_core::{Attempt, AttemptState, Payment, PaymentId, PaymentState, Record};

use super::{Seen, batch, desk, doors, inner, money, office, suspend, training};
use crate::profile;
use crate::world::World;

/// Everything that a record may have changed.
pub(crate) fn after_record(w: &mut World, record: &Record) {
    numbers_agree(w);
    i09_a_key_is_one_payment_and_a_number_one_attempt(w, record);
    let foreground = w.till().open_payments().filter(|p| p.is_foreground()).count();
    assert!(foreground <= 1, "W3: {foreground} payments hold the till");

    batch::after_record(w, record);
    desk::after_record(w, record);
    doors::after_record(w, record);
    suspend::after_record(w, record);
    office::after_record(w, record);
    let Some(id) = record.payment() else { return };
    let till = w.shell.till();
    let Some(p) = till.payment(id) else { panic!("the payment of a record that was just folded in is gone") };
    i07_replay_gives_the_live_payment(w, p, record);
    i02_one_attempt_is_open(p);
    money::i01_kept_is_between_nothing_and_what_is_owed(p);
    money::i10_never_more_back_than_was_taken(p);
    w04_only_a_right_answer_is_believed(p, record);
    if p.state == PaymentState::Tendering {
        assert!(p.open_attempt().is_some(), "I4: a payment is under way without an attempt");
    }
    let seen = w.watch.of(id);
    training::i17_a_payment_is_training_from_its_first_record_on(seen, till, p, record);
    w08_two_people_decide(seen, record);
    i18_a_final_payment_changes_only_by_what_follows(seen, p, record);
    if record.opens().is_some() {
        seen.opened_in = till.open_batch();
    }
    let mut approved = None;
    for (i, a) in p.attempts.iter().enumerate() {
        i05_the_reversal_is_armed(a);
        i24_the_resolver_is_bounded(a, record);
        if let Some(before) = seen.attempts.get(i) {
            i04_prepared_ends_once(*before, a.state);
            i18_a_final_attempt_stays(*before, a, record);
            if a.stands() && *before != a.state {
                approved = Some(a.ids.attempt);
            }
        }
    }
    seen.state = Some(p.state);
    seen.attempts.clear();
    seen.attempts.extend(p.attempts.iter().map(|a| a.state));
    if let Some(attempt) = approved {
        batch::approved(w, id, attempt);
    }
    training::i17_the_books_without_training_are_the_books(w);
    i12_a_void_is_of_its_own_batch(w, record);
}

/// A void takes back what its own batch took, nothing else (channels.md §1.3: same batch only).
fn i12_a_void_is_of_its_own_batch(w: &World, record: &Record) {
    let Record::LegCreated { payment, kind: till_core::LegKind::Void, of, batch, .. } = record else {
        return;
    };
    let original = w.till().payment(*payment).and_then(|p| p.attempt(*of)).map(|a| a.batch);
    assert_eq!(original, Some(*batch), "I12: a sale of another batch is voided");
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

/// I7 for what a record touched: everything of the payment, and of its attempts those that are under way or are not
/// what they were before the record; the others were compared when they became what they are, and are again with the
/// whole till. A field that is added to a payment does not compile here before it is compared.
fn i07_replay_gives_the_live_payment(w: &World, live: &Payment, record: &Record) {
    let replayed = w.replayed.payment(live.id);
    let same = replayed.is_some_and(|replayed| {
        let before = w.watch.attempts_of(live.id);
        let last = live.attempts.len().saturating_sub(1);
        let pairs = live.attempts.iter().zip(&replayed.attempts).enumerate();
        let mut touched = pairs
            .filter(|(at, (a, _))| *at == last || a.state.is_open() || before.get(*at) != Some(&a.state));
        live.attempts.len() == replayed.attempts.len()
            && same_but_for_attempts(live, replayed)
            && touched.all(|(_, (a, b))| a == b)
    });
    assert!(same, "I7: replay does not give the live payment after {record:?}: {live:?} and {replayed:?}");
}

fn same_but_for_attempts(p: &Payment, q: &Payment) -> bool {
    let Payment {
        id,
        amount,
        training,
        purpose,
        subject,
        operator,
        key,
        state,
        reason,
        attempts: _,
        completed,
        returning,
        accepted,
        proposal,
        acknowledged,
        cancel_requested,
        parked,
        recovered,
        receipt_number,
        receipt_job,
        opened_wall_ms,
        changed_wall_ms,
        seq,
    } = p;
    (*id, *amount, *state, *seq, *training) == (q.id, q.amount, q.state, q.seq, q.training)
        && (purpose, subject, operator, key) == (&q.purpose, &q.subject, &q.operator, &q.key)
        && (reason, returning, proposal) == (&q.reason, &q.returning, &q.proposal)
        && (*completed, *accepted, *acknowledged) == (q.completed, q.accepted, q.acknowledged)
        && (*cancel_requested, *parked, *recovered) == (q.cancel_requested, q.parked, q.recovered)
        && (*receipt_number, *receipt_job) == (q.receipt_number, q.receipt_job)
        && (*opened_wall_ms, *changed_wall_ms) == (q.opened_wall_ms, q.changed_wall_ms)
}

/// I9: the same idempotency key is one payment or one leg, and order and trace numbers are given once, across restarts.
fn i09_a_key_is_one_payment_and_a_number_one_attempt(w: &mut World, record: &Record) {
    let (payment, key) = match record {
        Record::Opened { payment, key, .. }
        | Record::OpenedFor { payment, key, .. }
        | Record::OpenedTraining { payment, key, .. }
        | Record::LegCreated { payment, key, .. } => (payment, key.as_str()),
        _ => return numbers(w, record),
    };
    if !key.is_empty() {
        let training = is_training(w, *payment);
        let first = w.watch.keys.insert((training, key.to_owned()), *payment);
        assert_eq!(first, None, "I9: a key is used twice");
    }
    numbers(w, record);
}

fn is_training(w: &World, payment: PaymentId) -> bool {
    w.till().payment(payment).is_some_and(|p| p.training)
}

fn numbers(w: &mut World, record: &Record) {
    let (ids, channel) = match record {
        Record::Tendered { ids, decision, .. } => (ids, decision.chosen.as_deref().unwrap_or_default()),
        Record::LegCreated { ids, channel, .. } => (ids, channel.as_str()),
        Record::TraceTaken { channel, trace } => {
            let fresh = w.watch.traces.insert((profile::index(channel), *trace));
            return assert!(fresh, "I9: a trace number of {channel} was given twice");
        }
        _ => return,
    };
    assert!(w.watch.orders.insert(ids.order.clone()), "I9: an order number was given twice");
    if channel == till_core::training::CHANNEL {
        return;
    }
    let fresh = w.watch.traces.insert((profile::index(channel), ids.trace));
    assert!(fresh, "I9: a trace number of {channel} was given twice");
}

/// I2, W3: at most one attempt of a payment is open that was not given up; one that was given up never ends as kept
/// money, unless two people found that it happened.
fn i02_one_attempt_is_open(p: &Payment) {
    let open = p.attempts.iter().filter(|a| a.state.is_open() && !a.abandoned).count();
    assert!(open <= 1, "I2: {open} attempts are open: {p:?}");
}

/// I4: every request that may have left ends in exactly one final state or in review.
fn i04_prepared_ends_once(before: AttemptState, now: AttemptState) {
    if before.is_armed() {
        assert!(now.is_armed() || now.is_final(), "I4: {before:?} became {now:?}");
    }
}

/// I5, W2: the reversal is armed as long as the outcome is open.
fn i05_the_reversal_is_armed(a: &Attempt) {
    assert!(!a.state.is_armed() || a.recovery.is_some(), "I5: {:?} without its reversal", a.state);
}

/// I18: nothing leaves a final state but by a late approval.
fn i18_a_final_attempt_stays(before: AttemptState, a: &Attempt, record: &Record) {
    if before.is_final() && before != a.state {
        let late = matches!(record, Record::Reopened { attempt, .. } if *attempt == a.ids.attempt);
        assert!(late && before != AttemptState::Approved, "I18: {before:?} became {:?}", a.state);
    }
}

/// I18: a finished payment changes only by a leg that follows, a late approval, or people.
fn i18_a_final_payment_changes_only_by_what_follows(seen: &Seen, p: &Payment, record: &Record) {
    let Some(before) = seen.state.filter(|b| b.is_final() && *b != p.state) else { return };
    let decided = matches!(
        record,
        Record::ReturnDecided { .. }
            | Record::Reopened { .. }
            | Record::ReviewDecided { .. }
            | Record::PaymentToReview { .. }
    );
    let follows = p
        .attempts
        .iter()
        .zip(&seen.attempts)
        .any(|(a, was)| a.state != *was && (!a.kind.is_tender() || a.abandoned));
    assert!(decided || follows, "I18: a payment went from {before:?} to {:?} by {record:?}", p.state);
}

/// I24: work of the resolver is bounded by the profile.
fn i24_the_resolver_is_bounded(a: &Attempt, record: &Record) {
    let queries = a.resolve.query.as_ref().map_or(0, |q| (q.until_ms - q.first_ms) / q.every_ms + 1);
    assert!(a.queries <= queries, "I24: {} queries", a.queries);
    if let Some(tries) = a.resolve.undo.as_ref().map(|u| u.tries).filter(|t| *t > 0)
        && !matches!(record, Record::Reopened { .. })
    {
        let doubted = a.never_existed.min(1);
        assert!(
            a.undos.saturating_sub(a.undos_unsent) <= tries + doubted,
            "I24: {} reversals reached the host",
            a.undos
        );
    }
}

/// W4: an answer counts only if everything it repeats is what was asked.
fn w04_only_a_right_answer_is_believed(p: &Payment, record: &Record) {
    let Record::Approved { approval, .. } = inner(record) else { return };
    let newest = |a: &&Attempt| a.stands() && a.approval.as_ref() == Some(approval);
    let Some(a) = p.attempts.iter().rev().find(newest) else {
        panic!("W4: an approval is folded in and nothing is approved")
    };
    if p.training {
        assert_eq!(approval.amount, a.amount, "W4: the training host says something else");
        return;
    }
    let echoes = crate::host::echoes(&approval.echo, profile::index(&a.channel), &a.ids);
    assert!(echoes && approval.amount == a.amount, "W4: a wrong answer is believed: {approval:?} to {a:?}");
    let told = !(a.abandoned || p.cancel_requested && a.kind.is_tender()) || a.resolve.undo.is_none();
    assert!(told, "I2: nobody wanted it any more, and the channel could have undone it: {p:?}");
}

/// W8: a human decision has two people, and both said the same.
fn w08_two_people_decide(seen: &mut Seen, record: &Record) {
    match record {
        Record::ReviewProposed { attempt, verdict, operator, reason, .. } => {
            assert!(!reason.is_empty(), "W8: a decision without a reason");
            seen.proposal = Some((*attempt, *verdict, operator.clone()));
        }
        Record::ReviewDecided { attempt, verdict, operator, .. } => {
            let Some((of, said, first)) = seen.proposal.take() else {
                panic!("W8: a review was decided that nobody proposed")
            };
            assert_eq!((of, said), (*attempt, *verdict), "W8: two people said different things");
            let same = first.trim().eq_ignore_ascii_case(operator.trim());
            assert!(!same, "W8: one person alone decided a review");
            seen.found = true;
        }
        _ => {}
    }
}

/// What a restart leaves behind: the till is free, and no payment is lost.
pub(crate) fn after_restart(w: &World) {
    assert!(w.till().foreground().is_none(), "the till is not free after a restart");
    assert_eq!(w.till().payments_ever(), w.disk.payments() as u64, "I4: a restart lost a payment");
    let free = w.till().open_payments().all(|p| p.attempts.iter().all(|a| a.state != AttemptState::Sent));
    assert!(free, "I4: a request of before the restart is taken as still on its way");
    batch::i16_limit_counters_are_the_fold(w);
    suspend::s11_what_is_suspended_stays_so(w);
    office::s48_what_was_taken_stays_taken(w);
}
