//! The driver on I2C and SPI: transactions over the host's transport, the simulated chip behind them.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;
#[path = "common/twin.rs"]
mod twin;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use embedded_hal::i2c::I2c;
use embedded_hal::spi::{Operation as SpiOperation, SpiDevice};
use till_driver_nfc::link::line::{Line, LineError};
use till_driver_nfc::plugin::Nfc;
use till_plugin::bus::{Cause, Fault as BusFault, Operation, Reply, Request};
use till_plugin::host::TransportKind;
use till_plugin::testing::TestHost;
use till_plugin::{Driver, ErrorCode, Settings};
use till_simulators::nfc::{Card, Chip, Hand, Out};
use twin::{card, reasons, sale};

const BUSES: [TransportKind; 2] = [TransportKind::I2c, TransportKind::Spi];

/// What a test makes the bus do.
#[derive(Default)]
struct Plan {
    /// So many transactions are not acknowledged.
    nobody: u32,
    /// And so many fail otherwise.
    broken: u32,
    transactions: u64,
    longest_read: usize,
}

/// A chip behind transactions, without time: what it says is there at the next look, each frame after one look that finds none.
fn behind(host: &TestHost, kind: TransportKind, chip: &Arc<Mutex<Chip>>, plan: &Arc<Mutex<Plan>>) {
    let (chip, plan) = (chip.clone(), plan.clone());
    let mut frames = std::collections::VecDeque::<Vec<u8>>::new();
    let mut asleep = true;
    let mut busy = true;
    host.respond(move |packet| {
        let request = Request::decode(packet).unwrap();
        let mut guard = plan.lock().unwrap();
        let plan = &mut *guard;
        plan.transactions += 1;
        let mut chip = chip.lock().unwrap();
        let fault = |cause| Err(BusFault { cause, text: "as the test wants it".into() });
        let mut run = || {
            if std::mem::take(&mut asleep) {
                chip.receive(&[0x55]);
                return fault(Cause::NoAcknowledge);
            }
            for (left, cause) in
                [(&mut plan.nobody, Cause::NoAcknowledge), (&mut plan.broken, Cause::Timeout)]
            {
                if *left > 0 {
                    *left -= 1;
                    return fault(cause);
                }
            }
            let spi = kind == TransportKind::Spi;
            let turned = |bytes: &[u8]| -> Vec<u8> {
                bytes.iter().map(|b| if spi { b.reverse_bits() } else { *b }).collect()
            };
            let mut order = if spi { 0 } else { 0x03 };
            let mut read = Vec::new();
            for operation in &request.operations {
                match operation {
                    Operation::Write(bytes) => {
                        let bytes = turned(bytes);
                        let frame = if spi {
                            order = bytes[0];
                            &bytes[1..]
                        } else {
                            &bytes[..]
                        };
                        for out in if spi && order != 0x01 { Vec::new() } else { chip.receive(frame) } {
                            if let Out::Bytes(_, bytes) = out {
                                frames.push_back(bytes);
                            }
                        }
                    }
                    Operation::Read(count) => {
                        let count = usize::from(*count);
                        plan.longest_read = plan.longest_read.max(count);
                        let ready = !frames.is_empty() && !std::mem::take(&mut busy);
                        let mut answer =
                            if !spi || order == 0x02 { vec![u8::from(ready)] } else { Vec::new() };
                        if order == 0x03 && count > 1 && (ready || spi) {
                            answer.extend(frames.pop_front().unwrap_or_default());
                            busy = true;
                        }
                        answer.resize(count, 0);
                        read.extend(turned(&answer));
                    }
                    Operation::Transfer(_) | Operation::Pause(_) => panic!("not of this chip"),
                }
            }
            Ok(read.into())
        };
        let result = run();
        Reply { number: request.number, result }.encode().to_vec()
    });
}

struct Bench {
    host: TestHost,
    chip: Arc<Mutex<Chip>>,
    plan: Arc<Mutex<Plan>>,
    driver: Nfc,
}

impl Bench {
    fn new(kind: TransportKind) -> Self {
        let host = TestHost::new().with_transport(kind);
        let (chip, plan) = (Arc::new(Mutex::new(Chip::new())), Arc::default());
        behind(&host, kind, &chip, &plan);
        let driver = Nfc::open(host.host(), Settings::from_json("{}")).unwrap();
        Self { host, chip, plan, driver }
    }

    fn within(&mut self, ms: u64) -> Result<Vec<till_plugin::driver::DriverEvent>, till_plugin::PluginError> {
        let until = self.host.host().now().boot_ms + ms;
        let mut all = Vec::new();
        while self.host.host().now().boot_ms < until {
            all.extend(self.driver.poll(Duration::from_millis(20))?);
        }
        Ok(all)
    }
}

#[test]
fn a_whole_tap_over_i2c_and_spi() {
    for kind in BUSES {
        let mut bench = Bench::new(kind);
        bench.driver.enable(sale(128)).unwrap();
        bench.chip.lock().unwrap().present(Hand::with(Card::unionpay()));
        let events = bench.within(1000).unwrap();
        assert_eq!(reasons(&events), ["read"], "{kind:?}");
        assert_eq!(card(&events[0]).masked, "620000******0005");
        assert!(bench.plan.lock().unwrap().longest_read > 262, "a frame is fetched whole");
    }
}

#[test]
fn a_chip_that_does_not_acknowledge_for_a_while_loses_no_tap() {
    for kind in BUSES {
        for nobody in [1, 5, 9] {
            let mut bench = Bench::new(kind);
            bench.driver.enable(sale(128)).unwrap();
            bench.plan.lock().unwrap().nobody = nobody;
            bench.chip.lock().unwrap().present(Hand::with(Card::unionpay()));
            assert_eq!(reasons(&bench.within(1500).unwrap()), ["read"], "{kind:?}, {nobody} times");
            assert_eq!(bench.driver.statistics().last().unwrap(), &("bus-faults".to_owned(), 0));
        }
    }
}

#[test]
fn a_bus_that_fails_once_is_counted_told_once_and_gone_on_with() {
    for kind in BUSES {
        let mut bench = Bench::new(kind);
        bench.driver.enable(sale(128)).unwrap();
        bench.plan.lock().unwrap().broken = 3;
        bench.within(1000).unwrap();
        bench.chip.lock().unwrap().present(Hand::with(Card::unionpay()));
        assert_eq!(reasons(&bench.within(1000).unwrap()), ["read"], "{kind:?}");
        assert_eq!(bench.driver.statistics().last().unwrap(), &("bus-faults".to_owned(), 3));
        let told = bench.host.log_lines().iter().filter(|(_, l)| l.contains("as the test wants")).count();
        assert_eq!(told, 1);
    }
}

#[test]
fn a_chip_that_is_gone_for_good_gives_the_device_up_and_says_so() {
    for kind in BUSES {
        let mut bench = Bench::new(kind);
        bench.driver.enable(sale(128)).unwrap();
        bench.plan.lock().unwrap().nobody = u32::MAX;
        let error = bench.within(60_000).unwrap_err();
        assert_eq!(error.code, ErrorCode::TransportGone, "{kind:?}");
        assert!(error.to_string().contains("does not answer"), "{error}");
    }
}

#[test]
fn a_bus_that_is_unplugged_is_gone() {
    for kind in BUSES {
        let mut bench = Bench::new(kind);
        bench.driver.enable(sale(128)).unwrap();
        bench.host.respond(|_| Vec::new());
        bench.host.unplug();
        assert_eq!(bench.within(5_000).unwrap_err().code, ErrorCode::TransportGone);
    }
}

/// A line to a device that gives back what the test says.
fn line(reply: impl Fn(Request) -> Option<Reply> + Send + 'static) -> (TestHost, Line) {
    let host = TestHost::new().with_transport(TransportKind::Spi);
    host.respond(move |packet| {
        reply(Request::decode(packet).unwrap()).map_or_else(Vec::new, |r| r.encode().to_vec())
    });
    let line = Line::new(host.host());
    (host, line)
}

#[test]
fn the_line_is_what_embedded_hal_says() {
    let (_host, mut bus) = line(|request| {
        let count: usize = request.read();
        let read: Vec<u8> = (1..=u8::try_from(count).unwrap()).collect();
        Some(Reply { number: request.number, result: Ok(read.into()) })
    });
    let (mut a, mut b) = ([0; 2], [0; 3]);
    I2c::write_read(&mut bus, 0x24, &[9], &mut a).unwrap();
    assert_eq!(a, [1, 2]);
    let mut in_place = [7, 7];
    let mut operations = [
        SpiOperation::Write(&[1]),
        SpiOperation::Read(&mut a),
        SpiOperation::Transfer(&mut b, &[5]),
        SpiOperation::DelayNs(10),
        SpiOperation::TransferInPlace(&mut in_place),
    ];
    SpiDevice::transaction(&mut bus, &mut operations).unwrap();
    assert_eq!((a, b, in_place), ([1, 2], [3, 4, 5], [6, 7]));
}

#[test]
fn an_answer_to_another_transaction_or_none_is_never_taken_for_this_one() {
    let (host, mut bus) = line(|_| None);
    let old = Reply { number: 200, result: Ok(vec![0xEE].into()) };
    host.arrive(&old.encode());
    let mut read = [0];
    assert_eq!(I2c::read(&mut bus, 0x24, &mut read), Err(LineError::Silent));
    assert_eq!(read, [0]);
    let (_host, mut bus) =
        line(|request| Some(Reply { number: request.number, result: Ok(vec![1, 2, 3].into()) }));
    assert!(
        matches!(I2c::read(&mut bus, 0x24, &mut read), Err(LineError::Bus(f)) if f.cause == Cause::Refused)
    );
}
