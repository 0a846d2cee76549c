//! HID POS scanners (usage page 8Ch) and triggers, through the whole driver.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;

use std::time::Duration;

use common::{armed, bench, events, open, reasons, sale};
use proptest::prelude::*;
use till_driver_scanner::assemble::ScanFault;
use till_driver_scanner::hidpos::{PosLayout, PosReader};
use till_driver_scanner::plugin::Scanner;
use till_hid::Descriptor;
use till_plugin::driver::DriverEvent;
use till_plugin::host::TransportKind;
use till_plugin::testing::TestHost;
use till_plugin::{Driver, Instrument, Settings};

/// Identifier, 56 bytes, one "continued" bit; report 2; as in the shared vectors.
const PLAIN: &str = "058c0902a1010912a1028502150026ff007508950109fb810209fc810209fd8102953809fe820201150025017501950109ff810295078103c0c0";
/// The same with a byte count and eight bits, and a trigger report 4.
const FULL: &str = "058c0902a1010912a1028502150026ff007508950105 01093b81029503058c09fb09fc09fd8102953809fe82020125017501950809ff8102c0\
    0914a102850475019508 0900095f0960090009000985098691 86c0c0";

fn settings(descriptor: &str, more: &str) -> String {
    format!(r#"{{"report-descriptor": "{descriptor}"{more}}}"#)
}

fn plain(aim: &str, code: &[u8], continued: bool) -> Vec<u8> {
    let mut report = vec![0; 61];
    report[0] = 2;
    report[1..=aim.len()].copy_from_slice(aim.as_bytes());
    report[4..4 + code.len()].copy_from_slice(code);
    report[60] = u8::from(continued);
    report
}

fn full(aim: &str, code: &[u8]) -> Vec<u8> {
    let mut report = vec![0; 62];
    report[0] = 2;
    report[1] = u8::try_from(code.len()).unwrap();
    report[2..2 + aim.len()].copy_from_slice(aim.as_bytes());
    report[5..5 + code.len()].copy_from_slice(code);
    report
}

fn scanner(host: &TestHost) -> Scanner {
    armed(host, &settings(PLAIN, ""))
}

fn code(event: &DriverEvent) -> (&str, Option<&str>) {
    match event {
        DriverEvent::Read(Instrument::Code(code)) => (code.text.expose(), code.symbology.as_deref()),
        other => panic!("not a code: {other:?}"),
    }
}

#[test]
fn a_code_comes_with_its_report_and_its_symbology() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = scanner(&host);
    assert!(driver.describe().model.contains("HID POS"));
    host.arrive(&plain("]Q1", b"6212345678901234567", false));
    let all = driver.poll(Duration::ZERO).unwrap();
    assert_eq!(code(&all[0]), ("6212345678901234567", Some("Q1")), "nothing is waited for");
    host.pause(Duration::from_secs(2));
    host.arrive(&plain("", b"281234567890123456", false));
    assert_eq!(code(&events(&mut driver)[0]), ("281234567890123456", None));
}

#[test]
fn a_code_that_goes_on_in_further_reports_is_one_code() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = scanner(&host);
    let long = "x".repeat(130);
    for (n, part) in long.as_bytes().chunks(56).enumerate() {
        host.arrive(&plain("]Q1", part, n < 2));
    }
    assert_eq!(code(&events(&mut driver)[0]), (long.as_str(), Some("Q1")));
}

#[test]
fn a_continued_report_whose_rest_never_comes_is_given_up_and_the_next_code_is_whole() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = scanner(&host);
    host.arrive(&plain("]Q1", &[b'7'; 56], true));
    host.pause(Duration::from_millis(400));
    host.arrive(&plain("]Q1", b"6212345678901234567", false));
    let all = events(&mut driver);
    assert_eq!(reasons(&all), ["truncated", "read"]);
    assert_eq!(code(&all[1]).0, "6212345678901234567");
}

#[test]
fn a_short_and_a_long_report_are_refused_and_the_next_code_counts() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = scanner(&host);
    let whole = plain("]Q1", b"6212345678901234567", false);
    for report in [&whole[..1], &whole[..32], &[&whole[..], &[0]].concat()[..]] {
        host.arrive(report);
        host.pause(Duration::from_millis(300));
    }
    // Half a code, then damage: the rest of it is no code.
    host.arrive(&plain("]Q1", &[b'7'; 56], true));
    host.arrive(&whole[..60]);
    host.arrive(&whole);
    assert_eq!(
        reasons(&events(&mut driver)),
        ["bad-report", "bad-report", "bad-report", "bad-report", "read"]
    );
}

#[test]
fn a_byte_count_keeps_a_codes_own_nul_and_one_beyond_the_buffer_is_refused() {
    let host = bench(TransportKind::Hidraw);
    let mut driver: Scanner = armed(&host, &settings(FULL, ""));
    host.arrive(&full("]d2", b"01\x1d10\0"));
    assert_eq!(code(&events(&mut driver)[0]).0, "01\u{1d}10\0");
    let mut lie = full("]Q1", b"x");
    lie[1] = 57;
    host.arrive(&lie);
    assert_eq!(reasons(&events(&mut driver)), ["bad-report"]);
    // Without one, the padding is taken off and a NUL inside stays.
    let host = bench(TransportKind::Hidraw);
    let mut driver = scanner(&host);
    host.arrive(&plain("", b"a\0b\0\0", false));
    assert_eq!(code(&events(&mut driver)[0]).0, "a\0b");
}

#[test]
fn an_empty_report_bytes_that_are_no_text_and_a_wrong_check_digit() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = scanner(&host);
    for report in
        [plain("]Q1", b"", false), plain("", b"\xff\xfe\x80", false), plain("]E0", b"4006381333932", false)]
    {
        host.arrive(&report);
        host.pause(Duration::from_millis(300));
    }
    assert_eq!(reasons(&events(&mut driver)), ["empty", "not-text", "bad-check"]);
    // A bracket that is data, where identifiers are switched off.
    let host = bench(TransportKind::Hidraw);
    let mut driver: Scanner = armed(&host, &settings(PLAIN, r#", "aim": "off""#));
    host.arrive(&plain("]Q1", b"]E", false));
    assert_eq!(code(&events(&mut driver)[0]), ("]E", None));
}

#[test]
fn other_reports_of_the_scanner_are_no_codes() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = scanner(&host);
    host.arrive(&[5, 1, 2, 3]);
    host.arrive(&[9]);
    assert!(events(&mut driver).is_empty());
}

#[test]
fn an_endless_code_over_hid_is_told_once_and_the_next_is_read() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = scanner(&host);
    for _ in 0..400 {
        host.arrive(&plain("", &[b'1'; 56], true));
    }
    host.arrive(&plain("", &[b'1'; 56], false));
    host.arrive(&plain("", b"6212345678901234567", false));
    assert_eq!(reasons(&events(&mut driver)), ["too-long", "read"]);
}

#[test]
fn the_rest_of_a_code_that_began_before_the_payment_is_no_code() {
    let host = bench(TransportKind::Hidraw);
    let mut driver: Scanner = open(&host, &settings(PLAIN, ""));
    host.arrive(&plain("]Q1", &[b'7'; 56], true));
    driver.poll(Duration::ZERO).unwrap();
    driver.enable(sale()).unwrap();
    host.arrive(&plain("]Q1", b"281234567890123456", false));
    assert!(events(&mut driver).is_empty());
}

#[test]
fn the_same_code_twice_over_hid_is_one_scan() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = scanner(&host);
    host.arrive(&plain("]Q1", b"6212345678901234567", false));
    host.pause(Duration::from_millis(500));
    host.arrive(&plain("]Q1", b"6212345678901234567", false));
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
}

#[test]
fn unplugged_in_the_middle_of_a_hid_code() {
    let host = bench(TransportKind::Hidraw);
    let mut driver = scanner(&host);
    host.arrive(&plain("]Q1", &[b'7'; 56], true));
    host.unplug();
    assert!((0..3).any(|_| driver.poll(Duration::from_millis(50)).is_err()));
    assert_eq!(reasons(&host.driver_events()), ["device-gone"]);
}

#[test]
fn a_hid_scanner_is_started_for_a_payment_again_after_each_code_and_stopped_behind_it() {
    let host = bench(TransportKind::Hidraw);
    let mut driver: Scanner = open(&host, &settings(FULL, ""));
    assert!(driver.describe().capabilities.contains(&"trigger".to_owned()));
    assert_eq!(host.written(), [4, 0b010], "nobody waits: readings are prevented");
    driver.enable(sale()).unwrap();
    assert_eq!(host.written(), [4, 0b100]);
    host.arrive(&full("", b"6901234567892"));
    assert_eq!(events(&mut driver).len(), 1);
    assert_eq!(host.written(), [4, 0b100], "an article number is no payment: the next code is waited for");
    events(&mut driver);
    assert!(host.written().is_empty(), "and once is enough");
    driver.disable().unwrap();
    assert_eq!(host.written(), [4, 0b010]);

    for (descriptor, more) in [(PLAIN, ""), (FULL, r#", "trigger": "off""#)] {
        let host = bench(TransportKind::Hidraw);
        let mut driver: Scanner = armed(&host, &settings(descriptor, more));
        assert!(host.written().is_empty() && !driver.describe().capabilities.contains(&"trigger".to_owned()));
        host.arrive(&if descriptor == PLAIN { plain("", b"1", false) } else { full("", b"1") });
        assert_eq!(reasons(&events(&mut driver)), ["read"]);
    }
}

#[test]
fn a_scanner_on_a_line_is_started_and_stopped_by_its_makers_bytes() {
    let host = bench(TransportKind::Serial);
    let mut driver: Scanner = open(&host, r#"{"trigger-start": "0x16540d", "trigger-stop": "0x16550d"}"#);
    assert_eq!(host.written(), [0x16, 0x55, 0x0D]);
    driver.enable(sale()).unwrap();
    assert_eq!(host.written(), [0x16, 0x54, 0x0D]);
    driver.disable().unwrap();
    assert_eq!(host.written(), [0x16, 0x55, 0x0D]);
    // By default nothing is ever written: another maker's scanner might take it for a command.
    let host = bench(TransportKind::Serial);
    let mut driver: Scanner = armed(&host, "{}");
    driver.disable().unwrap();
    assert!(host.written().is_empty());
}

#[test]
fn a_scanner_that_does_not_take_its_trigger_still_reads() {
    let host = bench(TransportKind::Hidraw);
    host.take_at_most(0);
    let mut driver: Scanner = armed(&host, &settings(FULL, ""));
    host.arrive(&full("", b"6212345678901234567"));
    assert_eq!(reasons(&events(&mut driver)), ["read"]);
    assert_eq!(host.log_lines().len(), 1, "told once");
}

#[test]
fn wrong_hid_settings_name_the_setting_and_the_remedy() {
    let refused = |kind, settings: &str| {
        let host = bench(kind);
        Scanner::open(host.host(), Settings::from_json(settings)).err().unwrap().to_string()
    };
    use TransportKind::{Hidraw, Serial};
    assert!(refused(Serial, r#"{"input": "hid-pos"}"#).contains("`input`"));
    assert!(refused(Hidraw, r#"{"input": "text"}"#).contains("`input`"));
    assert!(refused(Hidraw, &settings(PLAIN, r#", "trigger-start": "0x01""#)).contains("`trigger-start`"));
    assert!(refused(Serial, r#"{"trigger-start": "01"}"#).contains("`trigger-start`"));
    assert!(refused(Serial, r#"{"trigger-stop": "0x1"}"#).contains("`trigger-stop`"));
    assert!(refused(Hidraw, &settings("05010902a101c0", "")).contains("8Ch"));
    assert!(refused(Hidraw, &settings("zz", "")).contains("`report-descriptor`"));
}

#[test]
fn the_vectors_reports_give_what_they_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/devices-hid_reports.json");
    let Ok(text) = std::fs::read_to_string(path) else { return println!("skipped: no shared vectors") };
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut seen = 0;
    for case in
        all["cases"].as_array().unwrap().iter().filter(|case| case["descriptor_of"] == "scan-8c-descriptor")
    {
        let host = bench(TransportKind::Hidraw);
        let mut driver = scanner(&host);
        for report in case["reports"].as_array().unwrap() {
            host.arrive(&hex::decode(report.as_str().unwrap()).unwrap());
        }
        let all = events(&mut driver);
        let (found, aim) = code(&all[0]);
        assert_eq!(
            (found, aim.map(|aim| format!("]{aim}"))),
            (case["expect"]["data"].as_str().unwrap(), case["expect"]["aim"].as_str().map(str::to_owned))
        );
        seen += 1;
    }
    assert!(seen >= 2);
}

proptest! {
    #[test]
    fn any_reports_end_and_a_whole_code_behind_silence_is_read(reports in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..70), 0..12)) {
        let descriptor = Descriptor::parse(&hex::decode(PLAIN).unwrap()).unwrap();
        let mut reader = PosReader::new(PosLayout::new(&descriptor).unwrap(), 200, true);
        for report in &reports {
            reader.push(report, |scan| assert!(scan.is_err() || scan.is_ok_and(|scan| scan.len() <= 203)));
        }
        reader.idle(|scan| assert_eq!(scan, Err(ScanFault::Unfinished)));
        let mut read = Vec::new();
        reader.push(&plain("]Q1", b"6212345678901234567", false), |scan| read = scan.unwrap().to_vec());
        prop_assert_eq!(read, b"]Q16212345678901234567".to_vec());
    }

    #[test]
    fn a_code_split_over_reports_is_itself(code in proptest::collection::vec(1_u8..=255, 1..600)) {
        let descriptor = Descriptor::parse(&hex::decode(PLAIN).unwrap()).unwrap();
        let mut reader = PosReader::new(PosLayout::new(&descriptor).unwrap(), 7200, false);
        let mut read = Vec::new();
        let parts: Vec<_> = code.chunks(56).collect();
        for (n, part) in parts.iter().enumerate() {
            reader.push(&plain("]Q1", part, n + 1 < parts.len()), |scan| read.push(scan.unwrap().to_vec()));
        }
        prop_assert_eq!(read, vec![code]);
    }
}
