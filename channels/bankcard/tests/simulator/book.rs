//! What a daemon's journal would say: every approval, in its batch. Sums are folds of it and nothing else.

use till_plugin::channel::{Approval, AttemptIds, FollowKind, Prepared, RecordKind, Reference, UploadRecord};

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leg {
    Sale,
    Hold,
    Follow(FollowKind),
}

impl Leg {
    fn record(self) -> RecordKind {
        match self {
            Self::Sale => RecordKind::Sale,
            Self::Hold => RecordKind::Hold,
            Self::Follow(FollowKind::Void) => RecordKind::Void,
            Self::Follow(FollowKind::Refund) => RecordKind::Refund,
            Self::Follow(FollowKind::Capture) => RecordKind::Capture,
            Self::Follow(_) => RecordKind::Release,
        }
    }
}

struct Entry {
    leg: Leg,
    record: UploadRecord,
}

impl Entry {
    fn minor(&self) -> i64 {
        self.record.reference.approval.amount.minor()
    }

    fn is(&self, reference: &Reference) -> bool {
        self.record.reference.ids == reference.ids
    }
}

/// The book.
#[derive(Default)]
pub(crate) struct Book(Vec<Entry>);

type Side = (i64, u32);

impl Book {
    pub(crate) fn enter(
        &mut self,
        leg: Leg,
        ids: &AttemptIds,
        approval: &Approval,
        prepared: &Prepared,
        original: Option<&Reference>,
    ) {
        let reference = Reference { ids: ids.clone(), amount: approval.amount, approval: approval.clone() };
        let record = UploadRecord {
            reference,
            kind: leg.record(),
            recovery: prepared.recovery.clone(),
            original: original.cloned(),
        };
        self.0.push(Entry { leg, record });
    }

    /// Debits and credits of a batch.
    pub(crate) fn totals(&self, batch: u32) -> (Side, Side) {
        let sum = |legs: &[Leg]| {
            let mine =
                self.0.iter().filter(|e| e.record.reference.ids.batch == batch && legs.contains(&e.leg));
            mine.fold((0, 0), |(sum, count), entry| (sum + entry.minor(), count + 1))
        };
        let debits = sum(&[Leg::Sale, Leg::Follow(FollowKind::Capture)]);
        (debits, sum(&[Leg::Follow(FollowKind::Void), Leg::Follow(FollowKind::Refund)]))
    }

    /// The details of a batch, in order; holds and releases are none.
    pub(crate) fn details(&self, batch: u32) -> Vec<UploadRecord> {
        let counts = |e: &&Entry| {
            let moved = !matches!(e.leg, Leg::Hold | Leg::Follow(FollowKind::Release));
            moved && e.record.reference.ids.batch == batch
        };
        self.0.iter().filter(counts).map(|entry| entry.record.clone()).collect()
    }

    /// What the card is short of: taken, held and not given back.
    pub(crate) fn short(&self) -> i64 {
        self.0.iter().map(|entry| self.moved(entry)).sum()
    }

    fn moved(&self, entry: &Entry) -> i64 {
        let of = entry.record.original.as_ref().and_then(|of| self.0.iter().find(|e| e.is(of)));
        match entry.leg {
            Leg::Sale | Leg::Hold => entry.minor(),
            // The first completion ends the hold.
            Leg::Follow(FollowKind::Capture) => entry.minor() - of.map_or(0, Entry::minor),
            // Voiding a completion brings its hold back.
            Leg::Follow(FollowKind::Void) => -of.map_or(0, |of| self.moved(of)),
            Leg::Follow(_) => -entry.minor(),
        }
    }
}
