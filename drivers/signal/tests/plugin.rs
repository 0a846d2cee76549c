//! The driver on the simulated chip.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::sync::{Arc, Mutex};
use std::time::Duration;

use till_driver_signal::plugin::Lamps;
use till_plugin::driver::{HealthLevel, Signal};
use till_plugin::host::{Settings, TransportKind};
use till_plugin::manifest::Manifest;
use till_plugin::testing::TestHost;
use till_plugin::{Driver, ErrorCode};
use till_simulators::counter::Machine;
use till_simulators::counter::gpio::Chip;

const SETTINGS: &str = r#"{"ready":"GREEN","success":"BLUE","failure":"RED","beeper":"BEEP"}"#;

fn bench() -> (TestHost, Arc<Mutex<Chip>>) {
    let host = TestHost::new().with_transport(TransportKind::Unix);
    let chip = Arc::new(Mutex::new(Chip::new(["GREEN", "BLUE", "RED", "BEEP"])));
    let theirs = Arc::clone(&chip);
    host.respond(move |bytes| theirs.lock().unwrap().receive(bytes));
    (host, chip)
}

fn open(host: &TestHost) -> Lamps {
    Lamps::open(host.host(), Settings::from_json(SETTINGS)).unwrap()
}

fn live(lamps: &mut Lamps, ms: u64) {
    for _ in 0..ms / 10 {
        lamps.poll(Duration::from_millis(10)).unwrap();
    }
}

fn on(chip: &Arc<Mutex<Chip>>) -> Vec<&'static str> {
    let chip = chip.lock().unwrap();
    ["GREEN", "BLUE", "RED", "BEEP"].into_iter().filter(|l| chip.level(l)).collect()
}

#[test]
fn each_signal_shows_its_pattern_and_ends() {
    let (host, chip) = bench();
    let mut lamps = open(&host);
    assert!(on(&chip).is_empty());
    lamps.signal(Signal::Ready).unwrap();
    live(&mut lamps, 100_000);
    assert_eq!(on(&chip), ["GREEN"]);
    lamps.signal(Signal::Success).unwrap();
    assert_eq!(on(&chip), ["BLUE", "BEEP"]);
    live(&mut lamps, 1_000);
    assert_eq!(on(&chip), ["BLUE"]);
    live(&mut lamps, 3_000);
    assert!(on(&chip).is_empty());
    lamps.signal(Signal::Alarm).unwrap();
    live(&mut lamps, 30_000);
    assert_eq!(on(&chip), ["RED"], "the lamp stays, the sound does not");
    assert_eq!(chip.lock().unwrap().edges("BEEP").len(), 2 + 20);
    lamps.signal(Signal::Off).unwrap();
    assert!(on(&chip).is_empty());
}

#[test]
fn the_newest_of_a_storm_is_shown_and_nothing_is_left_on() {
    let (host, chip) = bench();
    let mut lamps = open(&host);
    for n in 0..300 {
        let all = [Signal::Alarm, Signal::Busy, Signal::Failure, Signal::Ready, Signal::Success];
        lamps.signal(all[n % 5]).unwrap();
    }
    live(&mut lamps, 5_000);
    assert!(on(&chip).is_empty());
    lamps.signal(Signal::Ready).unwrap();
    drop(lamps);
    assert!(on(&chip).is_empty(), "closing puts the lamps out");
}

#[test]
fn wrong_lines_are_typed_errors() {
    let refused = |host: &TestHost, settings: &str| {
        Lamps::open(host.host(), Settings::from_json(settings)).err().map(|e| e.code).unwrap()
    };
    let (host, chip) = bench();
    assert_eq!(refused(&host, "{}"), ErrorCode::Settings);
    assert_eq!(refused(&host, r#"{"ready":"A","beeper":"A"}"#), ErrorCode::Settings);
    assert_eq!(refused(&host, r#"{"ready":"NONE"}"#), ErrorCode::Settings);
    chip.lock().unwrap().take("RED", "leds-gpio");
    assert_eq!(refused(&host, r#"{"failure":"RED"}"#), ErrorCode::Busy);
    assert_eq!(Manifest::parse(include_str!("../manifest.toml")).unwrap().settings.len(), 5);
}

#[test]
fn a_part_of_the_lines_is_enough_and_health_shows_itself() {
    let (host, chip) = bench();
    let mut lamps = Lamps::open(host.host(), Settings::from_json(r#"{"success":"BLUE"}"#)).unwrap();
    lamps.signal(Signal::Alarm).unwrap();
    assert!(on(&chip).is_empty());
    for (level, shown) in
        [(HealthLevel::Internal, false), (HealthLevel::External, true), (HealthLevel::Interactive, false)]
    {
        lamps.health(level).unwrap();
        assert_eq!(!on(&chip).is_empty(), shown);
    }
}
