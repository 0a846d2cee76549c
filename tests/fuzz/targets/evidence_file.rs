//! A file that `tillctl evidence verify` is given. Nobody's bytes pass as another key's; and a file that a till signed, however
//! little it means, is read or refused, says only what is in it, and no byte of it can be changed unseen.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::sync::LazyLock;

use serde_json::json;
use till_evidence::{Identity, verify_evidence};

/// The till's, and one that signed nothing.
static TILL: LazyLock<Identity> = LazyLock::new(|| Identity::new(&[7; 32]).expect("a seed"));
static OTHER: LazyLock<Identity> = LazyLock::new(|| Identity::new(&[8; 32]).expect("a seed"));

/// The lines with a seal of the till over them, as docs/integrators.md says how.
fn sealed(lines: &str) -> String {
    let digests: Vec<String> =
        lines.lines().map(|l| blake3::hash(l.as_bytes()).to_hex().to_string()).collect();
    let mut message = String::from("org.tilld evidence v1\n");
    for digest in &digests {
        message += digest;
        message.push('\n');
    }
    let signature = TILL.sign(message.as_bytes());
    let seal = json!({ "seal": { "lines": digests, "signature": hex::encode(signature) } });
    lines.lines().chain([seal.to_string().as_str()]).fold(String::new(), |all, line| all + line + "\n")
}

pub(crate) fn run(data: &[u8]) {
    assert!(verify_evidence(data, Some(&OTHER.public())).is_err(), "a signature was forged");
    let _ = verify_evidence(data, None);
    let Ok(lines) = std::str::from_utf8(data) else { return };
    let mut file = sealed(lines).into_bytes();
    let key = TILL.public();
    let Ok(report) = verify_evidence(&file, Some(&key)) else { return };
    assert!(report.key == key.fingerprint() && report.key_was_given);
    assert!(report.records.windows(2).all(|two| two[0].seq < two[1].seq));
    for record in &report.records {
        let at = report.stretches.iter().filter(|s| (s.first..=s.last).contains(&record.seq)).count();
        assert_eq!(at, 1, "record {} is in {at} stretches", record.seq);
    }
    let at = data.iter().fold(0, |at: usize, byte| at.wrapping_mul(31).wrapping_add(usize::from(*byte)))
        % file.len();
    file[at] ^= 1;
    assert!(verify_evidence(&file, Some(&key)).is_err(), "byte {at} was changed unseen");
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
