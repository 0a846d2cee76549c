//! What the packages' files promise each other: a device that a driver knows by its USB ids is one that udev gives to tilld, and
//! an interface on the bus is one that the bus lets through.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

use std::fs;

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
