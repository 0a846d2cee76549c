//! A payment's evidence from a real journal: what `till-evidence` verifies is what lies on disk.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use std::fs;

use common::{fill, open, record, subject};
use till_evidence::{Entry, Evidence, Identity, Report, verify_evidence};
use till_journal::{EvidenceRecord, Journal, JournalError, NewRecord, Urgency};

const OURS: [u8; 16] = [0xee; 16];

fn append_ours(journal: &Journal, text: &str) {
    let record = NewRecord { kind: 1, subject: OURS, payload: text.into() };
    journal.append(vec![record], Urgency::New).unwrap().wait().unwrap();
}

fn file(journal: &Journal) -> Vec<u8> {
    let slice = journal.evidence(&OURS).unwrap();
    let entry = |EvidenceRecord { record, frame, key }: EvidenceRecord| Entry {
        frame,
        key: key.map(|key| key.to_bytes()),
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
    for EvidenceRecord { frame, .. } in journal.evidence(&OURS).unwrap().records {
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

/// The values of a field in an evidence file's record lines.
fn fields(file: &[u8], name: &str) -> Vec<String> {
    let text = std::str::from_utf8(file).unwrap();
    let records = text.lines().filter(|line| line.starts_with("{\"record\""));
    let mark = format!("\"{name}\":\"");
    records
        .filter_map(|line| line.split_once(&mark).map(|(_, rest)| rest.split('"').next().unwrap().to_owned()))
        .collect()
}

#[test]
fn s71_evidence_opens_its_own_records_for_a_third_party_and_no_other_record_of_the_till() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 0, 30);
    append_ours(&journal, "128.50 yuan");
    fill(&journal, 30, 40);
    append_ours(&journal, "refund of 128.50 yuan");
    let made = file(&journal);
    let report = verified(&made);
    let opened: Vec<String> =
        report.records.iter().map(|r| String::from_utf8(hex::decode(&r.bytes).unwrap()).unwrap()).collect();
    assert_eq!(opened, ["128.50 yuan", "refund of 128.50 yuan"], "what a third party reads in the frames");
    let keys = fields(&made, "key");
    assert_eq!(keys.len(), 2);
    assert!(
        fields(&made, "frame").iter().all(|f| !f.contains(&hex::encode("128.50"))),
        "the frame is in clear"
    );

    // Each key under every frame of the till: its own opens, and nothing else.
    let sign = |frame: Vec<u8>, key: &str, subject| {
        let mut key_bytes = [0; 64];
        hex::decode_to_slice(key, &mut key_bytes).unwrap();
        let slice = journal.evidence(&subject).unwrap();
        let entry = Entry { frame, key: Some(key_bytes), kind: "note".into(), says: "".into() };
        let evidence = Evidence {
            software: "test".into(),
            terminal: "TILL0001".into(),
            payment: subject,
            exported_ms: 1,
            journal: slice.journal,
            entries: vec![entry],
            stretches: slice.stretches,
            receipt: None,
        };
        evidence.sign(&Identity::new(&[1; 32]).unwrap())
    };
    let mut opens = 0;
    for other in [OURS, subject(3), subject(11)] {
        for EvidenceRecord { record, frame, .. } in journal.evidence(&other).unwrap().records {
            for key in &keys {
                let opened = sign(frame.clone(), key, other).is_ok();
                assert!(!opened || record.subject == OURS, "record {} of another payment opens", record.seq);
                opens += usize::from(opened);
            }
        }
    }
    assert_eq!(opens, 2);
    // Half of a key is no key: the mark is what binds the text.
    let frame = journal.evidence(&OURS).unwrap().records.remove(0).frame;
    let half = keys[1][..64].to_owned() + &keys[0][64..];
    let refused = sign(frame.clone(), &half, OURS).unwrap_err().to_string();
    assert!(refused.contains("record 31") && refused.contains("does not open"), "{refused}");
}

#[test]
fn s71_evidence_of_records_in_clear_keeps_its_old_form() {
    let dir = tempfile::tempdir().unwrap();
    let clear = till_journal::DeviceKey::new(&[42; 32]);
    let clock = std::sync::Arc::new(common::TestClock::default());
    let (journal, _) = Journal::open(common::options(dir.path()), clear, clock).unwrap();
    append_ours(&journal, "first");
    let made = file(&journal);
    assert_eq!(verified(&made).records[0].bytes, hex::encode("first"));
    let text = String::from_utf8(made).unwrap();
    assert!(text.contains("\"version\":1") && !text.contains("\"key\":"), "{text}");
    drop(journal);
    // Both forms in one file, after the till seals.
    let (journal, _) = open(dir.path());
    append_ours(&journal, "second");
    let made = file(&journal);
    assert_eq!(verified(&made).records.len(), 2);
    assert!(
        String::from_utf8(made.clone()).unwrap().contains("\"version\":2") && fields(&made, "key").len() == 1
    );
}
