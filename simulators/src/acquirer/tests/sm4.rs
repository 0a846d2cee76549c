//! A host whose keys are SM4 keys.

use super::super::mac::MacAlgorithm;
use super::super::sm4::{Wide, pin_block};
use super::super::{Acquirer, AcquirerConfig, HostConfig};
use super::acquirer;
use super::terminal::{PAN, Terminal};

fn started(mac: MacAlgorithm) -> (Acquirer, Terminal) {
    let host = HostConfig { mac, ..HostConfig::default() };
    let acquirer = Acquirer::start(AcquirerConfig { host, ..AcquirerConfig::default() }).unwrap();
    let mut terminal = Terminal::with_mac(acquirer.addr(), mac);
    terminal.sign_in("005");
    (acquirer, terminal)
}

fn code_of_sign_in(terminal: &mut Terminal, form: &str) -> String {
    let field60 = format!("00000000{form}");
    let request = terminal.message("0800", &[(11, "000009"), (60, &field60), (63, "01 ")]);
    terminal.ask(&request).text(39).to_owned()
}

#[test]
fn a_sale_under_either_mac_is_booked_and_under_a_bent_one_is_not() {
    for mac in [MacAlgorithm::Sm4Cbc, MacAlgorithm::Sm4Ecb] {
        let (acquirer, mut terminal) = started(mac);
        assert_eq!(terminal.pay(&terminal.sale("000002", "000000000100")).text(39), "00");
        let mut bent = terminal.sealed(&terminal.sale("000003", "000000000100"));
        let mut field64: [u8; 8] = bent.get(64).unwrap().try_into().unwrap();
        field64[7] ^= 1;
        bent.set(64, field64);
        assert_eq!(terminal.ask(&bent).text(39), "A0", "{mac:?}");
        assert_eq!(acquirer.ledger().len(), 1, "{mac:?}");
    }
}

#[test]
fn a_pin_block_of_sixteen_bytes_is_opened_and_only_under_its_control_field() {
    let (_acquirer, mut terminal) = started(MacAlgorithm::Sm4Cbc);
    let pik = terminal.keys.as_ref().unwrap().pik.clone();
    let mut pay = |trace: &str, block: Wide, control: &str| {
        let mut sale = terminal.sale(trace, "000000000100");
        sale.set(22, "021").set(26, "06").set(52, block).set(53, control);
        terminal.pay(&sale).text(39).to_owned()
    };
    assert_eq!(pay("000002", pin_block(&pik, "123456", PAN), "2300000000000000"), "00");
    assert_eq!(pay("000003", pin_block(&pik, "111111", PAN), "2300000000000000"), "55");
    assert_eq!(pay("000004", pin_block(&[9; 16], "123456", PAN), "2300000000000000"), "99");
    assert_eq!(pay("000005", pin_block(&pik, "123456", PAN), "2600000000000000"), "30");
}

#[test]
fn keys_of_the_other_cipher_are_not_handed_out() {
    let (_acquirer, mut terminal) = started(MacAlgorithm::Sm4Cbc);
    assert_eq!(code_of_sign_in(&mut terminal, "003"), "40");
    let des = acquirer();
    assert_eq!(code_of_sign_in(&mut Terminal::connect(des.addr()), "005"), "40");
}
