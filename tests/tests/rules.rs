//! What the packages' files promise each other: a device that a driver knows by its USB ids is one that udev gives to tilld, and
//! an interface on the bus is one that the bus lets through.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

use std::fs;
use std::process::Command;

use till_tests::staging;

fn tree(path: &str) -> String {
    let file = staging::workspace().join(path);
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

#[test]
fn every_usb_id_of_a_drivers_manifest_has_its_udev_rule_and_no_rule_is_for_nobody() {
    let rules = tree("udev/80-tilld.rules");
    let mut wanted = Vec::new();
    for entry in fs::read_dir(staging::workspace().join("drivers")).unwrap() {
        let Ok(text) = fs::read_to_string(entry.unwrap().path().join("manifest.toml")) else { continue };
        let manifest: toml::Table = toml::from_str(&text).unwrap();
        let Some(tables) = manifest["driver"].get("match").and_then(toml::Value::as_array) else { continue };
        for table in tables {
            let say = |key: &str| table.get(key).and_then(toml::Value::as_str);
            let Some(vendor) = say("ID_VENDOR_ID") else { continue };
            let model =
                say("ID_MODEL_ID").map(|id| format!(", ATTRS{{idProduct}}==\"{id}\"")).unwrap_or_default();
            let subsystem = say("SUBSYSTEM").unwrap();
            wanted.push(format!("SUBSYSTEM==\"{subsystem}\", ATTRS{{idVendor}}==\"{vendor}\"{model}, GOTO="));
        }
    }
    assert!(wanted.len() > 5, "the manifests are found");
    for rule in &wanted {
        assert!(rules.contains(rule.as_str()), "udev/80-tilld.rules has no rule {rule}");
    }
    let named = rules.lines().filter(|l| !l.starts_with('#') && l.contains("ATTRS{idVendor}"));
    assert_eq!(named.count(), wanted.len(), "a rule for a device that no driver knows");
}

/// systemd looks the kinds up when the unit starts: one whose module comes with the first device would be refused.
#[test]
fn the_modules_of_the_kinds_that_the_unit_allows_are_loaded_before_it_and_its_groups_are_there() {
    let unit = tree("systemd/tilld.service");
    let line = |key: &str| unit.lines().filter(|l| l.starts_with(key)).collect::<Vec<_>>().join(" ");
    let brings = [
        ("hidraw", "hid"),
        ("ttyACM", "cdc_acm"),
        ("ttyUSB", "usbserial"),
        ("i2c", "i2c-dev"),
        ("spi", "spidev"),
    ];
    for (kind, module) in brings {
        assert!(unit.contains(&format!("DeviceAllow=char-{kind} rw")), "{kind} is allowed");
        for key in ["Wants=", "After="] {
            assert!(line(key).contains(&format!("modprobe@{module}.service")), "{key} lacks {module}");
        }
    }
    // dialout and lp are Debian's own.
    let made = tree("systemd/tilld.sysusers");
    let groups = line("SupplementaryGroups=");
    let ours = groups
        .trim_start_matches("SupplementaryGroups=")
        .split(' ')
        .filter(|g| !["dialout", "lp"].contains(g));
    for group in ours {
        assert!(
            made.contains(&format!("\ng {group} ")),
            "nobody makes the group {group}, and the unit would not start"
        );
        assert!(tree("udev/80-tilld.rules").contains(&format!("GROUP=\"{group}\"")));
    }
}

#[test]
fn the_bus_lets_every_interface_through_and_nobody_else_have_the_name() {
    let policy = tree("dbus/tilld.conf");
    for entry in fs::read_dir(staging::workspace().join("dbus/interfaces")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let allowed = format!("send_interface=\"{}\"", name.trim_end_matches(".xml"));
        assert!(policy.contains(&allowed), "dbus/tilld.conf does not let {name} through");
    }
    assert_eq!(policy.matches("<allow own=").count(), 1);
    assert_eq!(policy.matches("<deny send_destination=").count(), 1);
}

/// Files below a folder, with their paths.
fn below(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() { below(&path, found) } else { found.push(path) }
    }
}

/// channels.md C19: what is installed brings no key along, and no unit hands one over in an argument or the environment.
#[test]
fn c19_no_file_of_a_package_holds_a_key_or_hands_one_over() {
    let workspace = staging::workspace();
    let mut files = Vec::new();
    for folder in ["packaging", "systemd", "dbus", "udev", "channels", "drivers"] {
        below(&workspace.join(folder), &mut files);
    }
    let mut units = 0;
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let name = file.display();
        let kept =
            file.extension().is_some_and(|e| e == "toml" || e == "service" || e == "conf" || e == "rules");
        let tests = file.components().any(|part| part.as_os_str() == "tests");
        if tests || !kept {
            continue;
        }
        assert!(!text.contains("PRIVATE KEY"), "{name} holds a private key");
        if file.extension().is_some_and(|e| e == "service") {
            units += 1;
            for line in
                text.lines().filter(|line| line.starts_with("Environment") || line.starts_with("Exec"))
            {
                let line = line.to_lowercase();
                assert!(
                    !["key=", "secret=", "password="].iter().any(|word| line.contains(word)),
                    "{name}: {line}"
                );
            }
        }
    }
    assert!(units > 0, "the units are found");
}

/// channels.md C24: RSA private operations are not done with the `rsa` crate (RUSTSEC-2023-0071), and CI would say so.
#[test]
fn c24_the_rsa_crate_is_in_no_build_and_cargo_deny_refuses_it() {
    let lock: toml::Table = toml::from_str(&tree("Cargo.lock")).unwrap();
    let packages = lock["package"].as_array().unwrap();
    let has = |name: &str| packages.iter().any(|p| p["name"].as_str() == Some(name));
    assert!(has("ring") && packages.len() > 100, "the lock file is read");
    assert!(!has("rsa"));
    assert!(tree("deny.toml").contains("crate = \"rsa\""));
    assert!(tree("test").contains("cargo deny --offline check licenses bans sources"));
}

/// channels.md C10: no method, property or signal of the bus can carry a PIN.
#[test]
fn c10_nothing_on_the_bus_takes_or_tells_a_pin() {
    let mut interfaces = 0;
    for entry in fs::read_dir(staging::workspace().join("dbus/interfaces")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap().to_lowercase();
        interfaces += 1;
        let names = text.split("name=\"").skip(1).filter_map(|rest| rest.split('"').next());
        for name in names {
            let words = ["pin", "pin_block", "pinblock", "enterpin"];
            assert!(!words.contains(&name), "{name}");
        }
    }
    assert!(interfaces > 8);
}

/// channels.md C20: what systemd itself says of the unit's sandbox, from 0 (shut) to 10. It stands in `systemd/README.md`.
#[test]
fn c20_systemd_calls_the_units_exposure_ok() {
    let unit = staging::workspace().join("systemd/tilld.service");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager", "--threshold=20"]).arg(&unit);
    let Ok(said) = analyze.output() else {
        println!("skipped: no systemd-analyze here");
        return;
    };
    let text = String::from_utf8_lossy(&said.stdout);
    if !text.contains("Overall exposure level") {
        println!(
            "skipped: this systemd-analyze does not look at files: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        return;
    }
    assert!(said.status.success(), "{}", text.lines().last().unwrap_or_default());
}
