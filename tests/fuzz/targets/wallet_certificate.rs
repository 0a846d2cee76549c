//! Any bytes as a wallet's certificate or key: nothing leads to a root whose key is gone, and a key that is read is long
//! enough and verifies nothing that nobody signed.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::sync::LazyLock;

use till_wallet::certificate::Certificate;
use till_wallet::chain::{Trust, sections};
use till_wallet::issue::Issue;
use till_wallet::keys::PlatformKey;

/// A root whose private key was thrown away.
const ROOT: &str = include_str!("../../../channels/unionpayqr/tests/property/root.pem");

static TRUST: LazyLock<Trust> = LazyLock::new(|| Trust::new(ROOT, "").expect("the root above"));

fn certificate(read: &Certificate) {
    assert!(!read.serial.is_empty() && read.serial.bytes().all(|b| b.is_ascii_hexdigit()));
    assert!(!read.key.verifies(b"never signed", "AAAA"));
}

pub(crate) fn run(data: &[u8]) {
    if let Ok(read) = Certificate::from_der(data) {
        certificate(&read);
    }
    if let Ok(issue) = Issue::from_der(data) {
        assert!(!issue.serial.is_empty() && issue.serial.bytes().all(|b| b.is_ascii_digit()));
    }
    let text = String::from_utf8_lossy(data);
    for der in sections(&text).unwrap_or_default() {
        let _ = Issue::from_der(&der);
    }
    if let Ok(read) = Certificate::from_pem(&text) {
        certificate(&read);
    }
    let believed = TRUST.believe(&text, 1_788_225_600_000, |_| true);
    assert!(
        believed.is_err() || text.contains(ROOT.lines().nth(1).unwrap_or_default()),
        "a chain was forged"
    );
    let _ = Trust::new(&text, "");
    let _ = PlatformKey::from_spki(data);
    let _ = PlatformKey::from_text(&text);
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
