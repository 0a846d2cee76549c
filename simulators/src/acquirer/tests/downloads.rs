//! Parameter downloads as a terminal written for the test sees them.

use super::super::downloads::{Parameters, Wrong};
use super::super::mac::MacAlgorithm;
use super::super::{Acquirer, AcquirerConfig, HostConfig};
use super::acquirer;
use super::terminal::Terminal;
use crate::faults::{Fault, Rule};
use sha1::{Digest, Sha1};

/// Field 39 and field 62 of the answer to a question.
fn ask(terminal: &mut Terminal, mti: &str, net: &str, field62: &[u8]) -> (String, Vec<u8>) {
    let field60 = format!("00000001{net}");
    let mut request = terminal.message(mti, &[(60, &field60)]);
    if !field62.is_empty() {
        request.set(62, field62);
    }
    let reply = terminal.ask(&request);
    assert_eq!(reply.text(60), field60);
    (reply.text(39).to_owned(), reply.get(62).unwrap_or_default().to_vec())
}

fn told(terminal: &mut Terminal, mti: &str, net: &str, field62: &[u8]) -> Vec<u8> {
    let (code, told) = ask(terminal, mti, net, field62);
    assert_eq!(code, "00", "{net}");
    told
}

fn key(index: u8) -> Vec<u8> {
    [&hex::decode("9F0605A0000003339F2201").unwrap()[..], &[index]].concat()
}

#[test]
fn keys_come_in_pages_of_two_then_one_by_one() {
    let acquirer = acquirer();
    let mut terminal = Terminal::connect(acquirer.addr());
    let first = told(&mut terminal, "0820", "372", b"100");
    assert_eq!((first[0], first.len()), (b'2', 1 + 2 * 23));
    assert!(first[1..].starts_with(&key(8)) && first[24..].starts_with(&key(9)));
    assert_eq!(&first[13..16], &[0xDF, 0x05, 8]);
    assert_eq!(&first[16..24], b"20401231");
    let second = told(&mut terminal, "0820", "372", b"102");
    assert_eq!((second[0], second.len()), (b'3', 1 + 23));
    assert_eq!(told(&mut terminal, "0820", "372", b"103"), b"0");
    let got = told(&mut terminal, "0800", "370", &key(9));
    // 9F06 9F22 DF05, hash and signature algorithm 01, modulus behind DF0281B0, exponent, check value.
    assert_eq!(&got[24..36], &[0xDF, 6, 1, 1, 0xDF, 7, 1, 1, 0xDF, 2, 0x81, 176]);
    let (modulus, rest) = got[36..].split_at(176);
    assert_eq!(&rest[..4], &[0xDF, 4, 1, 3]);
    let check = Sha1::digest([&hex::decode("A00000033309").unwrap()[..], modulus, &[3]].concat());
    assert_eq!(&rest[4..], [&[0xDF, 3, 20][..], &check].concat());
    assert_eq!(told(&mut terminal, "0800", "370", &key(0x77)), b"0");
    assert!(told(&mut terminal, "0800", "371", b"").is_empty());
    let seen = acquirer.downloaded();
    assert_eq!((seen[0].as_str(), seen.last().map(String::as_str)), ("372 313030", Some("371")));
}

#[test]
fn a_list_question_that_makes_no_sense_is_refused() {
    let acquirer = acquirer();
    let mut terminal = Terminal::connect(acquirer.addr());
    for question in [&b""[..], b"1", b"200", b"1x0", b"1000"] {
        assert_eq!(ask(&mut terminal, "0820", "382", question).0, "30");
    }
}

#[test]
fn contactless_parameters_are_text_and_applications_are_not() {
    let acquirer = acquirer();
    let mut terminal = Terminal::connect(acquirer.addr());
    let text = told(&mut terminal, "0800", "394", b"");
    assert!(text.starts_with(b"FF803A003010FF803C003060FF80540011"));
    assert!(String::from_utf8(text).unwrap().contains("FF8058012000000030000"));
    let list = told(&mut terminal, "0820", "382", b"100");
    assert_eq!(list[0], b'1');
    let application = told(&mut terminal, "0800", "380", &list[1..12]);
    assert!(application[1..].starts_with(&list[1..12]) && application.len() > 40);
    acquirer.set_parameters(Parameters { contactless: [].into(), ..Parameters::default() });
    assert_eq!(told(&mut terminal, "0800", "394", b""), b"0");
}

#[test]
fn it_does_wrong_what_it_is_told_to() {
    let acquirer = acquirer();
    let mut terminal = Terminal::connect(acquirer.addr());
    let good = told(&mut terminal, "0800", "370", &key(8));
    let mut wrong = |wrong, mti, net, question: &[u8]| {
        acquirer.set_parameters(Parameters { wrong: Some(wrong), ..Parameters::default() });
        told(&mut terminal, mti, net, question)
    };
    for count in [b"100", b"105", b"195"] {
        assert_eq!(wrong(Wrong::EndlessList, "0820", "372", count).len(), 1 + 5 * 23);
        assert_eq!(wrong(Wrong::EndlessList, "0820", "382", count)[0], b'2');
    }
    assert_eq!(wrong(Wrong::EmptyPages, "0820", "372", b"100"), b"2");
    let first = wrong(Wrong::PageTwice, "0820", "372", b"100");
    assert_eq!(wrong(Wrong::PageTwice, "0820", "372", b"102")[1..24], first[1..24]);
    let bent = wrong(Wrong::CheckValue, "0800", "370", &key(8));
    assert_eq!(bent.iter().zip(&good).filter(|(a, b)| a != b).count(), 1);
    assert_eq!(wrong(Wrong::Truncated, "0800", "370", &key(8)).len(), good.len() - 3);
    assert!(wrong(Wrong::HugeLength, "0800", "370", &key(8)).len() < 20);
    assert!(!wrong(Wrong::AnotherKey, "0800", "370", &key(8))[1..].starts_with(&key(8)));
    assert_eq!(wrong(Wrong::NoMark, "0820", "372", b"100")[0], b'9');
    acquirer.set_parameters(Parameters { wrong: Some(Wrong::AnotherCode), ..Parameters::default() });
    let reply = terminal.ask(&terminal.message("0800", &[(60, "00000001371")]));
    assert_eq!(reply.text(60), "00000001399");
}

#[test]
fn downloads_can_be_refused_and_lost_like_anything_and_work_is_asked_for_in_the_header() {
    let parameters = Parameters { asks: 4, ..Parameters::default() };
    let host = HostConfig { mac: MacAlgorithm::Sm4Cbc, parameters, ..HostConfig::default() };
    let acquirer = Acquirer::start(AcquirerConfig { host, ..AcquirerConfig::default() }).unwrap();
    let mut terminal = Terminal::with_mac(acquirer.addr(), MacAlgorithm::Sm4Cbc);
    terminal.sign_in("005");
    let refusal = Fault::Answer { code: "40".into(), sub_code: None, fields: [].into(), booked: false };
    acquirer.faults().add(Rule::once("key-list", refusal)).unwrap();
    acquirer.faults().add(Rule::once("contactless-limits", Fault::DropAfterBooking {})).unwrap();
    assert_eq!(ask(&mut terminal, "0820", "372", b"100").0, "40");
    assert_eq!(ask(&mut terminal, "0820", "372", b"100").0, "00");
    let limits = terminal.message("0800", &[(60, "00000001394")]);
    terminal.send(&limits);
    assert_eq!(terminal.receive(), None);
    terminal.reconnect();
    terminal.send(&limits);
    assert_eq!(terminal.frame().unwrap().header[2] & 0x0F, 4);
}
