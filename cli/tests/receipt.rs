//! Templates without a till: what a merchant does before a customer sees a receipt.

#![allow(clippy::unwrap_used, clippy::expect_used)] // clippy knows tests by their attribute only

use std::process::{Command, Output};

use till_receipt::{Language, default_template};

fn tillctl(dir: &std::path::Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillctl"));
    command.current_dir(dir).env("LANG", "C.UTF-8").env_remove("TILLD_BUS").args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a phone reads on a picture.
fn scanned(png: &[u8]) -> (u32, Vec<String>) {
    let picture = image::load_from_memory(png).unwrap().into_luma8();
    let (width, height) = picture.dimensions();
    let mut seen = rqrr::PreparedImage::prepare_from_greyscale(width as usize, height as usize, |x, y| {
        picture.get_pixel(u32::try_from(x).unwrap(), u32::try_from(y).unwrap()).0[0]
    });
    (width, seen.detect_grids().iter().map(|grid| grid.decode().unwrap().1).collect())
}

#[test]
fn the_code_on_the_picture_of_a_receipt_scans() {
    let dir = tempfile::tempdir().unwrap();
    for (lang, language) in [("zh", Language::Chinese), ("en", Language::English)] {
        let file = dir.path().join("mine.txt");
        let own = default_template(language).replace(
            "@cut",
            "@qr 6: https://example.com/r/{{ number }}?n={{ shop.name }}\n@barcode: {{ number }}\n@cut",
        );
        std::fs::write(&file, own).unwrap();
        for (width, dots) in [("58", 384), ("80", 576)] {
            let out = format!("{lang}-{width}.png");
            let words = [
                "receipt",
                "preview",
                "--template",
                "mine.txt",
                "--width",
                width,
                "--lang",
                lang,
                "-o",
                &out,
            ];
            let done = tillctl(dir.path(), &words);
            assert!(done.status.success(), "{}", text(&done.stderr));
            let (wide, codes) = scanned(&std::fs::read(dir.path().join(&out)).unwrap());
            assert_eq!(wide, dots + 48, "the paper with its margins");
            let shop = if lang == "zh" { "小王茶馆" } else { "Wang's Tea House" };
            assert_eq!(codes, [format!("https://example.com/r/00000018?n={shop}")], "{lang} {width}");
        }
    }
}

#[test]
fn a_template_is_checked_without_a_till() {
    let dir = tempfile::tempdir().unwrap();
    let started = tillctl(dir.path(), &["receipt", "template", "--lang", "en"]);
    std::fs::write(dir.path().join("mine.txt"), &started.stdout).unwrap();
    let good = tillctl(dir.path(), &["receipt", "check", "mine.txt"]);
    assert_eq!((good.status.code(), text(&good.stderr)), (Some(0), String::new()));

    std::fs::write(dir.path().join("bad.txt"), "a\n{{ shop.nmae }}\n").unwrap();
    let bad = tillctl(dir.path(), &["receipt", "check", "bad.txt"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(
        text(&bad.stderr).contains("bad.txt: line 2: there is no field `shop.nmae`"),
        "{}",
        text(&bad.stderr)
    );

    std::fs::write(dir.path().join("thin.txt"), "{{ number }} {{ total }}\n").unwrap();
    let thin = tillctl(dir.path(), &["--json", "receipt", "check", "thin.txt"]);
    let said: serde_json::Value = serde_json::from_slice(&thin.stdout).unwrap();
    assert_eq!((thin.status.code(), said["works"].as_bool()), (Some(0), Some(true)));
    assert!(said["warnings"].as_array().unwrap().iter().any(|w| w.as_str().unwrap().contains("copy")));
}

#[test]
fn a_payment_is_still_asked_of_the_till() {
    let dir = tempfile::tempdir().unwrap();
    let none = tillctl(dir.path(), &["receipt"]);
    assert_eq!(none.status.code(), Some(2), "a payment is wanted");
    let bus = format!("unix:path={}/none", dir.path().display());
    let asked = tillctl(dir.path(), &["--bus", &bus, "receipt", "p1"]);
    assert_eq!(asked.status.code(), Some(3), "{}", text(&asked.stderr));
}
