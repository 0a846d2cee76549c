//! What must be true after every record, before every request, and when everything has come to rest. Numbers are those
//! of the specification (pos.md §3.5 W1–W8, §3.8 I1–I24); docs/reliability.md has the table.

mod batch;
mod desk;
mod doors;
mod full;
mod money;
mod office;
mod rest;
mod send;
mod step;
mod suspend;
mod training;

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};
use till_core::{AttemptState, PaymentId, PaymentState, Record, Verdict};
use till_plugin::channel::AttemptIds;

pub(crate) use batch::{
    before_settling, details_are_there, i12_shredded_is_closed, w05_closed_before_its_slip,
};
pub(crate) use desk::nobody;
pub(crate) use doors::{Doors, Wall};
pub(crate) use full::i12_its_network_can_count_it;
pub(crate) use office::{s23_the_drawer_leaves_a_record, s64_what_is_over_is_not_printed};
pub(crate) use rest::at_rest;
pub(crate) use send::{
    before_sending, w05_on_disk_before_anybody_hears, w06_the_job_is_on_disk_before_the_paper,
};
pub(crate) use step::{after_record, after_restart, i07_replay_gives_the_live_state};
pub(crate) use training::i17_only_training_goes_to_the_training_host;

use crate::disk;

use crate::world::World;

/// What the checks remember of a payment.
#[derive(Default)]
struct Seen {
    state: Option<PaymentState>,
    attempts: Vec<AttemptState>,
    /// Attempts whose request left, and when.
    sent: Vec<(u32, u64)>,
    alarms: Vec<&'static str>,
    /// What the first of two people said.
    proposal: Option<(u32, Verdict, String)>,
    /// The till's batch that was open when it was opened.
    opened_in: u32,
    /// Two people found out that an attempt happened that the machine could not find out.
    found: bool,
    /// It was opened for training.
    training: bool,
}

/// What the checks remember.
#[derive(Default)]
pub(crate) struct Watch {
    seen: Vec<Seen>,
    /// By key and whether it is of training.
    keys: FxHashMap<(bool, String), PaymentId>,
    orders: FxHashSet<String>,
    /// Trace numbers given, by channel.
    traces: BTreeSet<(usize, u32)>,
    recoveries: FxHashMap<String, (usize, Vec<u8>)>,
    prints: BTreeMap<u64, (PaymentId, u32)>,
    /// Suspended channels, from the records that say so.
    suspended: BTreeSet<String>,
    books: batch::Books,
    desk: desk::Desk,
    office: office::Office,
}

impl Watch {
    fn of(&mut self, payment: PaymentId) -> &mut Seen {
        let n = disk::number(payment);
        if self.seen.len() <= n {
            self.seen.resize_with(n + 1, Seen::default);
        }
        &mut self.seen[n]
    }

    /// People know that the channel is suspended.
    pub(crate) fn is_suspended(&self, channel: &str) -> bool {
        self.suspended.contains(channel)
    }

    /// The till's batch in which a payment was opened.
    pub(crate) fn opened_in(&mut self, payment: PaymentId) -> u32 {
        self.of(payment).opened_in
    }

    /// States of a payment's attempts after its last record.
    fn attempts_of(&self, payment: PaymentId) -> &[AttemptState] {
        self.seen.get(disk::number(payment)).map(|s| s.attempts.as_slice()).unwrap_or_default()
    }

    /// When the request of an attempt left, ms of the world.
    pub(crate) fn sent_at(&mut self, payment: PaymentId, attempt: u32) -> u64 {
        self.of(payment).sent.iter().find(|(a, _)| *a == attempt).map_or(0, |(_, at)| *at)
    }

    pub(crate) fn alarmed(&mut self, payment: PaymentId, code: &'static str) {
        self.of(payment).alarms.push(code);
    }

    /// The recovery data that a channel gives for an attempt.
    pub(crate) fn recovery(&mut self, channel: usize, ids: &AttemptIds) -> Vec<u8> {
        let data = [&channel.to_string(), &ids.order, &ids.trace.to_string()].map(String::as_str).join(" ");
        let data = data.into_bytes();
        self.recoveries.insert(ids.order.clone(), (channel, data.clone()));
        data
    }

    /// It is sealed anew: a follow-up gets what it is now.
    fn sealed_anew(&mut self, order: &str, recovery: &[u8]) {
        if let Some((_, data)) = self.recoveries.get_mut(order) {
            data.clear();
            data.extend_from_slice(recovery);
        }
    }

    /// I22: a query or undo goes to the channel of its original, with the numbers and recovery data of it.
    pub(crate) fn i22_follow_up_goes_where_its_original_went(
        &self,
        channel: usize,
        ids: &AttemptIds,
        recovery: &[u8],
    ) {
        let Some((its, data)) = self.recoveries.get(&ids.order) else {
            panic!("I22: a follow-up to {}, which was never prepared", ids.order)
        };
        assert_eq!(*its, channel, "I22: a follow-up to another channel");
        assert_eq!(data, recovery, "I22: a follow-up without its original's recovery data");
    }
}

impl World {
    /// I20: each receipt number is one record's, and a second paper of it says that it is one.
    pub(crate) fn i20_printed(&mut self, job: u64, payment: PaymentId, copy: u32, restarted: bool) {
        self.watch.desk.i20_a_copy_says_which_it_is(job, copy);
        let (of, before) = self.watch.prints.entry(job).or_insert((payment, 0));
        assert_eq!(*of, payment, "I20: receipt {job} is printed for two payments");
        // Dying between the record and the print makes a copy marked that need not be: the safe side.
        assert!(
            restarted || *before == 0,
            "I20: receipt {job} is printed a second time as if it were the first"
        );
        *before += 1;
    }
}

/// A record as the journal gives it back.
pub(crate) fn read_back(payload: &[u8]) -> Record {
    match Record::decode(payload) {
        Ok(record) => record,
        Err(e) => panic!("what was written cannot be read: {e}"),
    }
}

/// The record without the wrapping that says which attempt it is about.
fn inner(record: &Record) -> &Record {
    if let Record::On { event, .. } = record { event } else { record }
}
