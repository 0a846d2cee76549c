//! The bytes of every record, for ever: a journal of today must be readable by every later tilld.

#![allow(clippy::expect_used)]

mod samples;

use std::collections::BTreeMap;

use samples::records;
use till_core::{MAX_RECORD, Record};

const GOLDEN: &str = include_str!("golden/records.txt");

/// Names of batch events: twelve variants, and an upload has its own for what begins and what is answered.
const BATCH_EVENTS: usize = 14;

/// Names of what happens to a dispute.
const DISPUTE_EVENTS: usize = 4;

/// Names of what happens about a merchant.
const MERCHANT_EVENTS: usize = 4;

/// Names of what happens to announced maintenance.
const MAINTENANCE_EVENTS: usize = 2;

const RULE: &str = "A record that was ever written must be readable for ever: do not change or move a variant or a type \
                    inside it. Add a new variant at the end of `Record` (and of the enum inside it), keep the old one, \
                    and add its line to tests/golden/records.txt.";

fn golden() -> BTreeMap<&'static str, Vec<u8>> {
    GOLDEN
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .filter_map(|l| l.split_once(' '))
        .map(|(name, digits)| (name, bytes(digits)))
        .collect()
}

fn bytes(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).filter_map(|i| u8::from_str_radix(&digits[i..i + 2], 16).ok()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |s, b| format!("{s}{b:02x}"))
}

#[test]
fn every_record_has_its_bytes_for_ever() {
    let golden = golden();
    let mut missing = String::new();
    for (name, record) in records() {
        let now = record.encode().expect("it encodes");
        let Some(stored) = golden.get(name.as_str()) else {
            missing += &[&name, " ", &hex(&now), "\n"].concat();
            continue;
        };
        assert_eq!(hex(&now), hex(stored), "the bytes of {name} changed. {RULE}");
        assert_eq!(
            Record::decode(stored).as_ref(),
            Ok(&record),
            "{name} reads back as something else. {RULE}"
        );
    }
    // Lines can only be added: those that are there are compared above, whatever is set.
    if !missing.is_empty() && std::env::var_os("UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/records.txt");
        std::fs::write(path, format!("{GOLDEN}{missing}")).expect("the golden file can be written");
    } else {
        assert!(
            missing.is_empty(),
            "records without golden bytes; if they are new, UPDATE=1 adds these lines:\n{missing}"
        );
    }
}

/// Why a channel was chosen can be told of every record that was ever written: it chooses again by itself.
#[test]
fn every_decision_that_was_ever_recorded_chooses_again() {
    let (mut before, mut weighed) = (0, 0);
    for (name, stored) in golden() {
        let Ok(Record::AttemptCreated { decision, .. } | Record::Tendered { decision, .. }) =
            Record::decode(&stored)
        else {
            continue;
        };
        // A sample whose chosen channel is no candidate is none of a choice.
        let chosen = decision.chosen.as_ref();
        if chosen.is_some_and(|chosen| decision.candidates.iter().all(|c| c.channel != *chosen)) {
            continue;
        }
        assert!(decision.is_consistent(), "{name}: {decision:?}");
        let (en, zh) = decision.explain(samples::fen(100));
        assert!(!en.is_empty() && !zh.is_empty(), "{name}");
        let weights = decision.candidates.iter().any(|c| c.verdict.weights().is_some());
        *(if weights { &mut weighed } else { &mut before }) += 1;
    }
    assert!(before > 2 && weighed > 0, "{before} records of before weights, {weighed} with them");
}

/// No line is taken away, and no variant is without one. The match makes a new variant a compile error here.
#[test]
fn every_variant_and_every_line_is_tried() {
    let samples = records();
    for name in golden().keys() {
        assert!(samples.iter().any(|(n, _)| n == name), "the sample of {name} is gone. {RULE}");
    }
    let kinds: std::collections::BTreeSet<&str> = samples.iter().map(|(_, r)| r.name()).collect();
    let count = |r: &Record| match r {
        Record::Opened { .. }
        | Record::AmountConfirmed { .. }
        | Record::AttemptCreated { .. }
        | Record::NotSent { .. }
        | Record::Sent { .. }
        | Record::Approved { .. }
        | Record::Declined { .. }
        | Record::BecameUnknown { .. }
        | Record::QueryStarted { .. }
        | Record::QueryOpen { .. }
        | Record::UndoDecided { .. }
        | Record::UndoStarted { .. }
        | Record::UndoAnswered { .. }
        | Record::WentToReview { .. }
        | Record::CancelRequested { .. }
        | Record::Cancelled { .. }
        | Record::LateAnswer { .. }
        | Record::ChannelSelected { .. }
        | Record::TraceTaken { .. }
        | Record::SignedIn { .. }
        | Record::JobSent { .. }
        | Record::JobEnded { .. }
        | Record::DrawerOpened { .. }
        | Record::OpenedFor { .. }
        | Record::Tendered { .. }
        | Record::LegCreated { .. }
        | Record::LegPresented { .. }
        | Record::ReturnDecided { .. }
        | Record::PaymentToReview { .. }
        | Record::HoldExpired { .. }
        | Record::Abandoned { .. }
        | Record::Reopened { .. }
        | Record::ReviewProposed { .. }
        | Record::ReviewDecided { .. }
        | Record::Resealed { .. }
        | Record::AcknowledgementAsked { .. }
        | Record::Acknowledged { .. }
        | Record::Resumed { .. }
        | Record::Parked { .. }
        | Record::CopyRequested { .. }
        | Record::NoticesTaken { .. }
        | Record::On { .. }
        | Record::OpenedTraining { .. }
        | Record::TrainingSet { .. }
        | Record::ChannelSuspended { .. }
        | Record::ChannelResumed { .. }
        // Every kind of dispute, merchant and batch event has a name of its own.
        | Record::Merchant { .. }
        | Record::Maintenance { .. }
        | Record::Dispute { .. }
        | Record::Batch(_) => 46 + DISPUTE_EVENTS + MERCHANT_EVENTS + MAINTENANCE_EVENTS,
    };
    assert_eq!(
        kinds.len(),
        count(&samples[0].1) + BATCH_EVENTS,
        "a variant has no sample in tests/samples; there are {kinds:?}"
    );
}

#[test]
fn damaged_and_foreign_bytes_are_told_apart() {
    use till_core::record::RecordError;
    let good = records()[0].1.encode().expect("it encodes");
    assert_eq!(Record::decode(&[]), Err(RecordError::Undecodable(0)));
    let mut later = good.clone();
    later[0] = 2;
    assert_eq!(Record::decode(&later), Err(RecordError::Version(2)));
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(Record::decode(&longer), Err(RecordError::Undecodable(longer.len())));
    for cut in 1..good.len() {
        assert_eq!(
            Record::decode(&good[..cut]),
            Err(RecordError::Undecodable(cut)),
            "{cut} bytes of a record"
        );
    }
}

#[test]
fn the_limit_is_that_of_the_journal() {
    assert_eq!(MAX_RECORD, till_journal::MAX_PAYLOAD);
}
