//! Bookings: what the ledger must say after honest and dishonest terminals.

use super::super::keys::pin_block;
use super::super::ledger::{Kind, State, Totals};
use super::super::money::Fen;
use super::super::{AcquirerConfig, HostConfig, Terminal as Known};
use super::terminal::{PAN, Terminal};
use super::{Acquirer, acquirer};
use crate::counter::Machine;
use crate::counter::pinpad::{Hand, Pad};

const START: Fen = Fen::new(100_000_000);

#[test]
fn every_sign_in_form_installs_and_changes_the_keys() {
    let acquirer = acquirer();
    let mut terminal = Terminal::connect(acquirer.addr());
    for form in ["001", "003", "004"] {
        terminal.sign_in(form);
        let sale = terminal.sale(&format!("0000{}", &form[1..]), "000000000100");
        assert_eq!(terminal.pay(&sale).text(39), "00", "form {form}");
    }
    assert_eq!(acquirer.sign_ins("12345678"), 3);
}

#[test]
fn a_sale_moves_money_once_and_a_repeat_gets_the_same_answer() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let sale = terminal.sale("000002", "000000012850");
    let first = terminal.pay(&sale);
    assert_eq!((first.text(39), first.text(4), first.text(38).len()), ("00", "000000012850", 6));
    let again = terminal.pay(&sale);
    assert_eq!(first, again);
    let ledger = acquirer.ledger();
    assert_eq!((ledger.len(), ledger[0].times_received), (1, 2));
    assert_eq!(acquirer.card_balance(PAN), Some(START.minus(Fen::new(12_850))));
    // The same trace number for something else is a terminal that has lost count.
    let other = terminal.sale("000002", "000000000001");
    assert_eq!(terminal.pay(&other).text(39), "94");
}

#[test]
fn an_old_or_missing_mac_key_is_refused_before_anything_is_booked() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let sale = terminal.sealed(&terminal.sale("000002", "000000000100"));
    terminal.sign_in("003");
    let reply = terminal.ask(&sale);
    assert_eq!((reply.text(39), reply.get(64)), ("A0", None));
    let mut bare = sale;
    bare.remove(64);
    assert_eq!(terminal.ask(&bare).text(39), "A0");
    acquirer.forget_keys("12345678");
    let sale = terminal.sealed(&terminal.sale("000003", "000000000100"));
    assert_eq!(terminal.ask(&sale).text(39), "77");
    assert!(acquirer.ledger().is_empty());
}

#[test]
fn strangers_are_told_so() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    terminal.tid = "99999999";
    let echo = terminal.message("0820", &[(60, "00000001301")]);
    assert_eq!(terminal.ask(&echo).text(39), "97");
    terminal.tid = "12345678";
    let mut echo = terminal.message("0820", &[(60, "00000001301")]);
    assert_eq!(terminal.ask(&echo).text(39), "00");
    echo.set(42, "999999999999999");
    assert_eq!(terminal.ask(&echo).text(39), "03");
}

#[test]
fn sign_off_takes_the_keys_away() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let off = terminal.message("0820", &[(11, "000009"), (60, "00000001002")]);
    assert_eq!(terminal.ask(&off).text(39), "00");
    let sale = terminal.sealed(&terminal.sale("000010", "000000000100"));
    assert_eq!(terminal.ask(&sale).text(39), "77");
}

#[test]
fn cards_do_what_their_table_says() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let expected = [
        ("4000000000009995", "51"),
        ("4000000000000002", "05"),
        ("4000000000000069", "54"),
        ("4000000000000341", "91"),
        ("4000000000000127", "55"),
        ("4000000000000119", "96"),
        ("6200000000009999", "14"),
        ("4111111111111111", "00"),
        ("6205500000000000004", "00"),
    ];
    for (at, (pan, code)) in expected.into_iter().enumerate() {
        let mut sale = terminal.sale(&format!("{:06}", at + 10), "000000012850");
        sale.set(2, pan).set(35, format!("{pan}=29122010000000000"));
        assert_eq!(terminal.pay(&sale).text(39), code, "{pan}");
    }
    let mut limited = terminal.sale("000050", "000000100001");
    limited.set(2, "5555555555554444").remove(35);
    assert_eq!(terminal.pay(&limited).text(39), "61");
    // Two card numbers in one message are two cards.
    let mut mixed = terminal.sale("000051", "000000000100");
    mixed.set(2, "4111111111111111");
    assert_eq!(terminal.pay(&mixed).text(39), "30");
}

#[test]
fn a_prepaid_remainder_is_offered_only_to_terminals_that_take_it() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let mut sale = terminal.sale("000002", "000000003000");
    sale.set(2, "4000000000003220").remove(35);
    assert_eq!(terminal.pay(&sale).text(39), "51");
    let field60 = format!("22{}000601", terminal.batch);
    sale.set(60, field60).set(11, "000003");
    let reply = terminal.pay(&sale);
    assert_eq!((reply.text(39), reply.text(4)), ("10", "000000002000"));
    assert_eq!(acquirer.totals("12345678", "000001").debit, Fen::new(2_000));
}

#[test]
fn pins_are_checked_and_three_wrong_ones_lock_the_card() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let pik = terminal.keys.as_ref().unwrap().pik.clone();
    let mut pay = |trace: &str, block: [u8; 8]| {
        let mut sale = terminal.sale(trace, "000000000100");
        sale.set(22, "021").set(26, "06").set(52, block).set(53, "2600000000000000");
        terminal.pay(&sale).text(39).to_owned()
    };
    assert_eq!(pay("000002", pin_block(&pik, "123456", PAN)), "00");
    assert_eq!(pay("000003", pin_block(&pik, "111111", PAN)), "55");
    assert_eq!(pay("000004", [0x5A; 8]), "99");
    assert_eq!(pay("000005", pin_block(&pik, "111111", PAN)), "55");
    assert_eq!(pay("000006", pin_block(&pik, "111111", PAN)), "75");
    assert_eq!(pay("000007", pin_block(&pik, "123456", PAN)), "75");
}

#[test]
fn a_block_of_a_pad_is_read_under_the_key_that_its_serial_number_names_and_once() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let mut pay = |trace: &str, (ksn, block): (&[u8], &[u8])| {
        let mut sale = terminal.sale(trace, "000000000100");
        sale.set(22, "021").set(26, "06").set(52, block).set(53, "2600000000000000").set(62, ksn);
        terminal.pay(&sale).text(39).to_owned()
    };
    let mut pad = Pad::default();
    let mut typed = |pin: &str| {
        pad.hand(Hand::Types(pin.into()));
        let answer =
            String::from_utf8(pad.receive(format!("pin 1 0 pin 1 1.00 {PAN}\n").as_bytes())).unwrap();
        let words: Vec<&str> = answer.trim_end().split(' ').collect();
        (hex::decode(words[2]).unwrap(), hex::decode(words[3]).unwrap())
    };
    let right = typed("123456");
    assert_eq!(pay("000002", (&right.0, &right.1)), "00");
    assert_eq!(pay("000003", (&right.0, &right.1)), "99", "a key is used once");
    let wrong = typed("111111");
    assert_eq!(pay("000004", (&wrong.0, &wrong.1)), "55");
    let another = typed("123456");
    assert_eq!(pay("000005", (b"\xFF\xFF\x98\x76\x54\x32\x10\xE0\x00\x77", &another.1)), "99");
}

#[test]
fn a_void_needs_its_sale_its_card_its_amount_and_its_batch() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let sale = terminal.sale("000002", "000000012850");
    let sold = terminal.pay(&sale);
    let mut wrong = terminal.void_of(&sold, "000003");
    wrong.set(61, "000001000099");
    assert_eq!(terminal.pay(&wrong).text(39), "25");
    let mut wrong = terminal.void_of(&sold, "000004");
    wrong.set(4, "000000012849");
    assert_eq!(terminal.pay(&wrong).text(39), "64");
    let mut wrong = terminal.void_of(&sold, "000005");
    wrong.set(2, "4111111111111111").remove(35);
    assert_eq!(terminal.pay(&wrong).text(39), "25");
    let void = terminal.void_of(&sold, "000006");
    let voided = terminal.pay(&void);
    assert_eq!(voided.text(39), "00");
    assert_eq!(acquirer.card_balance(PAN), Some(START));
    let twice = terminal.void_of(&sold, "000007");
    assert_eq!(terminal.pay(&twice).text(39), "12");
    let of_a_void = terminal.void_of(&voided, "000008");
    assert_eq!(terminal.pay(&of_a_void).text(39), "22");
    // A voided sale counts in both columns of field 48.
    let both = Totals { debit: Fen::new(12_850), debit_count: 1, credit: Fen::new(12_850), credit_count: 1 };
    assert_eq!(acquirer.totals("12345678", "000001"), both);
}

#[test]
fn refunds_never_exceed_the_sale_and_are_never_reversed() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let sale = terminal.sale("000002", "000000001000");
    let sold = terminal.pay(&sale);
    let mut refund = |trace: &str, amount: &str| {
        let mut refund = terminal.payment("0220", "25", "200000", trace, amount);
        refund.copy(&sold, &[37]).set(61, format!("000000000000{}", sold.text(13))).set(63, "000");
        let code = terminal.pay(&refund).text(39).to_owned();
        (code, terminal.pay(&terminal.reversal_of(&refund, "98")).text(39).to_owned())
    };
    assert_eq!(refund("000003", "000000000600"), ("00".into(), "12".into()));
    assert_eq!(refund("000004", "000000000500").0, "64");
    assert_eq!(refund("000005", "000000000400").0, "00");
    assert_eq!(refund("000006", "000000000001").0, "64");
    assert_eq!(acquirer.card_balance(PAN), Some(START));
    assert_eq!(acquirer.totals("12345678", "000001").credit, Fen::new(1_000));
}

#[test]
fn a_reversal_undoes_once_and_only_what_is_there() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let sale = terminal.sale("000002", "000000012850");
    terminal.pay(&sale);
    let mut other = terminal.reversal_of(&sale, "98");
    other.set(4, "000000012851");
    assert_eq!(terminal.pay(&other).text(39), "64");
    let reversal = terminal.reversal_of(&sale, "98");
    for _ in 0..3 {
        assert_eq!(terminal.pay(&reversal).text(39), "00");
    }
    assert_eq!(acquirer.card_balance(PAN), Some(START), "given back once");
    assert_eq!(acquirer.totals("12345678", "000001"), Totals::default());
    let entry = acquirer.ledger().remove(0);
    assert_eq!((entry.state, entry.reversal_reason.as_deref()), (State::Reversed, Some("98")));
    // Never arrived; and when it arrives after all, it must not be booked any more.
    let late = terminal.sale("000003", "000000000500");
    assert_eq!(terminal.pay(&terminal.reversal_of(&late, "98")).text(39), "25");
    assert_eq!(terminal.pay(&late).text(39), "94");
    // Declined: nothing to undo.
    let mut poor = terminal.sale("000004", "000000000500");
    poor.set(2, "4000000000009995").remove(35);
    assert_eq!(terminal.pay(&poor).text(39), "51");
    assert_eq!(terminal.pay(&terminal.reversal_of(&poor, "98")).text(39), "12");
}

#[test]
fn reversing_a_void_brings_the_sale_back() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let sale = terminal.sale("000002", "000000012850");
    let sold = terminal.pay(&sale);
    let void = terminal.void_of(&sold, "000003");
    assert_eq!(terminal.pay(&void).text(39), "00");
    assert_eq!(terminal.pay(&terminal.reversal_of(&sale, "98")).text(39), "12", "voided: nothing to undo");
    assert_eq!(terminal.pay(&terminal.reversal_of(&void, "98")).text(39), "00");
    assert_eq!(acquirer.card_balance(PAN), Some(START.minus(Fen::new(12_850))));
    let states: Vec<_> = acquirer.ledger().iter().map(|e| (e.kind, e.state)).collect();
    assert_eq!(states, [(Kind::Sale, State::Approved), (Kind::Void, State::Reversed)]);
}

#[test]
fn a_payment_code_over_8583_is_booked_and_never_shown() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let mut sale = terminal.sale("000002", "000000000888");
    sale.set(22, "032").set(59, "A30196212345678901234567").remove(2);
    sale.remove(35);
    assert_eq!(terminal.pay(&sale).text(39), "00");
    let dump = acquirer.ledger_json().to_string();
    assert!(dump.contains("621234*********4567") && !dump.contains("6212345678901234567"), "{dump}");
}

#[test]
fn a_double_length_mac_key_is_issued_where_configured() {
    let known = Known { double_mak: true, ..Known::default() };
    let host = HostConfig { terminals: vec![known], ..HostConfig::default() };
    let acquirer = Acquirer::start(AcquirerConfig { host, ..AcquirerConfig::default() }).unwrap();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    assert_eq!(terminal.keys.as_ref().unwrap().mak.len(), 16);
    let sale = terminal.sale("000002", "000000000100");
    assert_eq!(terminal.pay(&sale).text(39), "00");
}
