//! The bytes of a snapshot. A snapshot is a cache of the journal, so its shape may change; what must never happen is
//! that another shape is read as this one. Whenever a byte of it moves, its version must.

#![allow(clippy::expect_used)]

mod samples;

use samples::records;
use till_core::Till;
use till_core::till::{SNAPSHOT_VERSION, SnapshotError};

const GOLDEN: &str = include_str!("golden/snapshot.txt");

const RULE: &str = "A field of the state moved: raise SNAPSHOT_VERSION (daemon/core/src/till/snapshot.rs), then \
                    UPDATE=1 cargo test -p till-core --test golden_snapshot writes the new bytes.";

/// A till that has seen one of every record: most of them fit nothing, but every field has been somewhere.
fn seen() -> Till {
    let mut till = Till::new();
    for (seq, (_, record)) in (1..).zip(records()) {
        till.apply(seq, 1_790_000_000_000, &record);
    }
    till
}

fn bytes(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).filter_map(|i| u8::from_str_radix(&digits[i..i + 2], 16).ok()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |s, b| format!("{s}{b:02x}"))
}

/// What each number in it is called: two of one kind that change places leave the bytes as they are.
fn said(till: &Till) -> String {
    blake3::hash(format!("{till:?}").as_bytes()).to_hex().to_string()
}

/// What is in the snapshots of tills in the field: read by another layout, numbers would be taken for other numbers.
#[test]
fn the_bytes_of_a_snapshot_move_only_with_its_version() {
    let mut lines = GOLDEN.lines().filter(|l| !l.starts_with('#'));
    let mut line = || lines.next().unwrap_or_default();
    let (version, stored, text) = (line(), bytes(line()), line());
    if std::env::var_os("UPDATE").is_some() && version != SNAPSHOT_VERSION.to_string() {
        let written = seen().to_snapshot().expect("it encodes");
        let text = said(&Till::from_snapshot(&written).expect("readable"));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/snapshot.txt");
        let head = "# A snapshot: its version, its bytes, and the BLAKE3 of what they say.";
        let file = format!("{head}\n{SNAPSHOT_VERSION}\n{}\n{text}\n", hex(&written));
        std::fs::write(path, file).expect("the golden file can be written");
        return;
    }
    assert_eq!(version, SNAPSHOT_VERSION.to_string(), "{RULE}");
    let till = Till::from_snapshot(&stored).unwrap_or_else(|e| panic!("{e}. {RULE}"));
    assert_eq!(hex(&till.to_snapshot().expect("it encodes")), hex(&stored), "{RULE}");
    assert_eq!(said(&till), text, "the same bytes say something else. {RULE}");
}

/// A tilld that finds the snapshot of another one says so and replays the records: it never guesses.
#[test]
fn a_snapshot_of_another_version_is_refused_with_a_plain_answer() {
    let till = seen();
    let bytes = till.to_snapshot().expect("it encodes");
    assert_eq!(Till::from_snapshot(&bytes).expect("its own"), till);
    for version in (0..=u8::MAX).filter(|v| *v != SNAPSHOT_VERSION) {
        let mut other = bytes.clone();
        other[0] = version;
        let error = Till::from_snapshot(&other).expect_err("another version");
        assert_eq!(error, SnapshotError::Version(version));
        let text = error.to_string();
        assert!(text.contains(&version.to_string()) && text.contains("replayed instead"), "{text}");
    }
    // A snapshot that a tilld before this one wrote, whatever its rest looks like.
    assert_eq!(Till::from_snapshot(&[3, 0, 0, 0]).err(), Some(SnapshotError::Version(3)));
    for cut in 1..bytes.len() {
        let error = Till::from_snapshot(&bytes[..cut]).expect_err("a part of it");
        assert!(error.to_string().contains("replayed instead"), "{cut} bytes: {error}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(Till::from_snapshot(&longer).err(), Some(SnapshotError::Undecodable(longer.len())));
}
