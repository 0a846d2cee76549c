//! The driver on the simulated chip, which sees what the relay sees.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::sync::{Arc, Mutex};
use std::time::Duration;

use till_driver_drawer::plugin::Drawer;
use till_plugin::driver::{DeviceState, DriverEvent, HealthLevel, OpenDrawer};
use till_plugin::host::{Settings, TransportKind};
use till_plugin::manifest::Manifest;
use till_plugin::testing::TestHost;
use till_plugin::{Driver, ErrorCode, Extra};
use till_simulators::counter::Machine;
use till_simulators::counter::gpio::Chip;

const SETTINGS: &str = r#"{"line":"RELAY","switch":"SWITCH","too-long-s":10}"#;

fn bench() -> (TestHost, Arc<Mutex<Chip>>) {
    let host = TestHost::new().with_transport(TransportKind::Unix);
    let chip = Arc::new(Mutex::new(Chip::new(["RELAY", "SWITCH", "LED"])));
    let theirs = Arc::clone(&chip);
    host.respond(move |bytes| theirs.lock().unwrap().receive(bytes));
    (host, chip)
}

fn open(host: &TestHost) -> Drawer {
    let drawer = Drawer::open(host.host(), Settings::from_json(SETTINGS)).unwrap();
    host.advance(Duration::from_secs(2));
    drawer
}

fn request(reason: &str) -> OpenDrawer {
    OpenDrawer { reason: reason.into(), pin: 0, extra: Extra::new() }
}

fn live(drawer: &mut Drawer, ms: u64) -> Vec<DriverEvent> {
    (0..ms / 50).flat_map(|_| drawer.poll(Duration::from_millis(50)).unwrap()).collect()
}

#[test]
fn a_payment_opens_it_once_for_the_set_time_and_it_is_told() {
    let (host, chip) = bench();
    let mut drawer = open(&host);
    assert!(live(&mut drawer, 200).is_empty());
    let before = host.host().now().boot_ms;
    drawer.open_drawer(request("payment 01J")).unwrap();
    assert_eq!(host.host().now().boot_ms - before, 150);
    assert_eq!(chip.lock().unwrap().edges("RELAY"), [true, false]);
    chip.lock().unwrap().force("SWITCH", true);
    assert_eq!(live(&mut drawer, 200), [DriverEvent::Drawer(true)]);
    assert_eq!(drawer.health(HealthLevel::External).unwrap().text, "open");
    assert!(host.log_lines().iter().any(|l| l.1.contains("payment 01J")));
    assert_eq!(chip.lock().unwrap().edges("RELAY").len(), 2, "no check moves it");
}

#[test]
fn a_storm_is_refused_and_a_request_needs_a_reason() {
    let (host, chip) = bench();
    let mut drawer = open(&host);
    drawer.open_drawer(request("a")).unwrap();
    for _ in 0..50 {
        assert_eq!(drawer.open_drawer(request("b")).unwrap_err().code, ErrorCode::Busy);
    }
    assert_eq!(drawer.open_drawer(request(" \u{1b} ")).unwrap_err().code, ErrorCode::BadRequest);
    assert_eq!(chip.lock().unwrap().edges("RELAY").len(), 2);
    assert_eq!(drawer.statistics()[..2], [("pulses".to_owned(), 1), ("refused".to_owned(), 50)]);
}

#[test]
fn a_call_without_time_for_a_whole_pulse_does_nothing() {
    let (host, chip) = bench();
    let mut drawer = open(&host);
    host.set_remaining(Some(Duration::from_millis(100)));
    assert_eq!(drawer.open_drawer(request("a")).unwrap_err().code, ErrorCode::Timeout);
    assert!(chip.lock().unwrap().edges("RELAY").is_empty());
}

#[test]
fn a_busy_missing_or_wrong_line_is_a_typed_error() {
    let refused = |host: &TestHost, settings: &str| {
        Drawer::open(host.host(), Settings::from_json(settings)).err().map(|e| (e.code, e.message)).unwrap()
    };
    let (host, chip) = bench();
    chip.lock().unwrap().take("RELAY", "gpioset");
    let (code, text) = refused(&host, SETTINGS);
    assert!(code == ErrorCode::Busy && text.contains("gpioset"), "{text}");
    let (code, text) = refused(&host, r#"{"line":"GPIO99"}"#);
    assert!(code == ErrorCode::Settings && text.contains("GPIO99"), "{text}");
    for settings in [
        "{}",
        r#"{"line":"A","switch":"A"}"#,
        r#"{"line":"A","pulse-ms":501}"#,
        r#"{"line":"A","pulse-ms":49}"#,
        r#"{"line":"a b"}"#,
    ] {
        assert_eq!(refused(&host, settings).0, ErrorCode::Settings, "{settings}");
    }
    assert_eq!(refused(&TestHost::new(), SETTINGS).0, ErrorCode::TransportGone);
    let serial = TestHost::new().with_transport(TransportKind::Serial);
    assert_eq!(refused(&serial, SETTINGS).0, ErrorCode::Settings);
    assert_eq!(Manifest::parse(include_str!("../manifest.toml")).unwrap().settings.len(), 6);
}

#[test]
fn closing_and_panicking_leave_the_line_inactive() {
    let (host, chip) = bench();
    drop(open(&host));
    assert!(!chip.lock().unwrap().level("RELAY"));
    let (low, chip) = bench();
    let settings = r#"{"line":"RELAY","active-low":true}"#;
    let drawer = Drawer::open(low.host(), Settings::from_json(settings)).unwrap();
    assert!(chip.lock().unwrap().level("RELAY"), "inactive is the high level from the request on");
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _held = drawer;
        panic!("as the test wants it");
    }));
    assert!(ended.is_err() && chip.lock().unwrap().level("RELAY"));
}

#[test]
fn a_process_that_dies_in_the_pulse_leaves_the_line_to_the_chip() {
    let mut chip = Chip::new(["RELAY"]);
    chip.receive(b"out RELAY 0\nset RELAY 1\n");
    assert!(chip.level("RELAY"));
    // No word more: the stream ends, as it does on kill -9.
    chip.left();
    assert!(!chip.level("RELAY"), "the resistor pulls it back");
    assert_eq!(chip.holder("RELAY"), None);
}

#[test]
fn a_line_that_does_not_let_go_ends_the_instance() {
    let (host, chip) = bench();
    let mut drawer = open(&host);
    chip.lock().unwrap().jam("RELAY");
    assert!(drawer.open_drawer(request("a")).is_err());
    assert!(host.log_lines().iter().any(|l| l.1.contains("does not let go")));
}

#[test]
fn a_chip_that_goes_away_is_a_typed_error() {
    let (host, _) = bench();
    let mut drawer = open(&host);
    host.unplug();
    assert_eq!(drawer.poll(Duration::from_millis(50)).unwrap_err().code, ErrorCode::TransportGone);
    assert_eq!(drawer.open_drawer(request("a")).unwrap_err().code, ErrorCode::TransportGone);
}

#[test]
fn open_for_too_long_and_stuck_are_shown_and_end_by_themselves() {
    let (host, chip) = bench();
    let mut drawer = open(&host);
    live(&mut drawer, 200);
    drawer.open_drawer(request("a")).unwrap();
    let attention = |events: &[DriverEvent], what: &str| {
        events.iter().any(|e| matches!(e, DriverEvent::State { state: DeviceState::Attention, text } if text.contains(what)))
    };
    assert!(attention(&live(&mut drawer, 3_000), "did not open"));
    chip.lock().unwrap().force("SWITCH", true);
    let events = live(&mut drawer, 9_000);
    assert!(events.contains(&DriverEvent::Drawer(true)) && !attention(&events, "too long"));
    assert!(attention(&live(&mut drawer, 3_000), "too long"));
    assert_eq!(drawer.health(HealthLevel::Internal).unwrap().state, DeviceState::Attention);
    chip.lock().unwrap().force("SWITCH", false);
    let ready = DriverEvent::State { state: DeviceState::Ready, text: String::new() };
    let events = live(&mut drawer, 500);
    assert!(events.contains(&DriverEvent::Drawer(false)) && events.contains(&ready), "{events:?}");
}
