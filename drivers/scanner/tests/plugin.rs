//! The whole driver on a transport in memory: what the till hears of a scan, and what it must never hear.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;

use std::time::Duration;

use common::{Keys, armed, bench, code, events, keys, open, reasons, sale, texts};
use till_driver_scanner::plugin::Scanner;
use till_driver_scanner::settings::Config;
use till_plugin::host::TransportKind;
use till_plugin::manifest::Manifest;
use till_plugin::{Driver, ErrorCode, Settings};

const SERIAL: TransportKind = TransportKind::Serial;
const EVDEV: TransportKind = TransportKind::Evdev;
const DEFAULT: &str = "{}";
/// Of the form of an Alipay payment code; made up.
const CODE: &str = "280123456789012345";

fn counter(driver: &mut Scanner, name: &str) -> u64 {
    driver.statistics().into_iter().find(|(n, _)| n == name).unwrap().1
}

#[test]
fn a_code_is_reported_with_its_terminator_and_waits_for_nothing() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    let before = host.host().now().boot_ms;
    host.arrive(format!("{CODE}\r").as_bytes());
    assert_eq!(texts(&driver.poll(Duration::from_secs(5)).unwrap()), [CODE]);
    assert_eq!(host.host().now().boot_ms, before);
}

#[test]
fn a_code_that_comes_byte_by_byte_is_one_code() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    for byte in format!("{CODE}\r\n").bytes() {
        host.arrive(&[byte]);
        host.pause(Duration::from_millis(60));
    }
    assert_eq!(texts(&events(&mut driver)), [CODE]);
}

#[test]
fn two_scans_in_one_read_are_two() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    host.arrive(b"111\r\n222\r\n");
    assert_eq!(texts(&events(&mut driver)), ["111", "222"]);
}

#[test]
fn the_same_code_twice_in_a_moment_is_one_scan() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    for _ in 0..5 {
        host.arrive(format!("{CODE}\r").as_bytes());
        host.pause(Duration::from_millis(300));
    }
    assert_eq!(texts(&events(&mut driver)), [CODE]);
    assert_eq!(counter(&mut driver, "repeats"), 4);
    events(&mut driver);
    host.arrive(format!("{CODE}\r").as_bytes());
    assert_eq!(texts(&events(&mut driver)), [CODE], "shown again later it is a scan again");
}

#[test]
fn nothing_is_reported_before_enable_nor_after_disable() {
    let host = bench(SERIAL);
    let mut driver: Scanner = open(&host, DEFAULT);
    host.arrive(b"111\r");
    assert_eq!(events(&mut driver), []);
    driver.enable(sale()).unwrap();
    assert_eq!(events(&mut driver), []);
    driver.disable().unwrap();
    host.arrive(b"222\r");
    assert_eq!(events(&mut driver), []);
    assert_eq!(counter(&mut driver, "unwanted"), 2);
}

#[test]
fn a_stale_code_in_the_kernel_does_not_pay_the_next_bill() {
    let host = bench(SERIAL);
    let mut driver: Scanner = open(&host, DEFAULT);
    host.arrive(format!("{CODE}\r").as_bytes());
    driver.enable(sale()).unwrap();
    assert_eq!(events(&mut driver), []);
}

#[test]
fn the_rest_of_a_code_that_began_before_enable_is_no_code() {
    for suffix in ["enter", "cr", "none"] {
        let host = bench(SERIAL);
        let mut driver: Scanner = open(&host, &format!(r#"{{"suffix": "{suffix}"}}"#));
        host.arrive(b"13");
        driver.enable(sale()).unwrap();
        // What is left would be a well-formed Alipay code.
        host.arrive(format!("{CODE}{}", if suffix == "none" { "" } else { "\r" }).as_bytes());
        assert_eq!(events(&mut driver), [], "{suffix}");
        host.arrive(format!("7{CODE}{}", if suffix == "none" { "" } else { "\r" }).as_bytes());
        assert_eq!(reasons(&events(&mut driver)), ["read"], "{suffix}: the next one is");
    }
}

#[test]
fn a_code_still_before_the_scanner_when_the_next_sale_opens_is_an_old_one() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    host.arrive(format!("{CODE}\r").as_bytes());
    assert_eq!(texts(&driver.poll(Duration::ZERO).unwrap()), [CODE]);
    driver.disable().unwrap();
    for _ in 0..10 {
        host.pause(Duration::from_millis(500));
        host.arrive(format!("{CODE}\r").as_bytes());
    }
    for _ in 0..110 {
        assert_eq!(driver.poll(Duration::from_millis(50)).unwrap(), []);
    }
    driver.enable(sale()).unwrap();
    host.arrive(format!("{CODE}\r").as_bytes());
    assert_eq!(driver.poll(Duration::ZERO).unwrap(), []);
}

#[test]
fn a_scanner_without_terminator_ends_with_silence() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, r#"{"suffix": "none", "silence-ms": 80}"#);
    host.arrive(&CODE.as_bytes()[..9]);
    host.pause(Duration::from_millis(79));
    host.arrive(&CODE.as_bytes()[9..]);
    host.pause(Duration::from_millis(81));
    host.arrive(b"222");
    assert_eq!(texts(&events(&mut driver)), [CODE, "222"]);
}

#[test]
fn a_code_cut_by_a_busy_machine_is_not_taken_for_a_short_one() {
    // No terminator, and the host comes late to the second half: it lies in the kernel, so there was no silence.
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, r#"{"suffix": "none"}"#);
    host.arrive(&CODE.as_bytes()[..9]);
    assert_eq!(driver.poll(Duration::ZERO).unwrap(), []);
    host.advance(Duration::from_secs(3));
    host.arrive(&CODE.as_bytes()[9..]);
    assert_eq!(texts(&events(&mut driver)), [CODE]);
}

#[test]
fn a_code_whose_terminator_never_comes_is_given_up_and_the_next_is_whole() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    host.arrive(b"13");
    host.pause(Duration::from_millis(1001));
    host.arrive(format!("{CODE}\r").as_bytes());
    assert_eq!(reasons(&events(&mut driver)), ["truncated", "read"]);
}

#[test]
fn a_code_of_10000_digits_is_refused_and_the_next_is_read() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    host.arrive(format!("{}\r{CODE}\r", "1".repeat(10_000)).as_bytes());
    assert_eq!(reasons(&events(&mut driver)), ["too-long", "read"]);
}

#[test]
fn a_qr_code_of_7089_digits_is_read_whole() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    let digits = "0123456789".repeat(709)[..7089].to_owned();
    host.arrive(format!("]Q1{digits}\r\n").as_bytes());
    let seen = events(&mut driver);
    assert!(*code(&seen[0]).text.expose() == digits);
    assert_eq!(code(&seen[0]).symbology.as_deref(), Some("Q1"));
}

#[test]
fn an_endless_stream_is_told_once_and_holds_nothing_up() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    for _ in 0..1000 {
        host.arrive(&[b'7'; 1024]);
    }
    let mut seen = Vec::new();
    for _ in 0..40 {
        seen.extend(driver.poll(Duration::ZERO).unwrap());
    }
    assert_eq!(reasons(&seen), ["too-long"]);
}

#[test]
fn an_empty_scan_and_a_flood_of_them() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    host.arrive(b"\r\n");
    assert_eq!(reasons(&events(&mut driver)), ["empty"]);
    host.arrive(&b"\r".repeat(5000));
    assert_eq!(reasons(&events(&mut driver)), ["empty"]);
    assert_eq!(counter(&mut driver, "failures"), 5001);
}

#[test]
fn one_hundred_scans_a_second_all_arrive() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    for n in 0..100 {
        host.arrive(format!("69{n:011}\r").as_bytes());
        host.pause(Duration::from_millis(10));
    }
    let seen: Vec<_> = (0..200).flat_map(|_| driver.poll(Duration::from_millis(20)).unwrap()).collect();
    let wanted: Vec<String> = (0..100).map(|n| format!("69{n:011}")).collect();
    assert_eq!(texts(&seen), wanted);
}

#[test]
fn garbage_of_a_wrong_baud_rate_is_no_code() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    host.arrive(&[0xF8, 0x00, 0x80, 0xFE, 0x9C, b'\r']);
    assert_eq!(reasons(&events(&mut driver)), ["not-text"]);
    // At open it is dropped with everything else that nobody asked for.
    let host = bench(SERIAL);
    host.arrive(&[0xF8, 0x00, 0x80]);
    let mut driver: Scanner = armed(&host, DEFAULT);
    host.pause(Duration::from_secs(2));
    host.arrive(format!("{CODE}\r").as_bytes());
    assert_eq!(texts(&events(&mut driver)), [CODE]);
}

#[test]
fn a_chinese_code_in_gb18030() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, r#"{"charset": "gb18030"}"#);
    host.arrive(b"\xc4\xe3\xba\xc3\r");
    assert_eq!(texts(&events(&mut driver)), ["\u{4f60}\u{597d}"]);
}

#[test]
fn stx_and_etx() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, r#"{"prefix": "stx", "suffix": "0x03"}"#);
    host.arrive(b"\x02AB\rC\x03noise\x03\x02\x03");
    assert_eq!(reasons(&events(&mut driver)), ["read", "no-prefix", "empty"]);
}

#[test]
fn an_ean_that_fails_its_own_check_was_damaged_on_the_way() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    host.arrive(b"]E04006381333932\r]E04006381333931\r");
    let seen = events(&mut driver);
    assert_eq!(reasons(&seen), ["bad-check", "read"]);
    assert_eq!(code(&seen[1]).symbology.as_deref(), Some("E0"));
}

#[test]
fn a_keyboard_scanner() {
    let host = bench(EVDEV);
    let mut driver: Scanner = armed(&host, DEFAULT);
    for part in keys("https://example.org/?a=B~1\r").chunks(31) {
        host.arrive(part);
    }
    assert_eq!(texts(&events(&mut driver)), ["https://example.org/?a=B~1"]);
    let mut lost = Keys::new();
    lost.text("13451").raw(0, 3, 0).raw(0, 0, 0).text(&format!("{CODE}\r{CODE}\r"));
    host.arrive(&lost.take());
    assert_eq!(reasons(&events(&mut driver)), ["events-lost", "read"]);
    let mut odd = Keys::new();
    odd.text("1345").key(56, 1).tap(30).key(56, 0).text("1\r");
    host.arrive(&odd.take());
    assert_eq!(reasons(&events(&mut driver)), ["bad-character"]);
}

#[test]
fn a_keyboard_scanner_without_terminator() {
    let host = bench(EVDEV);
    let mut driver: Scanner = armed(&host, r#"{"suffix": "none"}"#);
    let mut two = Keys::new();
    two.text(CODE).pause(500).text("222");
    // Read late and in one go: the kernel's stamps tell the two apart.
    host.arrive(&two.take());
    assert_eq!(texts(&events(&mut driver)), [CODE, "222"]);
}

#[test]
fn a_recording_of_keys_on_a_socket() {
    let host = bench(TransportKind::Unix);
    let mut driver: Scanner = armed(&host, r#"{"input": "keys", "suffix": "enter"}"#);
    host.arrive(&keys(&format!("{CODE}\r")));
    assert_eq!(texts(&events(&mut driver)), [CODE]);
}

#[test]
fn unplugged_in_the_middle_of_a_code() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    host.arrive(b"2801234");
    host.unplug();
    let gone = driver.poll(Duration::from_secs(1)).unwrap_err();
    assert_eq!(gone.code, ErrorCode::TransportGone);
    assert_eq!(reasons(&host.driver_events()), ["device-gone"]);
    assert!(driver.enable(sale()).is_err(), "a scanner that is gone cannot be armed");
}

#[test]
fn unplugged_while_idle_is_an_error_and_no_failed_read() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, DEFAULT);
    host.arrive(format!("{CODE}\r").as_bytes());
    host.unplug();
    assert_eq!(texts(&driver.poll(Duration::ZERO).unwrap()), [CODE], "what came before the end still counts");
    assert!(driver.poll(Duration::ZERO).is_err());
    assert_eq!(host.driver_events(), []);
}

#[test]
fn no_event_log_line_or_error_shows_a_code() {
    let host = bench(SERIAL);
    let mut driver: Scanner = armed(&host, r#"{"max-length": 32, "aim": "required"}"#);
    host.arrive(format!("]Q1{CODE}\r{CODE}\r]E0{CODE}\r]Q2\\{CODE}\r]Q1{CODE}{CODE}\r]Q1{CODE}").as_bytes());
    host.arrive(b"\xff\r]Q1");
    host.arrive(CODE.as_bytes());
    let mut seen = events(&mut driver);
    seen.extend(events(&mut driver));
    host.unplug();
    let gone = driver.poll(Duration::ZERO);
    let shown = format!("{seen:?} {gone:?} {:?} {:?}", host.driver_events(), host.log_lines());
    assert!(seen.len() >= 5, "{shown}");
    assert!(!shown.contains(&CODE[..8]) && !shown.contains(&CODE[10..]), "{shown}");
}

#[test]
fn wrong_settings_name_the_setting_and_the_remedy() {
    let refused = |settings: &str| {
        let error = Scanner::open(bench(SERIAL).host(), Settings::from_json(settings)).err().unwrap();
        assert_eq!(error.code, ErrorCode::Settings);
        error.message
    };
    assert!(refused(r#"{"sufix": "cr"}"#).contains("sufix"));
    assert!(refused(r#"{"suffix": "return"}"#).contains("crlf"));
    for bytes in ["0x", "0x0", "0xzz", "0x010203040506070809", "0x\u{e4}"] {
        assert!(refused(&format!(r#"{{"suffix": "{bytes}"}}"#)).contains("0x0d0a"), "{bytes}");
    }
    assert!(refused(r#"{"max-length": 8}"#).contains("from 32 to 65536"));
    assert!(refused(r#"{"silence-ms": 0}"#).contains("silence-ms"));
}

#[test]
fn the_manifest_and_the_driver_agree() {
    let manifest = Manifest::parse(include_str!("../manifest.toml")).unwrap();
    assert_eq!(manifest.plugin.id, "org.tilld.scanner");
    let defaults: serde_json::Map<String, serde_json::Value> = manifest
        .settings
        .iter()
        .map(|(name, setting)| {
            (name.clone(), serde_json::to_value(setting.default.as_ref().unwrap()).unwrap())
        })
        .collect();
    let config = |json: String| Config::new(&Settings::from_json(json), SERIAL).unwrap();
    assert_eq!(config(serde_json::Value::Object(defaults).to_string()), config(String::new()));
    let driver: Scanner = open(&bench(SERIAL), DEFAULT);
    assert_eq!(driver.describe().classes, manifest.driver.unwrap().classes);
    assert!(!driver.describe().certified);
}
