//! Every fuzz target asked of its own seeds, on a stable compiler and without libfuzzer: so that neither rots between two runs
//! of ./fuzz.
#![allow(clippy::unwrap_used, clippy::expect_used)] // what fails in a target fails the test

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Longest seed, bytes: they are written by hand or by a small script, and lie in the tree.
const MOST: usize = 16 * 1024;

fn ask(target: &str, run: fn(&[u8])) {
    let mut seeds = 0;
    for seed in fs::read_dir(folder("seeds").join(target)).unwrap() {
        let path = seed.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() <= MOST, "{} is no small seed", path.display());
        println!("{}", path.display());
        run(&bytes);
        seeds += 1;
    }
    assert!(seeds > 1, "{target} has {seeds} seeds");
    // What a connection that closes at once gives.
    run(&[]);
}

macro_rules! targets {
    ($($name:ident $file:literal)*) => {
        $(
            #[path = $file]
            mod $name;

            #[test]
            fn $name() {
                ask(stringify!($name), self::$name::run);
            }
        )*

        const TARGETS: &[&str] = &[$(stringify!($name)),*];
    };
}

targets! {
    alipay_reply "../targets/alipay_reply.rs"
    bankcard_downloads "../targets/bankcard_downloads.rs"
    bankcard_frames "../targets/bankcard_frames.rs"
    display_text "../targets/display_text.rs"
    evidence_file "../targets/evidence_file.rs"
    hid_descriptor "../targets/hid_descriptor.rs"
    journal_backup "../targets/journal_backup.rs"
    journal_export "../targets/journal_export.rs"
    journal_frame "../targets/journal_frame.rs"
    log_redact "../targets/log_redact.rs"
    magstripe_bits "../targets/magstripe_bits.rs"
    magstripe_reports "../targets/magstripe_reports.rs"
    magstripe_swipe "../targets/magstripe_swipe.rs"
    nfc_ccid "../targets/nfc_ccid.rs"
    nfc_frames "../targets/nfc_frames.rs"
    nfc_slot "../targets/nfc_slot.rs"
    nfc_tap "../targets/nfc_tap.rs"
    nfc_tlv "../targets/nfc_tlv.rs"
    pinpad_line "../targets/pinpad_line.rs"
    plugin_frames "../targets/plugin_frames.rs"
    plugin_manifest "../targets/plugin_manifest.rs"
    prepaid_ledger "../targets/prepaid_ledger.rs"
    printer_status "../targets/printer_status.rs"
    printer_text "../targets/printer_text.rs"
    receipt_template "../targets/receipt_template.rs"
    recognise "../targets/recognise.rs"
    recording "../targets/recording.rs"
    scanner_keys "../targets/scanner_keys.rs"
    scanner_reports "../targets/scanner_reports.rs"
    scanner_scan "../targets/scanner_scan.rs"
    till_records "../targets/till_records.rs"
    till_snapshot "../targets/till_snapshot.rs"
    unionpayqr_reply "../targets/unionpayqr_reply.rs"
    voice_wav "../targets/voice_wav.rs"
    wallet_certificate "../targets/wallet_certificate.rs"
    wallet_http "../targets/wallet_http.rs"
    wechatpay_reply "../targets/wechatpay_reply.rs"
    wechatpay_xml "../targets/wechatpay_xml.rs"
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let all = fs::read_dir(folder("seeds").join(target)).unwrap();
    all.map(|seed| fs::read(seed.unwrap().path()).unwrap()).collect()
}

/// Targets that return at once when the beginning is wrong: their seeds reach what is behind it.
#[test]
fn seeds_are_what_they_are_named_after() {
    let frames = seeds("journal_frame").iter().filter(|bytes| till_journal::decode(bytes).is_ok()).count();
    assert_eq!(frames, 3);
    let answers = seeds("unionpayqr_reply").len();
    assert!(answers >= 8, "only {answers} answers of UnionPay");
}

/// A target that is not built, a program without a test and seeds of nothing would be seen by nobody.
#[test]
fn what_is_built_what_is_tested_and_what_has_seeds_is_the_same() {
    let named = |folder_name: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(folder(folder_name)).unwrap();
        entries.map(|e| e.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let tested: BTreeSet<String> = TARGETS.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(named("targets"), tested);
    assert_eq!(named("seeds"), tested);
    let manifest: toml::Table = toml::from_str(&fs::read_to_string(folder("Cargo.toml")).unwrap()).unwrap();
    let built = manifest["bin"].as_array().unwrap();
    assert_eq!(
        built.iter().map(|bin| bin["name"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(),
        tested
    );
}
