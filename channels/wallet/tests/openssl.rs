//! Signatures of the wallets' keys beside the openssl command: each takes the other's, and neither takes a changed one.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use till_wallet::keys::{PlatformKey, SigningKey};

/// Runs openssl in a folder; whether it was content. Nothing where the command is not there.
fn openssl(dir: &Path, arguments: &[&str]) -> Option<bool> {
    match Command::new("openssl").current_dir(dir).args(arguments).output() {
        Ok(output) => Some(output.status.success()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("openssl: {error}"),
    }
}

#[test]
fn openssl_takes_our_signatures_and_we_take_its() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let make = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "key.pem"];
    let made = openssl(dir, &make);
    if made.is_none() {
        println!("skipped: no openssl command");
        return;
    }
    assert_eq!(made, Some(true));
    assert_eq!(openssl(dir, &["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"]), Some(true));
    let ours = SigningKey::from_text(&fs::read_to_string(dir.join("key.pem")).unwrap()).unwrap();
    let theirs = PlatformKey::from_text(&fs::read_to_string(dir.join("public.pem")).unwrap()).unwrap();

    // What each wallet signs: sorted parameters, a head of lines, the hexadecimal digits of a hash.
    for text in [
        "app_id=2021000000000001&biz_content={\"subject\":\"茶 & 点心\"}&charset=utf-8&method=alipay.trade.pay",
        "POST\n/v3/pay/transactions/codepay\n1767323045\n0123456789ABCDEF\n{\"amount\":{\"total\":12850}}\n",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "",
    ] {
        fs::write(dir.join("text"), text).unwrap();
        fs::write(dir.join("changed"), format!("{text} ")).unwrap();
        let signature = ours.sign(text).unwrap();
        fs::write(dir.join("ours.sig"), STANDARD.decode(&signature).unwrap()).unwrap();
        let check = |text: &str| {
            openssl(dir, &["dgst", "-sha256", "-verify", "public.pem", "-signature", "ours.sig", text])
        };
        assert_eq!(check("text"), Some(true), "{text:?}");
        assert_eq!(check("changed"), Some(false), "{text:?}");

        let sign = ["dgst", "-sha256", "-sign", "key.pem", "-out", "theirs.sig", "text"];
        assert_eq!(openssl(dir, &sign), Some(true));
        let signature = STANDARD.encode(fs::read(dir.join("theirs.sig")).unwrap());
        assert!(theirs.verifies(text.as_bytes(), &signature), "{text:?}");
        assert!(!theirs.verifies(format!("{text} ").as_bytes(), &signature), "{text:?}");
    }
}
