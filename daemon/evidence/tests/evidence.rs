//! Evidence as a third party sees it: what holds, and that no alteration passes.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

use proptest::prelude::*;
use serde_json::json;
use till_evidence::{
    Entry, Evidence, EvidenceError, Identity, JournalState, PublicKey, STRETCH, Stretch, merkle, stretch_of,
    verify_evidence,
};

const PAYMENT: [u8; 16] = [7; 16];
const OTHERS: &str = "another customer's 88.00";

/// A frame in the journal's layout, with a link hash that is anything (only the till can check it).
fn frame(seq: u64, subject: [u8; 16], payload: &[u8], prev: [u8; 32]) -> (Vec<u8>, [u8; 32]) {
    let mut out = Vec::new();
    out.extend_from_slice(b"TILJ\x01\x01\x01\x00");
    out.extend_from_slice(&u32::try_from(144 + payload.len()).unwrap().to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&[0xb0; 16]);
    out.extend_from_slice(&(1_800_000_000_000 + seq.cast_signed()).to_le_bytes());
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&subject);
    out.extend_from_slice(&prev);
    out.extend_from_slice(payload);
    let hash = *blake3::hash(&[&out[..], b"a secret"].concat()).as_bytes();
    out.extend_from_slice(&hash);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&out[..12]), &out[16..]);
    out[12..16].copy_from_slice(&crc.to_le_bytes());
    (out, hash)
}

/// A journal of `head` records from `first` on, of which those in `ours` are the payment's.
fn evidence(first: u64, head: u64, ours: &[u64]) -> Evidence {
    let mut prev = [0; 32];
    let (mut frames, mut head_hash) = (Vec::new(), String::new());
    for seq in first..=head {
        let own = ours.contains(&seq);
        let payload = if own { format!("record {seq} of the payment") } else { OTHERS.to_owned() };
        let (bytes, hash) = frame(seq, if own { PAYMENT } else { [9; 16] }, payload.as_bytes(), prev);
        prev = hash;
        head_hash = hex::encode(hash);
        frames.push(bytes);
    }
    let of = |seq: u64| &frames[usize::try_from(seq - first).unwrap()];
    let mut stretches: Vec<Stretch> = Vec::new();
    for seq in ours {
        let (from, to) = stretch_of(*seq);
        let (from, to) = (from.max(first), to.min(head));
        if stretches.last().is_none_or(|s| s.first != from) {
            stretches
                .push(Stretch { first: from, leaves: (from..=to).map(|s| merkle::leaf(of(s))).collect() });
        }
    }
    let entries = ours
        .iter()
        .map(|seq| Entry {
            frame: of(*seq).clone(),
            key: None,
            kind: "sent".into(),
            says: json!({ "amount": 12_850, "seq": seq }),
        })
        .collect();
    Evidence {
        software: "tilld 0.1.0".into(),
        terminal: "TILL0001".into(),
        payment: PAYMENT,
        exported_ms: 1_800_000_100_000,
        journal: JournalState { first, head, head_hash },
        entries,
        stretches,
        receipt: Some("测试 128.50\nthank you".into()),
    }
}

fn identity() -> Identity {
    Identity::new(&[1; 32]).unwrap()
}

fn key() -> PublicKey {
    identity().public()
}

#[test]
fn s49_one_payments_evidence_holds_for_a_third_party_and_shows_nobody_elses() {
    let file = evidence(1, 3000, &[5, 6, 1024, 1025, 2999]).sign(&identity()).unwrap();
    let report = verify_evidence(&file, Some(&key())).unwrap();
    assert_eq!(report.records.iter().map(|r| r.seq).collect::<Vec<_>>(), [5, 6, 1024, 1025, 2999]);
    assert_eq!(report.records[0].says, json!({ "amount": 12_850, "seq": 5 }));
    assert_eq!(report.receipt.as_deref(), Some("测试 128.50\nthank you"));
    assert_eq!((report.payment.as_str(), report.key_was_given), ("07070707070707070707070707070707", true));
    assert_eq!(
        report.stretches.iter().map(|s| (s.first, s.last)).collect::<Vec<_>>(),
        [(1, 1024), (1025, 2048), (2049, 3000)]
    );
    assert!(!verify_evidence(&file, None).unwrap().key_was_given);
    let text = String::from_utf8(file).unwrap();
    for secret in [OTHERS.to_owned(), hex::encode(OTHERS), hex::encode([9u8; 16])] {
        assert!(!text.contains(&secret), "another payment shows");
    }
}

#[test]
fn s49_the_proof_does_not_grow_with_the_distance_between_records() {
    let near = evidence(1, 20_000, &[1, 2]).sign(&identity()).unwrap();
    let far = evidence(1, 20_000, &[1, 19_999]).sign(&identity()).unwrap();
    assert!(far.len() < near.len() + 400, "{} and {} bytes", near.len(), far.len());
    assert!(verify_evidence(&far, Some(&key())).is_ok());
}

#[test]
fn s49_two_files_of_one_till_name_one_root_for_a_stretch() {
    let stretch = |evidence: Evidence| {
        let file = evidence.sign(&identity()).unwrap();
        verify_evidence(&file, Some(&key())).unwrap().stretches[0].clone()
    };
    // Two times; the same payment so that the two journals are the same one.
    assert_eq!(stretch(evidence(1, 1500, &[5])), stretch(evidence(1, 5000, &[5])));
    let mut rewritten = evidence(1, 1500, &[5]);
    rewritten.stretches[0].leaves[77] = [0; 32];
    assert_ne!(stretch(rewritten), stretch(evidence(1, 1500, &[5])), "a rewritten record does not show");
}

#[test]
fn s49_every_single_byte_altered_is_refused_with_what_is_wrong() {
    let good = evidence(1, 20, &[3, 4, 9]).sign(&identity()).unwrap();
    let ends: Vec<usize> = good.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at).collect();
    let mut altered_lines = std::collections::BTreeSet::new();
    for at in 0..good.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            let line = ends.iter().filter(|end| **end < at).count() + 1;
            match verify_evidence(&bad, Some(&key())) {
                Ok(_) => panic!("byte {at} of line {line} altered unseen"),
                Err(EvidenceError::Altered { line: said, .. }) => {
                    // A line's end that is altered joins it with the next.
                    assert!(
                        said == line || ends.contains(&at) || bad[at] == b'\n',
                        "byte {at}: line {said}, not {line}"
                    );
                    altered_lines.insert(said);
                }
                Err(EvidenceError::Form { .. } | EvidenceError::Signature { .. }) => {}
                Err(e) => panic!("byte {at}: {e}"),
            }
            assert!(verify_evidence(&bad, None).is_err(), "byte {at} altered unseen without a key");
        }
        assert!(verify_evidence(&good[..at], Some(&key())).is_err(), "cut at {at}");
    }
    assert_eq!(altered_lines, (1..=6).collect(), "head, stretch, records, receipt");
    assert!(verify_evidence(&[&good[..], b"\n"].concat(), Some(&key())).is_err());
}

#[test]
fn lines_taken_out_doubled_or_moved_are_refused() {
    let good = String::from_utf8(evidence(1, 20, &[3, 4, 9]).sign(&identity()).unwrap()).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let refused =
        |lines: &[&str]| verify_evidence((lines.join("\n") + "\n").as_bytes(), Some(&key())).unwrap_err();
    for at in 0..lines.len() {
        let mut bad = lines.clone();
        bad.remove(at);
        refused(&bad);
        bad.insert(at, lines[at]);
        bad.insert(at, lines[at]);
        refused(&bad);
        bad.remove(at);
        if at > 0 {
            bad.swap(at, at - 1);
            refused(&bad);
        }
    }
}

#[test]
fn another_tills_evidence_is_told_as_that() {
    let file = evidence(1, 20, &[3]).sign(&identity()).unwrap();
    let other = Identity::new(&[2; 32]).unwrap().public();
    let refused = verify_evidence(&file, Some(&other)).unwrap_err();
    let EvidenceError::OtherKey { named, given } = &refused else { panic!("{refused}") };
    assert_eq!((named, given), (&key().fingerprint(), &other.fingerprint()));
    // Somebody who signs a made-up file with a key of his own passes only where nobody knows the till's.
    let forged = evidence(1, 20, &[3]).sign(&Identity::new(&[2; 32]).unwrap()).unwrap();
    assert!(matches!(verify_evidence(&forged, Some(&key())), Err(EvidenceError::OtherKey { .. })));
    let report = verify_evidence(&forged, None).unwrap();
    assert!(!report.key_was_given && report.key != key().fingerprint());
}

/// What a till that makes wrong files would sign.
#[test]
fn a_signed_file_that_does_not_hold_together_is_refused() {
    let make = |change: &dyn Fn(&mut Evidence)| {
        let mut evidence = evidence(1, 1500, &[3, 4, 1100]);
        change(&mut evidence);
        let file = evidence.sign(&identity()).unwrap();
        verify_evidence(&file, Some(&key())).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(make(&|_| {}), Ok(()));
    let said = |change: &dyn Fn(&mut Evidence), text: &str| {
        let e = make(change).unwrap_err();
        assert!(e.contains(text), "{e}, not: {text}");
    };
    said(&|e| e.payment = [8; 16], "record 3: the frame is another payment's");
    said(&|e| e.stretches[0].leaves[2] = [0; 32], "record 3: its path does not lead");
    said(&|e| e.entries.swap(0, 1), "record 3: out of order");
    said(&|e| e.stretches[0].leaves.truncate(1023), "not a whole stretch");
    said(&|e| e.journal.head = 2000, "not a whole stretch");
    said(&|e| drop(e.entries.pop()), "a stretch that no record lies in");
    said(&|e| e.stretches.swap(0, 1), "stretches out of order");
    said(
        &|e| {
            e.entries[1].frame = frame(4, PAYMENT, b"made up", [0; 32]).0;
            e.stretches[0].leaves[3] = merkle::leaf(&e.entries[1].frame);
        },
        "record 4: it does not follow the record before it",
    );
    let mut keyed = evidence(1, 20, &[3]);
    keyed.entries[0].key = Some([0; 64]);
    assert!(keyed.sign(&identity()).unwrap_err().to_string().contains("not sealed"));
    let mut broken = evidence(1, 20, &[3]);
    broken.entries[0].frame[120] ^= 1;
    assert!(broken.sign(&identity()).is_err());
    broken.entries.clear();
    assert!(broken.sign(&identity()).is_err());
}

#[test]
fn the_oldest_stretch_of_a_till_that_removed_records_may_be_partial() {
    let file = evidence(700, 2 * STRETCH, &[800, 1500]).sign(&identity()).unwrap();
    let report = verify_evidence(&file, Some(&key())).unwrap();
    assert_eq!((report.stretches[0].first, report.stretches[0].last), (700, 1024));
    let newest = evidence(1, 30, &[30]).sign(&identity()).unwrap();
    verify_evidence(&newest, Some(&key())).unwrap();
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = verify_evidence(&bytes, None);
    }

    #[test]
    fn any_payment_in_any_journal_holds(first in 1u64..2000, len in 1u64..2500, picks in proptest::collection::btree_set(0u64..2500, 1..6)) {
        let head = first + len - 1;
        let mut ours: Vec<u64> = picks.into_iter().map(|p| first + p % len).collect();
        ours.sort_unstable();
        ours.dedup();
        let file = evidence(first, head, &ours).sign(&identity()).unwrap();
        let report = verify_evidence(&file, Some(&key())).unwrap();
        prop_assert_eq!(report.records.len(), ours.len());
    }
}
