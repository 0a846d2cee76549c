//! The driver with the SDK's host in memory: no daemon, no device, no waiting.

use std::time::Duration;

use till_plugin::driver::{DriverEvent, EnableRequest};
use till_plugin::host::TransportKind;
use till_plugin::instrument::Instrument;
use till_plugin::manifest::Manifest;
use till_plugin::testing::TestHost;
use till_plugin::{Currency, Driver, Extra, Money, Settings};
use till_plugin_template::LineScanner;

fn enable() -> EnableRequest {
    EnableRequest { amount: Money::new(12_850, Currency::CNY), families: Vec::new(), extra: Extra::new() }
}

fn codes(events: &[DriverEvent]) -> Vec<String> {
    events
        .iter()
        .map(|e| match e {
            DriverEvent::Read(Instrument::Code(code)) => code.text.expose().clone(),
            other => panic!("not a code: {other:?}"),
        })
        .collect()
}

#[test]
fn a_scan_for_a_payment_is_reported_and_one_before_it_is_not() {
    let bench = TestHost::new().with_transport(TransportKind::Serial);
    let mut driver = LineScanner::open(bench.host(), Settings::from_json("{}")).unwrap();

    bench.arrive(b"early\rha");
    assert_eq!(driver.poll(Duration::ZERO).unwrap(), []);
    driver.enable(enable()).unwrap();
    bench.arrive(b"280123456789012345\r");
    assert_eq!(codes(&driver.poll(Duration::ZERO).unwrap()), ["280123456789012345"]);
    driver.disable().unwrap();
    bench.arrive(b"late\r");
    assert_eq!(driver.poll(Duration::ZERO).unwrap(), []);
}

#[test]
fn an_unplugged_scanner_ends_the_instance_with_a_reason() {
    let bench = TestHost::new().with_transport(TransportKind::Serial);
    let mut driver = LineScanner::open(bench.host(), Settings::from_json("{}")).unwrap();
    bench.unplug();
    assert!(driver.poll(Duration::ZERO).unwrap_err().message.contains("gone"));
}

#[test]
fn a_wrong_setting_names_itself() {
    let open = |json| LineScanner::open(TestHost::new().host(), Settings::from_json(json)).map(drop);
    assert!(open(r#"{"end": "bell"}"#).unwrap_err().message.contains("bell"));
    assert!(open(r#"{"ned": "cr"}"#).unwrap_err().message.contains("ned"));
}

#[test]
fn the_manifest_beside_it_is_good() {
    let manifest = Manifest::parse(include_str!("../manifest.toml")).unwrap();
    assert_eq!(manifest.plugin.id, "org.example.line-scanner");
    assert_eq!(manifest.plugin.library, concat!("lib", env!("CARGO_PKG_NAME"), ".so").replace('-', "_"));
}
