//! Balance inquiries against the protocol's own words.

use super::super::cards::Card;
use super::super::mac::MacAlgorithm;
use super::super::message::Message;
use super::super::money::Fen;
use super::super::{Acquirer, AcquirerConfig, HostConfig};
use super::acquirer;
use super::terminal::{PAN, Terminal};
use crate::acquirer::sm4::pin_block;

fn inquiry(terminal: &Terminal, trace: &str) -> Message {
    let mut ask = terminal.payment("0200", "01", "310000", trace, "000000000000");
    ask.remove(4);
    ask
}

#[test]
fn a_balance_is_told_and_not_booked() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let reply = terminal.pay(&inquiry(&terminal, "000002"));
    assert_eq!((reply.text(39), reply.text(54)), ("00", "1002156C000100000000"));
    assert!(reply.get(4).is_none() && terminal.mac_is_right(&reply));
    assert!(acquirer.ledger().is_empty());
    // After a sale it is less; a trace that paid does not ask.
    assert_eq!(terminal.pay(&terminal.sale("000003", "000000000100")).text(39), "00");
    let reply = terminal.pay(&inquiry(&terminal, "000004"));
    assert_eq!(reply.text(54), "1002156C000099999900");
    assert_eq!(terminal.pay(&inquiry(&terminal, "000003")).text(39), "94");
    let overdrawn = Card { balance: Fen::new(-1_250), ..Card::default() };
    acquirer.set_card(PAN, overdrawn);
    assert_eq!(terminal.pay(&inquiry(&terminal, "000005")).text(54), "1002156D000000001250");
    let several = Card { field54: Some("1001156C000000000001".repeat(6)), ..Card::default() };
    acquirer.set_card(PAN, several);
    assert_eq!(terminal.pay(&inquiry(&terminal, "000006")).text(54).len(), 120);
}

#[test]
fn what_is_no_inquiry_is_refused_and_tells_nothing() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let mut code = |trace: &str, change: &dyn Fn(&mut Message)| {
        let mut ask = inquiry(&terminal, trace);
        change(&mut ask);
        let reply = terminal.pay(&ask);
        assert!(reply.get(54).is_none(), "{}", reply.text(39));
        reply.text(39).to_owned()
    };
    assert_eq!(code("000002", &|m| _ = m.set(4, "000000000100")), "30");
    assert_eq!(code("000003", &|m| _ = m.set(3, "000000")), "12");
    assert_eq!(code("000004", &|m| _ = m.set(25, "06")), "12");
    assert_eq!(code("000005", &|m| _ = m.set(49, "840")), "30");
    assert_eq!(code("000006", &|m| _ = m.set(2, "6200000000000013")), "30", "two cards");
    let other = |m: &mut Message| {
        m.set(2, "6200000000000013").remove(35);
    };
    assert_eq!(code("000007", &other), "14");
    let lost = |m: &mut Message| {
        m.set(2, "4000000000009987").remove(35);
    };
    assert_eq!(code("000008", &lost), "41");
}

#[test]
fn while_a_batch_is_settled_nothing_is_told() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    assert_eq!(terminal.pay(&terminal.sale("000002", "000000000100")).text(39), "00");
    let zeros = "0".repeat(31);
    let totals = format!("000000000100001{:015}0{zeros}", 0);
    let fields = [(11, "000003"), (48, totals.as_str()), (60, "00000001201"), (63, "01 ")];
    let reply = terminal.ask(&terminal.message("0500", &fields));
    assert_eq!(reply.text(39), "00");
    assert_eq!(terminal.pay(&inquiry(&terminal, "000004")).text(39), "90");
}

#[test]
fn a_host_that_wants_the_pin_tells_nothing_without_it() {
    for mac in [MacAlgorithm::default(), MacAlgorithm::Sm4Cbc] {
        let host = HostConfig { mac, balance_wants_pin: true, ..HostConfig::default() };
        let acquirer = Acquirer::start(AcquirerConfig { host, ..AcquirerConfig::default() }).unwrap();
        let mut terminal = Terminal::with_mac(acquirer.addr(), mac);
        terminal.sign_in(if mac.is_sm4() { "005" } else { "003" });
        assert_eq!(terminal.pay(&inquiry(&terminal, "000002")).text(39), "55", "{mac:?}");
        if !mac.is_sm4() {
            continue;
        }
        let pik = terminal.keys.as_ref().unwrap().pik.clone();
        let mut typed = |trace: &str, pin: &str| {
            let mut ask = inquiry(&terminal, trace);
            ask.set(22, "021").set(26, "06").set(53, "2300000000000000").set(52, pin_block(&pik, pin, PAN));
            let reply = terminal.pay(&ask);
            (reply.text(39).to_owned(), reply.get(54).is_some())
        };
        assert_eq!(typed("000003", "111111"), ("55".into(), false));
        assert_eq!(typed("000004", "123456"), ("00".into(), true));
    }
}
