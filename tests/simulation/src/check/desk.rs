//! Sign-ins, copies and cases: the numbers that networks and people give, and that none of it moves money.

use std::collections::BTreeMap;

use till_core::batch::BatchEvent;
use till_core::dispute::DisputeEvent;
use till_core::{PaymentId, Record};

use crate::profile;
use crate::world::World;

/// What the checks remember.
#[derive(Default)]
pub(super) struct Desk {
    /// The batch number that each network wants used: of its last sign-in, or the one after a close.
    network: BTreeMap<usize, u32>,
    /// Copies of a receipt of a payment, or of the slip of a batch.
    copies: BTreeMap<(PaymentId, u64), u32>,
    /// Which copy each job of one is.
    jobs: BTreeMap<u64, u32>,
    cases: Vec<Case>,
}

struct Case {
    payment: PaymentId,
    attempt: u32,
    closed: bool,
}

/// Whose paper a settlement slip is.
pub(crate) fn nobody(batch: u32) -> PaymentId {
    let mut id = [0xff; 16];
    id[12..].copy_from_slice(&batch.to_be_bytes());
    PaymentId(id)
}

/// After every record.
pub(super) fn after_record(w: &mut World, record: &Record) {
    match record {
        Record::SignedIn { channel, batch: Some(batch) } => {
            assert!((1..=999_999).contains(batch), "I13: {batch} is no number of a batch");
            w.watch.desk.network.insert(profile::index(channel), *batch);
            w.tally.see("batch numbers wanted by a network");
        }
        Record::Batch(BatchEvent::Frozen { moved, .. }) => {
            for (channel, number) in moved {
                w.watch.desk.network.insert(profile::index(channel), *number);
            }
        }
        Record::Batch(BatchEvent::PartClosed { part, by_hand: Some(_), .. }) => {
            w.hosts[profile::index(&part.channel)].left.insert(part.network);
        }
        Record::Batch(BatchEvent::SlipRequested { batch, job, copy, .. }) => {
            w.watch.desk.i20_copies_are_counted(nobody(*batch), 0, *job, *copy);
            w.tally.see("slips printed again");
        }
        Record::CopyRequested { job, payment, receipt, copy, .. } => {
            w.watch.desk.i20_copies_are_counted(*payment, *receipt, *job, *copy);
            w.tally.see("receipts printed again");
        }
        Record::Tendered { ids, decision, .. } => {
            w.watch.desk.i13_the_networks_number(decision.chosen.as_deref().unwrap_or_default(), ids.batch);
        }
        Record::LegCreated { ids, channel, .. } => w.watch.desk.i13_the_networks_number(channel, ids.batch),
        Record::Dispute { payment, number, event, .. } => {
            s52_a_case_is_about_money_that_was_taken(w, *payment, *number, event);
        }
        _ => {}
    }
}

impl Desk {
    /// I13: what is sent goes under the number that its network wants.
    fn i13_the_networks_number(&self, channel: &str, batch: u32) {
        if channel == till_core::training::CHANNEL {
            return;
        }
        let wanted = self.network.get(&profile::index(channel)).copied().unwrap_or(1);
        assert_eq!(
            batch, wanted,
            "I13: {channel} is sent something under another batch number than it wants"
        );
    }

    /// I20: copies are 1, 2, 3 …, each once, and each a job of its own.
    fn i20_copies_are_counted(&mut self, whose: PaymentId, receipt: u64, job: u64, copy: u32) {
        let before = self.copies.insert((whose, receipt), copy).unwrap_or(0);
        assert_eq!(copy, before + 1, "I20: a copy has the wrong number");
        assert_eq!(self.jobs.insert(job, copy), None, "I20: two copies are one job");
    }

    /// I20: the paper says which copy it is.
    pub(super) fn i20_a_copy_says_which_it_is(&self, job: u64, copy: u32) {
        assert_eq!(
            copy,
            self.jobs.get(&job).copied().unwrap_or(0),
            "I20: the paper of job {job} says another copy"
        );
    }
}

/// S52: cases are numbered, one at a time about one attempt, within what it took; what is closed stays so.
fn s52_a_case_is_about_money_that_was_taken(
    w: &mut World,
    payment: PaymentId,
    number: u32,
    event: &DisputeEvent,
) {
    let taken = |attempt: &u32| {
        w.till()
            .payment(payment)
            .filter(|p| !p.training)?
            .attempt(*attempt)
            .filter(|a| a.stands() && a.kind.takes())
    };
    let cases = &w.watch.desk.cases;
    let at = number as usize - 1;
    match event {
        DisputeEvent::Opened { attempt, amount, .. } => {
            let most = taken(attempt).map_or(0, |a| a.amount.minor());
            assert!(amount.minor() <= most, "S52: {amount} are disputed of {most}");
            assert_eq!(at, cases.len(), "S52: numbers of cases have a gap");
            let open = cases.iter().any(|c| (c.payment, c.attempt) == (payment, *attempt) && !c.closed);
            assert!(!open, "S52: two cases are open about attempt {attempt} of {payment}");
            w.watch.desk.cases.push(Case { payment, attempt: *attempt, closed: false });
            w.tally.see("disputes");
        }
        event => {
            let Some(case) = cases.get(at).filter(|c| c.payment == payment && !c.closed) else {
                panic!("S52: case {number} goes on, which is closed or not there")
            };
            let (payment, attempt) = (case.payment, case.attempt);
            let closed = matches!(event, DisputeEvent::Closed { .. });
            w.watch.desk.cases[at] = Case { payment, attempt, closed };
        }
    }
    let open = w.watch.desk.cases.iter().filter(|c| !c.closed).count();
    let theirs = w.till().disputes().all().filter(|d| !d.state.is_closed()).count();
    assert_eq!(open, theirs, "S52: a case is lost");
}
