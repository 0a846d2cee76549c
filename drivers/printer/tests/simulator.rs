//! Over real TCP against the printer of till-simulators, which was written from the protocol by other hands.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use till_driver_printer::plugin::PrinterDriver;
use till_plugin::document::{Block, Document};
use till_plugin::driver::{DriverEvent, OpenDrawer, PrintJob, PrintState};
use till_plugin::host::{
    Host, Level, Now, Read, Services, Settings, StoreError, TransportError, TransportInfo, TransportKind,
    WriteError,
};
use till_plugin::{Driver, Extra, PluginError, Sensitive};
use till_simulators::printer::{Command, PrinterConfig, VirtualPrinter};

/// The host's side of a TCP connection.
struct Tcp {
    stream: TcpStream,
    began: Instant,
    store: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    events: Mutex<Vec<Vec<u8>>>,
}

impl Tcp {
    fn gone(detail: &dyn ToString) -> TransportError {
        TransportError::Gone { name: "simulator".to_owned(), detail: detail.to_string() }
    }
}

impl Services for Tcp {
    fn log(&self, _: Level, _: &str) {}

    fn now(&self) -> Now {
        let boot_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap();
        Now { wall_ms: 0, boot_ms, trusted: true }
    }

    fn sleep(&self, time: Duration) -> bool {
        std::thread::sleep(time);
        true
    }

    fn read(&self, max: usize, wait: Duration) -> Result<Read, TransportError> {
        self.stream.set_read_timeout(Some(wait.max(Duration::from_millis(1)))).unwrap();
        let mut buffer = vec![0; max];
        match (&self.stream).read(&mut buffer) {
            Ok(0) => Err(Self::gone(&"closed")),
            Ok(n) => Ok(Read::Data(buffer[..n].to_vec())),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(Read::Timeout),
            Err(e) => Err(Self::gone(&e)),
        }
    }

    fn write(&self, bytes: &[u8], wait: Duration) -> Result<(), WriteError> {
        self.stream.set_write_timeout(Some(wait.max(Duration::from_millis(1)))).unwrap();
        let mut written = 0;
        while written < bytes.len() {
            match (&self.stream).write(&bytes[written..]) {
                Ok(n) => written += n,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(WriteError { written, error: None });
                }
                Err(e) => return Err(WriteError { written, error: Some(Self::gone(&e)) }),
            }
        }
        Ok(())
    }

    fn secret(&self, _: &str) -> Option<Sensitive<Vec<u8>>> {
        None
    }

    fn load(&self, key: &str) -> Option<Vec<u8>> {
        self.store.lock().unwrap().get(key).cloned()
    }

    fn store(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.store.lock().unwrap().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn emit(&self, _: u32, payload: Vec<u8>) {
        self.events.lock().unwrap().push(payload);
    }

    fn remaining(&self) -> Option<Duration> {
        None
    }

    fn cancelled(&self) -> bool {
        false
    }
}

struct Bench {
    printer: VirtualPrinter,
    services: Arc<Tcp>,
    driver: PrinterDriver,
    store: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

fn connect(
    printer: &VirtualPrinter,
    store: &Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
) -> (Arc<Tcp>, PrinterDriver) {
    let stream = TcpStream::connect(printer.addr()).unwrap();
    let events = Mutex::default();
    let services = Arc::new(Tcp { stream, began: Instant::now(), store: Arc::clone(store), events });
    let info = TransportInfo { kind: TransportKind::Tcp, name: printer.addr().to_string() };
    let host = Host::new(Arc::clone(&services) as Arc<dyn Services>, Some(info));
    let driver = PrinterDriver::open(host, Settings::from_json("{}")).unwrap();
    (services, driver)
}

impl Bench {
    fn new() -> Self {
        let printer = VirtualPrinter::start(PrinterConfig::default()).unwrap();
        let store = Arc::default();
        let (services, driver) = connect(&printer, &store);
        Self { printer, services, driver, store }
    }

    fn reconnect(&mut self) {
        (self.services, self.driver) = connect(&self.printer, &self.store);
    }

    /// Polls until a state of the job satisfies `stop`; all states seen.
    fn until(&mut self, stop: impl Fn(&PrintState) -> bool) -> Result<Vec<PrintState>, PluginError> {
        let end = Instant::now() + Duration::from_secs(40);
        let mut states = Vec::new();
        while Instant::now() < end {
            for event in self.driver.poll(Duration::from_millis(200))? {
                if let DriverEvent::Print { state, .. } = event {
                    states.push(state);
                }
            }
            if states.last().is_some_and(&stop) {
                return Ok(states);
            }
        }
        panic!("no such state within 40 s: {states:?}");
    }

    fn texts(&self) -> Vec<String> {
        self.printer.receipts().iter().map(till_simulators::printer::Receipt::text).collect()
    }
}

fn job(lines: usize) -> PrintJob {
    let document =
        (0..lines).fold(Document::new(), |doc, n| doc.pair(format!("商品{n:02}"), format!("￥{n}.00")));
    let document = document
        .with(Block::Qr { data: "https://example.com/r/17".to_owned(), module_dots: 4 })
        .with(Block::Cut);
    PrintJob { job: 17, document, copy: 0, restarted: false, extra: Extra::new() }
}

fn count(text: &str, lines: usize) {
    for n in 0..lines {
        assert_eq!(text.matches(&format!("商品{n:02}")).count(), 1, "{text}");
    }
}

#[test]
fn a_chinese_receipt_comes_out_whole_and_nothing_is_unknown() {
    let mut bench = Bench::new();
    bench.driver.print(job(20)).unwrap();
    let states = bench.until(PrintState::is_final).unwrap();
    assert_eq!(states, [PrintState::Started, PrintState::Done]);
    let receipts = bench.printer.receipts();
    assert_eq!(receipts.len(), 1);
    count(&receipts[0].text(), 20);
    assert_eq!(receipts[0].symbols().count(), 1);
    assert!(bench.printer.unknown().is_empty(), "{:02x?}", bench.printer.unknown());
    bench
        .driver
        .open_drawer(OpenDrawer { reason: "payment 17".to_owned(), pin: 0, extra: Extra::new() })
        .unwrap();
    assert!(bench.printer.wait(Duration::from_secs(5), |machine| machine.pulses().len() == 1));
    assert_eq!(bench.printer.pulses()[0].on_ms, 100);
}

#[test]
fn paper_out_at_a_line_and_refill_prints_it_once() {
    let mut bench = Bench::new();
    bench.printer.command(&Command::Paper { lines: 7 });
    bench.driver.print(job(20)).unwrap();
    let held = PrintState::Held { reason: "paper-out".to_owned() };
    bench.until(|state| *state == held).unwrap();
    bench.printer.command(&Command::Refill { lines: None });
    let states = bench.until(PrintState::is_final).unwrap();
    assert_eq!(states.last(), Some(&PrintState::Done));
    assert_eq!(bench.texts().len(), 1);
    count(&bench.texts()[0], 20);
}

#[test]
fn a_printer_that_stops_reading_is_held_and_goes_on() {
    let mut bench = Bench::new();
    bench.printer.command(&Command::StopReading { on: true });
    bench.driver.print(job(10)).unwrap();
    // What fits into the network's buffers is taken; the questions stay unanswered.
    bench.until(|state| matches!(state, PrintState::Held { .. })).unwrap();
    bench.printer.command(&Command::StopReading { on: false });
    let states = bench.until(PrintState::is_final).unwrap();
    assert_eq!(states.last(), Some(&PrintState::Done));
    assert_eq!(bench.texts().len(), 1);
    count(&bench.texts()[0], 10);
}

#[test]
fn a_printer_that_never_answers_prints_and_ends_unconfirmed() {
    let mut bench = Bench::new();
    bench.printer.command(&Command::Silent { on: true });
    bench.reconnect();
    bench.driver.print(job(10)).unwrap();
    let states = bench.until(PrintState::is_final).unwrap();
    assert_eq!(states, [PrintState::Started, PrintState::Unconfirmed]);
    count(&bench.texts()[0], 10);
}

#[test]
fn disconnected_at_a_byte_the_next_connection_voids_the_part_and_prints_a_whole_one() {
    for (bytes, reset) in [(0, false), (40, true), (300, false), (700, true)] {
        let mut bench = Bench::new();
        bench.printer.command(&Command::DropAfter { bytes, reset });
        bench.driver.print(job(20)).unwrap();
        let error = bench.until(PrintState::is_final).unwrap_err();
        assert_eq!(error.code, till_plugin::ErrorCode::TransportGone);
        assert!(!bench.services.events.lock().unwrap().is_empty(), "the job's end was told");
        bench.reconnect();
        bench.driver.print(job(20)).unwrap();
        assert_eq!(bench.until(PrintState::is_final).unwrap().last(), Some(&PrintState::Done), "{bytes}");
        let texts = bench.texts();
        count(texts.last().unwrap(), 20);
        for part in &texts[..texts.len() - 1] {
            assert!(part.contains("VOID ABOVE"), "{bytes}: {part}");
        }
    }
}

#[test]
fn a_printer_switched_off_mid_job_never_yields_a_half_receipt_taken_for_a_whole_one() {
    let mut bench = Bench::new();
    bench.printer.command(&Command::Paper { lines: 5 });
    bench.driver.print(job(20)).unwrap();
    bench.until(|state| matches!(state, PrintState::Held { .. })).unwrap();
    bench.printer.command(&Command::PowerCycle {});
    bench.printer.command(&Command::Refill { lines: None });
    let mut ended = bench.until(PrintState::is_final);
    if ended.is_err() {
        bench.reconnect();
        bench.driver.print(job(20)).unwrap();
        ended = bench.until(PrintState::is_final);
    }
    assert_eq!(ended.unwrap().last(), Some(&PrintState::Done));
    let texts = bench.texts();
    let last = texts.last().unwrap();
    assert!(last.contains("REPRINT"), "{last}");
    count(last, 20);
    assert!(texts[..texts.len() - 1].iter().all(|part| part.contains("VOID ABOVE")), "{texts:?}");
}

#[test]
fn a_slow_printer_gets_the_whole_receipt() {
    let mut bench = Bench::new();
    bench.printer.command(&Command::ReadRate { bytes_per_second: Some(400) });
    bench.driver.print(job(10)).unwrap();
    let states = bench.until(PrintState::is_final).unwrap();
    assert_eq!(states.last(), Some(&PrintState::Done));
    count(&bench.texts()[0], 10);
}

/// One metre is 266 lines at 30 dots. What any printer needs of it: the text, a line feed each, the initialisation, the cut.
#[test]
fn a_metre_of_receipt_over_tcp_costs_few_bytes_more_than_its_text() {
    let lines = 266;
    let document = (0..lines)
        .fold(Document::new(), |doc, n| doc.pair(format!("商品{n:03}"), format!("￥{n}.00")))
        .with(Block::Cut);
    // 48 columns, a byte each (a double-byte character is two of both), and its line feed.
    let minimal = 2 + lines * (48 + 1) + 4;
    let mut bench = Bench::new();
    bench
        .driver
        .print(PrintJob { job: 18, document, copy: 0, restarted: false, extra: Extra::new() })
        .unwrap();
    let states = bench.until(PrintState::is_final).unwrap();
    assert_eq!(states.last(), Some(&PrintState::Done));
    let sent = bench.printer.received().len();
    println!("1 m of receipt: {sent} bytes sent, {minimal} are the least: {} more", sent - minimal);
    assert!(sent >= minimal, "every line is there");
    // Status questions and fences: less than one byte in twenty.
    assert!((sent - minimal) * 20 < minimal, "{sent} bytes for {minimal}");
}
