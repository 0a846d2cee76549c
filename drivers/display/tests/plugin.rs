//! The driver as the daemon runs it, on the SDK's transport in memory.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::sync::{Arc, Mutex};
use std::time::Duration;

use till_driver_display::plugin::Display as Driven;
use till_plugin::driver::{DeviceState, DriverEvent, HealthLevel, ShowContent};
use till_plugin::host::{Settings, TransportKind};
use till_plugin::manifest::Manifest;
use till_plugin::testing::TestHost;
use till_plugin::{Currency, Driver, ErrorCode, Money};
use till_simulators::counter::Machine;
use till_simulators::counter::display::{Commands, Display};

fn bench(commands: Commands) -> (TestHost, Arc<Mutex<Display>>) {
    let host = TestHost::new().with_transport(TransportKind::Serial);
    let display = Arc::new(Mutex::new(Display::new(commands, true)));
    let theirs = Arc::clone(&display);
    host.respond(move |bytes| theirs.lock().unwrap().receive(bytes));
    (host, display)
}

fn open(host: &TestHost, settings: &str) -> Driven {
    Driven::open(host.host(), Settings::from_json(settings)).unwrap()
}

fn amount(minor: i64) -> ShowContent {
    ShowContent::Amount(Money::new(minor, Currency::CNY))
}

fn shown(display: &Arc<Mutex<Display>>) -> Option<String> {
    display.lock().unwrap().amount()
}

/// Polls for a time of the test's clock.
fn live(driver: &mut Driven, ms: u64) -> Vec<DriverEvent> {
    (0..ms / 50).flat_map(|_| driver.poll(Duration::from_millis(50)).unwrap()).collect()
}

#[test]
fn not_present_and_wrong_settings_are_typed_errors() {
    let refused = |host: &TestHost, settings: &str| {
        Driven::open(host.host(), Settings::from_json(settings)).err().map(|e| (e.code, e.message))
    };
    assert_eq!(refused(&TestHost::new(), "{}").unwrap().0, ErrorCode::TransportGone);
    let (host, _) = bench(Commands::Cd5220);
    for (settings, names) in [
        (r#"{"profile":"vfd"}"#, "cd5220-gb"),
        (r#"{"brightness":9}"#, "brightness"),
        (r#"{"language":"zh"}"#, "Chinese"),
        (r#"{"scroll-ms":1}"#, "scroll-ms"),
        (r#"{"colour":1}"#, "colour"),
    ] {
        let (code, text) = refused(&host, settings).unwrap();
        assert!(code == ErrorCode::Settings && text.contains(names), "{text}");
    }
}

#[test]
fn the_manifest_names_every_setting() {
    let manifest = Manifest::parse(include_str!("../manifest.toml")).unwrap();
    let values = manifest.settings.keys().map(|name| {
        let value = match name.as_str() {
            "profile" => "\"cd5220-gb\"",
            "language" => "\"zh\"",
            "idle" => "[\"a\"]",
            "brightness" => "2",
            _ => "500",
        };
        format!("\"{name}\":{value}")
    });
    let all = values.collect::<Vec<_>>().join(",");
    let (bench, _) = bench(Commands::Cd5220);
    drop(open(&bench, &format!("{{{all}}}")));
}

#[test]
fn from_idle_to_an_amount_and_back() {
    let (host, display) = bench(Commands::Epson);
    let mut driver = open(&host, r#"{"profile":"epson-gb","idle":["欢迎光临"]}"#);
    assert_eq!(display.lock().unwrap().lines()[0], "欢迎光临");
    driver.show(amount(12_850)).unwrap();
    assert_eq!(shown(&display).as_deref(), Some("128.50"));
    driver.show(ShowContent::Clear).unwrap();
    assert_eq!(display.lock().unwrap().lines()[0], "欢迎光临");
    assert_eq!(shown(&display), None);
    assert_eq!(display.lock().unwrap().brightness(), 4);
}

#[test]
fn an_amount_without_room_is_refused_and_the_display_goes_blank() {
    let (host, display) = bench(Commands::Led8n);
    let mut driver = open(&host, r#"{"profile":"led8n"}"#);
    driver.show(amount(99_999_999)).unwrap();
    assert_eq!(shown(&display).as_deref(), Some("999999.99"));
    let error = driver.show(amount(100_000_000)).unwrap_err();
    assert_eq!(error.code, ErrorCode::BadRequest);
    assert_eq!(shown(&display), None, "the amount before must not stand there");
    assert_eq!(driver.statistics().iter().find(|s| s.0 == "refused").unwrap().1, 1);
}

#[test]
fn a_display_that_never_reads_costs_half_a_second_and_catches_up() {
    let (host, display) = bench(Commands::Cd5220);
    let mut driver = open(&host, "{}");
    host.take_at_most(7);
    let before = host.host().now().boot_ms;
    assert_eq!(driver.show(amount(100)).unwrap_err().code, ErrorCode::NotReady);
    assert!(host.host().now().boot_ms - before <= 500);
    let offline = |events: &[DriverEvent]| {
        events.iter().any(|e| matches!(e, DriverEvent::State { state: DeviceState::Offline, .. }))
    };
    assert!(offline(&live(&mut driver, 100)));
    assert_eq!(driver.health(HealthLevel::Internal).unwrap().state, DeviceState::Offline);
    // The customer is at the next amount already: only that one may come.
    let _still_behind = driver.show(amount(200));
    host.take_all();
    let events = live(&mut driver, 2_000);
    assert!(
        events.iter().any(|e| matches!(e, DriverEvent::State { state: DeviceState::Unknown, .. })),
        "{events:?}"
    );
    assert_eq!(shown(&display).as_deref(), Some("2.00"));
}

#[test]
fn an_unplugged_display_is_a_typed_error_and_the_next_process_shows_the_content_again() {
    let (host, _) = bench(Commands::Cd5220);
    let mut driver = open(&host, "{}");
    host.unplug();
    assert_eq!(driver.poll(Duration::from_millis(50)).unwrap_err().code, ErrorCode::TransportGone);
    assert_eq!(driver.show(amount(1)).unwrap_err().code, ErrorCode::TransportGone);
    let (host, display) = bench(Commands::Cd5220);
    let mut driver = open(&host, "{}");
    driver.show(amount(300)).unwrap();
    assert_eq!(shown(&display).as_deref(), Some("3.00"));
}

#[test]
fn a_display_that_lost_power_shows_the_amount_again_after_the_refresh() {
    let (host, display) = bench(Commands::Epson);
    let mut driver = open(&host, r#"{"profile":"epson-dm","refresh-s":30}"#);
    driver.show(amount(4_200)).unwrap();
    display.lock().unwrap().power_cycle();
    assert_eq!(shown(&display), None);
    live(&mut driver, 31_000);
    assert_eq!(shown(&display).as_deref(), Some("42.00"));
    assert!(!display.lock().unwrap().cursor());
}

#[test]
fn noise_from_the_line_is_dropped_and_bounded() {
    let (host, display) = bench(Commands::Cd5220);
    let mut driver = open(&host, "{}");
    driver.show(amount(500)).unwrap();
    for _ in 0..100 {
        host.arrive(&[0x1B; 4096]);
    }
    assert!(
        driver.poll(Duration::from_millis(500)).unwrap().is_empty(),
        "one poll reads a bounded part and returns"
    );
    live(&mut driver, 6_000);
    assert_eq!(shown(&display).as_deref(), Some("5.00"));
}

#[test]
fn only_the_newest_of_a_storm_stays() {
    let (host, display) = bench(Commands::Cd5220);
    let mut driver = open(&host, "{}");
    host.take_at_most(0);
    for minor in 0..500 {
        let _behind = driver.show(amount(minor));
    }
    host.take_all();
    host.written();
    live(&mut driver, 1_500);
    assert_eq!(shown(&display).as_deref(), Some("4.99"));
    assert!(host.written().len() < 200, "nothing was queued");
}

#[test]
fn a_long_line_scrolls_and_comes_back_and_the_amount_stands_still() {
    let (host, display) = bench(Commands::Cd5220);
    let mut driver = open(&host, r#"{"profile":"cd5220-gb","refresh-s":0}"#);
    let line = "谢谢惠顾 欢迎再来 Thank you, come again";
    driver.show(ShowContent::Text(vec![line.into(), "fits".into()])).unwrap();
    let mut seen = Vec::new();
    for _ in 0..200 {
        live(&mut driver, 200);
        let lines = display.lock().unwrap().lines();
        assert_eq!(lines[1], "fits");
        seen.push(lines[0].clone());
    }
    assert!(seen.iter().any(|l| l.starts_with("谢谢惠顾")) && seen.iter().any(|l| l.ends_with("come again")));
    let last = seen.iter().rposition(|l| l.ends_with("come again")).unwrap();
    let first = seen.iter().position(|l| l.ends_with("come again")).unwrap();
    assert!(seen[first..last].iter().any(|l| l.starts_with("谢谢惠顾")), "it begins again");
    assert!(display.lock().unwrap().unknown().is_empty());
}

#[test]
fn health_has_three_levels_and_never_claims_more_than_written() {
    let (host, display) = bench(Commands::Cd5220);
    let mut driver = open(&host, "{}");
    driver.show(amount(700)).unwrap();
    for level in [HealthLevel::Internal, HealthLevel::External, HealthLevel::Interactive] {
        assert_eq!(driver.health(level).unwrap().state, DeviceState::Unknown);
        assert_eq!(shown(&display).as_deref(), Some("7.00"));
    }
    assert_eq!(display.lock().unwrap().resets(), 3);
}
