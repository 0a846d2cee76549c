//! The printer on TCP.

use super::super::{Command, PrinterConfig, VirtualPrinter};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

fn started() -> (VirtualPrinter, TcpStream) {
    let printer = VirtualPrinter::start(PrinterConfig::default()).unwrap();
    let stream = TcpStream::connect(printer.addr()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    (printer, stream)
}

#[test]
fn a_job_over_two_connections_is_one_receipt_when_not_cut() {
    let (printer, mut stream) = started();
    stream.write_all(b"\x1B@one\n").unwrap();
    drop(stream);
    let mut stream = TcpStream::connect(printer.addr()).unwrap();
    stream.write_all(b"two\n\x1DV\x00").unwrap();
    let receipts = printer.wait_receipts(1, LONG).unwrap();
    assert_eq!((receipts[0].text().as_str(), printer.connections()), ("one\ntwo\n", 2));
    assert_eq!(printer.received(), b"\x1B@one\ntwo\n\x1DV\x00");
}

#[test]
fn out_of_paper_it_answers_then_fills_up_then_stops_reading_and_goes_on_after_refill() {
    let (printer, mut stream) = started();
    printer.command(&Command::Paper { lines: 1 });
    stream.write_all(b"first\n\x10\x04\x04").unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0x7E]);
    // Lines until the network takes no more.
    rustix::net::sockopt::set_socket_send_buffer_size(&stream, 4096).unwrap();
    // Short ones: a write may end inside a line, and two parts must not be wrapped by the printer.
    let line = [b'x'; 10];
    let mut sent = 0;
    let error = loop {
        match stream.write(&[&line[..], b"\n"].concat()) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
    };
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    assert!(printer.status().waiting >= 4096 && printer.receipts().is_empty());
    printer.command(&Command::Refill { lines: None });
    stream.set_write_timeout(None).unwrap();
    stream.write_all(b"\n\x1DV\x00").unwrap();
    let text = printer.wait_receipts(1, LONG).unwrap()[0].text();
    assert_eq!(text.matches('x').count() + text.matches('\n').count() - 2, sent, "every byte once");
}

#[test]
fn it_hangs_up_or_resets_at_the_byte_it_is_told() {
    for reset in [false, true] {
        let (printer, mut stream) = started();
        printer.command(&Command::DropAfter { bytes: 5, reset });
        stream.write_all(b"one\ntwo\n\x1DV\x00").unwrap();
        let ended = stream.read(&mut [0]);
        // Unread bytes make the kernel send RST on either close; both are an end.
        assert!(
            matches!(&ended, Ok(0)) || ended.as_ref().is_err_and(|e| e.kind() == ErrorKind::ConnectionReset),
            "{ended:?}"
        );
        assert_eq!((printer.received(), printer.uncut().text()), (b"one\nt".to_vec(), "one\n".into()));
    }
}

#[test]
fn a_silent_printer_prints_and_says_nothing() {
    let (printer, mut stream) = started();
    printer.command(&Command::Silent { on: true });
    stream.write_all(b"\x10\x04\x01x\n\x1DV\x00").unwrap();
    assert!(printer.wait_receipts(1, LONG).is_some());
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(stream.read(&mut [0]).is_err(), "nothing came");
}

#[test]
fn a_slow_printer_is_slow_and_loses_nothing() {
    let (printer, mut stream) = started();
    printer.command(&Command::ReadRate { bytes_per_second: Some(400) });
    let start = std::time::Instant::now();
    stream.write_all(&[&[b'x'; 80][..], b"\n\x1DV\x00"].concat()).unwrap();
    let receipts = printer.wait_receipts(1, LONG).unwrap();
    assert!(start.elapsed() > Duration::from_millis(150), "84 bytes at 400 a second");
    assert_eq!(receipts[0].text().matches('x').count(), 80);
}

#[test]
fn paper_out_is_told_to_the_connected_till_unasked() {
    let (printer, mut stream) = started();
    stream.write_all(b"\x1Da\xFF").unwrap();
    let mut told = [0; 4];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(told, [0x10, 0, 0, 0]);
    printer.command(&Command::PaperOut {});
    stream.read_exact(&mut told).unwrap();
    assert_eq!(told, [0x18, 0, 0x0F, 0]);
}

#[test]
fn the_control_port_takes_words_and_json() {
    use std::io::{BufRead, BufReader};
    let control = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let printer = VirtualPrinter::start(PrinterConfig { control, ..PrinterConfig::default() }).unwrap();
    let stream = TcpStream::connect(printer.control_addr().unwrap()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |line: &str| {
        (&stream).write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        reader.read_line(&mut answer).unwrap();
        answer
    };
    assert!(ask("paper-out").contains("\"online\":false"));
    assert!(ask(r#"{"do":"refill"}"#).contains("\"online\":true"));
    assert!(ask("refil").contains("refill [N]"), "the error names what there is");
    assert_eq!(ask("receipts"), "{\"ok\":[]}\n");
}
