//! Scripted faults: what a terminal sees, and what the ledger says meanwhile.

use super::super::ledger::State;
use super::super::money::Fen;
use super::super::{Acquirer, AcquirerConfig};
use super::acquirer;
use super::terminal::Terminal;
use crate::faults::{Fault, Rule};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn started(rule: Rule) -> (Acquirer, Terminal) {
    let acquirer = acquirer();
    let terminal = Terminal::signed_in(acquirer.addr());
    acquirer.faults().add(rule).unwrap();
    (acquirer, terminal)
}

/// One sale under this fault; the raw bytes that came back before the end of the stream or of `wanted` bytes.
fn sale_under(fault: Fault) -> (Acquirer, Terminal) {
    let (acquirer, mut terminal) = started(Rule::once("sale", fault));
    let sale = terminal.sealed(&terminal.sale("000002", "000000012850"));
    terminal.send(&sale);
    (acquirer, terminal)
}

fn booked(acquirer: &Acquirer) -> bool {
    acquirer.ledger().iter().any(|e| e.state == State::Approved)
}

#[test]
fn a_request_lost_on_the_way_is_not_booked() {
    let (acquirer, mut terminal) = sale_under(Fault::DropBeforeBooking {});
    assert!(terminal.receive().is_none());
    assert!(!booked(&acquirer));
    assert_eq!(acquirer.faults().fired().len(), 1);
}

#[test]
fn an_answer_lost_on_the_way_is_booked_and_the_reversal_finds_it() {
    let (acquirer, mut terminal) = sale_under(Fault::DropAfterBooking {});
    assert!(terminal.receive().is_none());
    assert!(booked(&acquirer));
    terminal.reconnect();
    let reversal = terminal.reversal_of(&terminal.sale("000002", "000000012850"), "98");
    assert_eq!(terminal.pay(&reversal).text(39), "00");
    assert!(!booked(&acquirer));
}

#[test]
fn a_held_answer_comes_when_released() {
    let (acquirer, mut terminal) = sale_under(Fault::HoldReply {});
    assert!(acquirer.wait_ledger(Duration::from_secs(10), |l| l.len() == 1));
    terminal.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let kind = terminal.stream.read(&mut [0]).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "silent but open: {kind}");
    terminal.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    acquirer.faults().release();
    assert_eq!(terminal.receive().unwrap().text(39), "00");
}

#[test]
fn a_request_held_on_the_way_meets_the_reversal_that_overtook_it() {
    let (acquirer, mut slow) = sale_under(Fault::HoldBooking {});
    assert!(acquirer.faults().wait_fired(1, Duration::from_secs(10)));
    let mut terminal = Terminal::connect(acquirer.addr());
    terminal.keys.clone_from(&slow.keys);
    let reversal = terminal.reversal_of(&terminal.sale("000002", "000000012850"), "98");
    assert_eq!(terminal.pay(&reversal).text(39), "25");
    acquirer.faults().release();
    assert_eq!(slow.receive().unwrap().text(39), "94");
    assert!(!booked(&acquirer), "written off by the terminal, so never booked here");
}

#[test]
fn wrong_answers_are_wrong_in_one_way_only() {
    let (_acquirer, mut terminal) = sale_under(Fault::WrongSignature {});
    let reply = terminal.receive().unwrap();
    assert!(!terminal.mac_is_right(&reply));
    let (_acquirer, mut terminal) = sale_under(Fault::Unsigned {});
    assert_eq!(terminal.receive().unwrap().get(64), None);
    let (acquirer, mut terminal) = sale_under(Fault::WrongAmount { by: 1 });
    let reply = terminal.receive().unwrap();
    assert!(terminal.mac_is_right(&reply));
    assert_eq!(reply.text(4), "000000012851");
    assert_eq!(acquirer.ledger()[0].amount, Fen::new(12_850));
    let (_acquirer, mut terminal) = sale_under(Fault::WrongReference {});
    let reply = terminal.receive().unwrap();
    assert!(terminal.mac_is_right(&reply));
    assert_eq!(reply.text(11), "000003");
}

#[test]
fn half_an_answer_is_half_and_then_nothing() {
    let (acquirer, mut terminal) = sale_under(Fault::HalfReply {});
    let mut bytes = Vec::new();
    terminal.stream.read_to_end(&mut bytes).unwrap();
    let announced = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    assert!(bytes.len() > 2 && bytes.len() < announced, "{} of {announced}", bytes.len());
    assert!(booked(&acquirer));
}

#[test]
fn a_reset_is_a_reset() {
    for booked_too in [false, true] {
        let (acquirer, mut terminal) = sale_under(Fault::Reset { booked: booked_too });
        let error = terminal.stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(booked(&acquirer), booked_too);
    }
}

#[test]
fn a_slow_answer_comes_byte_by_byte_and_whole() {
    let (_acquirer, mut terminal) = sale_under(Fault::Slow { ms_per_byte: 2 });
    let start = Instant::now();
    let mut first = [0; 512];
    assert_eq!(terminal.stream.peek(&mut first).unwrap(), 1, "one byte, then a pause");
    let reply = terminal.receive().unwrap();
    assert!(terminal.mac_is_right(&reply));
    assert!(start.elapsed() >= Duration::from_millis(150), "about 120 bytes at 2 ms");
}

#[test]
fn two_answers_in_one_segment() {
    let (_acquirer, mut terminal) = sale_under(Fault::MergedReplies {});
    let traces: Vec<_> = (0..2).map(|_| terminal.receive().unwrap().text(11).to_owned()).collect();
    assert_eq!(traces, ["000003", "000002"], "the stale one stands first");
    let (_acquirer, mut terminal) = sale_under(Fault::DuplicateReply {});
    assert_eq!(terminal.receive(), terminal.receive());
}

#[test]
fn any_code_with_and_without_a_booking() {
    for booked_too in [false, true] {
        let fault = Fault::Answer {
            code: "96".into(),
            sub_code: None,
            fields: BTreeMap::default(),
            booked: booked_too,
        };
        let (acquirer, mut terminal) = sale_under(fault);
        let reply = terminal.receive().unwrap();
        assert!(terminal.mac_is_right(&reply));
        assert_eq!((reply.text(39), reply.get(38)), ("96", None));
        assert_eq!(booked(&acquirer), booked_too);
    }
}

#[test]
fn bytes_that_are_no_message_end_the_connection_and_nothing_else() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    // A keep-alive, then a prefix that announces more than the host takes.
    terminal.stream.write_all(&[0, 0, 0xFF, 0xFF, 1, 2, 3]).unwrap();
    assert!(terminal.receive().is_none());
    terminal.reconnect();
    terminal.stream.write_all(&[0, 5, 0x60, 0, 0, 0, 0]).unwrap();
    assert!(terminal.receive().is_none());
    assert!(acquirer.wait_stats(Duration::from_secs(10), |s| s.keep_alives == 1 && s.refused.len() == 2));
    terminal.reconnect();
    let sale = terminal.sale("000002", "000000000100");
    assert_eq!(terminal.pay(&sale).text(39), "00", "the next connection is served as before");
}

#[test]
fn a_request_may_arrive_byte_by_byte_and_two_in_one_segment() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let one = terminal.wire(&terminal.sealed(&terminal.sale("000002", "000000000100")));
    let two = terminal.wire(&terminal.sealed(&terminal.sale("000003", "000000000200")));
    for byte in &one {
        terminal.stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(terminal.receive().unwrap().text(11), "000002");
    terminal.stream.write_all(&[two, one].concat()).unwrap();
    let traces: Vec<_> = (0..2).map(|_| terminal.receive().unwrap().text(11).to_owned()).collect();
    assert_eq!(traces, ["000003", "000002"]);
}

#[test]
fn down_refuses_connections_and_up_serves_the_same_port() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    assert!(acquirer.set_up(false));
    let refused = TcpStream::connect(acquirer.addr()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(acquirer.set_up(true));
    terminal.reconnect();
    let sale = terminal.sale("000002", "000000000100");
    assert_eq!(terminal.pay(&sale).text(39), "00");
}

#[test]
fn the_control_port_scripts_and_tells_and_no_line_shows_a_card() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&seen);
    let acquirer = Acquirer::start(AcquirerConfig {
        control: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        observer: Some(Arc::new(move |line: &str| lines.lock().unwrap().push(line.to_owned()))),
        ..AcquirerConfig::default()
    })
    .unwrap();
    let stream = TcpStream::connect(acquirer.control_addr().unwrap()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |line: &str| {
        (&stream).write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        reader.read_line(&mut answer).unwrap();
        answer
    };
    let script =
        r#"{"do":"faults","script":{"rules":[{"on":"sale","fault":{"kind":"answer","code":"91"}}]}}"#;
    assert_eq!(ask(script), "{\"ok\":1}\n");
    assert!(
        ask(r#"{"do":"faults","script":{"rules":[{"on":"sail","fault":{"kind":"garbage"}}]}}"#)
            .contains("sail")
    );
    assert!(ask(r#"{"do":"ledger","all":true}"#).starts_with("{\"error\""), "unknown keys are refused");
    let mut terminal = Terminal::signed_in(acquirer.addr());
    for (trace, code) in [("000002", "91"), ("000003", "00")] {
        let sale = terminal.sale(trace, "000000012850");
        assert_eq!(terminal.pay(&sale).text(39), code);
    }
    let ledger = ask(r#"{"do":"ledger"}"#);
    assert!(
        ledger.contains(r#"{"currency":"CNY","minor":12850}"#) && ledger.contains("620000******0005"),
        "{ledger}"
    );
    assert!(ask(r#"{"do":"totals","tid":"12345678"}"#).contains("\"debit_count\":1"));
    let all = seen.lock().unwrap().join("\n") + &ledger;
    assert!(all.contains("Sale 128.50 CNY") && !all.contains("6200000000000005"), "{all}");
}
