//! A payment's evidence from a real journal: what `till-evidence` verifies is what lies on disk.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use std::fs;

use common::{fill, open, record, subject};
use till_evidence::{Entry, Evidence, Identity, Report, verify_evidence};
use till_journal::{Journal, JournalError, NewRecord, Urgency};

const OURS: [u8; 16] = [0xee; 16];

fn append_ours(journal: &Journal, text: &str) {
    let record = NewRecord { kind: 1, subject: OURS, payload: text.into() };
    journal.append(vec![record], Urgency::New).unwrap().wait().unwrap();
}

fn file(journal: &Journal) -> Vec<u8> {
    let slice = journal.evidence(&OURS).unwrap();
    let entry = |(record, frame): (till_journal::Record, Vec<u8>)| Entry {
        frame,
        kind: "note".into(),
        says: String::from_utf8(record.payload).unwrap().into(),
    };
    let evidence = Evidence {
        software: "test".into(),
        terminal: "TILL0001".into(),
        payment: OURS,
        exported_ms: 1,
        journal: slice.journal,
        entries: slice.records.into_iter().map(entry).collect(),
        stretches: slice.stretches,
        receipt: None,
    };
    evidence.sign(&Identity::new(&[1; 32]).unwrap()).unwrap()
}

fn verified(file: &[u8]) -> Report {
    let key = Identity::new(&[1; 32]).unwrap().public();
    verify_evidence(file, Some(&key)).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn s49_evidence_of_a_payment_far_apart_in_a_real_journal_holds_and_shows_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 0, 30);
    append_ours(&journal, "first");
    append_ours(&journal, "second");
    fill(&journal, 30, 1500);
    journal.rotate_key(&[9; 32], |_| Ok(())).unwrap();
    fill(&journal, 1500, 2500);
    append_ours(&journal, "third");
    fill(&journal, 2500, 2600);
    let made = file(&journal);
    let report = verified(&made);
    assert_eq!(
        report.records.iter().map(|r| r.says.as_str().unwrap()).collect::<Vec<_>>(),
        ["first", "second", "third"]
    );
    assert_eq!((report.stretches.len(), report.journal.head), (2, journal.head().seq));
    assert_eq!(report.journal.head_hash, hex::encode(journal.head().hash));
    let text = String::from_utf8(made.clone()).unwrap();
    assert!(
        !text.contains(&hex::encode(&record(40).payload[8..])) && !text.contains(&hex::encode(subject(0)))
    );
    assert!(made.len() < 10_000, "{} bytes for three records", made.len());

    // The frames are those on disk, byte for byte.
    let segments: Vec<Vec<u8>> = fs::read_dir(dir.path().join("segments"))
        .unwrap()
        .map(|f| fs::read(f.unwrap().path()).unwrap())
        .collect();
    for (_, frame) in journal.evidence(&OURS).unwrap().records {
        assert!(segments.iter().any(|s| s.windows(frame.len()).any(|w| w == frame)), "not as on disk");
    }

    // Later: the whole stretch has the same root, whatever came after.
    let before = report.stretches[0].clone();
    fill(&journal, 2600, 3700);
    append_ours(&journal, "fourth");
    let later = verified(&file(&journal));
    assert_eq!(later.stretches[0], before);
    assert_eq!(later.records.len(), 4);
    assert!(matches!(journal.evidence(&[0xdd; 16]), Err(JournalError::NotFound { .. })));
}
