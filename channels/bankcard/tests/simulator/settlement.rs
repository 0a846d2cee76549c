//! The end of a batch: compared, told detail by detail, taken up again after lost answers, while the next batch sells.

use super::{PAN, START, TID, Till, cny};
use std::collections::BTreeMap;
use till_plugin::Channel;
use till_plugin::channel::{
    FollowKind, NextStep, Outcome, Settle, SettleOutcome, UndoOutcome, Upload, UploadRecord,
};
use till_plugin::{Extra, Sensitive};
use till_simulators::acquirer::HostConfig;
use till_simulators::acquirer::ledger::Key;
use till_simulators::faults::{Fault, Rule};

impl Till {
    /// Totals of a batch, as our book has them.
    pub(crate) fn settle(&mut self, batch: u32) -> SettleOutcome {
        let (debits, credits) = self.book.totals(batch);
        let request = Settle {
            ids: self.ids(),
            batch,
            debits: (cny(debits.0), debits.1),
            credits: (cny(credits.0), credits.1),
            operator: None,
            extra: Extra::new(),
        };
        self.plugin.settle(&request)
    }

    fn upload(&mut self, batch: u32, records: Vec<UploadRecord>, count: usize, balanced: bool) -> Outcome {
        let request =
            Upload { ids: self.ids(), batch, records, count: u32::try_from(count).unwrap(), balanced };
        self.plugin.upload(&request)
    }

    /// Closes a batch whose totals agree and goes on with the next.
    pub(crate) fn settled(&mut self) {
        let batch = self.batch;
        assert_eq!(self.settle(batch), SettleOutcome::Balanced);
        assert!(matches!(self.upload(batch, Vec::new(), 0, true), Outcome::Approved(_)));
        self.batch += 1;
    }

    /// Uploads from a pointer that only an answer moves, as the daemon's journal keeps it; how many tries it took.
    fn upload_all(&mut self, batch: u32, step: usize) -> usize {
        let records = self.book.details(batch);
        let (mut at, mut tries) = (0, 0);
        while at < records.len() {
            let some = &records[at..records.len().min(at + step)];
            tries += 1;
            assert!(tries < 50, "the upload never ends");
            match self.upload(batch, some.to_vec(), records.len(), false) {
                Outcome::Approved(_) => at += some.len(),
                Outcome::Unknown(_) | Outcome::NotSent(_) => {}
                Outcome::Declined(decline) => panic!("{decline:?}"),
            }
        }
        tries
    }
}

#[test]
fn a_batch_of_everything_is_balanced_and_closed() {
    everything_is_closed(Till::start());
}

pub(crate) fn everything_is_closed(mut till: Till) {
    let first = till.sold(12_850, false);
    let second = till.sold(700, false);
    let hold = till.sold(10_000, true);
    for (kind, original, minor) in [
        (FollowKind::Void, &first, 12_850),
        (FollowKind::Refund, &second, 300),
        (FollowKind::Capture, &hold, 8_000),
    ] {
        let leg = till.following(kind, original, minor);
        assert_eq!(till.done(&leg), "approved");
    }
    assert_eq!(till.book.totals(1), ((21_550, 3), (13_150, 2)));
    till.settled();
    let closed = till.acquirer.closed().remove(0);
    assert!(closed.balanced && closed.host == closed.terminal);
    assert_eq!(till.acquirer.batch(TID), Some(2));
    assert!(matches!(till.sell(PAN, 100).2, Outcome::Approved(_)));
    till.books_agree();
}

#[test]
fn the_next_batch_sells_between_the_exchanges_of_a_settlement() {
    let mut till = Till::start();
    till.sold(1_000, false);
    till.sold(2_000, false);
    let lost = Key { tid: TID.into(), batch: "000001".into(), trace: "000003".into() };
    assert!(till.acquirer.lose(&lost));
    // The till froze batch 1 and opened batch 2 before it spoke to anybody.
    till.batch = 2;
    till.sold(70, false);
    assert_eq!(till.settle(1), SettleOutcome::Unbalanced);
    till.sold(7, false);
    till.upload_all(1, 8);
    let sale = till.sold(700, false);
    let void = till.following(FollowKind::Void, &sale, 700);
    assert_eq!(till.done(&void), "approved");
    assert_eq!(till.settle(1), SettleOutcome::Balanced, "compared again, the details are in");
    assert!(matches!(till.upload(1, Vec::new(), 2, false), Outcome::Approved(_)));
    till.books_agree();
    till.settled();
    assert_eq!(till.acquirer.closed().iter().map(|c| c.host == c.terminal).collect::<Vec<_>>(), [true, true]);
    assert_eq!(till.acquirer.card_balance(PAN).unwrap().minor(), START - 3_077);
}

/// Policy case set-unbalanced: eleven details are eight, three, and the end mark 207 with 0011.
#[test]
fn details_go_up_eight_at_a_time_each_notice_alone_and_the_end_mark_counts_them() {
    let mut till = Till::start();
    let sales: Vec<_> = (1..=10).map(|minor| till.sold(minor * 100, false)).collect();
    let void = till.following(FollowKind::Void, &sales[0], 100);
    assert_eq!(till.done(&void), "approved");
    let lost = Fault::Answer { code: "00".into(), sub_code: None, fields: BTreeMap::new(), booked: false };
    till.acquirer.faults().add(Rule::once("refund", lost)).unwrap();
    let refund = till.following(FollowKind::Refund, &sales[9], 400);
    assert_eq!(till.done(&refund), "approved");
    assert_eq!(till.settle(1), SettleOutcome::Unbalanced);
    let before = till.acquirer.stats().received;
    let records = till.book.details(1);
    assert_eq!(records.len(), 12);
    assert!(matches!(till.upload(1, records, 12, false), Outcome::Approved(_)));
    assert_eq!(till.acquirer.stats().received - before, 3, "eight, three, one notice");
    assert!(matches!(till.upload(1, Vec::new(), 12, false), Outcome::Approved(_)));
    let closed = till.acquirer.closed().remove(0);
    assert_eq!((closed.uploaded, closed.booked), (12, vec![format!("{:06}", refund.ids.trace)]));
    assert!(closed.differences.is_empty() && closed.surplus.is_empty() && closed.host == closed.terminal);
}

#[test]
fn an_upload_goes_on_at_its_record_after_lost_answers_and_a_restart() {
    an_upload_goes_on(Till::start(), |_| ());
}

pub(crate) fn an_upload_goes_on(mut till: Till, change: fn(&mut serde_json::Value)) {
    let sales: Vec<_> = (1..=9).map(|minor| till.sold(minor * 100, false)).collect();
    for sale in &sales[..2] {
        let refund = till.following(FollowKind::Refund, sale, 50);
        assert_eq!(till.done(&refund), "approved");
    }
    for trace in ["000005", "000009", "000011"] {
        let lost = Key { tid: TID.into(), batch: "000001".into(), trace: trace.into() };
        assert!(till.acquirer.lose(&lost));
    }
    assert_eq!(till.settle(1), SettleOutcome::Unbalanced);
    let faults = [
        Fault::DropBeforeBooking {},
        Fault::DropAfterBooking {},
        Fault::HalfReply {},
        Fault::WrongReference {},
        Fault::Garbage {},
        Fault::HoldReply {},
    ];
    for (at, fault) in faults.into_iter().enumerate() {
        let after = u32::from(at > 0);
        let rule = Rule { after, ..Rule::once("batch-upload", fault) };
        till.acquirer.faults().add(rule).unwrap();
    }
    // In the middle the plugin's process dies; only the pointer and the kept data are left.
    let records = till.book.details(1);
    assert!(matches!(till.upload(1, records[..2].to_vec(), 11, false), Outcome::Unknown(_)));
    till.restart(change);
    let tries = till.upload_all(1, 2);
    till.acquirer.faults().release();
    assert!(tries > 6, "{tries}");
    till.acquirer.faults().add(Rule::once("batch-end", Fault::DropAfterBooking {})).unwrap();
    assert!(matches!(till.upload(1, Vec::new(), 11, false), Outcome::Unknown(_)));
    assert!(
        matches!(till.upload(1, Vec::new(), 11, false), Outcome::Approved(_)),
        "the end may be told twice"
    );
    let closed = till.acquirer.closed();
    assert_eq!(closed.len(), 1);
    assert_eq!((closed[0].uploaded, closed[0].booked.len()), (11, 3));
    assert!(closed[0].differences.is_empty() && closed[0].host == closed[0].terminal);
    till.books_agree();
}

/// Policy case set-0500-lost: asked again; the batch stays open until somebody knows.
#[test]
fn a_settlement_whose_answer_is_lost_or_spoilt_is_asked_again() {
    let mut till = Till::start();
    till.sold(1_000, false);
    for fault in [
        Fault::DropBeforeBooking {},
        Fault::DropAfterBooking {},
        Fault::HalfReply {},
        Fault::WrongReference {},
        Fault::Garbage {},
        // Other totals that are called balanced are an answer to something else.
        Fault::WrongAmount { by: 1 },
    ] {
        till.acquirer.faults().add(Rule::once("settlement", fault.clone())).unwrap();
        let outcome = till.settle(1);
        assert!(matches!(outcome, SettleOutcome::Unknown(_)), "{fault:?}: {outcome:?}");
        assert!(till.acquirer.closed().is_empty());
    }
    till.settled();
}

/// Policy cases rev-settle-blocked and set-97.
#[test]
fn a_settlement_waits_for_the_reversal_and_believes_a_no() {
    let mut till = Till::start();
    till.acquirer.faults().add(Rule::once("sale", Fault::DropAfterBooking {})).unwrap();
    let (request, prepared, outcome) = till.sell(PAN, 1_000);
    let Outcome::Unknown(unknown) = outcome else { panic!("{outcome:?}") };
    let waiting = till.settle(1);
    assert!(matches!(&waiting, SettleOutcome::Refused(no) if no.code == "reversal-pending"), "{waiting:?}");
    assert!(matches!(till.resolve(&request, &prepared, &unknown), UndoOutcome::Undone { .. }));
    for (code, next) in [("97", NextStep::CallSupport), ("77", NextStep::SignIn)] {
        let no = Fault::Answer { code: code.into(), sub_code: None, fields: BTreeMap::new(), booked: false };
        till.acquirer.faults().add(Rule::once("settlement", no)).unwrap();
        let refused = till.settle(1);
        assert!(
            matches!(&refused, SettleOutcome::Refused(no) if no.code == code && no.next == next),
            "{refused:?}"
        );
    }
    till.settled();
}

#[test]
fn a_record_that_cannot_be_told_is_refused_by_name_and_the_others_are_not_held_up() {
    let mut till = Till::start();
    till.sold(100, false);
    till.sold(200, false);
    assert!(till.acquirer.lose(&Key { tid: TID.into(), batch: "000001".into(), trace: "000003".into() }));
    assert_eq!(till.settle(1), SettleOutcome::Unbalanced);
    let mut records = till.book.details(1);
    records[0].recovery = Sensitive::new(Vec::new());
    let Outcome::Declined(decline) = till.upload(1, records.clone(), 2, false) else {
        panic!("not declined")
    };
    assert!(decline.code == "no-detail" && decline.text.contains("000002"), "{decline:?}");
    // One at a time, as the daemon goes on.
    assert!(matches!(till.upload(1, vec![records.remove(1)], 2, false), Outcome::Approved(_)));
    assert_eq!(till.settle(1), SettleOutcome::Balanced);
}

#[test]
fn a_network_that_is_shut_while_it_settles_is_left_alone() {
    let host = HostConfig { settle_blocks_sales: true, ..HostConfig::default() };
    let mut till = Till::with(|settings| settings["settle_blocks_sales"] = true.into(), host);
    let sale = till.sold(100, false);
    assert_eq!(till.settle(1), SettleOutcome::Balanced);
    till.batch = 2;
    let refund = till.following(FollowKind::Refund, &sale, 10);
    let refused = till.plugin.prepare_follow(&refund).unwrap_err();
    assert_eq!((refused.code.as_str(), refused.next), ("settling", NextStep::Later));
    assert!(matches!(till.upload(1, Vec::new(), 0, true), Outcome::Approved(_)));
    assert_eq!(till.done(&refund), "approved");
    till.books_agree();
}
