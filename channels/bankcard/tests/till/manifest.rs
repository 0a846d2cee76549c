//! The manifest says what the plugin does.

use super::open;
use std::collections::BTreeSet;
use till_channel_bankcard::plugin::Bankcard;
use till_plugin::manifest::Manifest;
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Settings};

const MANIFEST: &str = include_str!("../../manifest.toml");

#[test]
fn manifest_and_description_agree() {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let (plugin, _) = open("127.0.0.1:1", |_| ());
    let described = plugin.describe();
    let channel = manifest.channel.unwrap();
    assert_eq!(channel.families, described.families);
    assert_eq!(channel.operations, described.operations);
    assert!(
        described.resolve.single_slot
            && described.resolve.undo.is_some()
            && described.resolve.query.is_none()
    );
}

#[test]
fn every_setting_of_the_manifest_is_read_and_no_other() {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let host = TestHost::new();
    let error = Bankcard::open(host.host(), Settings::from_json("{\"wrong\": 1}")).err().unwrap().message;
    let known: BTreeSet<&str> = error.split('`').skip(3).step_by(2).collect();
    assert_eq!(known, manifest.settings.keys().map(String::as_str).collect(), "{error}");
}

#[test]
fn without_its_master_key_it_does_not_open_and_says_what_to_do() {
    let settings =
        "{\"address\":\"a:1\",\"terminal\":\"12345678\",\"merchant\":\"123456789012345\",\"tls\":false}";
    let error = Bankcard::open(TestHost::new().host(), Settings::from_json(settings)).err().unwrap();
    assert!(error.message.contains("\"tmk\""), "{error}");
    let host = TestHost::new().with_secret("tmk", b"not a key 0123456789ABCDEF");
    let error = Bankcard::open(host.host(), Settings::from_json(settings)).err().unwrap();
    assert!(error.message.contains("hexadecimal") && !error.message.contains("0123456789ABCDEF"), "{error}");
}
