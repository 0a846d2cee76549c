//! What is said of good and of bad plugins.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

use std::path::Path;
use std::process::Command;

use till_fixture_kit as kit;

/// Exit status, and what was said.
fn check(folder: &Path, more: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_till-plugin-check"));
    let output = command.arg(folder).arg("--host").arg(kit::host()).args(more).output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (output.status.code().unwrap(), text(output.stdout) + &text(output.stderr))
}

#[test]
fn a_good_plugin_passes_every_check_and_a_channel_says_what_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("settings.toml");
    std::fs::write(&settings, "text = 'I am good'\n").unwrap();
    let good = kit::install_fixture(dir.path(), "good");
    let (status, said) = check(&good, &["--settings", settings.to_str().unwrap()]);
    assert_eq!(status, 0, "{said}");
    for check in
        ["files", "manifest", "settings", "started", "confined", "described", "answers", "again", "stops"]
    {
        assert!(said.lines().any(|l| l.starts_with(&format!("ok    {check}"))), "{check}: {said}");
    }
    let channel = kit::install_fixture(dir.path(), "goodchannel");
    let (status, said) = check(&channel, &["--json"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("\"taken\":true") && said.contains("unknown outcomes"), "{said}");
}

#[test]
fn a_bad_one_fails_with_the_reason_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (status, said) = check(&kit::install_fixture(dir.path(), "wronggeneration"), &[]);
    assert!(status == 1 && said.contains("FAIL  started") && said.contains("generation 99"), "{said}");
    let folder = kit::install_fixture(dir.path(), "good");
    let settings = dir.path().join("settings.toml");
    std::fs::write(&settings, "txet = 'I am good'\n").unwrap();
    let (status, said) = check(&folder, &["--settings", settings.to_str().unwrap()]);
    assert!(status == 1 && said.contains("FAIL  settings") && said.contains("txet"), "{said}");
    kit::put(&folder.join("manifest.toml"), b"[plugin]\nidd = 'x'\n");
    let (status, said) = check(&folder, &[]);
    assert!(status == 1 && said.contains("FAIL  files") && said.contains("idd"), "{said}");
    let (status, said) = check(&dir.path().join("none"), &[]);
    assert!(status == 2 && said.contains("none"), "{said}");
}
