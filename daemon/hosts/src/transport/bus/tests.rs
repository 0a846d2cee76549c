//! The line of a bus on a device that is a program: everything but the kernel's own part.

use std::sync::mpsc;
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags, recv, send};
use till_plugin::bus::{Operation, PACKET, Reply};

use super::*;

/// A device that gives what it is asked for, or what the test wants.
struct Fake {
    next: mpsc::Receiver<Result<(), WireError>>,
    dropped: mpsc::Sender<()>,
}

impl Wire for Fake {
    fn run(&mut self, request: &Request) -> Result<Zeroizing<Vec<u8>>, WireError> {
        self.next.recv_timeout(Duration::from_secs(20)).unwrap_or(Ok(()))?;
        Ok(Zeroizing::new(vec![0x5A; request.read()]))
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _waiting = self.dropped.send(());
    }
}

struct Bench {
    say: mpsc::Sender<Result<(), WireError>>,
    dropped: mpsc::Receiver<()>,
    plugin: OwnedFd,
    held: Option<Held>,
}

fn bench() -> Bench {
    let (say, next) = mpsc::channel();
    let (dropped_by, dropped) = mpsc::channel();
    let opened = line("/dev/i2c-1".into(), Fake { next, dropped: dropped_by }).unwrap();
    let flags = rustix::fs::fcntl_getfl(&opened.fd).unwrap();
    rustix::fs::fcntl_setfl(&opened.fd, flags - rustix::fs::OFlags::NONBLOCK).unwrap();
    Bench { say, dropped, plugin: opened.fd, held: Some(opened.held) }
}

impl Bench {
    fn ask(&self, packet: &[u8]) -> Vec<u8> {
        send(&self.plugin, packet, SendFlags::NOSIGNAL).unwrap();
        self.read()
    }

    /// Empty: the line has ended.
    fn read(&self) -> Vec<u8> {
        let mut buffer = [0; PACKET];
        let (count, _) = recv(&self.plugin, buffer.as_mut_slice(), RecvFlags::empty()).unwrap();
        buffer[..count].to_vec()
    }

    fn released(&self) {
        self.dropped.recv_timeout(Duration::from_secs(20)).expect("the bus is given back");
    }
}

fn reading(number: u8, count: u16) -> Zeroizing<Vec<u8>> {
    Request { number, operations: vec![Operation::Read(count)] }.encode().unwrap()
}

#[test]
fn each_packet_is_a_transaction_and_has_its_answer() {
    let bench = bench();
    for number in [0, 1, 255] {
        bench.say.send(Ok(())).unwrap();
        let reply = Reply::decode(&bench.ask(&reading(number, 4096))).unwrap();
        assert_eq!((reply.number, reply.result.unwrap().len()), (number, 4096));
    }
    for cause in [Cause::NoAcknowledge, Cause::Arbitration, Cause::Timeout, Cause::Other] {
        let fault = Fault { cause, text: "as the test wants it".into() };
        bench.say.send(Err(WireError::Fault(fault.clone()))).unwrap();
        assert_eq!(
            Reply::decode(&bench.ask(&reading(9, 1))).unwrap(),
            Reply { number: 9, result: Err(fault) }
        );
    }
}

#[test]
fn what_is_no_transaction_never_reaches_the_bus() {
    let bench = bench();
    let too_long = vec![1; PACKET + 1];
    for packet in [&[7][..], &[7, 9, 0, 1], &[7, 1, 0, 9, 1], &[7, 2, 0xFF, 0xFF], &too_long] {
        // Nobody says what the device does: it would wait.
        let reply = Reply::decode(&bench.ask(packet)).unwrap();
        assert_eq!(reply.result.unwrap_err().cause, Cause::Refused, "{:?}", &packet[..packet.len().min(5)]);
    }
    bench.say.send(Ok(())).unwrap();
    assert!(Reply::decode(&bench.ask(&reading(1, 1))).unwrap().result.is_ok(), "the line goes on");
}

#[test]
fn a_bus_that_is_gone_ends_the_line() {
    let bench = bench();
    bench.say.send(Err(WireError::Gone("taken out".into()))).unwrap();
    assert!(bench.ask(&reading(1, 1)).is_empty());
    bench.released();
}

#[test]
fn the_bus_is_given_back_with_either_end() {
    let mut plugin_ends = bench();
    let closed = std::mem::replace(&mut plugin_ends.plugin, File::open("/dev/null").unwrap().into());
    drop(closed);
    plugin_ends.released();
    let mut daemon_ends = bench();
    daemon_ends.held = None;
    daemon_ends.released();
    assert!(daemon_ends.read().is_empty(), "and the plugin hears of it");
}

#[test]
fn what_is_no_bus_is_refused_by_its_major_number_not_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("i2c-1");
    std::fs::write(&file, "").unwrap();
    for path in [file.as_path(), Path::new("/dev/null")] {
        let kind = |opened: Result<Opened, OpenError>| match opened.map(drop) {
            Err(OpenError::Kind { expected, .. }) => expected,
            other => panic!("{}: {other:?}", path.display()),
        };
        assert!(kind(i2c(path, 0x24)).contains("I2C"));
        assert!(kind(spi(path, 1_000_000, 0)).contains("SPI"));
    }
    let missing = dir.path().join("spidev0.0");
    assert!(matches!(spi(&missing, 1_000_000, 0).map(drop), Err(OpenError::Missing { .. })));
    assert!(matches!(i2c(&missing, 0x24).map(drop), Err(OpenError::Missing { .. })));
}
