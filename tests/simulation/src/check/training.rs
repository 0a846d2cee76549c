//! Training counts nowhere (I17).

use till_core::training::Train;
use till_core::{Payment, Record, Till};

use super::Seen;
use crate::profile::CHANNELS;
use crate::world::World;

/// What a record says of its payment when it opens it stays so, and the till was in the mode that it says.
pub(super) fn i17_a_payment_is_training_from_its_first_record_on(
    seen: &mut Seen,
    till: &Till,
    p: &Payment,
    record: &Record,
) {
    if record.opens().is_some() {
        seen.training = matches!(record, Record::OpenedTraining { .. });
        assert_eq!(seen.training, till.is_training(), "I17: opened as what the till is not in: {p:?}");
    }
    assert_eq!(p.training, seen.training, "I17: training became real, or the other way round: {p:?}");
    let asks = p.training && matches!(record, Record::WentToReview { .. });
    assert!(!asks, "I17: people are asked what became of a training payment: {p:?}");
}

/// Batches, limits, numbers, cases, what is owed to networks: all as if there had been no training.
pub(super) fn i17_the_books_without_training_are_the_books(w: &World) {
    let Some(without) = &w.untrained else { return };
    let with = w.till();
    assert!(with.batches() == without.batches(), "I17: training counts in a batch");
    assert!(with.limit_counters() == without.limit_counters(), "I17: training counts against limits");
    assert_eq!(with.uses_under_way().count(), without.uses_under_way().count(), "I17: limits, under way");
    let numbers = |t: &Till| (t.next_order(), t.next_receipt(), t.needed_from(None));
    assert_eq!(numbers(with), numbers(without), "I17: training uses numbers of real payments");
    for (channel, _) in CHANNELS {
        let of = |t: &Till| (t.next_trace(channel), t.batch(channel));
        assert_eq!(of(with), of(without), "I17: training uses numbers of {channel}");
    }
    assert_eq!(with.slots_taken(), without.slots_taken(), "I17: training holds a reversal slot");
    assert!(with.disputes() == without.disputes(), "I17: a training payment is disputed");
    let real = with.open_payments().filter(|p| !p.training);
    assert!(real.eq(without.open_payments()), "I17: a real payment is not what it would be without training");
}

/// Nothing real is answered by the training host.
pub(crate) fn i17_only_training_goes_to_the_training_host(w: &World, train: &Train) {
    let p = w.till().payment(train.payment);
    assert!(p.is_some_and(|p| p.training), "I17: the training host answers for a real payment: {train:?}");
}
