//! Secrets in the journal: nowhere in clear in any encoding, and gone for good once their epoch is shredded.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use std::fs;
use std::path::Path;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use common::{files, open, subject};
use till_journal::sealed::{SealError, SealingKey, epoch_of};
use till_journal::{Keyring, NewRecord, Urgency};

const PAN: &str = "6200000000000005";
const KIND: u16 = 1;
const MASTER: [u8; 32] = [0x11; 32];

/// The number in the encodings of channels.md C1.
fn encodings(pan: &str) -> Vec<(&'static str, Vec<u8>)> {
    let digits: Vec<u8> = pan.bytes().map(|b| b - b'0').collect();
    let bcd: Vec<u8> = digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect();
    let nibbles: Vec<u8> = digits.chunks(2).map(|d| d[1] << 4 | d[0]).collect();
    let utf16: Vec<u8> = pan.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16_be: Vec<u8> = pan.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mut out = vec![
        ("plain", pan.as_bytes().to_vec()),
        ("reversed", pan.bytes().rev().collect()),
        ("hexadecimal", hex::encode(pan).into_bytes()),
        ("bcd", bcd.clone()),
        ("bcd in hexadecimal", hex::encode(&bcd).into_bytes()),
        ("bcd with nibbles reversed", nibbles),
        ("utf-16", utf16),
        ("utf-16 big endian", utf16_be),
    ];
    // Base64 of the number at each of the three places in a longer text; without the characters its neighbours share.
    for (name, text) in [("base64", pan.as_bytes()), ("base64 of bcd", &bcd)] {
        for before in 0..3usize {
            let padded = [&vec![0; before][..], text].concat();
            let coded = base64(&padded);
            let from = (before * 8).div_ceil(6);
            let to = (before + text.len()) * 8 / 6;
            out.push((name, coded.as_bytes()[from..to].to_vec()));
        }
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = bytes.iter().flat_map(|b| (0..8).rev().map(move |n| b >> n & 1)).collect();
    bits.chunks(6)
        .map(|six| {
            let value = six.iter().chain(&[0; 6]).take(6).fold(0, |sum, bit| sum << 1 | *bit);
            char::from(ALPHABET[usize::from(value)])
        })
        .collect()
}

fn found(dir: &Path) -> Vec<String> {
    let mut out = Vec::new();
    for (path, bytes) in files(dir) {
        for (name, form) in encodings(PAN) {
            if bytes.windows(form.len()).any(|w| w == form) {
                out.push(format!("{name} in {}", path.display()));
            }
        }
    }
    out
}

/// What somebody gets who has the storage and the master key: every key that any file still gives, in every way a
/// key is used, tried on the seal.
fn attack(dir: &Path, sealed: &[u8], payment: [u8; 16]) -> Option<Vec<u8>> {
    let wrapping = blake3::derive_key("org.tilld keyring v1 wrapping", &MASTER);
    let mut keys = vec![MASTER];
    for (path, bytes) in files(dir) {
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        let head = 6 + name.len() + 16;
        if bytes.len() < head + 72 {
            continue;
        }
        let payload = Payload { msg: &bytes[head + 24..head + 72], aad: &bytes[..head] };
        let nonce = XNonce::try_from(&bytes[head..head + 24]).unwrap();
        if let Ok(key) = XChaCha20Poly1305::new(&wrapping.into()).decrypt(&nonce, payload) {
            keys.push(key.try_into().unwrap());
        }
    }
    let (head, rest) = sealed.split_at(if sealed[0] == 2 { 5 } else { 1 });
    let aad = [head, &payment, &KIND.to_le_bytes()].concat();
    keys.iter().find_map(|key| {
        let forms = [
            *key,
            blake3::derive_key("org.tilld journal v2 epoch sealing", key),
            blake3::derive_key("org.tilld journal v1 sealing", key),
        ];
        forms.iter().find_map(|form| {
            let nonce = XNonce::try_from(&rest[..24]).unwrap();
            XChaCha20Poly1305::new(form.into()).decrypt(&nonce, Payload { msg: &rest[24..], aad: &aad }).ok()
        })
    })
}

#[test]
fn the_search_finds_a_number_in_each_encoding() {
    for (name, form) in encodings(PAN) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x"), [&b"some bytes"[..], &form, b"more"].concat()).unwrap();
        assert!(found(dir.path()).iter().any(|f| f.starts_with(name)), "{name}");
    }
    assert_eq!(base64(b"Many"), "TWFueQ");
}

#[test]
fn s66_s71_c03_a_sealed_number_is_nowhere_in_the_journal_and_after_shredding_the_master_key_does_not_help() {
    let till = tempfile::tempdir().unwrap();
    let dir = till.path().join("journal");
    let keyring = Keyring::load(&till.path().join("keys"), &MASTER).unwrap();
    let old_key = [0x22; 32];
    keyring.import_legacy(&old_key).unwrap();
    let payment = subject(7);
    let mut sealed = vec![SealingKey::new(&old_key).seal(&payment, KIND, PAN.as_bytes()).unwrap()];
    sealed.push(keyring.seal(&payment, KIND, PAN.as_bytes()).unwrap());
    keyring.rotate().unwrap();
    sealed.push(keyring.seal(&payment, KIND, PAN.as_bytes()).unwrap());
    {
        let (journal, _) = open(&dir);
        for payload in sealed.clone() {
            let record = NewRecord { kind: KIND, subject: payment, payload };
            journal.append(vec![record], Urgency::New).unwrap().wait().unwrap();
        }
        journal.close().unwrap();
    }
    assert_eq!(found(till.path()), Vec::<String>::new(), "before shredding");
    for sealed in &sealed {
        let epoch = epoch_of(sealed);
        assert_eq!(keyring.open(&payment, KIND, sealed).unwrap().as_slice(), PAN.as_bytes(), "{epoch:?}");
        assert_eq!(
            attack(till.path(), sealed, payment).as_deref(),
            Some(PAN.as_bytes()),
            "the attack is no good"
        );
    }

    keyring.rotate().unwrap();
    keyring.shred_below(3).unwrap();
    for (epoch, sealed) in (0..).zip(&sealed) {
        assert_eq!(keyring.open(&payment, KIND, sealed), Err(SealError::Shredded { epoch }));
        assert_eq!(
            attack(till.path(), sealed, payment),
            None,
            "epoch {epoch} was recovered with the master key"
        );
    }
    // The records themselves are still there, whole and in their chain: totals still verify.
    let (journal, report) = open(&dir);
    assert!(!report.has_alarm() && journal.verify().unwrap().is_whole());
    let kept: Vec<_> = journal.by_subject(&payment).unwrap().into_iter().map(|r| r.payload).collect();
    assert_eq!(kept, sealed);
    assert_eq!(found(till.path()), Vec::<String>::new(), "after shredding");
}

#[test]
fn s79_stolen_storage_without_the_master_key_opens_nothing() {
    let till = tempfile::tempdir().unwrap();
    let keys = till.path().join("keys");
    let keyring = Keyring::load(&keys, &MASTER).unwrap();
    let sealed = keyring.seal(&subject(7), KIND, PAN.as_bytes()).unwrap();
    keyring.forget();
    assert_eq!(keyring.open(&subject(7), KIND, &sealed), Err(SealError::Forgotten));
    assert!(Keyring::load(&keys, &[0x12; 32]).is_err(), "another master key opens the keyring");
    let keyring = Keyring::load(&keys, &MASTER).unwrap();
    assert!(keyring.open(&subject(7), KIND, &sealed).is_ok());
    use std::os::unix::fs::PermissionsExt;
    for (path, _) in files(&keys) {
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o077,
            0,
            "{} is others' to read",
            path.display()
        );
    }
}
