//! The driver as the daemon sees it, on the SDK's transport in memory: events, errors, and what is remembered over restarts.

#![allow(clippy::unwrap_used)] // helpers of tests

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::Printer;
use till_driver_printer::plugin::PrinterDriver;
use till_plugin::document::{Block, Document};
use till_plugin::driver::{DeviceState, DriverEvent, OpenDrawer, PrintJob, PrintState, Signal};
use till_plugin::host::{Settings, TransportKind};
use till_plugin::manifest::Manifest;
use till_plugin::testing::TestHost;
use till_plugin::{Driver, ErrorCode, Extra};

/// A host with a printer at its transport that prints what it is sent at once.
fn bench() -> (TestHost, Arc<Mutex<Printer>>) {
    let host = TestHost::new().with_transport(TransportKind::Tcp);
    let printer = Arc::new(Mutex::new(Printer { room: 1 << 20, ..Printer::default() }));
    let theirs = Arc::clone(&printer);
    host.respond(move |bytes| {
        let mut printer = theirs.lock().unwrap();
        printer.take(bytes);
        (0..200).for_each(|_| printer.work(0));
        std::mem::take(&mut printer.replies)
    });
    (host, printer)
}

fn open(host: &TestHost, settings: &str) -> PrinterDriver {
    PrinterDriver::open(host.host(), Settings::from_json(settings)).unwrap()
}

fn job(job: u64) -> PrintJob {
    let document = Document::new().line("茶").pair("合计", "￥1.00").with(Block::Cut);
    PrintJob { job, document, copy: 0, restarted: false, extra: Extra::new() }
}

/// Polls until the job ends, for at most `seconds` of the test's clock; its states.
fn states(driver: &mut PrinterDriver, id: u64, seconds: u64) -> Vec<PrintState> {
    let mut states = Vec::new();
    for _ in 0..seconds * 10 {
        for event in driver.poll(Duration::from_millis(100)).unwrap() {
            match event {
                DriverEvent::Print { job, state } if job == id => states.push(state),
                _ => {}
            }
        }
        if states.last().is_some_and(PrintState::is_final) {
            break;
        }
    }
    states
}

#[test]
fn a_receipt_is_printed_and_reported_done() {
    let (host, printer) = bench();
    let mut driver = open(&host, "{}");
    driver.print(job(5)).unwrap();
    assert_eq!(states(&mut driver, 5, 20), [PrintState::Started, PrintState::Done]);
    assert_eq!(printer.lock().unwrap().text()[0], "茶");
    assert!(driver.describe().capabilities.contains(&"status".to_owned()));
    // Wear (S27): two lines, the way to the knife, and a cut.
    let counted = [("cuts", 1), ("done", 1), ("lines", 6)].map(|(name, n)| (name.to_owned(), n));
    assert_eq!(driver.statistics(), counted);
}

#[test]
fn a_job_that_comes_again_after_a_restart_is_not_printed_again() {
    let (host, printer) = bench();
    let mut driver = open(&host, "{}");
    driver.print(job(5)).unwrap();
    states(&mut driver, 5, 20);
    drop(driver);
    let before = printer.lock().unwrap().lines.len();
    let mut driver = open(&host, "{}");
    driver.print(PrintJob { restarted: true, ..job(5) }).unwrap();
    assert_eq!(states(&mut driver, 5, 20), [PrintState::Done]);
    assert_eq!(printer.lock().unwrap().lines.len(), before);
}

#[test]
fn a_job_broken_off_by_a_crash_is_voided_and_marked_when_it_comes_again() {
    let (host, printer) = bench();
    printer.lock().unwrap().paper = 1;
    let mut driver = open(&host, "{}");
    driver.print(job(5)).unwrap();
    let seen = states(&mut driver, 5, 10);
    assert_eq!(seen, [PrintState::Started, PrintState::Held { reason: "paper-out".to_owned() }]);
    drop(driver);
    printer.lock().unwrap().power_cycle();
    printer.lock().unwrap().paper = 1000;
    let mut driver = open(&host, "{}");
    driver.print(job(5)).unwrap();
    assert_eq!(states(&mut driver, 5, 20).last(), Some(&PrintState::Done));
    let printer = printer.lock().unwrap();
    let text = printer.text();
    let void = text.iter().position(|line| line.contains("VOID ABOVE")).unwrap();
    assert!(text[void + 2].contains("REPRINT"), "{text:?}");
}

#[test]
fn paper_out_is_a_state_of_the_device_with_what_to_do() {
    let (host, printer) = bench();
    printer.lock().unwrap().paper = 0;
    let mut driver = open(&host, "{}");
    let events = driver.poll(Duration::from_millis(10)).unwrap();
    let state = |event: &DriverEvent| match event {
        DriverEvent::State { state, text } => Some((*state, text.clone())),
        _ => None,
    };
    let (state, text) = events.iter().filter_map(state).next_back().unwrap();
    assert_eq!(state, DeviceState::Blocked);
    assert!(text.contains("new roll"), "{text}");
}

#[test]
fn a_printer_that_says_nothing_is_unknown_not_out_of_paper_and_ends_unconfirmed() {
    let (host, printer) = bench();
    printer.lock().unwrap().answers = false;
    let mut driver = open(&host, "{}");
    driver.print(job(5)).unwrap();
    assert_eq!(states(&mut driver, 5, 60), [PrintState::Started, PrintState::Unconfirmed]);
    assert_eq!(
        driver.health(till_plugin::driver::HealthLevel::Internal).unwrap().state,
        DeviceState::Unknown
    );
}

#[test]
fn unplugged_mid_job_the_job_is_told_failed_before_the_instance_ends() {
    let (host, printer) = bench();
    let mut driver = open(&host, "{}");
    printer.lock().unwrap().paper = 1;
    driver.print(job(5)).unwrap();
    states(&mut driver, 5, 5);
    host.unplug();
    let error = driver.poll(Duration::from_millis(100)).unwrap_err();
    assert_eq!(error.code, ErrorCode::TransportGone);
    let told = host.driver_events();
    let partly = |event: &DriverEvent| {
        matches!(event, DriverEvent::Print { job: 5, state: PrintState::Failed { partly: true, .. } })
    };
    assert!(told.iter().any(partly), "{told:?}");
}

#[test]
fn not_present_and_wrong_settings_are_typed_errors() {
    let none = PrinterDriver::open(TestHost::new().host(), Settings::default()).unwrap_err();
    assert_eq!(none.code, ErrorCode::TransportGone);
    let (host, _) = bench();
    for (json, names) in [
        (r#"{"profile":"epson-9000"}"#, "generic-80"),
        (r#"{"colums":32}"#, "colums"),
        (r#"{"columns":3}"#, "16 to 96"),
        (r#"{"drawer-pulse-ms":5000}"#, "50 to 500"),
        (r#"{"charset":"ebcdic"}"#, "gb18030"),
    ] {
        let error = PrinterDriver::open(host.host(), Settings::from_json(json)).unwrap_err();
        assert_eq!(error.code, ErrorCode::Settings, "{json}");
        assert!(error.message.contains(names), "{}", error.message);
    }
}

#[test]
fn the_drawer_opens_for_a_reason_and_says_when_it_could_not() {
    let (host, printer) = bench();
    let mut driver = open(&host, r#"{"drawer-open-level":"high"}"#);
    let open_drawer = |driver: &mut PrinterDriver, reason: &str| {
        driver.open_drawer(OpenDrawer { reason: reason.to_owned(), pin: 0, extra: Extra::new() })
    };
    assert_eq!(open_drawer(&mut driver, " ").unwrap_err().code, ErrorCode::BadRequest);
    open_drawer(&mut driver, "no-sale: change for the float").unwrap();
    assert_eq!(printer.lock().unwrap().pulses.len(), 1);
    host.take_at_most(0);
    host.advance(Duration::from_secs(20));
    assert_eq!(open_drawer(&mut driver, "payment 7").unwrap_err().code, ErrorCode::NotReady);
    host.take_all();
    driver.poll(Duration::from_secs(5)).unwrap();
    assert_eq!(printer.lock().unwrap().pulses.len(), 1, "not later either");
    host.arrive(&[0x14, 0, 0, 0]);
    let events = driver.poll(Duration::from_millis(100)).unwrap();
    assert!(events.contains(&DriverEvent::Drawer(true)), "{events:?}");
}

#[test]
fn what_is_wrong_with_a_document_is_said_at_once_and_nothing_is_sent() {
    let (host, printer) = bench();
    let mut driver = open(&host, "{}");
    let received = printer.lock().unwrap().received.len();
    let mut bad = job(9);
    bad.document.blocks.push(Block::Barcode { data: "茶".to_owned() });
    let error = driver.print(bad).unwrap_err();
    assert_eq!(error.code, ErrorCode::BadRequest);
    assert!(error.message.starts_with("print job 9: barcode"), "{}", error.message);
    assert_eq!(printer.lock().unwrap().received.len(), received);
    assert_eq!(driver.signal(Signal::Success).unwrap_err().code, ErrorCode::Unsupported);
}

#[test]
fn receipts_are_not_in_the_log_nor_in_debug_output() {
    let (host, printer) = bench();
    printer.lock().unwrap().paper = 1;
    let mut driver = open(&host, "{}");
    let mut secret = job(5);
    secret.document = secret.document.line("620000******0005");
    driver.print(secret).unwrap();
    states(&mut driver, 5, 5);
    assert!(!format!("{driver:?} {:?}", host.log_lines()).contains("0005"));
}

#[test]
fn the_manifest_takes_exactly_the_settings_of_the_driver() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/manifest.toml")).unwrap();
    let manifest = Manifest::parse(&text).unwrap();
    let (host, _) = bench();
    let error = PrinterDriver::open(host.host(), Settings::from_json(r#"{"x":1}"#)).unwrap_err().message;
    for name in manifest.settings.keys() {
        assert!(
            error.contains(&format!("`{name}`")),
            "{name} is in the manifest, not in the driver: {error}"
        );
    }
    assert_eq!(error.matches('`').count() / 2, manifest.settings.len() + 1, "{error}");
}
