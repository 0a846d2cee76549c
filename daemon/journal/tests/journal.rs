//! The journal through its front door: order, atomic groups, answers, reads, epochs, evidence.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread;

use common::{TestClock, fill, key, numbers, open, open_with, options, record, subject};
use till_journal::{
    Checkpoint, DeviceKey, Journal, JournalError, KIND_CHECKPOINT, MAX_FRAME, MAX_GROUP, MAX_PAYLOAD,
    NewRecord, Urgency, shim_active, verify_export,
};

#[test]
fn the_shim_is_linked_in() {
    assert!(shim_active());
}

#[test]
fn records_come_back_as_written_in_order_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let (journal, report) = open(dir.path());
        assert!(!report.has_alarm(), "{report:?}");
        assert_eq!(numbers(&journal), (0..round * 50).collect::<Vec<_>>());
        fill(&journal, round * 50, round * 50 + 50);
        assert_eq!(numbers(&journal), (0..round * 50 + 50).collect::<Vec<_>>());
        journal.close().unwrap();
        assert!(matches!(
            journal.append(vec![record(1)], Urgency::New).unwrap().wait(),
            Err(JournalError::Closed)
        ));
    }
    let (journal, report) = open(dir.path());
    assert!(report.events.is_empty(), "a clean stop leaves nothing to do: {report:?}");
    assert!(journal.verify().unwrap().is_whole());
    let head = journal.head();
    let last = journal.get(head.seq).unwrap();
    assert_eq!(last.hash, head.hash);
    assert!(Checkpoint::decode(&last.payload).unwrap().clean_stop);
    assert!(matches!(journal.get(head.seq + 1), Err(JournalError::NotFound { .. })));
    assert!(matches!(journal.get(0), Err(JournalError::NotFound { .. })));
    assert_eq!((last.boot_id, last.is_control()), ([0xb0; 16], true));
}

#[test]
fn one_payments_records_are_found_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    for n in 0..600 {
        journal.append(vec![record(n)], Urgency::New).unwrap().wait().unwrap();
        let found = journal.by_subject(&subject(n / 3)).unwrap();
        assert_eq!(found.len() as u64, n % 3 + 1, "an acknowledged record was not found");
    }
    drop(journal);
    let (journal, _) = open(dir.path());
    let found = journal.by_subject(&subject(77)).unwrap();
    let seqs: Vec<u64> =
        found.iter().map(|r| u64::from_be_bytes(r.payload[..8].try_into().unwrap())).collect();
    assert_eq!(seqs, [231, 232, 233]);
    assert!(journal.by_subject(&subject(9999)).unwrap().is_empty());
}

#[test]
fn a_group_is_one_stretch_and_the_answer_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let workers: Vec<_> = (0..8u64)
        .map(|id| {
            let journal = journal.clone();
            thread::spawn(move || {
                for turn in 0..20 {
                    let group = vec![record(id * 1000 + turn), record(id * 1000 + turn + 500)];
                    let place = journal.append(group, Urgency::New).unwrap().wait().unwrap();
                    assert_eq!(place.last, place.first + 1);
                    let first = journal.get(place.first).unwrap();
                    let last = journal.get(place.last).unwrap();
                    assert_eq!((first.payload, first.group_left), (record(id * 1000 + turn).payload, 1));
                    assert_eq!((last.payload, last.group_left), (record(id * 1000 + turn + 500).payload, 0));
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(numbers(&journal).len(), 320);
    assert!(journal.verify().unwrap().is_whole());
}

#[test]
fn many_writers_share_commits_and_each_writers_order_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let start = Arc::new(Barrier::new(16));
    let workers: Vec<_> = (0..16u64)
        .map(|id| {
            let (journal, start) = (journal.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                let tickets: Vec<_> = (0..50)
                    .map(|n| journal.append(vec![record(id * 100 + n)], Urgency::New).unwrap())
                    .collect();
                let places: Vec<u64> = tickets.into_iter().map(|t| t.wait().unwrap().first).collect();
                assert!(places.is_sorted(), "one writer's records changed their order");
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let stats = journal.stats();
    assert_eq!(numbers(&journal).len(), 800);
    assert!(stats.commits < 400, "no group commit: {} syncs for 800 records", stats.commits);
}

#[test]
fn answers_reach_a_callback_and_a_task() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let (tx, rx) = mpsc::channel();
    journal
        .append(vec![record(1)], Urgency::New)
        .unwrap()
        .on_done(move |answer| tx.send(answer.unwrap().first).unwrap());
    assert_eq!(rx.recv().unwrap(), 1);
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut ticket = std::pin::pin!(journal.append(vec![record(2)], Urgency::New).unwrap());
    let answer = loop {
        match ticket.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(answer) => break answer,
            std::task::Poll::Pending => thread::park(),
        }
    };
    assert_eq!(answer.unwrap().first, 2);
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let with = |kind, len| vec![NewRecord { kind, subject: [1; 16], payload: vec![0; len] }];
    assert!(matches!(
        journal.append(with(1, MAX_PAYLOAD + 1), Urgency::New),
        Err(JournalError::PayloadTooLarge { .. })
    ));
    assert!(matches!(
        journal.append(with(KIND_CHECKPOINT, 1), Urgency::New),
        Err(JournalError::ReservedKind { .. })
    ));
    assert!(matches!(journal.append(vec![], Urgency::New), Err(JournalError::GroupSize { .. })));
    let many = (0..=MAX_GROUP as u64).map(record).collect();
    assert!(matches!(journal.append(many, Urgency::New), Err(JournalError::GroupSize { .. })));
    assert_eq!(journal.head().seq, 0);
    let place = journal.append(with(1, MAX_PAYLOAD), Urgency::New).unwrap().wait().unwrap();
    let frame = journal.frame(place.first).unwrap();
    assert!(frame.len() <= MAX_FRAME && frame.len() > MAX_FRAME - 16, "{} bytes", frame.len());
    assert_eq!(journal.get(place.first).unwrap().payload.len(), MAX_PAYLOAD);
}

#[test]
fn segments_and_epochs_turn_and_everything_stays_readable() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = options(dir.path());
    small.epoch_records = 500;
    let (journal, _) = open_with(small.clone()).unwrap();
    fill(&journal, 0, 1600);
    assert!(journal.stats().epoch >= 3, "{:?}", journal.stats());
    assert_eq!(numbers(&journal), (0..1600).collect::<Vec<_>>());
    journal.close().unwrap();
    drop(journal);
    let (journal, report) = open_with(small).unwrap();
    assert!(report.events.is_empty(), "{report:?}");
    assert_eq!(numbers(&journal), (0..1600).collect::<Vec<_>>());
    assert_eq!(journal.by_subject(&subject(5)).unwrap().len(), 3);
    let report = journal.verify().unwrap();
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(report.records, journal.head().seq);
}

#[test]
fn only_one_process_part_may_open_and_only_with_the_right_key() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 0, 10);
    let mut second = options(dir.path());
    second.lock_wait = std::time::Duration::ZERO;
    assert!(matches!(open_with(second), Err(JournalError::Locked { .. })));
    journal.close().unwrap();
    drop(journal);
    let wrong = Journal::open(options(dir.path()), DeviceKey::new(&[1; 32]), Arc::new(TestClock::default()))
        .unwrap_err();
    assert!(matches!(wrong, JournalError::WrongKey { .. }), "{wrong}");
    let (journal, report) = open(dir.path());
    assert!(report.events.is_empty(), "the wrong key changed something: {report:?}");
    assert_eq!(numbers(&journal), (0..10).collect::<Vec<_>>());
}

#[test]
fn evidence_of_one_payment_holds_alone_and_any_change_shows() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 0, 60);
    let mut all = Vec::new();
    let summary = journal.export(1, 60, &mut all).unwrap();
    assert_eq!(verify_export(all.as_slice(), Some(&key())).unwrap(), summary);
    let open_chain = verify_export(all.as_slice(), None).unwrap();
    assert!(!open_chain.authenticated && open_chain.records == 60);

    // Three records of one payment with another's between them.
    for n in [0, 50, 1, 51, 2] {
        journal.append(vec![record(3000 + n)], Urgency::New).unwrap().wait().unwrap();
    }
    let mut one = Vec::new();
    let summary = journal.export_subject(&subject(1000), &mut one).unwrap();
    assert_eq!((summary.records, summary.withheld), (5, 2));
    let text = String::from_utf8(one).unwrap();
    assert!(!text.contains(&hex::encode(record(3050).payload)), "another payment's payload is shown");
    assert!(verify_export(text.as_bytes(), Some(&key())).is_ok());

    let lines: Vec<&str> = text.lines().collect();
    let removed: Vec<&str> = lines.iter().enumerate().filter(|(i, _)| *i != 2).map(|(_, l)| *l).collect();
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    let mut doubled = lines.clone();
    doubled.insert(2, lines[2]);
    let cut = lines[..lines.len() - 2].to_vec();
    for (what, bad) in [("removed", removed), ("swapped", swapped), ("doubled", doubled), ("cut", cut)] {
        assert!(verify_export(bad.join("\n").as_bytes(), Some(&key())).is_err(), "{what} record passed");
        assert!(
            verify_export(bad.join("\n").as_bytes(), None).is_err(),
            "{what} record passed without the key"
        );
    }
    let changed = text.replacen("\"kind\":7", "\"kind\":8", 1);
    assert!(verify_export(changed.as_bytes(), Some(&key())).is_err(), "an altered kind passed");
    assert!(verify_export(text.as_bytes(), Some(&DeviceKey::new(&[1; 32]))).is_err());
}
