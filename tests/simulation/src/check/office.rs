//! What the office does: paper that was given up stays away, notices that were taken stay taken, the drawer leaves a
//! record, and what was sealed anew is what a follow-up gets.

use std::collections::{BTreeMap, BTreeSet};

use till_core::Record;

use crate::world::World;

/// What the checks remember.
#[derive(Default)]
pub(super) struct Office {
    /// Jobs that are over, whichever way.
    ended: BTreeSet<u64>,
    /// How far each receiver of notices has them.
    taken: BTreeMap<String, u64>,
}

/// After every record.
pub(super) fn after_record(w: &mut World, record: &Record) {
    match record {
        Record::JobEnded { job, how } => {
            w.watch.office.ended.insert(*job);
            if how == "cancelled" {
                w.tally.see("papers given up");
            }
        }
        Record::NoticesTaken { sink, seq } => {
            let taken = w.watch.office.taken.entry(sink.clone()).or_default();
            *taken = (*taken).max(*seq);
            w.tally.see("notices taken");
        }
        Record::DrawerOpened { .. } => w.tally.see("drawer opened without a sale"),
        Record::Resealed { payment, attempt, recovery, .. } => {
            let of = w.shell.till().payment(*payment).and_then(|p| p.attempt(*attempt));
            let Some(order) = of.map(|a| a.ids.order.clone()) else { return };
            w.watch.sealed_anew(&order, recovery);
            w.tally.see("sealed anew");
        }
        _ => {}
    }
    s48_what_was_taken_stays_taken(w);
}

/// S48, after every record and every restart.
pub(super) fn s48_what_was_taken_stays_taken(w: &World) {
    for (sink, seq) in &w.watch.office.taken {
        assert_eq!(w.till().notices_taken(sink), *seq, "S48: {sink} would be told again, or not at all");
    }
}

/// S64: paper that is over, printed or given up, does not come out any more.
pub(crate) fn s64_what_is_over_is_not_printed(w: &World, job: u64) {
    assert!(!w.watch.office.ended.contains(&job), "S64: paper {job} comes out after its end");
}

/// S23, W5: who opened the drawer, and why, is on disk before it opens.
pub(crate) fn s23_the_drawer_leaves_a_record(w: &World, why: &str) {
    let newest = w.disk.record(w.disk.len()).0;
    let said = matches!(&*newest, Record::DrawerOpened { reason, .. } if reason == why);
    assert!(said, "S23: the drawer opens for {why:?}, and its record is not on disk");
}
